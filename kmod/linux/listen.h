/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Listeners: half-open connections (RFC 9293 3.10.7.2, SYN-RECEIVED entered
 * from LISTEN) as small objects of their own, and the accept queue.
 */
#ifndef SLUICE_LINUX_LISTEN_H
#define SLUICE_LINUX_LISTEN_H

#include <linux/skbuff.h>
#include <linux/timer.h>

#include "demux.h"
#include "sock.h"

/* Guarded by its listener's lock; freed after a grace period. */
struct sluice_half_open_sock {
	struct sluice_flow flow;
	struct sluice_half_open core;
	struct sock *listener;		/* a reference is held while flow.hashed */
	struct list_head list;		/* listener's half_opens */
	struct timer_list timer;
	struct rcu_head rcu;
	u8 v4_wire : 1;
};

int sluice_listen_init(void);
void sluice_listen_exit(void);

/* proto_ops.listen */
int sluice_listen(struct socket *sock, int backlog);
/* Ends listening: half-open and unaccepted connections are reset. Socket lock held. */
void sluice_listen_stop(struct sock *sk);
/* The next connection: 0 or a negative errno. Takes the socket lock. */
struct sock *sluice_accept_next(struct sock *sk, int flags, int *error);

/*
 * A segment without a connection, for this listener, whose lock is held. A SYN
 * begins a half-open connection, its ISN above `isn_after` when not 0. The
 * skb stays the caller's.
 */
void sluice_listen_segment(struct sock *sk, struct sk_buff *skb, struct sluice_segment *seg,
			   const struct sluice_flow_key *key, u32 isn_after);
/* A segment for a half-open connection; its listener's lock is held. */
void sluice_half_open_receive(struct sluice_half_open_sock *h, struct sk_buff *skb,
			      struct sluice_segment *seg);
/* An ICMP error for it ends it when hard; its listener's lock is held. */
void sluice_half_open_icmp(struct sluice_half_open_sock *h);
/* Takes h out of everything; the listener's lock is held. */
void sluice_half_open_remove(struct sluice_half_open_sock *h);

#endif /* SLUICE_LINUX_LISTEN_H */
