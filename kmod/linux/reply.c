// SPDX-License-Identifier: GPL-2.0
/* Segments that no connection sends (RFC 9293 3.10.7.1, 3.5.3). */
#include <net/inet_ecn.h>
#include <net/ip.h>
#include <net/ip6_checksum.h>
#include <net/ip6_route.h>
#include <net/ipv6.h>
#include <net/route.h>

#include "compat.h"
#include "reply.h"
#include "sock.h"
#include "transmit.h"

static struct sk_buff *make(const struct sluice_flow_key *key, const struct sluice_reply *reply,
			    bool v4)
{
	struct sk_buff *skb = alloc_skb(SLUICE_HEADROOM, GFP_ATOMIC | __GFP_NOWARN);

	if (!skb)
		return NULL;
	skb_reserve(skb, SLUICE_HEADROOM);
	sluice_push_header(skb, reply->header, reply->header_length, &key->local, &key->remote, v4);
	return skb;
}

static u32 mark_for(struct net *net, const struct sock *listener, const struct sk_buff *cause,
		    bool v4)
{
	if (listener && READ_ONCE(listener->sk_mark))
		return READ_ONCE(listener->sk_mark);
	if (!cause)
		return 0;
	return v4 ? IP4_REPLY_MARK(net, cause->mark) : IP6_REPLY_MARK(net, cause->mark);
}

/* On which interface, when that matters: bound to one, or an address of one link. */
static int device_for(const struct sock *listener, const struct sluice_flow_key *key,
		      const struct sk_buff *cause)
{
	if (listener && READ_ONCE(listener->sk_bound_dev_if))
		return READ_ONCE(listener->sk_bound_dev_if);
	if (key->scope)
		return key->scope;
	/* Routed devices of a VRF answer inside of it. */
	return cause ? l3mdev_master_ifindex_by_index((struct net *)key->net, cause->skb_iif) : 0;
}

static struct dst_entry *route_v4(struct net *net, struct sock *listener,
				  const struct sluice_flow_key *key, const struct sk_buff *cause)
{
	struct flowi4 fl = {
		.flowi4_proto = sluice_ip_protocol(key->real_tcp),
		.flowi4_oif = device_for(listener, key, cause),
		.flowi4_mark = mark_for(net, listener, cause, true),
		.flowi4_uid = sock_net_uid(net, listener),
		.daddr = key->remote.s6_addr32[3],
		.saddr = key->local.s6_addr32[3],
		.fl4_dport = key->remote_port,
		.fl4_sport = key->local_port,
	};
	struct rtable *rt = ip_route_output_flow(net, &fl, listener);

	return IS_ERR(rt) ? NULL : &rt->dst;
}

static struct dst_entry *route_v6(struct net *net, struct sock *listener,
				  const struct sluice_flow_key *key, const struct sk_buff *cause)
{
	struct flowi6 fl = {
		.flowi6_proto = sluice_ip_protocol(key->real_tcp),
		.flowi6_oif = device_for(listener, key, cause),
		.flowi6_mark = mark_for(net, listener, cause, false),
		.flowi6_uid = sock_net_uid(net, listener),
		.daddr = key->remote,
		.saddr = key->local,
		.fl6_dport = key->remote_port,
		.fl6_sport = key->local_port,
	};
	struct dst_entry *dst = ip6_dst_lookup_flow(net, listener, &fl, NULL);

	return IS_ERR(dst) ? NULL : dst;
}

static void send_v4(struct net *net, struct sock *listener, const struct sluice_flow_key *key,
		    struct sk_buff *skb)
{
	struct iphdr *ip = skb_push(skb, sizeof(*ip));

	skb_reset_network_header(skb);
	*ip = (struct iphdr) {
		.version = 4,
		.ihl = sizeof(*ip) / 4,
		.tos = listener ? READ_ONCE(inet_sk(listener)->tos) & ~INET_ECN_MASK : 0,
		.frag_off = htons(IP_DF),
		.ttl = ip4_dst_hoplimit(skb_dst(skb)),
		.protocol = sluice_ip_protocol(key->real_tcp),
		.saddr = key->local.s6_addr32[3],
		.daddr = key->remote.s6_addr32[3],
	};
	ip_local_out(net, listener, skb);
}

static void send_v6(struct net *net, struct sock *listener, const struct sluice_flow_key *key,
		    struct sk_buff *skb)
{
	unsigned int length = skb->len;
	struct ipv6hdr *ip = skb_push(skb, sizeof(*ip));

	skb->protocol = htons(ETH_P_IPV6);
	skb_reset_network_header(skb);
	ip6_flow_hdr(ip, listener ? READ_ONCE(inet6_sk(listener)->tclass) & ~INET_ECN_MASK : 0, 0);
	ip->payload_len = htons(length);
	ip->nexthdr = sluice_ip_protocol(key->real_tcp);
	ip->hop_limit = ip6_dst_hoplimit(skb_dst(skb));
	ip->saddr = key->local;
	ip->daddr = key->remote;
	ip6_local_out(net, listener, skb);
}

struct dst_entry *sluice_reply_route(const struct net *const_net, struct sock *listener,
				     const struct sluice_flow_key *key, const struct sk_buff *cause)
{
	struct net *net = (struct net *)const_net;

	return ipv6_addr_v4mapped(&key->remote) ? route_v4(net, listener, key, cause) :
						  route_v6(net, listener, key, cause);
}

void sluice_reply_send_by(struct dst_entry *dst, const struct net *const_net,
			  struct sock *listener, const struct sluice_flow_key *key,
			  const struct sk_buff *cause, const struct sluice_reply *reply)
{
	struct net *net = (struct net *)const_net;
	bool v4 = ipv6_addr_v4mapped(&key->remote);
	struct sk_buff *skb = make(key, reply, v4);

	if (!skb) {
		sluice_count(sluice_net(net), SLUICE_CNT_transmit_failed);
		dst_release(dst);
		return;
	}
	skb_dst_set(skb, dst);
	skb->mark = mark_for(net, listener, cause, v4);
	if (listener)
		skb->priority = READ_ONCE(listener->sk_priority);
	if (v4)
		send_v4(net, listener, key, skb);
	else
		send_v6(net, listener, key, skb);
}

void sluice_reply_send(const struct net *net, struct sock *listener,
		       const struct sluice_flow_key *key, const struct sk_buff *cause,
		       const struct sluice_reply *reply)
{
	struct dst_entry *dst = sluice_reply_route(net, listener, key, cause);

	if (dst)
		sluice_reply_send_by(dst, net, listener, key, cause, reply);
	else
		sluice_count(sluice_net(net), SLUICE_CNT_transmit_failed);
}
