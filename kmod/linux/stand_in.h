/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a transparent proxy's rules look for (`tproxy` of nftables, xt_TPROXY):
 * a listener in kernel TCP's table that is IP_TRANSPARENT. Each such listener
 * of real TCP has a stand-in there, to which the rules then give what is for
 * it; real_tcp.c takes that by what skb->sk is. `ss` shows it as a listener
 * without a process. It takes no connection: a SYN that reaches it past the
 * hook of local input is dropped and counted.
 */
#ifndef SLUICE_LINUX_STAND_IN_H
#define SLUICE_LINUX_STAND_IN_H

#include <linux/skbuff.h>
#include <net/sock.h>

#include "demux.h"

/*
 * Gives sk, of any wire and state, a stand-in, or takes it away, as it now
 * needs one or not. Sleeps; socket lock held. 0, or what socket() gave.
 */
int sluice_stand_in_update(struct sock *sk);
/* proto.rehash: sk was bound to another device. Socket lock held. */
void sluice_stand_in_follow(struct sock *sk);
/* Takes it away if there is one. BH enabled, socket lock held. */
void sluice_stand_in_remove(struct sock *sk);

/* Is this (or NULL) a stand-in? */
bool sluice_is_stand_in(const struct sock *sk);
/* The listener whose stand-in that is. RCU read side; NULL: it listens no longer. */
struct sock *sluice_stand_in_listener(const struct sock *stand_in);
/*
 * The listener for a SYN that came in skb: the one that rules gave it to, or
 * whom its pair finds (demux.h). header_length: of the segment at skb->data;
 * 0: those that share the port needn't choose by it. RCU read side, BH disabled
 * if there is a length; NULL: none.
 */
struct sock *sluice_listener_for(const struct sluice_flow_key *key, int ifindex,
				 struct sk_buff *skb, int header_length);
/* It has its listener's mark, which is set without anybody being told. RCU read side. */
void sluice_stand_in_follow_mark(struct sock *stand_in);

#endif /* SLUICE_LINUX_STAND_IN_H */
