// SPDX-License-Identifier: GPL-2.0
/*
 * ICMP errors about segments that went out (RFC 9293 3.9.2.2, RFC 5927): they
 * are believed only when the sequence number they quote is in flight. "Too
 * big" lowers the route's MTU (RFC 1191, RFC 8201), after which the core cuts
 * smaller segments. What ends a handshake is told by the error queue, too,
 * when the program wants that.
 */
#include <linux/errqueue.h>
#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <linux/tcp.h>
#include <net/icmp.h>
#include <net/ip6_route.h>
#include <net/ipv6.h>
#include <net/tcp_states.h>

#include "compat.h"
#include "fastopen.h"
#include "listen.h"
#include "receive.h"
#include "sock.h"
#include "transmit.h"

/* What an ICMP message says, both versions alike. */
struct complaint {
	struct sk_buff *skb;
	struct sluice_flow_key key;	/* of the segment that is complained about */
	int header;			/* of that segment, from skb->data */
	u32 seq;
	u8 type, code;
	u32 info;			/* too_big: bytes of an IP packet; else what is queued */
	int error;			/* errno; 0: nothing for the application */
	bool hard;			/* ends a connection that is being opened */
	bool ends_half_open;		/* the SYN-ACK can't arrive, and never will */
	bool too_big, redirect;
};

static void redirect(struct sock *sk, struct sk_buff *skb)
{
	struct dst_entry *dst = sluice_route_check(sk);

	if (dst)
		dst->ops->redirect(dst, sk, skb);
}

/* ---- telling the application --------------------------------------------------- */

/* Where in the quoted IP header the destination is. */
static unsigned int destination_offset(bool v4)
{
	return v4 ? offsetof(struct iphdr, daddr) : offsetof(struct ipv6hdr, daddr);
}

/* What ip_icmp_error() and ipv6_icmp_error() do, which Linux 6.1 exports to nobody. */
static void queue_error(struct sock *sk, const struct complaint *c)
{
	bool v4 = sluice_sk(sk)->v4_wire;
	struct sk_buff *skb = skb_clone(c->skb, GFP_ATOMIC | __GFP_NOWARN);
	struct sock_exterr_skb *report;

	if (!skb)
		return;
	report = SKB_EXT_ERR(skb);
	report->ee = (struct sock_extended_err){
		.ee_errno = c->error,
		.ee_origin = v4 ? SO_EE_ORIGIN_ICMP : SO_EE_ORIGIN_ICMP6,
		.ee_type = c->type,
		.ee_code = c->code,
		.ee_info = c->info,
	};
	report->addr_offset = destination_offset(v4) - skb_network_offset(skb);
	report->port = c->key.remote_port;
	skb->protocol = htons(v4 ? ETH_P_IP : ETH_P_IPV6);
	nf_reset_ct(skb);	/* it may lie there for long */
	__skb_pull(skb, c->header);
	skb_reset_transport_header(skb);
	if (sock_queue_err_skb(sk, skb))
		kfree_skb(skb);
}

/* For IPv4 on an IPv6 socket either option will do. */
static bool wants_queue(const struct sock *sk)
{
	return (sluice_sk(sk)->v4_wire && sluice_inet_recverr(sk)) ||
	       (sk->sk_family == AF_INET6 && sluice_inet6_recverr(sk));
}

/* Programs that asked (IP_RECVERR, IPV6_RECVERR) see every error, at once. */
static void tell_application(struct sock *sk, const struct complaint *c)
{
	if (!sluice_sk(sk)->v4_wire && sluice_inet6_recverr(sk))
		WRITE_ONCE(sk->sk_err, c->error);
	else if (sluice_sk(sk)->v4_wire && sluice_inet_recverr(sk))
		WRITE_ONCE(sk->sk_err, c->error);
	else
		return;
	sk_error_report(sk);
}

/* Open before its handshake is over, and the application's already. */
static bool accepted_early(const struct sock *sk)
{
	return sk->sk_state == TCP_SYN_RECV && sluice_open_early(sk) && READ_ONCE(sk->sk_socket);
}

/* Is its handshake what the error ends? */
static bool is_opening(const struct sock *sk)
{
	return sk->sk_state == TCP_SYN_SENT ||
	       (sk->sk_state == TCP_SYN_RECV && !accepted_early(sk));
}

/* ---- believing it ---------------------------------------------------------------- */

/* An error for the application, of a segment in flight. */
static void conn_error(struct sock *sk, const struct complaint *c)
{
	bool ends = c->hard && is_opening(sk);

	if (ends && wants_queue(sk))
		queue_error(sk, c);
	if (sock_owned_by_user(sk)) {
		WRITE_ONCE(sk->sk_err_soft, c->error);
		return;
	}
	sluice_conn_icmp(&sluice_sk(sk)->conn, c->error, ends, sluice_now());
	if (sk->sk_state != TCP_CLOSE)
		tell_application(sk, c);
}

/* bh_lock_sock held. */
static void conn_complaint(struct sock *sk, const struct complaint *c)
{
	struct sluice_sock *s = sluice_sk(sk);
	bool owned = sock_owned_by_user(sk);

	if (!sluice_conn_in_flight(&s->conn, c->seq)) {
		sluice_count(sluice_sk_net(sk), SLUICE_CNT_icmp_out_of_window);
		return;
	}
	if (c->too_big) {
		/* sluice_sock_settle() sees to it: below, or when the user is done */
		WRITE_ONCE(s->icmp_mtu, max(c->info, 1u));
	} else if (c->redirect) {
		if (!owned)
			redirect(sk, c->skb);
	} else {
		conn_error(sk, c);
	}
	if (!owned)
		sluice_sock_settle(sk);
}

