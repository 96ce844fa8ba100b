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
#include "pktoptions.h"
#include "receive.h"
#include "reply.h"
#include "sock.h"
#include "stand_in.h"
#include "time_wait.h"
#include "transmit.h"
#include "tuning.h"
#include "tx_stamps.h"

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

static void describe_origin(struct sk_buff *skb, const struct net *net, bool real_tcp,
			    struct sluice_segment *seg, struct sluice_flow_key *key)
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
	key->real_tcp = real_tcp;
	key->net = net;
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

static u8 hop_limit_of(const struct sk_buff *skb)
{
	return skb->protocol == htons(ETH_P_IP) ? ip_hdr(skb)->ttl : ipv6_hdr(skb)->hop_limit;
}

/* RFC 5082 */
static bool came_too_far(const struct sock *sk, const struct sk_buff *skb)
{
	if (skb->protocol == htons(ETH_P_IP))
		return hop_limit_of(skb) < READ_ONCE(inet_sk(sk)->min_ttl);
	return hop_limit_of(skb) < READ_ONCE(inet6_sk(sk)->min_hopcount);
}

/*
 * Socket filters and cgroups' programs may refuse a segment, or cut its
 * payload. They are asked before the backlog, behind which the device that
 * they may ask for can be gone.
 */
static bool pass_filter(struct sock *sk, struct sluice_segment *seg)
{
	struct sk_buff *skb = seg->payload;

	if (unlikely(came_too_far(sk, skb))) {
		sluice_count(sluice_sk_net(sk), SLUICE_CNT_ttl_too_low);
		return false;
	}
	if (sk_filter_trim_cap(sk, skb, seg->header_length))
		return false;
	seg->length = skb->len - seg->header_length;
	return true;
}

static void to_core(struct sock *sk, struct sluice_segment *seg)
{
	if (unlikely(sluice_sk(sk)->tx_stamps))
		sluice_tx_stamps_heard(sluice_sk(sk), hop_limit_of(seg->payload));
	if (unlikely(sluice_pktoptions_wanted(sk)))
		sluice_pktoptions_segment(sk, seg);
	else
		sluice_conn_segment(&sluice_sk(sk)->conn, seg, sluice_now());
}

/* A soft error is over when the peer is heard again (RFC 5461 2.2, as TCP). */
static noinline void to_core_after_error(struct sock *sk, struct sluice_segment *seg)
{
	const struct sluice_conn *c = &sluice_sk(sk)->conn;
	sluice_usec heard = sluice_conn_heard(c);
	int error = xchg(&sk->sk_err_soft, 0);

	to_core(sk, seg);
	if (sluice_conn_heard(c) == heard)
		cmpxchg(&sk->sk_err_soft, 0, error);	/* unless there is a new one */
}

void sluice_conn_receive(struct sock *sk, struct sluice_segment *seg)
{
	sluice_sock_see_pacing_rate(sk);
	if (unlikely(READ_ONCE(sk->sk_err_soft)))
		to_core_after_error(sk, seg);
	else
		to_core(sk, seg);
	sluice_sock_settle(sk);
}

static void to_backlog(struct sock *sk, struct sluice_segment *seg)
{
	u32 limit = READ_ONCE(sk->sk_rcvbuf) + (READ_ONCE(sk->sk_sndbuf) >> 1) + 64 * 1024;
	struct sk_buff *skb = seg->payload;

	skb->dev = NULL;	/* it may go before the segment is looked at */
	if (!sk_add_backlog(sk, skb, limit))
		seg->payload = NULL;
	else
		sluice_count(sluice_sk_net(sk), SLUICE_CNT_backlog_dropped);
}

/*
 * May the segment be looked at now? Else it was refused, or waits in a backlog.
 * `mine`: the socket whose backlog it comes from, having passed a filter; its
 * lock is held. NULL: from the wire.
 */
