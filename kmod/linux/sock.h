/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A stream socket: Linux's inet_sock, the core's connection, and what the host
 * keeps for it. sk_family is AF_INET or AF_INET6, for AF_SLUICE sockets too;
 * sk_protocol is never IPPROTO_TCP (the kernel would take it for a tcp_sock).
 *
 * Locking: the socket lock (lock_sock, or bh_lock_sock and not owned by user)
 * guards everything here but what says otherwise. A listener's lock may be
 * held while a child's is taken, never the other way round; the locks of a
 * port, of a listener bucket, and the demultiplexer's come inside.
 */
#ifndef SLUICE_LINUX_SOCK_H
#define SLUICE_LINUX_SOCK_H

#include <linux/hrtimer.h>
#include <linux/ipv6.h>
#include <linux/ktime.h>
#include <net/inet_sock.h>

#include "demux.h"
#include "host.h"
#include "net.h"
#include "ports.h"
#include "recvbuf.h"
#include "sendbuf.h"
#include "sluice.h"

struct sluice_sock {
	struct inet_sock inet;		/* first, as inet_sk() wants */
	struct sluice_conn conn;
	struct sluice_flow flow;	/* this connection in the demultiplexer */
	struct sluice_port_user port;
	struct sluice_sendbuf out;
	struct sluice_recvbuf in;
	/* a listener's, but for `ready`, by which a child hangs in the accept queue */
	struct list_head ready;		/* accept queue: children's `ready` */
	struct list_head half_opens;	/* struct sluice_half_open_sock, by `list` */
	u32 half_open_count;
	sluice_usec cookie_sent;	/* last SYN cookie; 0: none ever */
	struct sluice_kernel_socket *stand_in;	/* in kernel TCP's table of listeners; NULL: none */
	struct sluice_fastopen_keys *fastopen_keys;	/* TCP_FASTOPEN_KEY; NULL: the namespace's */
	unsigned long early_reset_at;	/* jiffies, when a child that was open early was last reset */
	/* changed under the child's lock */
	atomic_t early;			/* children that are open early, or were reset not long ago */
	atomic_t early_resets;		/* of these, the latter */
	/* a connection's */
	struct sock *early_of;		/* open early: the listener, to which it holds a reference */
	struct sluice_saved_syn *saved_syn;	/* TCP_SAVED_SYN; NULL: none, or taken */
	struct sluice_tx_stamps *tx_stamps;	/* SO_TIMESTAMPING; NULL: no send has asked */
	struct sluice_fastopen_request *fastopen;	/* sendmsg() that is opening it; or NULL */
	struct list_head owned;		/* zerocopy.c: bytes to send whose pages have an owner */
	sluice_usec deadline;		/* what the core asked for; 0 none */
	sluice_usec timer_due;		/* when a timer goes off; 0 none is set */
	struct hrtimer precise;		/* for deadlines nearer than a few jiffies */
	spinlock_t precise_lock;	/* innermost: starting it, and ... */
	bool precise_held;		/* ... the reference while it is set or runs */
	unsigned long max_pacing_rate;	/* SO_MAX_PACING_RATE that the core knows */
	u32 notsent_lowat;		/* TCP_NOTSENT_LOWAT, bytes; 0: the namespace's */
	u32 path_mtu;			/* that the core knows, bytes of an IP packet */
	u16 header_extra;		/* bytes of IP options and extension headers in each packet */
	u16 timeout_rehash;		/* how often another hash was chosen after a timeout */
	u8 lent_ttl;			/* uc_ttl is this by `sluice set ip_default_ttl`; 0: it isn't */
	u8 v4_wire : 1;			/* IPv4 on the wire */
	u8 sluice_family : 1;		/* addresses are struct sockaddr_sluice */
	u8 mtu_changed : 1;		/* path_mtu or header_extra isn't what the core knows any more */
	u8 orphan : 1;			/* counted in the namespace's orphans */
	u8 destroyed : 1;
	u8 drop_held : 1;		/* memory is short: the core is to forget what is held */
	u8 inq_cmsg : 1;		/* TCP_INQ */
	u8 thin_linear : 1;		/* TCP_THIN_LINEAR_TIMEOUTS, without effect */
	u8 save_syn : 2;		/* TCP_SAVE_SYN, enum sluice_save_syn */
	u8 fastopen_connect : 1;	/* TCP_FASTOPEN_CONNECT */
	u8 syn_data : 1;		/* data went with the SYN, which isn't answered yet */
	/*
	 * Softirqs set these while a user holds the lock and changes what stands
	 * above, so they share no byte with it.
	 */
	bool timer_missed;		/* the timer went off */
	bool awaits_queue;		/* output waits for packets to leave this host */
	bool queue_drained;		/* they did */
	u32 icmp_mtu;			/* ICMP said "too big", bytes of an IP packet; 0: no */
	struct ipv6_pinfo inet6;	/* last, as inet6_sk_generic() of Linux 6.1 wants */
};

