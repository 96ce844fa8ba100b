// SPDX-License-Identifier: GPL-2.0
/* The receive buffer: bytes in order, and bytes held beyond a gap (RFC 9293 3.8.6.2.2). */
#include <net/dst.h>
#include <net/sock.h>
#include <net/tcp_states.h>

#include "compat.h"
#include "memory.h"
#include "recvbuf.h"
#include "sock.h"
#include "stamps.h"
#include "tx_stamps.h"
#include "zerocopy.h"

/* share: percent of the buffer for the bytes themselves, until the peer's habits are known */
void sluice_recvbuf_init(struct sluice_recvbuf *b, u32 share)
{
	b->held = RB_ROOT;
	b->unread = 0;
	b->density = share * 256 / 100;
	b->urgent.state = SLUICE_URGENT_NONE;
}

void sluice_recvbuf_purge_held(struct sluice_recvbuf *b)
{
	struct rb_node *node;

	while ((node = rb_first(&b->held))) {
		rb_erase(node, &b->held);
		kfree_skb(rb_to_skb(node));
	}
}

void sluice_recvbuf_purge(struct sluice_recvbuf *b, struct sock *sk)
{
	__skb_queue_purge(&sk->sk_receive_queue);
	sluice_recvbuf_purge_held(b);
	b->unread = 0;
	WRITE_ONCE(b->urgent.state, SLUICE_URGENT_NONE);
}

/* ---- in ------------------------------------------------------------------ */

/* Segments below this say nothing about how dense a bulk transfer will be. */
#define DENSITY_LEAST 536

/* Follows what share of a true size is payload; window sizes are computed with it. */
static void measure_density(struct sluice_recvbuf *b, const struct sk_buff *skb, u32 length)
{
	u32 now;

	if (length < DENSITY_LEAST)
		return;
	now = min((length << 8) / skb->truesize, 255u);
	b->density = max((b->density * 7 + now) / 8, 1u);
}

/*
 * Appends to the last readable skb's pages when that saves an skb's overhead:
 * small segments would fill the buffer with it.
 */
static bool coalesce(struct sock *sk, struct sk_buff *skb)
{
	struct sk_buff *last = skb_peek_tail(&sk->sk_receive_queue);
	struct sluice_skb_cb *from = sluice_skb_cb(skb), *to;
	bool stolen;
	int delta;

	if (!last)
		return false;
	to = sluice_skb_cb(last);
	/* Only whole skbs: nothing before or behind the bytes that count. */
	if (to->skip + to->length != last->len)
		return false;
	if (from->skip + from->length != skb->len)
		return false;
	if (from->skip) {
		if (!pskb_pull(skb, from->skip))
			return false;
		from->skip = 0;
	}
	if (!skb_try_coalesce(last, skb, &stolen, &delta))
		return false;
	sluice_stamps_join(last, skb);
	atomic_add(delta, &sk->sk_rmem_alloc);
	sk_mem_charge(sk, delta);
	to->length += from->length;
	kfree_skb_partial(skb, stolen);
	return true;
}

static void append(struct sock *sk, struct sk_buff *skb)
{
	__skb_queue_tail(&sk->sk_receive_queue, skb);
}

/* Payload bytes of an skb made for small segments to be copied into. */
#define COMPACT_SIZE (SKB_WITH_OVERHEAD(4096))
#define COMPACT_LEAST 512

/*
 * When half the buffer is used, small segments are copied together: what the
 * window promised must fit, however small the pieces it comes in.
 */
static struct sk_buff *compact(struct sock *sk, struct sk_buff *skb)
{
	struct sluice_skb_cb *from = sluice_skb_cb(skb), *to;
	struct sk_buff *copy;

	if (from->length >= COMPACT_LEAST ||
	    atomic_read(&sk->sk_rmem_alloc) < sk->sk_rcvbuf / 2)
		return skb;
	copy = alloc_skb(COMPACT_SIZE, GFP_ATOMIC | __GFP_NOWARN);
	if (!copy)
		return skb;
	skb_copy_bits(skb, from->skip, skb_put(copy, from->length), from->length);
	to = sluice_skb_cb(copy);
	to->position = from->position;
	to->skip = 0;
	to->length = from->length;
	sluice_stamps_join(copy, skb);
	consume_skb(skb);
	return copy;
}

