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
	union {
		struct {		/* a listener */
			struct list_head ready;		/* accept queue: children's `ready` */
			struct list_head half_opens;	/* struct sluice_half_open_sock */
			u32 half_open_count;
			u32 defer_accept;	/* TCP_DEFER_ACCEPT, seconds */
		};
		struct {		/* a connection */
			u64 timer_due;		/* when sk_timer or precise is set to go off; 0 unset */
			u64 deadline;		/* what the core asked for; 0 none */
			struct sluice_half_open_sock *half_open;	/* until the handshake is over */
		};
	};
	struct hrtimer precise;		/* deadlines nearer than a few jiffies */
	struct sk_buff *current_skb;	/* the segment being given to the core */
	u16 header_extra;		/* bytes of IP options and extension headers in each packet */
	u8 v4_wire : 1;			/* IPv4 on the wire */
	u8 sluice_family : 1;		/* addresses are struct sockaddr_sluice */
	u8 timer_missed : 1;		/* the timer went off while a user held the lock */
	u8 mtu_missed : 1;		/* so did a path MTU report */
	u8 destroyed : 1;
	u8 queued : 1;			/* in the listener's accept queue */
	u8 inq_cmsg : 1;		/* TCP_INQ */
	struct ipv6_pinfo inet6;	/* last, as inet6_sk_generic() of Linux 6.1 wants */
};

static inline struct sluice_sock *sluice_sk(const struct sock *sk)
{
	return (struct sluice_sock *)sk;
}

static inline struct sluice_sock *sluice_sock_of(const struct sluice_conn *c)
{
	return container_of_const(c, struct sluice_sock, conn);
}

static inline struct sock *sluice_conn_sk(const struct sluice_conn *c)
{
	return (struct sock *)container_of(c, struct sluice_sock, conn);
}

static inline struct sluice_net *sluice_sk_net(const struct sock *sk)
{
	return sluice_net(sock_net(sk));
}

/* The host's clock: microseconds since boot, never 0. */
static inline sluice_usec sluice_now(void)
{
	return ktime_get_ns() / NSEC_PER_USEC + 1;
}

#endif /* SLUICE_LINUX_SOCK_H */
