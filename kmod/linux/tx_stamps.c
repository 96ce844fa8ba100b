// SPDX-License-Identifier: GPL-2.0
/*
 * Marks in the send buffer, for SO_TIMESTAMPING's sending half.
 *
 * A packet names its marked byte by its sequence number (tskey), by which
 * segmentation finds the segment that is to have the mark. The program wants
 * to know it by its place since SOF_TIMESTAMPING_OPT_ID was set; the kernel
 * works that out for its own TCP alone, so here it is done when the program
 * takes it from the error queue.
 */
#include <linux/errqueue.h>
#include <linux/net_tstamp.h>
#include <linux/rbtree.h>
#include <linux/slab.h>
#include <linux/tcp.h>
#include <net/inet_common.h>
#include <net/sock.h>

#include "tx_stamps.h"
#include "tx_stats.h"

struct mark {
	struct rb_node node;
	u32 position;		/* of the byte in the stream */
	u16 span;		/* so many bytes, up to it, it stands for; U16_MAX: or more */
	u8 flags;		/* SKBTX_* */
	bool acked;		/* its acknowledgment is to be told, too */
	u64 departure;		/* of the last packet that carried it, for its statistics */
};

struct sluice_tx_stamps {
	struct rb_root marks;	/* by position */
	u32 counted_from;	/* position at which SOF_TIMESTAMPING_OPT_ID begins */
	u32 first;		/* sequence number of position 0 */
	u64 departure;		/* of the last packet */
	u8 hop_limit;		/* of the last segment that came */
	/* Guarded by the error queue's lock, as is its end; NULL: nobody asked. */
	struct sk_buff *stats;
};

static struct sluice_tx_stamps *stamps_of(struct sluice_sock *s)
{
	struct sluice_tx_stamps *stamps = s->tx_stamps;

	if (stamps)
		return stamps;
	stamps = kzalloc(sizeof(*stamps), s->inet.sk.sk_allocation | __GFP_NOWARN);
	if (!stamps)
		return NULL;
	stamps->marks = RB_ROOT;
	WRITE_ONCE(s->tx_stamps, stamps);
	return stamps;
}

/* ---- statistics --------------------------------------------------------------- */

static void create_stats(struct sock *sk, struct sluice_tx_stamps *stamps)
{
	unsigned long flags;
	struct sk_buff *room;

	if (stamps->stats || !sluice_tx_stats_wanted(sk))
		return;
	room = sluice_tx_stats_alloc(sk->sk_allocation | __GFP_NOWARN);
	spin_lock_irqsave(&sk->sk_error_queue.lock, flags);
	stamps->stats = room;
	spin_unlock_irqrestore(&sk->sk_error_queue.lock, flags);
}

static void write_stats(struct sock *sk, struct sluice_tx_stamps *stamps,
			const struct sluice_tx_stats *stats)
{
	unsigned long flags;

	spin_lock_irqsave(&sk->sk_error_queue.lock, flags);
	sluice_tx_stats_write(stamps->stats, stats);
	spin_unlock_irqrestore(&sk->sk_error_queue.lock, flags);
}

void sluice_tx_stamps_describe(struct sluice_sock *s, const struct sluice_transmission *t,
			       u32 length)
{
	struct sluice_tx_stamps *stamps = s->tx_stamps;
	u32 segments = DIV_ROUND_UP(length, t->mss);
	struct sluice_tx_stats stats;

	if (!stamps->stats)
		return;
	sluice_tx_stats_collect(&s->inet.sk, &stats);
	stats.departure = stamps->departure;
	stats.info.tcpi_data_segs_out += segments;
	stats.info.tcpi_bytes_sent += length;
	if (t->retransmission) {
		stats.info.tcpi_total_retrans += segments;
		stats.info.tcpi_bytes_retrans += length;
	}
	write_stats(&s->inet.sk, stamps, &stats);
}

static void describe_acked(struct sock *sk, struct sluice_tx_stamps *stamps,
			   const struct mark *mark)
{
	struct sluice_tx_stats stats;

	if (!stamps->stats)
		return;
	sluice_tx_stats_collect(sk, &stats);
	stats.departure = mark->departure;
	stats.acked = true;
	stats.hop_limit = stamps->hop_limit;
	write_stats(sk, stamps, &stats);
}

void sluice_tx_stamps_heard(struct sluice_sock *s, u8 hop_limit)
{
	s->tx_stamps->hop_limit = hop_limit;
}