static void hold(struct sluice_recvbuf *b, struct sk_buff *skb)
{
	struct rb_node **link = &b->held.rb_node, *parent = NULL;
	u32 position = sluice_skb_cb(skb)->position;

	while (*link) {
		parent = *link;
		if ((s32)(position - sluice_skb_cb(rb_to_skb(parent))->position) < 0)
			link = &parent->rb_left;
		else
			link = &parent->rb_right;
	}
	rb_link_node(&skb->rbnode, parent, link);
	rb_insert_color(&skb->rbnode, &b->held);
}

/*
 * May an skb of this true size come in? A little over the limit is all right,
 * as what was advertised must be taken. Held bytes make way for readable ones.
 * Who has nothing to read, or less than rmem_min, gets his next bytes even if there
 * is no memory: else those that hold all of it would stop the others.
 */
static bool admit(struct sock *sk, struct sk_buff *skb, bool in_order)
{
	struct sluice_sock *s = sluice_sk(sk);

	bool fits = atomic_read(&sk->sk_rmem_alloc) <= sk->sk_rcvbuf;

	if (likely(fits && sk_rmem_schedule(sk, skb, skb->truesize)))
		return true;
	if (in_order && !RB_EMPTY_ROOT(&s->in.held))
		s->drop_held = true;
	if (!fits || !in_order)
		return false;
	if (!skb_queue_empty(&sk->sk_receive_queue) &&
	    atomic_read(&sk->sk_rmem_alloc) >= READ_ONCE(sluice_sk_net(sk)->config.rmem_min))
		return false;
	sluice_memory_force(sk, skb->truesize);
	return true;
}

/*
 * The skb itself when all of its payload is kept; it then isn't the segment's
 * any more. A clone when only a part is: more may be needed for another gap.
 */
static struct sk_buff *take(struct sluice_segment *seg, u32 length)
{
	struct sk_buff *skb = seg->payload;

	if (unlikely(length != seg->length))
		return skb_clone(skb, GFP_ATOMIC);
	seg->payload = NULL;
	return skb;
}

static void give_back(struct sluice_segment *seg, struct sk_buff *skb, u32 length)
{
	if (length == seg->length)
		seg->payload = skb;
	else
		kfree_skb(skb);
}

bool sluice_host_deliver(struct sluice_conn *c, struct sluice_segment *seg, u32 skip,
			 u32 length, u32 position, bool in_order)
{
	struct sluice_sock *s = sluice_sock_of(c);
	struct sock *sk = &s->inet.sk;
	struct sk_buff *skb = take(seg, length);
	struct sluice_skb_cb *cb;

	if (!skb)
		return false;
	if (!admit(sk, skb, in_order)) {
		give_back(seg, skb, length);
		return false;
	}
	cb = sluice_skb_cb(skb);
	cb->position = position;
	cb->skip = seg->header_length + skip;
	cb->length = length;
	skb_dst_drop(skb);
	measure_density(&s->in, skb, length);
	if (unlikely(s->in.urgent.state == SLUICE_URGENT_AWAITED))
		sluice_urgent_look(sk, skb, cb->skip, length, position);
	if (!in_order) {
		skb_set_owner_r(skb, sk);
		hold(&s->in, skb);
		return true;
	}
	s->in.unread += length;
	if (coalesce(sk, skb))
		return true;
	skb = compact(sk, skb);
	skb_set_owner_r(skb, sk);
	append(sk, skb);
	return true;
}

void sluice_host_join(struct sluice_conn *c, u32 up_to)
{
	struct sluice_sock *s = sluice_sock_of(c);
	struct rb_node *node;

	while ((node = rb_first(&s->in.held))) {
		struct sk_buff *skb = rb_to_skb(node);

		if ((s32)(sluice_skb_cb(skb)->position - up_to) >= 0)
			break;
		rb_erase(node, &s->in.held);
		s->in.unread += sluice_skb_cb(skb)->length;
		append(&s->inet.sk, skb);
	}
}

