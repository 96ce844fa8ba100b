/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Segments that no connection sends: SYN-ACK of a half-open connection, ACK of
 * a TIME_WAIT, RST for nobody (RFC 9293 3.10.7.1, 3.5.3).
 */
#ifndef SLUICE_LINUX_REPLY_H
#define SLUICE_LINUX_REPLY_H

#include <linux/skbuff.h>

#include "demux.h"
#include "host.h"

/* What a segment says of the way of its answers; some are sent when it is long gone. */
struct sluice_origin {
	u32 mark;		/* that they have (fwmark_reflect), or 0 */
	u32 accepted_mark;	/* that a connection from it has (tcp_fwmark_accept), or 0 */
	int device;		/* VRF that it came through, or 0 */
	__be32 flow_label;	/* IPv6 */
	u8 traffic_class;	/* or TOS, without the bits of ECN (tcp_reflect_tos) */
	bool any_source;	/* they may come from what is no address here: its socket is transparent */
};

void sluice_origin_of(const struct net *net, const struct sk_buff *segment,
		      struct sluice_origin *origin);

/*
 * Sends `reply` from key->local to key->remote, IPv4 for v4-mapped addresses.
 * `listener`, or NULL: its device and what it has set of IP's are used.
 * `origin`: of the segment that is answered. Any context.
 */
void sluice_reply_send(const struct net *net, struct sock *listener,
		       const struct sluice_flow_key *key, const struct sluice_origin *origin,
		       const struct sluice_reply *reply);

/* The two halves of that: a route, or NULL; and sending, which takes the route's reference. */
struct dst_entry *sluice_reply_route(const struct net *net, struct sock *listener,
				     const struct sluice_flow_key *key,
				     const struct sluice_origin *origin);
void sluice_reply_send_by(struct dst_entry *dst, const struct net *net, struct sock *listener,
			  const struct sluice_flow_key *key, const struct sluice_origin *origin,
			  const struct sluice_reply *reply);

#endif /* SLUICE_LINUX_REPLY_H */
