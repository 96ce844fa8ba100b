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

void sluice_origin_of(const struct net *net, const struct sk_buff *segment,
		      struct sluice_origin *origin)
{
	/* Routed devices of a VRF answer inside of it. */
	origin->device = l3mdev_master_ifindex_by_index((struct net *)net, segment->skb_iif);
	if (segment->protocol == htons(ETH_P_IP)) {
		origin->mark = IP4_REPLY_MARK(net, segment->mark);
		origin->flow_label = 0;
		origin->traffic_class = ip_hdr(segment)->tos & ~INET_ECN_MASK;
	} else {
		origin->mark = IP6_REPLY_MARK(net, segment->mark);
		origin->flow_label = ip6_flowlabel(ipv6_hdr(segment));
		origin->traffic_class = ipv6_get_dsfield(ipv6_hdr(segment)) & ~INET_ECN_MASK;
	}
	origin->any_source = false;
	origin->accepted_mark = READ_ONCE(sluice_net(net)->config.fwmark_accept) ? segment->mark : 0;
}

static u32 mark_for(const struct sock *listener, const struct sluice_origin *origin)
{
	u32 mark = listener ? READ_ONCE(listener->sk_mark) ?: origin->accepted_mark : 0;

	return mark ?: origin->mark;
}

/* Of a SYN-ACK, and what else a listener answers; without the bits of ECN. */
static u8 traffic_class_for(const struct sock *listener, const struct sluice_origin *origin,
			    bool v4)
{
	if (READ_ONCE(sluice_sk_net(listener)->config.reflect_tos))
		return origin->traffic_class;
	return (v4 ? READ_ONCE(inet_sk(listener)->tos) : READ_ONCE(inet6_sk(listener)->tclass)) &
	       ~INET_ECN_MASK;
}

/* On which interface, when that matters: bound to one, or an address of one link. */
static int device_for(const struct sock *listener, const struct sluice_flow_key *key,
		      const struct sluice_origin *origin)
{
	if (listener && READ_ONCE(listener->sk_bound_dev_if))
		return READ_ONCE(listener->sk_bound_dev_if);
	return key->scope ?: origin->device;
}

static u8 flow_flags_for(const struct sock *listener, const struct sluice_origin *origin)
{
	if (listener)
		return inet_sk_flowi_flags(listener);
	return origin->any_source ? FLOWI_FLAG_ANYSRC : 0;
}

static struct dst_entry *route_v4(struct net *net, struct sock *listener,
				  const struct sluice_flow_key *key,
				  const struct sluice_origin *origin)
{
	struct flowi4 fl = {
		.flowi4_proto = sluice_ip_protocol(key->real_tcp),
		.flowi4_oif = device_for(listener, key, origin),
		.flowi4_mark = mark_for(listener, origin),
		.flowi4_tos = listener ? ip_sock_rt_tos(listener) : 0,
		.flowi4_scope = listener ? ip_sock_rt_scope(listener) : RT_SCOPE_UNIVERSE,
		.flowi4_flags = flow_flags_for(listener, origin),
		.flowi4_uid = sock_net_uid(net, listener),
		.daddr = key->remote.s6_addr32[3],
		.saddr = key->local.s6_addr32[3],
		.fl4_dport = key->remote_port,
		.fl4_sport = key->local_port,
	};
	struct rtable *rt = ip_route_output_flow(net, &fl, listener);

	return IS_ERR(rt) ? NULL : &rt->dst;
}

static void describe_flow_v6(struct net *net, const struct sock *listener,
			     const struct sluice_flow_key *key,
			     const struct sluice_origin *origin, struct flowi6 *fl)
{
	*fl = (struct flowi6) {
		.flowi6_proto = sluice_ip_protocol(key->real_tcp),
		.flowi6_oif = device_for(listener, key, origin),
		.flowi6_mark = mark_for(listener, origin),
		.flowi6_uid = sock_net_uid(net, listener),
		.daddr = key->remote,
		.saddr = key->local,
		.fl6_dport = key->remote_port,
		.fl6_sport = key->local_port,
	};
	if (listener && sluice_inet6_reflects_flow(listener))
		fl->flowlabel = origin->flow_label;
}

static struct dst_entry *route_v6(struct net *net, struct sock *listener,
				  const struct sluice_flow_key *key,
				  const struct sluice_origin *origin)
{
	struct in6_addr *final = NULL, final_buffer;
	struct dst_entry *dst;
	struct flowi6 fl;

	describe_flow_v6(net, listener, key, origin, &fl);
	if (listener) {
		rcu_read_lock();
		final = fl6_update_dst(&fl, rcu_dereference(inet6_sk(listener)->opt),
				       &final_buffer);
		rcu_read_unlock();
	}
	dst = ip6_dst_lookup_flow(net, listener, &fl, final);
	return IS_ERR(dst) ? NULL : dst;
}