void sluice_host_drop_held(struct sluice_conn *c)
{
	sluice_recvbuf_purge_held(&sluice_sock_of(c)->in);
}

/* ---- out ----------------------------------------------------------------- */

void sluice_recvbuf_consume(struct sluice_recvbuf *b, struct sock *sk, struct sk_buff *skb,
			    u32 bytes)
{
	struct sluice_skb_cb *cb = sluice_skb_cb(skb);

	b->unread -= bytes;
	cb->skip += bytes;
	cb->position += bytes;
	cb->length -= bytes;
	if (unlikely(b->urgent.state != SLUICE_URGENT_NONE) &&
	    (s32)(cb->position - b->urgent.mark) > 0)
		WRITE_ONCE(b->urgent.state, SLUICE_URGENT_NONE);
	if (cb->length)
		return;
	__skb_unlink(skb, &sk->sk_receive_queue);
	consume_skb(skb);
}

/* ---- room ---------------------------------------------------------------- */

/*
 * Payload bytes of a window under memory pressure, as TCP has it: four segments,
 * for of less than one the receiver's SWS avoidance would never tell.
 */
static u32 pressed_space(struct sock *sk)
{
	const struct dst_entry *dst = __sk_dst_get(sk);
	u32 segments = dst ? 4 * dst_metric_advmss(dst) : 0;

	return max_t(u64, READ_ONCE(sluice_sk_net(sk)->config.rmem_min), segments);
}

u32 sluice_host_receive_space(struct sluice_conn *c, u32 *full)
{
	struct sluice_sock *s = sluice_sock_of(c);
	struct sock *sk = &s->inet.sk;
	s64 free = (s64)sk->sk_rcvbuf - atomic_read(&sk->sk_rmem_alloc) -
		   READ_ONCE(sk->sk_backlog.len);
	u32 space = free > 0 ? ((u64)free * s->in.density) >> 8 : 0;

	*full = ((u64)sk->sk_rcvbuf * s->in.density) >> 8;
	if (unlikely(sk_under_memory_pressure(sk)))
		space = min(space, pressed_space(sk));
	return space;
}

/* As of TCP's. */
bool sluice_recvbuf_cramped(struct sock *sk)
{
	u32 size = READ_ONCE(sk->sk_rcvbuf);

	return sk_under_memory_pressure(sk) ||
	       atomic_read(&sk->sk_rmem_alloc) > size - size / 8 ||
	       sluice_conn_window_used(&sluice_sk(sk)->conn);
}

void sluice_host_want_receive_buffer(struct sluice_conn *c, u32 payload)
{
	struct sluice_sock *s = sluice_sock_of(c);
	struct sock *sk = &s->inet.sk;
	u64 size;

	if ((sk->sk_userlocks & SOCK_RCVBUF_LOCK) || sk_under_memory_pressure(sk))
		return;
	size = min(sluice_recvbuf_truesize(&s->in, payload),
		   READ_ONCE(sluice_sk_net(sk)->config.rmem_max));
	if (size > sk->sk_rcvbuf)
		WRITE_ONCE(sk->sk_rcvbuf, size);
}

void sluice_host_want_send_buffer(struct sluice_conn *c, u32 payload)
{
	struct sock *sk = sluice_conn_sk(c);
	u64 size;

	if ((sk->sk_userlocks & SOCK_SNDBUF_LOCK) || sk_under_memory_pressure(sk))
		return;
	size = min_t(u64, payload, READ_ONCE(sluice_sk_net(sk)->config.wmem_max));
	if (size > sk->sk_sndbuf)
		WRITE_ONCE(sk->sk_sndbuf, size);
}

void sluice_host_release(struct sluice_conn *c, u32 bytes)
{
	struct sluice_sock *s = sluice_sock_of(c);

	sluice_sendbuf_release(&s->out, sluice_conn_sk(c), bytes);
	if (unlikely(!list_empty(&s->owned)))
		sluice_zerocopy_release(s, s->out.base);
	if (unlikely(s->tx_stamps))
		sluice_tx_stamps_acked(s);
}
