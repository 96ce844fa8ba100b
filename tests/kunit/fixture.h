/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the suites share: sockets that the kernel itself opens, connections
 * between two of them over loopback, and a look at the segments in between.
 * Everything is given back when the test ends. All of it is in init_net.
 */
#ifndef SLUICE_KUNIT_FIXTURE_H
#define SLUICE_KUNIT_FIXTURE_H

#include <kunit/resource.h>
#include <kunit/test.h>
#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/net.h>
#include <linux/tcp.h>

#include "params.h"
#include "sock.h"

/* Waits for what other contexts bring about; the value is whether they did. */
#define fixture_eventually(condition) ({				\
	unsigned long __end = jiffies + 10 * HZ;			\
	bool __met;							\
									\
	while (!(__met = !!(condition)) && time_before(jiffies, __end))	\
		usleep_range(500, 1000);				\
	__met;								\
})

/* ---- sockets ---------------------------------------------------------------- */

/* SOCK_STREAM of AF_SLUICE, AF_INET or AF_INET6. */
struct socket *fixture_socket(struct kunit *test, int family);
/* The same of any protocol, kernel TCP's too. */
struct socket *fixture_socket_of(struct kunit *test, int family, int protocol);
/* Closes it before the test's end. */
void fixture_close(struct kunit *test, struct socket *sock);
/* An address for AF_SLUICE sockets; `text` is IPv6 or IPv4. */
struct sockaddr_sluice fixture_address(struct kunit *test, const char *text, u16 port);
struct in6_addr fixture_in6(struct kunit *test, const char *text);
/* Asks for port 0 to get any; 0 or a negative errno. */
int fixture_bind(struct kunit *test, struct socket *sock, const char *text, u16 port);
/* A listener of AF_SLUICE at any port of that address. */
struct socket *fixture_listener(struct kunit *test, const char *text, int backlog);
u16 fixture_port(const struct socket *sock);

struct fixture_pair {
	struct socket *listener, *client, *server;
};

/* Connects two sockets over loopback. */
void fixture_connect(struct kunit *test, struct fixture_pair *pair, const char *text);
int fixture_send(struct socket *sock, const void *bytes, size_t length);
/* Bytes, 0 at the end of the stream, -EAGAIN, or another negative errno. */
int fixture_receive(struct socket *sock, void *bytes, size_t length, int flags);

/* ---- the namespace ---------------------------------------------------------- */

struct sluice_net *fixture_net(void);
/* Sets a parameter until the test ends. */
void fixture_set(struct kunit *test, const char *name, u64 value);
u64 fixture_count(enum sluice_counter which);

/* ---- the wire --------------------------------------------------------------- */

/* Every segment of Sluice's that this machine sends passes here. */
struct fixture_wire {
	/* In softirq or process context, BH disabled or not. False: the segment is lost. */
	bool (*pass)(struct fixture_wire *wire, const struct sk_buff *skb,
		     const struct tcphdr *header);
	atomic_t sent, lost;
	unsigned int every;		/* for `pass` to use */
};

void fixture_wire(struct kunit *test, struct fixture_wire *wire);

/*
 * An IPv4 packet that came, as deep as its TCP header of 20 bytes, all zeros:
 * the payload of a segment made by hand. The caller frees it.
 */
struct sk_buff *fixture_packet(void);

#endif /* SLUICE_KUNIT_FIXTURE_H */
