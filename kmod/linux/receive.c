// SPDX-License-Identifier: GPL-2.0
/*
 * Segments from the wire: checked, parsed, and given to the connection, the
 * half-open connection, the TIME_WAIT or the listener that they are for; else
 * answered by RST (RFC 9293 3.10.7). A segment is freed by whoever called
 * dispatch(), unless seg->payload was taken (and set to NULL) on the way.
 */
#include <linux/filter.h>
#include <linux/jhash.h>
#include <net/inet_ecn.h>
#include <net/ip.h>
#include <net/ip6_checksum.h>
#include <net/ipv6.h>
#include <net/protocol.h>
#include <net/xfrm.h>

#include "compat.h"
#include "listen.h"
#include "receive.h"
#include "reply.h"
#include "sock.h"
#include "time_wait.h"
#include "transmit.h"

#define TCP_HEADER 20

/* ---- checks --------------------------------------------------------------- */

static bool pull_header(struct sk_buff *skb)
{
	return pskb_may_pull(skb, TCP_HEADER) && pskb_may_pull(skb, __tcp_hdrlen(tcp_hdr(skb)));
}

static bool checksum_wrong_v4(struct sk_buff *skb)
{
	return skb_checksum_validate(skb, IPPROTO_TCP, inet_compute_pseudo);
}

static bool checksum_wrong_v6(struct sk_buff *skb)
{
	return skb_checksum_validate(skb, IPPROTO_TCP, ip6_compute_pseudo);
}

static void describe_origin(struct sk_buff *skb, struct sluice_segment *seg,
			    struct sluice_flow_key *key)
{
	const struct tcphdr *th = tcp_hdr(skb);
	bool v4 = skb->protocol == htons(ETH_P_IP);

	if (v4) {
		ipv6_addr_set_v4mapped(ip_hdr(skb)->daddr, &key->local);
		ipv6_addr_set_v4mapped(ip_hdr(skb)->saddr, &key->remote);
		seg->ecn = ip_hdr(skb)->tos & INET_ECN_MASK;
		key->scope = 0;
	} else {
		key->local = ipv6_hdr(skb)->daddr;
		key->remote = ipv6_hdr(skb)->saddr;
		seg->ecn = ipv6_get_dsfield(ipv6_hdr(skb)) & INET_ECN_MASK;
		key->scope = sluice_flow_scope(&key->local, &key->remote, inet6_iif(skb));
	}
	key->local_port = th->dest;
	key->remote_port = th->source;
	key->net = dev_net(skb->dev);
}

/* The header is pulled. Counts what is wrong. */
static bool parse(struct sk_buff *skb, const struct sluice_net *sn, struct sluice_segment *seg)
{
	const struct skb_shared_info *shinfo = skb_shinfo(skb);

	switch (sluice_segment_parse(skb->data, skb_headlen(skb), skb->len, seg)) {
	case SLUICE_PARSE_SHORT:
		sluice_count(sn, SLUICE_CNT_bad_header);
		return false;
	case SLUICE_PARSE_FLAGS:
		sluice_count(sn, SLUICE_CNT_bad_flags);
		return false;
	case SLUICE_PARSE_OK:
		break;
	}
	if (unlikely(seg->bad_option))
		sluice_count(sn, SLUICE_CNT_bad_option);
	seg->payload = skb;
	seg->gso_size = shinfo->gso_size;
	seg->gso_segs = shinfo->gso_segs;
	return true;
}

/* ---- connections ---------------------------------------------------------- */

/* Socket filters and cgroups' programs may refuse a segment, or cut its payload. */
static bool pass_filter(struct sock *sk, struct sk_buff *skb, struct sluice_segment *seg)
{
	if (sk_filter_trim_cap(sk, skb, seg->header_length))
		return false;
	seg->length = skb->len - seg->header_length;
	return true;
}

