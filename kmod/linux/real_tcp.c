// SPDX-License-Identifier: GPL-2.0
/* The way in for real TCP: netfilter hooks of local input. */
#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <linux/mutex.h>
#include <linux/netfilter.h>
#include <linux/netfilter_ipv4.h>
#include <linux/netfilter_ipv6.h>
#include <linux/tcp.h>
#include <net/icmp.h>
#include <net/inet6_hashtables.h>
#include <net/inet_hashtables.h>
#include <net/inet_timewait_sock.h>
#include <net/ip.h>
#include <net/ipv6.h>
#include <net/ndisc.h>
#include <net/netfilter/ipv6/nf_defrag_ipv6.h>
#include <net/xfrm.h>

#include "compat.h"
#include "demux.h"
#include "host.h"
#include "listen.h"
#include "net.h"
#include "real_tcp.h"
#include "receive.h"
#include "shown.h"
#include "stand_in.h"
#include "time_wait.h"

/* Behind filters and NAT; only conntrack's confirmation comes later. */
#define PRIORITY (INT_MAX - 1)

/* ---- whose is it? ------------------------------------------------------------- */

/* A reference to what kernel TCP has of this pair, TIME_WAITs too; NULL: none. */
static struct sock *find_kernels(struct net *net, const struct sluice_flow_key *key, int dif,
				 int sdif)
{
	struct inet_hashinfo *table = net->ipv4.tcp_death_row.hashinfo;
	u16 port = ntohs(key->local_port);

	if (ipv6_addr_v4mapped(&key->remote))
		return __inet_lookup_established(net, table, key->remote.s6_addr32[3],
						 key->remote_port, key->local.s6_addr32[3], port,
						 dif, sdif);
	return __inet6_lookup_established(net, table, &key->remote, key->remote_port, &key->local,
					  port, dif, sdif);
}

bool sluice_real_tcp_taken(struct net *net, const struct sluice_flow_key *key, int bound_if)
{
	struct sock *sk = find_kernels(net, key, bound_if, 0);
	bool taken;

	if (!sk)
		return false;
	taken = sk->sk_state != TCP_TIME_WAIT;
	sock_gen_put(sk);
	return taken;
}

/* The device that it came in by where `ifindex` is that of a VRF. */
static int sdif_of(const struct sk_buff *skb)
{
	return skb->protocol == htons(ETH_P_IP) ? inet_sdif(skb) : inet6_sdif(skb);
}

bool sluice_real_tcp_is_kernels(struct sk_buff *skb, const struct sluice_flow_key *key,
				int ifindex)
{
	struct sock *sk = find_kernels((struct net *)key->net, key, ifindex, sdif_of(skb));

	if (sk)
		sock_gen_put(sk);
	return sk;
}

/* Would kernel TCP take the SYN? */
static bool kernel_listens(const struct sk_buff *skb, const struct sluice_flow_key *key,
			   int ifindex)
{
	struct net *net = (struct net *)key->net;
	struct inet_hashinfo *table = net->ipv4.tcp_death_row.hashinfo;

	if (ipv6_addr_v4mapped(&key->remote))
		return inet_lookup_listener(net, table, NULL, 0, key->remote.s6_addr32[3],
					    key->remote_port, key->local.s6_addr32[3],
					    key->local_port, ifindex, sdif_of(skb));
	return inet6_lookup_listener(net, table, NULL, 0, &key->remote, key->remote_port,
				     &key->local, ntohs(key->local_port), ifindex, sdif_of(skb));
}

/* The header alone, unverified. */
static bool parse(const struct sk_buff *skb, int offset, struct sluice_segment *seg)
{
	u8 buffer[SLUICE_HEADER_MAX];
	const struct tcphdr *th = skb_header_pointer(skb, offset, sizeof(*th), buffer);
	u32 length = __tcp_hdrlen(th);
	const u8 *bytes = skb_header_pointer(skb, offset, length, buffer);

	return bytes && sluice_segment_parse(bytes, length, length, seg) == SLUICE_PARSE_OK;
}

