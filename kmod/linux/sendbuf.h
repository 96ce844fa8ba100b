/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The send buffer (RFC 9293 3.8, SND.BUF of 3.7.4): the bytes written and not
 * yet acknowledged, as a ring of references to page fragments. A transmission
 * is an skb whose fragments refer to the same pages, so that nothing is copied
 * between the application's write and the device, retransmissions included.
 *
 *	release()                      transmit(offset, length)      append()
 *	   |                                |                           |
 *	   v                                v                           v
 *	[ chunk head | ... | chunk cursor | ... | chunk tail-1 ]
 *
 * Positions are counted from the connection's first byte and wrap at 2^32.
 */
#ifndef SLUICE_LINUX_SENDBUF_H
#define SLUICE_LINUX_SENDBUF_H

#include <linux/skbuff.h>
#include <linux/uio.h>
#include <net/sock.h>

struct sluice_chunk {
	struct page *page;		/* a reference is held */
	u32 offset;			/* bytes */
	u32 length : 31;		/* bytes */
	u32 shared : 1;			/* somebody else may write to the page */
};

#define SLUICE_CHUNKS_INLINE 2

struct sluice_sendbuf {
	struct sluice_chunk *ring;	/* `inlined`, or from the heap */
	u32 mask;			/* chunks in the ring less one; a power of two less one */
	u32 head, tail;			/* chunks [head, tail), modulo the ring */
	u32 base;			/* position of the oldest byte */
	u32 end;			/* position behind the newest byte */
	u32 cursor;			/* a chunk in [head, tail], and ... */
	u32 cursor_position;		/* ... the position of its first byte */
	struct sluice_chunk inlined[SLUICE_CHUNKS_INLINE];
};

/* All need the socket lock. */
void sluice_sendbuf_init(struct sluice_sendbuf *b);
/* Frees everything and uncharges it from the socket. */
void sluice_sendbuf_purge(struct sluice_sendbuf *b, struct sock *sk);

static inline u32 sluice_sendbuf_length(const struct sluice_sendbuf *b)
{
	return b->end - b->base;
}

/*
 * Copies up to `limit` bytes of `from` behind the newest byte, as far as the
 * current page fragment goes. Returns bytes copied (> 0), -ENOMEM (wait for
 * memory), -EFAULT.
 */
int sluice_sendbuf_append(struct sluice_sendbuf *b, struct sock *sk, struct iov_iter *from,
			  u32 limit);
/*
 * The same, but refers to the pages behind `from` (of user memory, or a bvec);
 * what the device must not read from where it is, is copied.
 */
int sluice_sendbuf_append_pages(struct sluice_sendbuf *b, struct sock *sk, struct iov_iter *from,
				u32 limit);
/* Drops the oldest `bytes`. */
void sluice_sendbuf_release(struct sluice_sendbuf *b, struct sock *sk, u32 bytes);
/*
 * Makes the stream bytes [offset, offset + length), counted from the oldest
 * byte, fragments of `skb`, as many as fit. Returns the bytes that fitted.
 */
u32 sluice_sendbuf_attach(struct sluice_sendbuf *b, struct sk_buff *skb, u32 offset, u32 length);
/* Copies them to `to` instead. */
void sluice_sendbuf_copy(struct sluice_sendbuf *b, void *to, u32 offset, u32 length);

#endif /* SLUICE_LINUX_SENDBUF_H */
