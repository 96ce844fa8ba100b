/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What rules of netfilter see of real TCP's sockets. Expressions that ask for a
 * packet's socket (`socket`, `meta skuid`, `meta cgroup` and their like of
 * iptables) look at skb->sk, and else into kernel TCP's tables. So where they
 * may look, skb->sk is shown to be ours, as early demultiplexing shows kernel
 * TCP's. Kernel TCP must not see it: it is taken back at the hooks' end, and
 * however they end before what is behind local input goes on.
 */
#ifndef SLUICE_LINUX_SHOWN_H
#define SLUICE_LINUX_SHOWN_H

#include <linux/netfilter.h>
#include <linux/skbuff.h>
#include <net/net_namespace.h>

#include "sock.h"

int sluice_shown_init(void);
void sluice_shown_exit(void);

/* The namespace has real TCP from now on. Process context. 0, or what registering hooks gave. */
int sluice_shown_enter(struct net *net);
/* It goes: nothing is shown a grace period later. Who takes back leaves only then. */
void sluice_shown_leave(struct net *net);

/*
 * Is a packet of local input taken only behind its hooks, when it is ours? So it
 * is wherever there are hooks beside ours.
 */
bool sluice_shown_takes_behind(const struct nf_hook_state *state);

/* A packet is about to leave the hooks of local input, or its socket to be looked at. */
static inline void sluice_shown_take_back(struct sk_buff *skb)
{
	if (unlikely(skb->sk && skb->sk->sk_prot == &sluice_prot &&
		     skb->destructor == sock_edemux))
		skb_orphan(skb);
}

#endif /* SLUICE_LINUX_SHOWN_H */