/* Does an ACK hold a cookie that our listener sent? */
static bool holds_cookie(const struct sk_buff *skb, int offset, const struct sluice_flow_key *key)
{
	struct sluice_path path = {
		.local_port = ntohs(key->local_port),
		.remote_port = ntohs(key->remote_port),
	};
	struct sluice_segment seg;

	memcpy(path.local, &key->local, sizeof(path.local));
	memcpy(path.remote, &key->remote, sizeof(path.remote));
	return parse(skb, offset, &seg) && sluice_cookie_good(&path, &seg, sluice_now());
}

/*
 * A SYN that may reuse the pair of a TIME_WAIT, where none of ours listens: it
 * may be for a listener that kernel TCP has on the port by now.
 */
static bool time_wait_cedes(struct sk_buff *skb, int offset, struct sluice_flow *flow)
{
	bool v4 = skb->protocol == htons(ETH_P_IP);
	struct sluice_segment syn;

	if (v4 ? nf_ip_checksum(skb, NF_INET_LOCAL_IN, offset, IPPROTO_TCP) :
		 nf_ip6_checksum(skb, NF_INET_LOCAL_IN, offset, IPPROTO_TCP))
		return false;
	return parse(skb, offset, &syn) &&
	       sluice_time_wait_cedes(container_of(flow, struct sluice_time_wait_sock, flow), &syn);
}

/* A SYN that may reuse the pair of a TIME_WAIT that kernel TCP has (RFC 6191). */
static bool kernel_time_wait_cedes(const struct sk_buff *skb, int offset)
{
	const struct tcp_timewait_sock *tw = tcp_twsk(skb->sk);
	sluice_usec now = sluice_now();
	struct sluice_time_wait core = {
		.rcv_nxt = tw->tw_rcv_nxt,
		.timestamp_ok = READ_ONCE(tw->tw_ts_recent_stamp),
		.ts_recent = READ_ONCE(tw->tw_ts_recent),
		.ts_recent_at = now,
	};
	struct sluice_segment syn;

	return skb->sk->sk_state == TCP_TIME_WAIT &&
	       inet_twsk(skb->sk)->tw_substate == TCP_TIME_WAIT && parse(skb, offset, &syn) &&
	       sluice_time_wait_reusable(&core, &syn, now);
}

/*
 * Early demultiplexing, or a transparent proxy, found this of kernel TCP's. Its
 * TIME_WAIT of a pair is no claim: ours may have followed on the port, and the
 * pair may be in use again. Nor is its listener where the pair is in use.
 */
static bool is_claimed(const struct sk_buff *skb)
{
	return skb->sk && skb->sk->sk_state != TCP_TIME_WAIT && skb->sk->sk_state != TCP_LISTEN &&
	       !sluice_is_stand_in(skb->sk);
}

static bool is_of_kernel_listener(const struct sk_buff *skb)
{
	return skb->sk && skb->sk->sk_state == TCP_LISTEN && !sluice_is_stand_in(skb->sk);
}

/*
 * Is one of ours behind this pair, or would its SYN find a listener? Anything
 * else may belong to a connection that kernel TCP has on the listener's port.
 * *conn: the connection, or NULL where it is none.
 */
static bool is_ours(struct sk_buff *skb, int offset, int ifindex,
		    struct sluice_flow_key *key, struct sluice_flow **conn)
{
	struct tcphdr buffer;
	const struct tcphdr *th = skb_header_pointer(skb, offset, sizeof(buffer), &buffer);
	const struct sock *listener;
	struct sluice_flow *flow;

	if (!th)
		return false;
	key->local_port = th->dest;
	key->remote_port = th->source;
	flow = sluice_flow_find(key);
	*conn = flow && flow->kind == SLUICE_FLOW_CONN ? flow : NULL;
	if (flow && flow->kind != SLUICE_FLOW_TIME_WAIT)
		return true;
	if (is_of_kernel_listener(skb))
		return false;
	if (th->rst || th->syn == th->ack)
		return flow;
	listener = sluice_listener_for(key, ifindex, skb, 0);
	if (flow)
		return listener || !th->syn || !kernel_listens(skb, key, ifindex) ||
		       !time_wait_cedes(skb, offset, flow);
	if (!listener)
		return false;
	if (th->syn)
		return !skb->sk || sluice_is_stand_in(skb->sk) ||
		       kernel_time_wait_cedes(skb, offset);
	return sluice_listen_expects_cookies(listener) && holds_cookie(skb, offset, key);
}