void sluice_conn_receive(struct sock *sk, struct sluice_segment *seg)
{
	struct sluice_sock *s = sluice_sk(sk);

	if (!pass_filter(sk, seg->payload, seg))
		return;
	sluice_conn_segment(&s->conn, seg, sluice_now());
	sluice_sock_settle(sk);
}

static void to_backlog(struct sock *sk, struct sluice_segment *seg)
{
	u32 limit = READ_ONCE(sk->sk_rcvbuf) + (READ_ONCE(sk->sk_sndbuf) >> 1) + 64 * 1024;

	if (!sk_add_backlog(sk, seg->payload, limit))
		seg->payload = NULL;
	else
		sluice_count(sluice_sk_net(sk), SLUICE_CNT_backlog_dropped);
}

/* False: the connection left the table meanwhile. */
static bool to_conn(struct sluice_flow *flow, struct sluice_segment *seg)
{
	struct sock *sk = (struct sock *)container_of(flow, struct sluice_sock, flow);
	bool hashed;

	prefetch(&sluice_sk(sk)->conn);
	bh_lock_sock_nested(sk);
	hashed = flow->hashed;
	if (hashed) {
		if (!sock_owned_by_user(sk))
			sluice_conn_receive(sk, seg);
		else
			to_backlog(sk, seg);
	}
	bh_unlock_sock(sk);
	return hashed;
}

/* ---- half-open connections and listeners ----------------------------------- */

/*
 * `mine`: the socket whose backlog this comes from; its lock is held already.
 * False: the half-open connection isn't one any more.
 */
static bool to_half_open(struct sluice_flow *flow, struct sluice_segment *seg, struct sock *mine)
{
	struct sluice_half_open_sock *h = container_of(flow, struct sluice_half_open_sock, flow);
	struct sock *sk = h->listener;
	bool hashed;

	if (sk != mine)
		bh_lock_sock_nested(sk);
	hashed = flow->hashed;
	if (hashed) {
		if (sk == mine || !sock_owned_by_user(sk))
			sluice_half_open_receive(h, seg);
		else
			to_backlog(sk, seg);
	}
	if (sk != mine)
		bh_unlock_sock(sk);
	return hashed;
}

static void reset(const struct sluice_flow_key *key, struct sluice_segment *seg)
{
	struct sluice_net *sn = sluice_net(key->net);
	struct sluice_reply reply;

	sluice_reset_reply(seg, &reply);
	if (!reply.header_length)
		return;
	sluice_count(sn, SLUICE_CNT_no_socket);
	sluice_count(sn, SLUICE_CNT_resets_out);
	sluice_reply_send(key->net, NULL, key, seg->payload, &reply);
}

static int interface_of(struct sk_buff *skb)
{
	return skb->protocol == htons(ETH_P_IP) ? inet_iif(skb) : inet6_iif(skb);
}

/* Only a SYN finds listeners; anything else is for nobody (3.10.7.2). */
static void to_listener(const struct sluice_flow_key *key, struct sluice_segment *seg,
			u32 isn_after, struct sock *mine)
{
	u32 spread = jhash2((const u32 *)&key->remote, 4,
			    (__force u32)key->local_port << 16 | (__force u32)key->remote_port);
	struct sock *sk = NULL;

	if ((seg->flags & (SLUICE_SYN | SLUICE_ACK | SLUICE_RST)) == SLUICE_SYN)
		sk = sluice_listener_find(key->net, &key->local, ntohs(key->local_port),
					  interface_of(seg->payload), spread);
	if (!sk) {
		reset(key, seg);
		return;
	}
	if (sk != mine)
		bh_lock_sock_nested(sk);
	if (sk->sk_state != TCP_LISTEN)
		reset(key, seg);
	else if (sk == mine || !sock_owned_by_user(sk))
		sluice_listen_segment(sk, seg, key, isn_after);
	else
		to_backlog(sk, seg);
	if (sk != mine)
		bh_unlock_sock(sk);
}

/* ---- demultiplexing -------------------------------------------------------- */