/* The newest reports are those that have none yet. */
void sluice_tx_stamps_reported(struct sock *sk)
{
	const struct sluice_tx_stamps *stamps;
	unsigned long flags;
	struct sk_buff *skb;

	if (!sluice_tx_stats_wanted(sk))
		return;
	spin_lock_irqsave(&sk->sk_error_queue.lock, flags);
	stamps = READ_ONCE(sluice_sk(sk)->tx_stamps);
	skb_queue_reverse_walk(&sk->sk_error_queue, skb) {
		if (!stamps || !stamps->stats || !sluice_tx_stats_missing(skb))
			break;
		sluice_tx_stats_attach(skb, stamps->stats);
	}
	spin_unlock_irqrestore(&sk->sk_error_queue.lock, flags);
}

/* ---- marks ------------------------------------------------------------------ */

static struct mark *mark_of(struct rb_node *node)
{
	return rb_entry_safe(node, struct mark, node);
}

/* They are paid for as what they mark is. */
static struct mark *create_mark(struct sock *sk, struct sluice_tx_stamps *stamps, u32 begin)
{
	struct rb_node *last = rb_last(&stamps->marks);
	struct mark *mark;

	if (!sk_wmem_schedule(sk, sizeof(*mark)))
		return NULL;
	mark = kzalloc(sizeof(*mark), sk->sk_allocation | __GFP_NOWARN);
	if (!mark)
		return NULL;
	sk_wmem_queued_add(sk, sizeof(*mark));
	sk_mem_charge(sk, sizeof(*mark));
	mark->position = begin - 1;
	rb_link_node(&mark->node, last, last ? &last->rb_right : &stamps->marks.rb_node);
	rb_insert_color(&mark->node, &stamps->marks);
	return mark;
}

static void free_mark(struct sock *sk, struct mark *mark)
{
	sk_wmem_queued_add(sk, -(int)sizeof(*mark));
	sk_mem_uncharge(sk, sizeof(*mark));
	kfree(mark);
}

/*
 * What waits to be sent and goes in one segment has one mark, however many
 * sends it is of; as in TCP, which puts it in one packet. NULL: none is for it.
 */
static struct mark *find_waiting(struct sock *sk, struct sluice_tx_stamps *stamps, u32 end,
				 u32 unsent)
{
	struct mark *last = mark_of(rb_last(&stamps->marks));
	u32 more;

	if (!last)
		return NULL;
	more = end - 1 - last->position;
	if (more >= unsent || last->span + more > sluice_conn_mss(&sluice_sk(sk)->conn))
		return NULL;
	return last;
}

void sluice_tx_stamps_mark(struct sock *sk, u32 tsflags, u32 begin, u32 end, u32 unsent)
{
	struct sluice_tx_stamps *stamps;
	struct mark *mark = NULL;

	if (!(tsflags & SOF_TIMESTAMPING_TX_RECORD_MASK))
		return;
	stamps = stamps_of(sluice_sk(sk));
	if (stamps)
		mark = find_waiting(sk, stamps, end, unsent) ?: create_mark(sk, stamps, begin);
	if (!mark)
		return;
	/* Setting the option zeroes sk_tskey, which nobody else uses here. */
	if ((tsflags & SOF_TIMESTAMPING_OPT_ID) && !atomic_xchg(&sk->sk_tskey, 1))
		WRITE_ONCE(stamps->counted_from, begin);
	mark->span = min_t(u32, mark->span + (end - 1 - mark->position), U16_MAX);
	mark->position = end - 1;
	mark->acked |= !!(tsflags & SOF_TIMESTAMPING_TX_ACK);
	create_stats(sk, stamps);
	__sock_tx_timestamp(tsflags, &mark->flags);
}

/* The last one before that position. */
static struct mark *find_before(const struct sluice_tx_stamps *stamps, u32 position)
{
	struct rb_node *node = stamps->marks.rb_node;
	struct mark *best = NULL;

	while (node) {
		if ((s32)(mark_of(node)->position - position) < 0) {
			best = mark_of(node);
			node = node->rb_right;
		} else {
			node = node->rb_left;
		}
	}
	return best;
}

void sluice_tx_stamps_apply(struct sluice_sock *s, struct sk_buff *skb, u32 position, u32 length)
{
	struct sluice_tx_stamps *stamps = s->tx_stamps;
	struct mark *mark = find_before(stamps, position + length), *each;

	if (!mark || mark->position - position >= length)
		return;
	stamps->departure = ktime_get_ns();
	for (each = mark; each && each->position - position < length;
	     each = mark_of(rb_prev(&each->node)))
		each->departure = stamps->departure;
	WRITE_ONCE(stamps->first, ntohl(tcp_hdr(skb)->seq) - position);
	skb_shinfo(skb)->tx_flags |= mark->flags;
	skb_shinfo(skb)->tskey = stamps->first + mark->position;
}