static bool is_ours_v4(struct sk_buff *skb, const struct net *net, struct sluice_flow **conn)
{
	const struct iphdr *ip = ip_hdr(skb);
	struct sluice_flow_key key = { .real_tcp = true, .net = net };

	ipv6_addr_set_v4mapped(ip->daddr, &key.local);
	ipv6_addr_set_v4mapped(ip->saddr, &key.remote);
	return is_ours(skb, ip->ihl * 4, inet_iif(skb), &key, conn);
}

static bool is_ours_v6(struct sk_buff *skb, const struct net *net, int offset,
		       struct sluice_flow **conn)
{
	const struct ipv6hdr *ip = ipv6_hdr(skb);
	struct sluice_flow_key key = {
		.local = ip->daddr,
		.remote = ip->saddr,
		.scope = sluice_flow_scope(&ip->daddr, &ip->saddr, inet6_iif(skb)),
		.real_tcp = true,
		.net = net,
	};

	return is_ours(skb, offset, inet6_iif(skb), &key, conn);
}

/* ---- taking it ---------------------------------------------------------------- */

static unsigned int hook_v4(void *unused, struct sk_buff *skb, const struct nf_hook_state *state);
static unsigned int hook_v6(void *unused, struct sk_buff *skb, const struct nf_hook_state *state);

unsigned int sluice_hooks_behind(const struct nf_hook_entries *entries, nf_hookfn *mine,
				 unsigned int missing)
{
	unsigned int i;

	for (i = 0; i < entries->num_hook_entries; i++)
		if (entries->hooks[i].hook == mine)
			return i + 1;
	return missing;
}

bool sluice_pass_hooks(struct sk_buff *skb, const struct nf_hook_state *state,
		       const struct nf_hook_entries *entries, unsigned int from)
{
	struct nf_hook_state later = *state;

	return from >= entries->num_hook_entries || nf_hook_slow(skb, &later, entries, from) == 1;
}

/* entries: as they are by now; NULL when ours, the last one, is being removed. */
static bool pass_later_hooks(struct sk_buff *skb, const struct nf_hook_state *state,
			     const struct nf_hook_entries *entries, nf_hookfn *mine)
{
	return !entries || sluice_pass_hooks(skb, state, entries,
					     sluice_hooks_behind(entries, mine, UINT_MAX));
}

/* A program may have assigned it without a reference; in a backlog it needs one. */
static void hold_stand_in(struct sk_buff *skb)
{
	if (!skb_sk_is_prefetched(skb))
		return;
	if (refcount_inc_not_zero(&skb->sk->sk_refcnt)) {
		skb->destructor = sock_edemux;
	} else {
		skb->destructor = NULL;
		skb->sk = NULL;
	}
}

/* What ip_local_deliver() and ip6_input() do between the hooks and a protocol. */
static void deliver(struct sk_buff *skb, unsigned int offset, u16 family,
		    struct sluice_flow *conn)
{
	skb_clear_delivery_time(skb);
	skb_set_transport_header(skb, offset);
	if (!pskb_pull(skb, offset) || !xfrm_policy_check(NULL, XFRM_POLICY_IN, skb, family)) {
		kfree_skb(skb);
		return;
	}
	skb_postpull_rcsum(skb, skb_network_header(skb), offset);
	nf_reset_ct(skb);
	if (!conn && sluice_is_stand_in(skb->sk))
		hold_stand_in(skb);
	else
		skb_orphan(skb);	/* a TIME_WAIT of the kernel's */
	local_bh_disable();	/* who had queued it may be a process */
	sluice_receive_real_tcp(skb, conn);
	local_bh_enable();
}

/* ---- ICMP: what it quotes may be a segment of ours ------------------------------ */