static void to_conn(struct sluice_flow *flow, const struct complaint *c)
{
	struct sock *sk = (struct sock *)container_of(flow, struct sluice_sock, flow);

	bh_lock_sock(sk);
	if (sluice_flow_stands(flow, &c->key))
		conn_complaint(sk, c);
	bh_unlock_sock(sk);
}

static void half_open_complaint(struct sluice_half_open_sock *h, const struct complaint *c)
{
	const struct sluice_net *sn = sluice_sk_net(h->listener);

	if (c->seq != h->core.iss) {
		sluice_count(sn, SLUICE_CNT_icmp_out_of_window);
	} else if (c->ends_half_open) {
		sluice_count(sn, SLUICE_CNT_icmp_errors);
		sluice_half_open_remove(h);
	}
}

static void to_half_open(struct sluice_flow *flow, const struct complaint *c)
{
	struct sluice_half_open_sock *h = container_of(flow, struct sluice_half_open_sock, flow);
	struct sock *sk = h->listener;

	bh_lock_sock_nested(sk);
	if (flow->hashed && !sock_owned_by_user(sk))
		half_open_complaint(h, c);
	bh_unlock_sock(sk);
}

static int dispatch(const struct complaint *c)
{
	struct sluice_flow *flow = sluice_flow_find(&c->key);

	if (!flow)
		return -ENOENT;
	if (flow->kind == SLUICE_FLOW_CONN)
		to_conn(flow, c);
	else if (flow->kind == SLUICE_FLOW_HALF_OPEN)
		to_half_open(flow, c);
	return 0;
}

/* ---- reading it -------------------------------------------------------------------- */

/* Ports and sequence number: the first eight bytes of our header, quoted. */
static void read_quote(struct complaint *c)
{
	const struct tcphdr *th = (const struct tcphdr *)(c->skb->data + c->header);

	c->key.local_port = th->source;
	c->key.remote_port = th->dest;
	c->key.net = dev_net(c->skb->dev);
	c->seq = ntohl(th->seq);
}

/* False: of no consequence. */
static bool interpret_v4(struct complaint *c)
{
	switch (c->type) {
	case ICMP_REDIRECT:
		c->redirect = true;
		return true;
	case ICMP_PARAMETERPROB:
		c->error = EPROTO;
		c->hard = c->ends_half_open = true;
		return true;
	case ICMP_TIME_EXCEEDED:
		c->error = EHOSTUNREACH;
		c->hard = c->ends_half_open = true;
		return true;
	case ICMP_DEST_UNREACH:
		if (c->code > NR_ICMP_UNREACH)
			return false;
		c->too_big = c->code == ICMP_FRAG_NEEDED;
		c->error = icmp_err_convert[c->code].errno;
		c->hard = true;	/* in SYN-SENT even "unreachable for now", as Linux TCP */
		c->ends_half_open = c->code == ICMP_NET_UNREACH || c->code == ICMP_HOST_UNREACH;
		return true;
	default:	/* source quench is void (RFC 6633) */
		return false;
	}
}

static int complaint_v4(struct sk_buff *skb, u32 info, bool real_tcp)
{
	const struct iphdr *ip = (const struct iphdr *)skb->data;
	struct complaint c = {
		.skb = skb,
		.key.real_tcp = real_tcp,
		.header = ip->ihl * 4,
		.type = icmp_hdr(skb)->type,
		.code = icmp_hdr(skb)->code,
		.info = info,
	};

	if (!interpret_v4(&c))
		return 0;
	ipv6_addr_set_v4mapped(ip->saddr, &c.key.local);
	ipv6_addr_set_v4mapped(ip->daddr, &c.key.remote);
	read_quote(&c);
	return dispatch(&c);
}

int sluice_icmp_v4(struct sk_buff *skb, u32 info)
{
	return complaint_v4(skb, info, false);
}

void sluice_icmp_real_tcp_v4(struct sk_buff *skb, u32 info)
{
	complaint_v4(skb, info, true);
}

static int complaint_v6(struct sk_buff *skb, u8 type, u8 code, int offset, __be32 info,
			bool real_tcp)
{
	const struct ipv6hdr *ip = (const struct ipv6hdr *)skb->data;
	struct complaint c = {
		.skb = skb,
		.key.real_tcp = real_tcp,
		.header = offset,
		.type = type,
		.code = code,
		.info = ntohl(info),
	};

	c.key.local = ip->saddr;
	c.key.remote = ip->daddr;
	c.key.scope = sluice_flow_scope(&ip->saddr, &ip->daddr, inet6_iif(skb));
	read_quote(&c);
	c.redirect = type == NDISC_REDIRECT;
	c.too_big = type == ICMPV6_PKT_TOOBIG;
	c.ends_half_open = icmpv6_err_convert(type, code, &c.error);
	c.hard = !c.redirect && !c.too_big;
	return dispatch(&c);
}

int sluice_icmp_v6(struct sk_buff *skb, struct inet6_skb_parm *opt, u8 type, u8 code,
		   int offset, __be32 info)
{
	return complaint_v6(skb, type, code, offset, info, false);
}

void sluice_icmp_real_tcp_v6(struct sk_buff *skb, u8 type, u8 code, int offset, __be32 info)
{
	complaint_v6(skb, type, code, offset, info, true);
}