/* An empty packet stands for those that carried it. */
static void tell_acked(struct sock *sk, u32 key)
{
	struct sk_buff *skb = alloc_skb(0, GFP_ATOMIC | __GFP_NOWARN);

	if (!skb)
		return;
	skb_shinfo(skb)->tskey = key;
	__skb_tstamp_tx(skb, NULL, NULL, sk, SCM_TSTAMP_ACK);
	consume_skb(skb);
}

void sluice_tx_stamps_acked(struct sluice_sock *s)
{
	struct sluice_tx_stamps *stamps = s->tx_stamps;
	struct mark *mark;

	while ((mark = mark_of(rb_first(&stamps->marks)))) {
		if ((s32)(mark->position - s->out.base) >= 0)
			return;
		if (mark->acked) {
			describe_acked(&s->inet.sk, stamps, mark);
			tell_acked(&s->inet.sk, stamps->first + mark->position);
		}
		rb_erase(&mark->node, &stamps->marks);
		free_mark(&s->inet.sk, mark);
	}
}

void sluice_tx_stamps_purge(struct sluice_sock *s)
{
	struct sluice_tx_stamps *stamps = s->tx_stamps;
	struct sock *sk = &s->inet.sk;
	struct mark *mark, *next;
	unsigned long flags;

	if (!stamps)
		return;
	spin_lock_irqsave(&sk->sk_error_queue.lock, flags);
	WRITE_ONCE(s->tx_stamps, NULL);
	spin_unlock_irqrestore(&sk->sk_error_queue.lock, flags);
	rbtree_postorder_for_each_entry_safe(mark, next, &stamps->marks, node)
		free_mark(sk, mark);
	kfree_skb(stamps->stats);
	kfree(stamps);
}

/* ---- reports ---------------------------------------------------------------- */

/* Names the byte of a report by its place. */
static void count_place(struct sk_buff *skb, const struct sluice_tx_stamps *stamps)
{
	struct sock_exterr_skb *report = SKB_EXT_ERR(skb);

	/* Such a report has no port: there it is kept that this was done (a peek leaves it). */
	if (report->ee.ee_origin != SO_EE_ORIGIN_TIMESTAMPING || report->port)
		return;
	report->ee.ee_data -= READ_ONCE(stamps->first) + READ_ONCE(stamps->counted_from);
	report->port = htons(1);
}

/* Of the next `most` reports, when the socket wants to know places. */
static void count_places(struct sock *sk, u32 most)
{
	const struct sluice_tx_stamps *stamps = sluice_sk(sk)->tx_stamps;
	unsigned long flags;
	struct sk_buff *skb;

	if (!stamps || !(READ_ONCE(sk->sk_tsflags) & SOF_TIMESTAMPING_OPT_ID))
		return;
	/* A device that takes the time may report from a hard interrupt. */
	spin_lock_irqsave(&sk->sk_error_queue.lock, flags);
	skb_queue_walk(&sk->sk_error_queue, skb) {
		if (!most--)
			break;
		count_place(skb, stamps);
	}
	spin_unlock_irqrestore(&sk->sk_error_queue.lock, flags);
}

void sluice_tx_stamps_restart(struct sock *sk)
{
	count_places(sk, U32_MAX);
	sluice_tx_stamps_purge(sluice_sk(sk));
	atomic_set(&sk->sk_tskey, 0);
}

/* Only such a report has an address: where the segment went that ICMP complains about. */
static bool next_is_of_icmp(struct sock *sk)
{
	const struct sk_buff *skb;
	unsigned long flags;
	u8 origin = SO_EE_ORIGIN_NONE;

	spin_lock_irqsave(&sk->sk_error_queue.lock, flags);
	skb = skb_peek(&sk->sk_error_queue);
	if (skb)
		origin = SKB_EXT_ERR(skb)->ee.ee_origin;
	spin_unlock_irqrestore(&sk->sk_error_queue.lock, flags);
	return origin == SO_EE_ORIGIN_ICMP || origin == SO_EE_ORIGIN_ICMP6;
}

int sluice_tx_stamps_recv(struct sock *sk, struct msghdr *msg, size_t size)
{
	int length = 0, result;
	bool has_address;

	lock_sock(sk);
	sluice_tx_stamps_reported(sk);	/* who polls may be sooner than the kernel's word */
	count_places(sk, 1);
	has_address = next_is_of_icmp(sk);
	result = inet_recv_error(sk, msg, size, &length);
	if (result >= 0 && has_address && length) {
		msg->msg_namelen = length;
		if (sluice_sk(sk)->sluice_family)
			((struct sockaddr_sluice *)msg->msg_name)->ssl_family = AF_SLUICE;
	}
	release_sock(sk);
	return result;
}