/* Those that the kernel hands to protocols, and what it says with them. */
static bool is_error_v4(const struct icmphdr *icmp, const struct net *net, u32 *info)
{
	u8 no_discovery = READ_ONCE(net->ipv4.sysctl_ip_no_pmtu_disc);

	*info = 0;
	if (icmp->type == ICMP_PARAMETERPROB)
		*info = ntohl(icmp->un.gateway) >> 24;	/* which byte it is about */
	if (icmp->type == ICMP_DEST_UNREACH && icmp->code == ICMP_FRAG_NEEDED)
		*info = ntohs(icmp->un.frag.mtu);
	else
		return icmp->type == ICMP_DEST_UNREACH || icmp->type == ICMP_REDIRECT ||
		       icmp->type == ICMP_PARAMETERPROB ||
		       (icmp->type == ICMP_TIME_EXCEEDED && icmp->code != ICMP_EXC_FRAGTIME);
	/* 1 and 2: what routers say of the MTU isn't heeded */
	return no_discovery == 0 || no_discovery == 3;
}

static void look_at_icmp_v4(struct sk_buff *skb, const struct net *net)
{
	unsigned int offset = ip_hdrlen(skb), quote = offset + sizeof(struct icmphdr);
	const struct iphdr *quoted;
	u32 info;

	if (!pskb_may_pull(skb, quote + sizeof(*quoted)))
		return;
	quoted = (const struct iphdr *)(skb->data + quote);
	if (quoted->protocol != IPPROTO_TCP || quoted->ihl < 5 ||
	    !is_error_v4((const struct icmphdr *)(skb->data + offset), net, &info) ||
	    !pskb_may_pull(skb, quote + quoted->ihl * 4 + 8) ||
	    nf_ip_checksum(skb, NF_INET_LOCAL_IN, offset, IPPROTO_ICMP))
		return;
	skb_set_transport_header(skb, offset);
	__skb_pull(skb, quote);
	local_bh_disable();
	sluice_icmp_real_tcp_v4(skb, info);
	local_bh_enable();
	__skb_push(skb, quote);
}

/* Those that nobody knows yet, too (RFC 4443 2.4 (a)). */
static bool is_error_v6(u8 type)
{
	return !(type & ICMPV6_INFOMSG_MASK);
}

/* The quote of a redirect (RFC 4861 4.5, 8.1) is one of its options. 0: there is none. */
static unsigned int find_redirected(struct sk_buff *skb, unsigned int offset)
{
	unsigned int at = offset + sizeof(struct rd_msg);

	if (ipv6_hdr(skb)->hop_limit != 255 ||
	    !(ipv6_addr_type(&ipv6_hdr(skb)->saddr) & IPV6_ADDR_LINKLOCAL) ||
	    skb_linearize(skb))
		return 0;
	while (at + sizeof(struct nd_opt_hdr) <= skb->len) {
		const struct nd_opt_hdr *option = (const struct nd_opt_hdr *)(skb->data + at);

		if (option->nd_opt_type == ND_OPT_REDIRECT_HDR)
			return at + 8;
		if (!option->nd_opt_len)
			return 0;
		at += option->nd_opt_len * 8;
	}
	return 0;
}

static unsigned int find_quote_v6(struct sk_buff *skb, unsigned int offset)
{
	const struct icmp6hdr *icmp;

	if (!pskb_may_pull(skb, offset + sizeof(*icmp)))
		return 0;
	icmp = (const struct icmp6hdr *)(skb->data + offset);
	if (is_error_v6(icmp->icmp6_type))
		return offset + sizeof(*icmp);
	return icmp->icmp6_type == NDISC_REDIRECT && !icmp->icmp6_code ?
		find_redirected(skb, offset) : 0;
}

static void look_at_icmp_v6(struct sk_buff *skb, unsigned int offset)
{
	unsigned int quote = find_quote_v6(skb, offset);
	const struct icmp6hdr *icmp;
	int inner, first;
	__be16 fragment;
	u8 protocol;

	if (!quote || !pskb_may_pull(skb, quote + sizeof(struct ipv6hdr)))
		return;
	protocol = ((const struct ipv6hdr *)(skb->data + quote))->nexthdr;
	inner = ipv6_skip_exthdr(skb, quote + sizeof(struct ipv6hdr), &protocol, &fragment);
	if (inner < 0 || protocol != IPPROTO_TCP || (fragment & htons(IP6_OFFSET)) ||
	    !pskb_may_pull(skb, inner + 8) ||
	    nf_ip6_checksum(skb, NF_INET_LOCAL_IN, offset, IPPROTO_ICMPV6))
		return;
	icmp = (const struct icmp6hdr *)(skb->data + offset);
	first = skb_transport_offset(skb);
	skb_set_transport_header(skb, offset);
	__skb_pull(skb, quote);
	local_bh_disable();
	sluice_icmp_real_tcp_v6(skb, icmp->icmp6_type, icmp->icmp6_code, inner - quote,
				icmp->icmp6_mtu);
	local_bh_enable();
	__skb_push(skb, quote);
	/* Extension headers are still to be gone through. */
	skb_set_transport_header(skb, first);
}

