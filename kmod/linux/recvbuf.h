/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The receive buffer (RCV.BUF, RFC 9293 3.8.6.2.2): readable bytes in order on
 * sk_receive_queue, bytes beyond a gap held apart in sequence order. Both are
 * the skbs that arrived, with the part that counts noted in their control
 * block, and charged to the socket by their true size.
 */
#ifndef SLUICE_LINUX_RECVBUF_H
#define SLUICE_LINUX_RECVBUF_H

#include <linux/rbtree.h>
#include <linux/skbuff.h>
#include <net/sock.h>

#include "urgent.h"

/* In skb->cb once the receive buffer has it; before, IP's own data are there. */
struct sluice_skb_cb {
	u32 position;		/* sequence number of the first byte that counts */
	u32 skip;		/* bytes of the skb before it, read ones too */
	u32 length;		/* bytes that count and are not read */
};

static inline struct sluice_skb_cb *sluice_skb_cb(struct sk_buff *skb)
{
	return (struct sluice_skb_cb *)skb->cb;
}

struct sluice_recvbuf {
	struct rb_root held;		/* beyond a gap, by position; never overlapping */
	u32 unread;			/* bytes on sk_receive_queue not read */
	u16 density;			/* payload bytes of 256 bytes of true size, running mean */
	struct sluice_urgent urgent;
};

/* All need the socket lock. */
/* share: percent of the buffer that a window may promise at first */
void sluice_recvbuf_init(struct sluice_recvbuf *b, u32 share);
void sluice_recvbuf_purge(struct sluice_recvbuf *b, struct sock *sk);
void sluice_recvbuf_purge_held(struct sluice_recvbuf *b);

/* True size that `payload` bytes will need, as the peer has been sending. */
static inline u64 sluice_recvbuf_truesize(const struct sluice_recvbuf *b, u32 payload)
{
	return ((u64)payload << 8) / b->density;
}

/*
 * Will the buffer hardly grow fuller than it is, however little that is? Then
 * nobody should wait for more. Needs no lock.
 */
bool sluice_recvbuf_cramped(struct sock *sk);

/* Takes `bytes` that were read, out of the head of the queue. */
void sluice_recvbuf_consume(struct sluice_recvbuf *b, struct sock *sk, struct sk_buff *skb,
			    u32 bytes);

#endif /* SLUICE_LINUX_RECVBUF_H */
