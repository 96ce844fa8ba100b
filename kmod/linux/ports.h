/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Local ports: who uses which one, and whether one more may (RFC 9293 3.9.1,
 * SO_REUSEADDR and SO_REUSEPORT as Linux TCP has them).
 */
#ifndef SLUICE_LINUX_PORTS_H
#define SLUICE_LINUX_PORTS_H

#include <linux/in6.h>
#include <linux/list.h>
#include <linux/types.h>
#include <net/sock.h>

struct sluice_port;
struct sluice_reservation;

/* One use of a port, inside of a socket or a TIME_WAIT. All under the port's lock. */
struct sluice_port_user {
	struct hlist_node node;
	struct sluice_port *port;	/* NULL: none */
	struct sluice_reservation *reservation;	/* NULL: native */
	struct sock *sk;		/* NULL: TIME_WAIT, described by what follows */
	struct in6_addr address;	/* local; IPv4 as v4-mapped, :: any */
	int device;			/* SO_BINDTODEVICE, 0 any */
	bool reuse, reuseport;		/* SO_REUSEADDR, SO_REUSEPORT when it began */
};

int sluice_ports_init(void);
void sluice_ports_exit(void);

/*
 * proto.get_port: gives sk the port `number`, or an ephemeral one for 0; sk
 * may have it already (listen), then it is only checked. Socket lock held.
 * Real TCP reserves the port against kernel TCP. 0, -EADDRINUSE, -ENOMEM.
 */
int sluice_port_get(struct sock *sk, unsigned short number);
/* proto.put_port: a cgroup's program refuses what get_port gave. Socket lock held. */
void sluice_port_give_back(struct sock *sk);
/* sk, which has the port yet, listens no longer. Socket lock held. */
void sluice_port_unlisten(struct sock *sk);
/* The address that counts for conflicts: IPv4 as v4-mapped, :: any. */
void sluice_port_address(const struct sock *sk, struct in6_addr *address);
/*
 * An accepted connection uses its listener's port too, but where a transparent
 * proxy's rules brought it from another: that is a port of somebody else's
 * address, and nobody's here. 0, -ENOENT when the listener has none any more.
 */
int sluice_port_inherit(struct sock *child, const struct sock *listener);
/* A TIME_WAIT takes over from its connection. */
void sluice_port_hand_over(struct sock *sk, struct sluice_port_user *to);
void sluice_port_put(struct sluice_port_user *user);

/*
 * The ephemeral port for a connect() of a socket that isn't bound: finds one
 * where `try` says 0 (it enters the connection in the demultiplexer), -EEXIST
 * to go on with the next, or an error to return. -EADDRNOTAVAIL: none left.
 */
int sluice_port_connect(struct sock *sk, u32 offset, int (*try)(struct sock *sk, u16 port));

#endif /* SLUICE_LINUX_PORTS_H */
