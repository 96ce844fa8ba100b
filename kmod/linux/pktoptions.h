/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What IP_PKTOPTIONS and IPV6_2292PKTOPTIONS (RFC 2292 4.1) tell of the headers
 * that a peer's segments came in, and the peer's flow label, where ours is to
 * be the same. The kernel's IP reads it; that it is there is a transport's job.
 */
#ifndef SLUICE_LINUX_PKTOPTIONS_H
#define SLUICE_LINUX_PKTOPTIONS_H

#include <linux/skbuff.h>

#include "host.h"
#include "sock.h"

/* A child begins with what came in the segment that makes it. Before it has a route. */
void sluice_pktoptions_begin(struct sock *child, const struct sk_buff *segment);
/* What a child is to keep of the SYN that this listener got, or NULL: nothing. */
struct sk_buff *sluice_pktoptions_of_syn(const struct sock *listener, struct sk_buff *syn);
/* Its child takes that, and the reference. */
void sluice_pktoptions_take_syn(struct sock *child, struct sk_buff *syn);
void sluice_pktoptions_purge(struct sock *sk);

/* Has the application asked to be told of IPv6 headers? */
static inline bool sluice_pktoptions_wanted(const struct sock *sk)
{
	return !sluice_sk(sk)->v4_wire && sluice_sk(sk)->inet6.rxopt.all;
}

/* Gives such a connection a segment, and keeps what came with it if it is the next one. */
void sluice_pktoptions_segment(struct sock *sk, struct sluice_segment *seg);

#endif /* SLUICE_LINUX_PKTOPTIONS_H */