static bool may_go_on(struct sock *sk, struct sluice_segment *seg, const struct sock *mine)
{
	if (!mine && !pass_filter(sk, seg))
		return false;
	if (sk == mine || !sock_owned_by_user(sk))
		return true;
	to_backlog(sk, seg);
	return false;
}

/* False: the connection left the table meanwhile. */
static bool to_conn(struct sluice_flow *flow, const struct sluice_flow_key *key,
		    struct sluice_segment *seg, struct sock *mine)
{
	struct sock *sk = (struct sock *)container_of(flow, struct sluice_sock, flow);
	bool stands;

	prefetch(&sluice_sk(sk)->conn);
	bh_lock_sock_nested(sk);
	stands = sluice_flow_stands(flow, key);
	if (stands)
		sk_incoming_cpu_update(sk);
	if (stands && may_go_on(sk, seg, mine))
		sluice_conn_receive(sk, seg);
	bh_unlock_sock(sk);
	return stands;
}

/* ---- half-open connections and listeners ----------------------------------- */

/* The lock of `mine` is held already. */
static void lock_listener(struct sock *sk, const struct sock *mine)
	__acquires(&sk->sk_lock.slock)
{
	if (sk != mine)
		bh_lock_sock_nested(sk);
	else
		__acquire(&sk->sk_lock.slock);
}

static void unlock_listener(struct sock *sk, const struct sock *mine)
	__releases(&sk->sk_lock.slock)
{
	if (sk != mine)
		bh_unlock_sock(sk);
	else
		__release(&sk->sk_lock.slock);
}

/* False: the half-open connection isn't one any more. */
static bool to_half_open(struct sluice_flow *flow, struct sluice_segment *seg, struct sock *mine)
{
	struct sluice_half_open_sock *h = container_of(flow, struct sluice_half_open_sock, flow);
	struct sock *sk = h->listener;
	bool hashed;

	lock_listener(sk, mine);
	hashed = flow->hashed;
	if (hashed && may_go_on(sk, seg, mine))
		sluice_half_open_receive(h, seg);
	unlock_listener(sk, mine);
	return hashed;
}

static void reset(const struct sluice_flow_key *key, struct sluice_segment *seg)
{
	struct sluice_net *sn = sluice_net(key->net);
	struct sluice_origin origin;
	struct sluice_reply reply;

	sluice_reset_reply(seg, &reply);
	if (!reply.header_length)
		return;
	sluice_count(sn, SLUICE_CNT_no_socket);
	sluice_count(sn, SLUICE_CNT_segs_out);
	sluice_count(sn, SLUICE_CNT_resets_out);
	sluice_origin_of(key->net, seg->payload, &origin);
	sluice_reply_send(key->net, NULL, key, &origin, &reply);
}

static int interface_of(struct sk_buff *skb)
{
	return skb->protocol == htons(ETH_P_IP) ? inet_iif(skb) : inet6_iif(skb);
}

/* False: for nobody. The listener's lock is held. */
static bool listener_takes(struct sock *sk, const struct sluice_flow_key *key,
			   struct sluice_segment *seg, u32 isn_after, const struct sock *mine)
{
	if (sk->sk_state != TCP_LISTEN)
		return false;
	if (!may_go_on(sk, seg, mine))
		return true;
	if (!(seg->flags & SLUICE_SYN))
		return sluice_listen_cookie(sk, seg, key);
	sluice_listen_segment(sk, seg, key, isn_after);
	return true;
}

/* Only a SYN finds listeners, and an ACK that may hold a cookie (3.10.7.2). */
static void to_listener(const struct sluice_flow_key *key, struct sluice_segment *seg,
			u32 isn_after, struct sock *mine)
{
	u8 kind = seg->flags & (SLUICE_SYN | SLUICE_ACK | SLUICE_RST);
	struct sock *sk = NULL;
	bool taken = false;

	if (kind == SLUICE_SYN || kind == SLUICE_ACK)
		sk = sluice_listener_for(key, interface_of(seg->payload), seg->payload,
					 seg->header_length);
	if (sk) {
		lock_listener(sk, mine);
		taken = listener_takes(sk, key, seg, isn_after, mine);
		unlock_listener(sk, mine);
	}
	if (!taken)
		reset(key, seg);
}

