// SPDX-License-Identifier: GPL-2.0
/* Headers of segments, for getsockopt(); each connection has those of one. */
#include <net/ip.h>
#include <net/ipv6.h>
#include <net/tcp_states.h>

#include "compat.h"
#include "pktoptions.h"

static void begin_v4(struct sock *child, const struct sk_buff *segment)
{
	struct inet_sock *inet = inet_sk(child);

	inet->mc_index = inet_iif(segment);
	inet->mc_ttl = ip_hdr(segment)->ttl;
	inet->rcv_tos = ip_hdr(segment)->tos;
}

void sluice_pktoptions_begin(struct sock *child, const struct sk_buff *segment)
{
	bool v4 = sluice_sk(child)->v4_wire;
	struct ipv6_pinfo *np;

	if (v4)
		begin_v4(child, segment);
	if (child->sk_family != AF_INET6)
		return;
	np = inet6_sk(child);
	np->mcast_oif = v4 ? inet_iif(segment) : inet6_iif(segment);
	np->mcast_hops = v4 ? ip_hdr(segment)->ttl : ipv6_hdr(segment)->hop_limit;
	np->rcv_flowinfo = v4 ? 0 : ip6_flowinfo(ipv6_hdr(segment));
	if (sluice_inet6_reflects_flow(child))
		np->flow_label = v4 ? 0 : ip6_flowlabel(ipv6_hdr(segment));
}

/* Free of what must not be kept for long. */
static struct sk_buff *detach(struct sk_buff *copy)
{
	skb_dst_drop(copy);
	nf_reset_ct(copy);
	copy->dev = NULL;
	return copy;
}

struct sk_buff *sluice_pktoptions_of_syn(const struct sock *listener, struct sk_buff *syn)
{
	const struct ipv6_pinfo *np;
	struct sk_buff *copy;

	if (syn->protocol != htons(ETH_P_IPV6))
		return NULL;
	np = inet6_sk(listener);
	if (!(np->rxopt.bits.rxinfo || np->rxopt.bits.rxoinfo || np->rxopt.bits.rxhlim ||
	      np->rxopt.bits.rxohlim || ipv6_opt_accepted(listener, syn, IP6CB(syn))))
		return NULL;
	copy = skb_clone(syn, GFP_ATOMIC | __GFP_NOWARN);
	return copy ? detach(copy) : NULL;
}

void sluice_pktoptions_take_syn(struct sock *child, struct sk_buff *syn)
{
	if (!syn)
		return;
	inet6_sk(child)->pktoptions = skb_clone_and_charge_r(syn, child);
	consume_skb(syn);
}

void sluice_pktoptions_purge(struct sock *sk)
{
	if (sk->sk_family == AF_INET6)
		kfree_skb(xchg(&inet6_sk(sk)->pktoptions, NULL));
}

struct header {
	int device;
	u8 hops;
	__be32 flowinfo, label;
	struct sk_buff *copy;	/* with extension headers that were asked for; or NULL */
};

static void note(struct sock *sk, struct sk_buff *skb, struct header *header)
{
	const struct ipv6hdr *ip = ipv6_hdr(skb);

	*header = (struct header) {
		.device = inet6_iif(skb),
		.hops = ip->hop_limit,
		.flowinfo = ip6_flowinfo(ip),
		.label = ip6_flowlabel(ip),
	};
	if (ipv6_opt_accepted(sk, skb, IP6CB(skb)))
		header->copy = skb_clone_and_charge_r(skb, sk);
	if (header->copy)
		detach(header->copy);
}

static void keep(struct sock *sk, struct header *header)
{
	struct ipv6_pinfo *np = inet6_sk(sk);

	if (np->rxopt.bits.rxinfo || np->rxopt.bits.rxoinfo)
		np->mcast_oif = header->device;
	if (np->rxopt.bits.rxhlim || np->rxopt.bits.rxohlim)
		np->mcast_hops = header->hops;
	if (np->rxopt.bits.rxflow || np->rxopt.bits.rxtclass)
		np->rcv_flowinfo = header->flowinfo;
	if (sluice_inet6_reflects_flow(sk)) {
		np->flow_label = header->label;
		inet_sk(sk)->cork.fl.u.ip6.flowlabel = header->label;
	}
	header->copy = xchg(&np->pktoptions, header->copy);
}

void sluice_pktoptions_segment(struct sock *sk, struct sluice_segment *seg)
{
	u32 end = seg->seq + seg->length + !!(seg->flags & SLUICE_SYN) +
		  !!(seg->flags & SLUICE_FIN);
	struct sluice_conn *c = &sluice_sk(sk)->conn;
	/* The ACK of a handshake isn't more than the SYN, which the child has. */
	bool opens = sk->sk_state == TCP_SYN_RECV;
	struct header header;

	note(sk, seg->payload, &header);
	sluice_conn_segment(c, seg, sluice_now());
	if (!opens && sk->sk_state != TCP_CLOSE && sluice_conn_rcv_nxt(c) == end)
		keep(sk, &header);
	kfree_skb(header.copy);
}