/* RCU read side, BH disabled. */
static void dispatch(const struct sluice_flow_key *key, struct sluice_segment *seg,
		     struct sock *mine)
{
	struct sluice_flow *flow;
	u32 isn_after = 0;

	/* An object that changed meanwhile is looked up again: each kind has a successor. */
	while ((flow = sluice_flow_find(key))) {
		switch (flow->kind) {
		case SLUICE_FLOW_CONN:
			if (to_conn(flow, seg))
				return;
			break;
		case SLUICE_FLOW_HALF_OPEN:
			if (to_half_open(flow, seg, mine))
				return;
			break;
		case SLUICE_FLOW_TIME_WAIT:
			if (!sluice_time_wait_receive(container_of(flow, struct sluice_time_wait_sock,
								   flow), seg, &isn_after))
				return;
			break;
		}
	}
	to_listener(key, seg, isn_after, mine);
}

static int receive(struct sk_buff *skb, bool (*checksum_wrong)(struct sk_buff *skb))
{
	struct sluice_net *sn = sluice_net(dev_net(skb->dev));
	struct sluice_segment seg;
	struct sluice_flow_key key;

	this_cpu_add(sn->counters->value[SLUICE_CNT_segs_in],
		     max_t(u16, 1, skb_shinfo(skb)->gso_segs));
	if (skb->pkt_type != PACKET_HOST) {
		sluice_count(sn, SLUICE_CNT_not_for_us);
	} else if (!pull_header(skb)) {
		sluice_count(sn, SLUICE_CNT_bad_header);
	} else if (checksum_wrong(skb)) {
		sluice_count(sn, SLUICE_CNT_bad_checksum);
	} else if (parse(skb, sn, &seg)) {
		describe_origin(skb, &seg, &key);
		dispatch(&key, &seg, NULL);
		skb = seg.payload;
	}
	consume_skb(skb);
	return 0;
}

static int receive_v4(struct sk_buff *skb)
{
	return receive(skb, checksum_wrong_v4);
}

static int receive_v6(struct sk_buff *skb)
{
	return receive(skb, checksum_wrong_v6);
}

int sluice_backlog_receive(struct sock *sk, struct sk_buff *skb)
{
	struct sluice_segment seg;
	struct sluice_flow_key key;

	/* It was parsed before: nothing can be wrong with it, nor is it counted again. */
	if (sluice_segment_parse(skb->data, skb_headlen(skb), skb->len, &seg) == SLUICE_PARSE_OK) {
		seg.payload = skb;
		seg.gso_size = skb_shinfo(skb)->gso_size;
		seg.gso_segs = skb_shinfo(skb)->gso_segs;
		describe_origin(skb, &seg, &key);
		if (sluice_sk(sk)->flow.hashed) {
			sluice_conn_receive(sk, &seg);
		} else {	/* a listener, or a connection that ended meanwhile */
			local_bh_disable();
			rcu_read_lock();
			dispatch(&key, &seg, sk);
			rcu_read_unlock();
			local_bh_enable();
		}
		skb = seg.payload;
	}
	consume_skb(skb);
	return 0;
}

/* ---- registration ----------------------------------------------------------- */

static const struct net_protocol protocol_v4 = {
	.handler = receive_v4,
	.err_handler = sluice_icmp_v4,
};

static const struct inet6_protocol protocol_v6 = {
	.handler = receive_v6,
	.err_handler = sluice_icmp_v6,
	.flags = INET6_PROTO_FINAL,
};

int sluice_receive_init(void)
{
	int error = inet_add_protocol(&protocol_v4, SLUICE_PROTO_STREAM);

	if (error)
		return error;
	error = inet6_add_protocol(&protocol_v6, SLUICE_PROTO_STREAM);
	if (error)
		inet_del_protocol(&protocol_v4, SLUICE_PROTO_STREAM);
	return error;
}

void sluice_receive_exit(void)
{
	inet6_del_protocol(&protocol_v6, SLUICE_PROTO_STREAM);
	inet_del_protocol(&protocol_v4, SLUICE_PROTO_STREAM);
}