/* True: it is gone. */
static bool to_time_wait(struct sluice_flow *flow, const struct sluice_flow_key *key,
			 struct sluice_segment *seg, u32 *isn_after)
{
	bool listened = (seg->flags & SLUICE_SYN) &&
			sluice_listener_for(key, interface_of(seg->payload), seg->payload, 0);

	return sluice_time_wait_receive(container_of(flow, struct sluice_time_wait_sock, flow),
					seg, listened, isn_after);
}

/* ---- demultiplexing -------------------------------------------------------- */

/* `conn`: one that was found for the key in this RCU read side, or NULL. BH disabled. */
static void dispatch(const struct sluice_flow_key *key, struct sluice_segment *seg,
		     struct sluice_flow *conn, struct sock *mine)
{
	struct sluice_flow *flow = conn ?: sluice_flow_find(key);
	u32 isn_after = 0;

	/* An object that changed meanwhile is looked up again: each kind has a successor. */
	for (; flow; flow = sluice_flow_find(key)) {
		switch (flow->kind) {
		case SLUICE_FLOW_CONN:
			if (to_conn(flow, key, seg, mine))
				return;
			break;
		case SLUICE_FLOW_HALF_OPEN:
			if (to_half_open(flow, seg, mine))
				return;
			break;
		case SLUICE_FLOW_TIME_WAIT:
			if (!to_time_wait(flow, key, seg, &isn_after))
				return;
			break;
		}
	}
	to_listener(key, seg, isn_after, mine);
}

static void receive(struct sk_buff *skb, bool real_tcp, struct sluice_flow *conn,
		    bool (*checksum_wrong)(struct sk_buff *skb))
{
	struct sluice_net *sn = sluice_net(dev_net(skb->dev));
	struct sluice_segment seg;
	struct sluice_flow_key key;

	sluice_tuning_glance(sn);
	this_cpu_add(sn->counters->value[SLUICE_CNT_segs_in],
		     max_t(u16, 1, skb_shinfo(skb)->gso_segs));
	if (skb->pkt_type != PACKET_HOST) {
		sluice_count(sn, SLUICE_CNT_not_for_us);
	} else if (!pull_header(skb)) {
		sluice_count(sn, SLUICE_CNT_bad_header);
	} else if (checksum_wrong(skb)) {
		sluice_count(sn, SLUICE_CNT_bad_checksum);
	} else if (parse(skb, sn, &seg)) {
		describe_origin(skb, dev_net(skb->dev), real_tcp, &seg, &key);
		dispatch(&key, &seg, conn, NULL);
		skb = seg.payload;
	}
	consume_skb(skb);
}

static int receive_v4(struct sk_buff *skb)
{
	receive(skb, false, NULL, checksum_wrong_v4);
	return 0;
}

static int receive_v6(struct sk_buff *skb)
{
	receive(skb, false, NULL, checksum_wrong_v6);
	return 0;
}

void sluice_receive_real_tcp(struct sk_buff *skb, struct sluice_flow *conn)
{
	receive(skb, true, conn,
		skb->protocol == htons(ETH_P_IP) ? checksum_wrong_v4 : checksum_wrong_v6);
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
		describe_origin(skb, sock_net(sk), sluice_is_real_tcp(sk), &seg, &key);
		if (sluice_sk(sk)->flow.hashed) {
			sluice_conn_receive(sk, &seg);
		} else {	/* a listener, or a connection that ended meanwhile */
			local_bh_disable();
			rcu_read_lock();
			dispatch(&key, &seg, NULL, sk);
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
