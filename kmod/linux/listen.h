/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Listeners: half-open connections (RFC 9293 3.10.7.2, SYN-RECEIVED entered
 * from LISTEN) as small objects of their own, and the accept queue.
 */
#ifndef SLUICE_LINUX_LISTEN_H
#define SLUICE_LINUX_LISTEN_H

#include <linux/skbuff.h>
#include <linux/timer.h>

#include "compat.h"
#include "demux.h"
#include "reply.h"
#include "sock.h"

/* Guarded by its listener's lock; freed after a grace period. */
struct sluice_half_open_sock {
	struct sluice_flow flow;
	struct sluice_half_open core;
	struct sock *listener;		/* a reference is held while flow.hashed */
	struct list_head list;		/* listener's half_opens */
	struct sluice_saved_syn *saved_syn;	/* its child takes it; NULL: none */
	struct sk_buff *pktoptions;	/* likewise */
	struct sluice_origin origin;	/* of what opened it */
	struct timer_list timer;
	struct rcu_head rcu;
	u8 v4_wire : 1;
};

int sluice_half_open_cache_init(void);
void sluice_half_open_cache_exit(void);

/* ---- listen.c -------------------------------------------------------------- */

/* proto_ops.accept: inet_accept(), which leaves waiting and queueing to proto.accept. */
SLUICE_ACCEPT_DECLARATION(sluice_inet_accept);
/* proto_ops.listen */
int sluice_listen(struct socket *sock, int backlog);
/* Ends listening: half-open and unaccepted connections are reset. Socket lock held. */
void sluice_listen_stop(struct sock *sk);
/* proto.accept: the next connection, or NULL and a negative errno. Takes the socket lock. */
struct sock *sluice_accept(struct sock *sk, int flags, int *error, bool kern);

/* ---- half_open.c: the listener's lock is held -------------------------------- */

/*
 * A SYN for this listener begins a half-open connection, its ISN above
 * `isn_after` when that is not 0; or is answered by a SYN cookie.
 */
void sluice_listen_segment(struct sock *sk, struct sluice_segment *seg,
			   const struct sluice_flow_key *key, u32 isn_after);
/* Did it send SYN cookies that may still be good? RCU read side. */
bool sluice_listen_expects_cookies(const struct sock *sk);
/*
 * An ACK for no connection begins one if it holds a SYN cookie that this
 * listener sent. False: it doesn't; the segment is for nobody.
 */
bool sluice_listen_cookie(struct sock *sk, struct sluice_segment *seg,
			  const struct sluice_flow_key *key);
/* A segment for a half-open connection. */
void sluice_half_open_receive(struct sluice_half_open_sock *h, struct sluice_segment *seg);
/* Takes h out of everything; it is freed after a grace period. */
void sluice_half_open_remove(struct sluice_half_open_sock *h);

/* ---- child.c: the listener's lock is held ------------------------------------- */

/*
 * The handshake is over: makes the connection, in h's place in the
 * demultiplexer, gives it the segment and puts it in the accept queue.
 * False: no memory or no route; h is as before.
 */
bool sluice_child_create(struct sluice_half_open_sock *h, struct sluice_segment *seg);
/*
 * The same before the handshake is over, of a SYN that may open it (RFC 7413
 * 4.2.2). grant: the cookie for the SYN-ACK, or of length 0.
 */
bool sluice_child_create_early(struct sluice_half_open_sock *h, struct sluice_segment *syn,
			       const struct sluice_fastopen_cookie *grant);

#endif /* SLUICE_LINUX_LISTEN_H */
