// SPDX-License-Identifier: GPL-2.0
/*
 * Transmission: header bytes from the core, payload by reference to the pages
 * of the send buffer, checksum and segmentation left to the device.
 */
#include <net/inet_ecn.h>
#include <net/ip.h>
#include <net/ip6_checksum.h>
#include <net/ip6_route.h>
#include <net/ipv6.h>
#include <net/tcp_states.h>

#include "compat.h"
#include "real_tcp.h"
#include "transmit.h"
#include "tx_stamps.h"
#include "zerocopy.h"

/* In front of the payload's fragments there is nothing but headers. */
static struct sk_buff *with_fragments(struct sluice_sock *s, u32 offset, u32 *length, u32 mss)
{
	struct sk_buff *skb = alloc_skb(SLUICE_HEADROOM, GFP_ATOMIC | __GFP_NOWARN);
	u32 fitted;

	if (!skb)
		return NULL;
	skb_reserve(skb, SLUICE_HEADROOM);
	fitted = sluice_sendbuf_attach(&s->out, skb, offset, *length);
	if (likely(fitted == *length))
		return skb;
	/* More fragments than an skb takes: whole segments of it. */
	*length = rounddown(fitted, mss);
	if (!*length || pskb_trim(skb, *length)) {
		kfree_skb(skb);
		return NULL;
	}
	return skb;
}

/* One segment, when even that is in more pieces than an skb has fragments. */
static struct sk_buff *with_copy(struct sluice_sock *s, u32 offset, u32 length)
{
	struct sk_buff *skb = alloc_skb(SLUICE_HEADROOM + length, GFP_ATOMIC | __GFP_NOWARN);

	if (!skb)
		return NULL;
	skb_reserve(skb, SLUICE_HEADROOM);
	sluice_sendbuf_copy(&s->out, skb_put(skb, length), offset, length);
	return skb;
}

/* The header was made for the first part, its flags for the last; but CWR for the first. */
static void adapt_header(struct tcphdr *th, u32 done, bool last)
{
	th->seq = htonl(ntohl(th->seq) + done);
	if (done)
		th->cwr = 0;
	if (!last) {
		th->fin = 0;
		th->psh = 0;
	}
}

static void own(struct sk_buff *skb, struct sock *sk)
{
	skb->sk = sk;
	skb->destructor = sock_wfree;
	skb_set_hash_from_sk(skb, sk);
	refcount_add(skb->truesize, &sk->sk_wmem_alloc);
}

static void segment_by(struct sk_buff *skb, struct sock *sk, u32 length, u32 mss)
{
	struct skb_shared_info *shinfo = skb_shinfo(skb);

	if (length <= mss)
		return;
	shinfo->gso_size = mss;
	shinfo->gso_segs = DIV_ROUND_UP(length, mss);
	shinfo->gso_type = sk->sk_gso_type;
	if (tcp_hdr(skb)->cwr)	/* of the first segment alone: not every device can do that */
		shinfo->gso_type |= SKB_GSO_TCP_ECN;
}

static int send_v4(struct sock *sk, struct sk_buff *skb, u8 ecn)
{
	u8 tos = (inet_sk(sk)->tos & ~INET_ECN_MASK) | ecn;

	if (sluice_is_real_tcp(sk))
		return sluice_real_tcp_send_v4(sk, skb, tos);
	return __ip_queue_xmit(sk, skb, &inet_sk(sk)->cork.fl, tos);
}

static int send_v6(struct sock *sk, struct sk_buff *skb, u8 ecn)
{
	struct ipv6_pinfo *np = inet6_sk(sk);
	int result;

	rcu_read_lock();
	skb_dst_set_noref(skb, __sk_dst_get(sk));
	result = ip6_xmit(sk, skb, &inet_sk(sk)->cork.fl.u.ip6, sk->sk_mark,
			  rcu_dereference(np->opt), (np->tclass & ~INET_ECN_MASK) | ecn,
			  sk->sk_priority);
	rcu_read_unlock();
	return result;
}

/* Sends what fits of the bytes behind `done`; the bytes sent, or a negative errno. */
static int send_part(struct sluice_sock *s, const struct sluice_transmission *t, u32 done)
{
	struct sock *sk = &s->inet.sk;
	u32 length = t->length - done;
	struct sk_buff *skb;
	int error;

	u32 position = s->out.base + t->offset + done;

	if (unlikely(!list_empty(&s->owned)))
		length = sluice_zerocopy_limit(s, position, length, t->mss);
	skb = length || !t->length ? with_fragments(s, t->offset + done, &length, t->mss) : NULL;
	if (likely(skb)) {
		if (unlikely(!list_empty(&s->owned)))
			sluice_zerocopy_own(s, skb, position, length);
	} else {
		length = min(t->length - done, t->mss);
		skb = with_copy(s, t->offset + done, length);
		if (!skb)
			return -ENOMEM;
	}
	sluice_push_header(skb, t->header, t->header_length, &sk->sk_v6_rcv_saddr,
			   &sk->sk_v6_daddr, s->v4_wire);
	if (unlikely(length < t->length))
		adapt_header(tcp_hdr(skb), done, done + length == t->length);
	segment_by(skb, sk, length, t->mss);
	if (unlikely(s->tx_stamps) && length) {
		sluice_tx_stamps_apply(s, skb, position, length);
		sluice_tx_stamps_describe(s, t, done + length);
	}
	own(skb, sk);
	/* A statement of its own: net_xmit_eval() evaluates its argument twice. */
	error = s->v4_wire ? send_v4(sk, skb, t->ecn) : send_v6(sk, skb, t->ecn);
	error = net_xmit_eval(error);
	if (likely(!error))
		return length;
	return error < 0 ? error : -ENOBUFS;	/* NET_XMIT_DROP: the queue is full */
}

bool sluice_host_paces(const struct sluice_conn *c)
{
	/* fq says so at a socket's first packet */
	return smp_load_acquire(&sluice_conn_sk(c)->sk_pacing_status) == SK_PACING_FQ;
}

u32 sluice_host_queued(const struct sluice_conn *c)
{
	return refcount_read(&sluice_conn_sk(c)->sk_wmem_alloc) - 1;
}

bool sluice_host_await_queue(struct sluice_conn *c)
{
	struct sock *sk = sluice_conn_sk(c);

	WRITE_ONCE(sluice_sk(sk)->awaits_queue, true);
	sock_reset_flag(sk, SOCK_USE_WRITE_QUEUE);	/* sock_wfree() calls sk_write_space() */
	smp_mb__after_atomic();
	return sluice_host_queued(c) > 0;
}

/* For fq, which reads it of each packet's socket. */
static void tell_rate(struct sock *sk, u64 rate)
{
	unsigned long limited = min_t(u64, rate, READ_ONCE(sk->sk_max_pacing_rate));

	if (READ_ONCE(sk->sk_pacing_rate) != limited)
		WRITE_ONCE(sk->sk_pacing_rate, limited);
}

bool sluice_host_transmit(struct sluice_conn *c, const struct sluice_transmission *t)
{
	struct sluice_sock *s = sluice_sock_of(c);
	u32 done = 0;

	if (!sluice_route_check(sluice_conn_sk(c)))
		return false;
	if (t->length)
		tell_rate(sluice_conn_sk(c), t->pacing_rate);
	do {
		int sent = send_part(s, t, done);

		if (sent < 0)
			return done > 0;	/* what is missing is lost and will be sent again */
		done += sent;
	} while (unlikely(done < t->length));
	return true;
}