static inline struct sluice_sock *sluice_sk(const struct sock *sk)
{
	return (struct sluice_sock *)sk;
}

static inline struct sluice_sock *sluice_sock_of(const struct sluice_conn *c)
{
	return container_of((struct sluice_conn *)c, struct sluice_sock, conn);
}

static inline struct sock *sluice_conn_sk(const struct sluice_conn *c)
{
	return (struct sock *)sluice_sock_of(c);
}

/* IP_TTL of the socket's own, or -1. */
static inline int sluice_own_ttl(const struct sock *sk)
{
	int ttl = READ_ONCE(inet_sk(sk)->uc_ttl);

	return ttl == sluice_sk(sk)->lent_ttl ? -1 : ttl;
}

/* TCP's own IP protocol on the wire, not the native one. */
static inline bool sluice_is_real_tcp(const struct sock *sk)
{
	return sk->sk_protocol == SLUICE_PROTO_TCP;
}

static inline u8 sluice_ip_protocol(bool real_tcp)
{
	return real_tcp ? IPPROTO_TCP : SLUICE_PROTO_STREAM;
}

static inline struct sluice_net *sluice_sk_net(const struct sock *sk)
{
	return sluice_net(sock_net(sk));
}

extern struct proto sluice_prot;

/* proto.init: makes a new inet_sock (of any of the families) a Sluice socket. */
int sluice_sock_init(struct sock *sk);
/* Puts what a socket and a freshly cloned child begin with in place. */
void sluice_sock_init_parts(struct sluice_sock *s);
/*
 * After every call of the core, with the lock still held: does what the core
 * asked for meanwhile, and ends a closed connection that has no socket.
 */
void sluice_sock_settle(struct sock *sk);

/*
 * SO_MAX_PACING_RATE is set by the kernel, which tells nobody: whatever may let
 * output go looks before. Socket lock held.
 */
void sluice_sock_pacing_rate_changed(struct sock *sk);
static inline void sluice_sock_see_pacing_rate(struct sock *sk)
{
	if (unlikely(READ_ONCE(sk->sk_max_pacing_rate) != sluice_sk(sk)->max_pacing_rate))
		sluice_sock_pacing_rate_changed(sk);
}
/* The application is gone; too many such connections are reset. Lock held, BH disabled. */
void sluice_sock_orphan(struct sock *sk);
/* Gives back everything, and the reference that a socket has to itself. Lock held. */
void sluice_sock_destroy(struct sock *sk);
/* Frees what is buffered, either way. Lock held. */
void sluice_sock_purge(struct sock *sk);
/* Out of the demultiplexer and, unless bind() chose it, away from its port. */
void sluice_sock_unhash(struct sock *sk);

/* timer.c */
void sluice_timer_init(struct sluice_sock *s);
void sluice_timer_stop(struct sluice_sock *s);
/* Packets that output awaited have left; not in hard interrupts. */
void sluice_timer_drained(struct sluice_sock *s);
/* The lock's holder made the timer wait. Lock held. */
void sluice_timer_catch_up(struct sluice_sock *s);

/* close.c: proto.close, proto.shutdown, proto.disconnect */
void sluice_close(struct sock *sk, long timeout);
void sluice_shutdown(struct sock *sk, int how);
int sluice_disconnect(struct sock *sk, int flags);

/* connect.c: proto.pre_connect (programs of cgroups), proto.connect */
int sluice_pre_connect(struct sock *sk, struct sockaddr *address, int length);
int sluice_connect(struct sock *sk, struct sockaddr *address, int length);

/* sendmsg.c, recvmsg.c, poll.c: struct proto_ops */
int sluice_sendmsg(struct socket *sock, struct msghdr *msg, size_t size);
ssize_t sluice_sendpage(struct socket *sock, struct page *page, int offset, size_t size,
			int flags);
int sluice_recvmsg(struct socket *sock, struct msghdr *msg, size_t size, int flags);
__poll_t sluice_poll(struct file *file, struct socket *sock, poll_table *wait);
/* SIOCINQ and its kin. */
int sluice_ioctl(struct sock *sk, int command, int *answer);

/* options.c: struct proto_ops */
int sluice_setsockopt(struct socket *sock, int level, int name, sockptr_t value,
		      unsigned int length);
int sluice_getsockopt(struct socket *sock, int level, int name, char __user *value,
		      int __user *length);

/* proto.keepalive */
void sluice_keepalive(struct sock *sk, int on);
/* SO_RCVLOWAT; socket lock held. 0. */
int sluice_set_rcvlowat(struct sock *sk, int value);

/* The host's clock: microseconds since boot, never 0. */
static inline sluice_usec sluice_now(void)
{
	return ktime_get_ns() / NSEC_PER_USEC + 1;
}

#endif /* SLUICE_LINUX_SOCK_H */