static u8 ttl_for(const struct net *net, const struct sock *listener,
		  const struct dst_entry *dst)
{
	int own = listener ? sluice_own_ttl(listener) : -1;

	if (own >= 0)
		return own;
	return dst_metric_raw(dst, RTAX_HOPLIMIT) ?:
	       (u32)READ_ONCE(sluice_net(net)->config.ip_default_ttl);
}

static void send_v4(struct net *net, struct sock *listener, const struct sluice_flow_key *key,
		    const struct sluice_origin *origin, struct sk_buff *skb)
{
	u8 ttl = ttl_for(net, listener, skb_dst(skb));
	struct iphdr *ip = skb_push(skb, sizeof(*ip));

	skb_reset_network_header(skb);
	*ip = (struct iphdr) {
		.version = 4,
		.ihl = sizeof(*ip) / 4,
		.tos = listener ? traffic_class_for(listener, origin, true) : 0,
		.frag_off = htons(IP_DF),	/* smaller than any link's MTU */
		.ttl = ttl,
		.protocol = sluice_ip_protocol(key->real_tcp),
		.saddr = key->local.s6_addr32[3],
		.daddr = key->remote.s6_addr32[3],
	};
	ip_local_out(net, listener, skb);
}

static void send_v6_of_nobody(struct net *net, const struct sluice_flow_key *key,
			      struct sk_buff *skb)
{
	unsigned int length = skb->len;
	struct ipv6hdr *ip = skb_push(skb, sizeof(*ip));

	skb->protocol = htons(ETH_P_IPV6);
	skb_reset_network_header(skb);
	ip6_flow_hdr(ip, 0, 0);
	ip->payload_len = htons(length);
	ip->nexthdr = sluice_ip_protocol(key->real_tcp);
	ip->hop_limit = ip6_dst_hoplimit(skb_dst(skb));
	ip->saddr = key->local;
	ip->daddr = key->remote;
	ip6_local_out(net, NULL, skb);
}

/* With all that the listener has set: hop limit, extension headers, flow label. */
static void send_v6(struct net *net, struct sock *listener, const struct sluice_flow_key *key,
		    const struct sluice_origin *origin, struct sk_buff *skb)
{
	const struct ipv6_pinfo *np = inet6_sk(listener);
	struct flowi6 fl;

	describe_flow_v6(net, listener, key, origin, &fl);
	rcu_read_lock();
	ip6_xmit(listener, skb, &fl, skb->mark, rcu_dereference(np->opt),
		 traffic_class_for(listener, origin, false), skb->priority);
	rcu_read_unlock();
}

struct dst_entry *sluice_reply_route(const struct net *const_net, struct sock *listener,
				     const struct sluice_flow_key *key,
				     const struct sluice_origin *origin)
{
	struct net *net = (struct net *)const_net;

	return ipv6_addr_v4mapped(&key->remote) ? route_v4(net, listener, key, origin) :
						  route_v6(net, listener, key, origin);
}

/* For rules, programs of cgroups and queues, which ask whose it is. */
static void attach(struct sk_buff *skb, struct sock *listener)
{
	sock_hold(listener);
	skb->sk = listener;
	skb->destructor = sock_edemux;
	skb->priority = READ_ONCE(listener->sk_priority);
}

void sluice_reply_send_by(struct dst_entry *dst, const struct net *const_net,
			  struct sock *listener, const struct sluice_flow_key *key,
			  const struct sluice_origin *origin, const struct sluice_reply *reply)
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
	skb->mark = mark_for(listener, origin);
	if (listener)
		attach(skb, listener);
	if (v4)
		send_v4(net, listener, key, origin, skb);
	else if (listener)
		send_v6(net, listener, key, origin, skb);
	else
		send_v6_of_nobody(net, key, skb);
}

void sluice_reply_send(const struct net *net, struct sock *listener,
		       const struct sluice_flow_key *key, const struct sluice_origin *origin,
		       const struct sluice_reply *reply)
{
	struct dst_entry *dst = sluice_reply_route(net, listener, key, origin);

	if (dst)
		sluice_reply_send_by(dst, net, listener, key, origin, reply);
	else
		sluice_count(sluice_net(net), SLUICE_CNT_transmit_failed);
}