/* ---- the hooks ------------------------------------------------------------------ */

/* Looks at ICMP, too. */
static bool is_for_us_v4(struct sk_buff *skb, struct net *net, struct sluice_flow **conn)
{
	sluice_shown_take_back(skb);
	if (ip_hdr(skb)->protocol == IPPROTO_ICMP)
		look_at_icmp_v4(skb, net);
	return ip_hdr(skb)->protocol == IPPROTO_TCP && !is_claimed(skb) &&
	       is_ours_v4(skb, net, conn);
}

bool sluice_real_tcp_take_v4(struct net *net, struct sk_buff *skb)
{
	struct sluice_flow *conn;

	if (!is_for_us_v4(skb, net, &conn))
		return false;
	deliver(skb, ip_hdrlen(skb), AF_INET, conn);
	return true;
}

static unsigned int hook_v4(void *unused, struct sk_buff *skb, const struct nf_hook_state *state)
{
	struct net *net = state->net;
	struct sluice_flow *conn;

	if (sluice_shown_takes_behind(state) || !is_for_us_v4(skb, net, &conn))
		return NF_ACCEPT;
	if (pass_later_hooks(skb, state,
			     rcu_dereference(net->nf.hooks_ipv4[NF_INET_LOCAL_IN]), hook_v4))
		deliver(skb, ip_hdrlen(skb), AF_INET, conn);
	return NF_STOLEN;
}

/* Options that a host which doesn't know them skips (RFC 8200 4.2). */
static bool skips_options(const struct sk_buff *skb, unsigned int at, unsigned int end)
{
	while (at < end) {
		u8 buffer[2] = {};
		const u8 *option = skb_header_pointer(skb, at, at + 1 < end ? 2 : 1, buffer);

		if (!option || option[0] & 0xc0)
			return false;
		at += option[0] == IPV6_TLV_PAD1 ? 1 : 2 + option[1];
	}
	return at == end;
}

/*
 * Nobody has looked at extension headers yet but for what each hop has to. Is
 * there nothing in them but what may be skipped (RFC 8200 4.2, 4.4)? Where a
 * route goes on, AH is to be checked, or an option forbids, it is IPv6's to
 * see to it; what it authenticates comes again.
 */
static bool only_to_be_skipped(const struct sk_buff *skb, unsigned int end)
{
	unsigned int at = sizeof(struct ipv6hdr), size;
	u8 protocol = ipv6_hdr(skb)->nexthdr;

	for (; at < end; at += size) {
		struct ipv6_rt_hdr buffer;
		const struct ipv6_rt_hdr *header = skb_header_pointer(skb, at, sizeof(buffer), &buffer);

		if (!header || protocol == IPPROTO_AH)
			return false;
		size = (header->hdrlen + 1) * 8;
		if ((protocol == IPPROTO_ROUTING && header->segments_left) ||
		    (protocol == IPPROTO_DSTOPTS && !skips_options(skb, at + 2, at + size)))
			return false;
		protocol = header->nexthdr;
	}
	return true;
}

/*
 * Looks at ICMP, too. A fragment comes here only where nobody puts them together
 * (put_fragments_together). *offset: of the header behind IPv6's.
 */
static bool is_for_us_v6(struct sk_buff *skb, struct net *net, int *offset,
			 struct sluice_flow **conn)
{
	u8 protocol = ipv6_hdr(skb)->nexthdr;
	__be16 fragment;

	sluice_shown_take_back(skb);
	*offset = ipv6_skip_exthdr(skb, sizeof(struct ipv6hdr), &protocol, &fragment);
	if (*offset < 0 || fragment)
		return false;
	if (protocol == IPPROTO_ICMPV6)
		look_at_icmp_v6(skb, *offset);
	return protocol == IPPROTO_TCP && !is_claimed(skb) && only_to_be_skipped(skb, *offset) &&
	       is_ours_v6(skb, net, *offset, conn);
}

