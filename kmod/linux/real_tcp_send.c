// SPDX-License-Identifier: GPL-2.0
/*
 * The IPv4 header of real TCP (RFC 791). Linux writes sk_protocol into it,
 * which for these sockets is no protocol of IP's: so it is written here.
 */
#include <net/inet_ecn.h>
#include <net/ip.h>
#include <net/route.h>

#include "real_tcp.h"
#include "sock.h"

static void put_address(u8 *options, u8 option, unsigned int back, __be32 address)
{
	/* The third byte of an option points, from 1, behind what is filled in. */
	memcpy(options + option - sizeof(struct iphdr) +
	       options[option - sizeof(struct iphdr) + 2] - back, &address, sizeof(address));
}

/* What IP_OPTIONS gave, with the addresses and the time that only sending knows. */
static void put_options(struct sk_buff *skb, const struct ip_options *opt, __be32 from, __be32 to)
{
	u8 *options = (u8 *)(ip_hdr(skb) + 1);
	u8 *route = options + opt->srr - sizeof(struct iphdr);
	__be32 time = inet_current_timestamp();

	memcpy(options, opt->__data, opt->optlen);
	memcpy(&IPCB(skb)->opt, opt, sizeof(*opt));
	if (opt->srr)
		memcpy(route + route[1] - sizeof(to), &to, sizeof(to));
	if (opt->rr_needaddr)
		put_address(options, opt->rr, 5, from);
	if (opt->ts_needaddr)
		put_address(options, opt->ts, 9, from);
	if (opt->ts_needtime)
		put_address(options, opt->ts, 5, time);
}

static void put_header(struct sock *sk, struct sk_buff *skb, const struct ip_options_rcu *options,
		       u8 tos)
{
	const struct inet_sock *inet = inet_sk(sk);
	const struct flowi4 *fl = &inet->cork.fl.u.ip4;
	struct dst_entry *dst = skb_dst(skb);
	u8 extra = options ? options->opt.optlen : 0;
	struct iphdr *ip = skb_push(skb, sizeof(*ip) + extra);
	int ttl = inet->uc_ttl;

	skb_reset_network_header(skb);
	*ip = (struct iphdr) {
		.version = 4,
		.ihl = (sizeof(*ip) + extra) / 4,
		.tos = tos,
		.frag_off = ip_dont_fragment(sk, dst) ? htons(IP_DF) : 0,
		.ttl = ttl < 0 ? ip4_dst_hoplimit(dst) : ttl,
		.protocol = IPPROTO_TCP,
		.saddr = fl->saddr,
		.daddr = fl->daddr,
	};
	if (extra)
		put_options(skb, &options->opt, fl->saddr, inet->inet_daddr);
	ip_select_ident_segs(sock_net(sk), skb, sk, skb_shinfo(skb)->gso_segs ?: 1);
}

int sluice_real_tcp_send_v4(struct sock *sk, struct sk_buff *skb, u8 tos)
{
	const struct ip_options_rcu *options;
	const struct rtable *rt;
	int result;

	rcu_read_lock();
	options = rcu_dereference(inet_sk(sk)->inet_opt);
	rt = container_of(__sk_dst_get(sk), struct rtable, dst);
	if (options && options->opt.is_strictroute && rt->rt_uses_gateway) {
		rcu_read_unlock();
		kfree_skb(skb);
		return -EHOSTUNREACH;
	}
	skb_dst_set_noref(skb, __sk_dst_get(sk));
	put_header(sk, skb, options, tos);
	skb->priority = READ_ONCE(sk->sk_priority);
	skb->mark = READ_ONCE(sk->sk_mark);
	result = ip_local_out(sock_net(sk), sk, skb);
	rcu_read_unlock();
	return result;
}
