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
#include <linux/list.h>
#include <linux/net_tstamp.h>
#include <linux/slab.h>
#include <linux/tcp.h>
#include <net/inet_common.h>
#include <net/sock.h>

#include "tx_stamps.h"

struct mark {
	struct list_head list;
	u32 position;		/* of the byte in the stream */
	u8 flags;		/* SKBTX_* */
	bool acked;		/* its acknowledgment is to be told, too */
};

struct sluice_tx_stamps {
	struct list_head marks;	/* in the stream's order */
	u32 counted_from;	/* position at which SOF_TIMESTAMPING_OPT_ID begins */
	u32 first;		/* sequence number of position 0 */
};

static struct sluice_tx_stamps *stamps_of(struct sluice_sock *s)
{
	struct sluice_tx_stamps *stamps = s->tx_stamps;

	if (stamps)
		return stamps;
	stamps = kzalloc(sizeof(*stamps), s->inet.sk.sk_allocation | __GFP_NOWARN);
	if (!stamps)
		return NULL;
	INIT_LIST_HEAD(&stamps->marks);
	WRITE_ONCE(s->tx_stamps, stamps);
	return stamps;
}

void sluice_tx_stamps_mark(struct sock *sk, u32 tsflags, u32 begin, u32 end)
{
	struct sluice_tx_stamps *stamps;
	struct mark *mark;

	if (!(tsflags & SOF_TIMESTAMPING_TX_RECORD_MASK))
		return;
	stamps = stamps_of(sluice_sk(sk));
	mark = stamps ? kzalloc(sizeof(*mark), sk->sk_allocation | __GFP_NOWARN) : NULL;
	if (!mark)
		return;
	/* Setting the option zeroes sk_tskey, which nobody else uses here. */
	if ((tsflags & SOF_TIMESTAMPING_OPT_ID) && !atomic_xchg(&sk->sk_tskey, 1))
		WRITE_ONCE(stamps->counted_from, begin);
	mark->position = end - 1;
	mark->acked = tsflags & SOF_TIMESTAMPING_TX_ACK;
	__sock_tx_timestamp(tsflags, &mark->flags);
	list_add_tail(&mark->list, &stamps->marks);
}

void sluice_tx_stamps_apply(struct sluice_sock *s, struct sk_buff *skb, u32 position, u32 length)
{
	struct sluice_tx_stamps *stamps = s->tx_stamps;
	struct mark *mark;

	list_for_each_entry_reverse(mark, &stamps->marks, list) {
		if (mark->position - position >= length)
			continue;
		WRITE_ONCE(stamps->first, ntohl(tcp_hdr(skb)->seq) - position);
		skb_shinfo(skb)->tx_flags |= mark->flags;
		skb_shinfo(skb)->tskey = stamps->first + mark->position;
		return;
	}
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
	struct mark *mark, *next;

	list_for_each_entry_safe(mark, next, &stamps->marks, list) {
		if ((s32)(mark->position - s->out.base) >= 0)
			return;
		if (mark->acked)
			tell_acked(&s->inet.sk, stamps->first + mark->position);
		list_del(&mark->list);
		kfree(mark);
	}
}

void sluice_tx_stamps_purge(struct sluice_sock *s)
{
	struct mark *mark, *next;

	if (!s->tx_stamps)
		return;
	list_for_each_entry_safe(mark, next, &s->tx_stamps->marks, list)
		kfree(mark);
	kfree(s->tx_stamps);
	s->tx_stamps = NULL;
}

/* Names the byte of the next report by its place. */
static void count_place(struct sock *sk, const struct sluice_tx_stamps *stamps)
{
	struct sk_buff *skb;

	spin_lock_bh(&sk->sk_error_queue.lock);
	skb = skb_peek(&sk->sk_error_queue);
	/* Such a report has no port: there it is kept that this was done (a peek leaves it). */
	if (skb && SKB_EXT_ERR(skb)->ee.ee_origin == SO_EE_ORIGIN_TIMESTAMPING &&
	    !SKB_EXT_ERR(skb)->port) {
		SKB_EXT_ERR(skb)->ee.ee_data -= READ_ONCE(stamps->first) +
						READ_ONCE(stamps->counted_from);
		SKB_EXT_ERR(skb)->port = htons(1);
	}
	spin_unlock_bh(&sk->sk_error_queue.lock);
}

int sluice_tx_stamps_recv(struct sock *sk, struct msghdr *msg, size_t size)
{
	int length = 0, result;

	lock_sock(sk);
	if (sluice_sk(sk)->tx_stamps && (READ_ONCE(sk->sk_tsflags) & SOF_TIMESTAMPING_OPT_ID))
		count_place(sk, sluice_sk(sk)->tx_stamps);
	result = inet_recv_error(sk, msg, size, &length);
	release_sock(sk);
	return result;
}