bool sluice_real_tcp_take_v6(struct net *net, struct sk_buff *skb)
{
	struct sluice_flow *conn;
	int offset;

	if (!is_for_us_v6(skb, net, &offset, &conn))
		return false;
	deliver(skb, offset, AF_INET6, conn);
	return true;
}

static unsigned int hook_v6(void *unused, struct sk_buff *skb, const struct nf_hook_state *state)
{
	struct net *net = state->net;
	struct sluice_flow *conn;
	int offset;

	if (sluice_shown_takes_behind(state) || !is_for_us_v6(skb, net, &offset, &conn))
		return NF_ACCEPT;
	if (pass_later_hooks(skb, state,
			     rcu_dereference(net->nf.hooks_ipv6[NF_INET_LOCAL_IN]), hook_v6))
		deliver(skb, offset, AF_INET6, conn);
	return NF_STOLEN;
}

static const struct nf_hook_ops hooks[] = {
	{
		.hook = hook_v4,
		.pf = NFPROTO_IPV4,
		.hooknum = NF_INET_LOCAL_IN,
		.priority = PRIORITY,
	}, {
		.hook = hook_v6,
		.pf = NFPROTO_IPV6,
		.hooknum = NF_INET_LOCAL_IN,
		.priority = PRIORITY,
	},
};

/* ---- namespaces ------------------------------------------------------------------- */

static DEFINE_MUTEX(enter_mutex);

/*
 * IPv4's fragments are one packet before the hooks run. IPv6's are where
 * somebody asks for it, as conntrack and transparent proxies do. The symbol
 * keeps the module that does it.
 */
static void put_fragments_together(struct net *net, struct sluice_net *sn)
{
	int (*enable)(struct net *net) = symbol_request(nf_defrag_ipv6_enable);

	sn->fragments_whole = enable && !enable(net);
	if (sn->fragments_whole)
		return;
	if (enable)
		symbol_put(nf_defrag_ipv6_enable);
	pr_notice_once("sluice: no nf_defrag_ipv6, so fragments of IPv6 go to kernel TCP\n");
}

static void leave_fragments(struct net *net, const struct sluice_net *sn)
{
	void (*disable)(struct net *net);

	if (!sn->fragments_whole)
		return;
	if (check_net(net)) {	/* one that dies sees to it itself */
		disable = symbol_get(nf_defrag_ipv6_disable);
		if (disable) {
			disable(net);
			symbol_put(nf_defrag_ipv6_disable);
		}
	}
	symbol_put(nf_defrag_ipv6_enable);
}

/* Whoever takes sockets back must be there while they are shown. */
static int register_hooks(struct net *net)
{
	int error = nf_register_net_hooks(net, hooks, ARRAY_SIZE(hooks));

	if (error)
		return error;
	error = sluice_shown_enter(net);
	if (error)
		nf_unregister_net_hooks(net, hooks, ARRAY_SIZE(hooks));
	return error;
}

int sluice_real_tcp_enter(struct net *net)
{
	struct sluice_net *sn = sluice_net(net);
	int error = 0;

	if (!READ_ONCE(sn->config.real_tcp))
		return -EPROTONOSUPPORT;
	if (smp_load_acquire(&sn->real_tcp_hooked))
		return 0;
	mutex_lock(&enter_mutex);
	if (!sn->real_tcp_hooked) {
		error = register_hooks(net);
		if (!error) {
			put_fragments_together(net, sn);
			smp_store_release(&sn->real_tcp_hooked, true);
		}
	}
	mutex_unlock(&enter_mutex);
	return error;
}

void sluice_real_tcp_leave(struct net *net)
{
	const struct sluice_net *sn = sluice_net(net);

	if (!sn->real_tcp_hooked)
		return;
	nf_unregister_net_hook(net, &hooks[0]);
	leave_fragments(net, sn);
}

void sluice_real_tcp_left(struct net *net)
{
	if (sluice_net(net)->real_tcp_hooked)
		nf_unregister_net_hook(net, &hooks[1]);
}
