// SPDX-License-Identifier: GPL-2.0
/* The send buffer: a ring of page fragments (RFC 9293 3.8). */
#include <linux/slab.h>
#include <net/sock.h>

#include "compat.h"
#include "memory.h"
#include "sendbuf.h"
#include "sock.h"

void sluice_sendbuf_init(struct sluice_sendbuf *b)
{
	memset(b, 0, sizeof(*b));
	b->ring = b->inlined;
	b->mask = SLUICE_CHUNKS_INLINE - 1;
}

static struct sluice_chunk *chunk_at(struct sluice_sendbuf *b, u32 index)
{
	return &b->ring[index & b->mask];
}

/* Doubles the ring; indices stay what they are. */
static bool grow(struct sluice_sendbuf *b)
{
	u32 size = (b->mask + 1) * 2, i;
	struct sluice_chunk *ring = kmalloc_array(size, sizeof(*ring), GFP_ATOMIC | __GFP_NOWARN);

	if (!ring)
		return false;
	for (i = b->head; i != b->tail; i++)
		ring[i & (size - 1)] = *chunk_at(b, i);
	if (b->ring != b->inlined)
		kfree(b->ring);
	b->ring = ring;
	b->mask = size - 1;
	return true;
}

void sluice_sendbuf_purge(struct sluice_sendbuf *b, struct sock *sk)
{
	sluice_sendbuf_release(b, sk, sluice_sendbuf_length(b));
	if (b->ring != b->inlined)
		kfree(b->ring);
	sluice_sendbuf_init(b);
}

/* ---- in ------------------------------------------------------------------ */

static bool continues_last(struct sluice_sendbuf *b, const struct page *page, u32 offset)
{
	const struct sluice_chunk *last = chunk_at(b, b->tail - 1);

	return b->head != b->tail && last->page == page &&
	       last->offset + last->length == offset;
}

/* Room in the ring for one more. */
static bool room_for_chunk(struct sluice_sendbuf *b)
{
	return b->tail - b->head <= b->mask || grow(b);
}

/* Takes a reference to the page that the caller holds. */
static void add_chunk(struct sluice_sendbuf *b, struct page *page, u32 offset, u32 length,
		      bool shared)
{
	struct sluice_chunk *chunk = chunk_at(b, b->tail++);

	chunk->page = page;
	chunk->offset = offset;
	chunk->length = length;
	chunk->shared = shared;
}

static void account(struct sluice_sendbuf *b, struct sock *sk, u32 bytes)
{
	b->end += bytes;
	sk_wmem_queued_add(sk, bytes);
	sk_mem_charge(sk, bytes);
}

/*
 * Memory for the bytes, or for fewer of them. wmem_min of each socket's are taken
 * always: else those that hold all memory would silence the others.
 */
static bool reserve(struct sock *sk, u32 *bytes)
{
	s64 least = (s64)READ_ONCE(sluice_sk_net(sk)->config.wmem_min) - sk->sk_wmem_queued;

	if (likely(sk_wmem_schedule(sk, *bytes)))
		return true;
	if (least <= 0)
		return false;
	*bytes = min_t(s64, least, *bytes);
	sluice_memory_force(sk, *bytes);
	return true;
}

int sluice_sendbuf_append(struct sluice_sendbuf *b, struct sock *sk, struct iov_iter *from,
			  u32 limit)
{
	struct page_frag *frag = sk_page_frag(sk);
	u32 room, copied;
	bool fresh;

	if (!sk_page_frag_refill(sk, frag))
		return -ENOMEM;
	fresh = !continues_last(b, frag->page, frag->offset);
	if (fresh && !room_for_chunk(b))
		return -ENOMEM;

	room = min(limit, frag->size - frag->offset);
	if (!reserve(sk, &room))
		return -ENOMEM;
	copied = copy_from_iter(page_address(frag->page) + frag->offset, room, from);
	if (!copied)
		return -EFAULT;

	if (fresh) {
		get_page(frag->page);
		add_chunk(b, frag->page, frag->offset, copied, false);
	} else {
		chunk_at(b, b->tail - 1)->length += copied;
	}
	frag->offset += copied;
	account(b, sk, copied);
	return copied;
}

/* One page of what was asked for; its reference is the buffer's, or given back. */
static bool append_page(struct sluice_sendbuf *b, struct page *page, u32 offset, u32 length)
{
	if (continues_last(b, page, offset)) {
		chunk_at(b, b->tail - 1)->length += length;
		put_page(page);
		return true;
	}
	if (!room_for_chunk(b))
		return false;
	add_chunk(b, page, offset, length, true);
	return true;
}

#define PAGES_AT_ONCE 16

static bool all_sendable(struct page **pages, u32 count)
{
	u32 i;

	for (i = 0; i < count; i++)
		if (!sendpage_ok(pages[i]))
			return false;
	return true;
}

static void put_pages(struct page **pages, u32 count)
{
	while (count--)
		put_page(pages[count]);
}

int sluice_sendbuf_append_pages(struct sluice_sendbuf *b, struct sock *sk, struct iov_iter *from,
				u32 limit)
{
	struct page *pages[PAGES_AT_ONCE];
	u32 room = min_t(u32, limit, PAGES_AT_ONCE * PAGE_SIZE), left, count, i;
	ssize_t got;
	size_t start;

	if (!reserve(sk, &room))
		return -ENOMEM;
	got = iov_iter_get_pages2(from, pages, room, PAGES_AT_ONCE, &start);
	if (got <= 0)
		return -EFAULT;
	count = DIV_ROUND_UP(start + got, PAGE_SIZE);
	if (!all_sendable(pages, count)) {
		put_pages(pages, count);
		iov_iter_revert(from, got);
		return sluice_sendbuf_append(b, sk, from, limit);
	}
	for (i = 0, left = got; i < count; i++) {
		u32 part = min_t(u32, left, PAGE_SIZE - start);

		if (!append_page(b, pages[i], start, part))
			break;
		left -= part;
		start = 0;
	}
	put_pages(pages + i, count - i);
	iov_iter_revert(from, left);
	account(b, sk, got - left);
	return got - left ?: -ENOMEM;
}

/* ---- out ----------------------------------------------------------------- */

void sluice_sendbuf_release(struct sluice_sendbuf *b, struct sock *sk, u32 bytes)
{
	u32 left = bytes;

	if (!bytes)
		return;
	while (left) {
		struct sluice_chunk *chunk = chunk_at(b, b->head);

		if (chunk->length > left) {
			chunk->offset += left;
			chunk->length -= left;
			if (b->cursor == b->head)
				b->cursor_position += left;
			break;
		}
		left -= chunk->length;
		if (b->cursor == b->head) {
			b->cursor++;
			b->cursor_position += chunk->length;
		}
		put_page(chunk->page);
		b->head++;
	}
	b->base += bytes;
	sk_wmem_queued_add(sk, -(int)bytes);
	sk_mem_uncharge(sk, bytes);
}

/*
 * Moves the cursor to the chunk that holds stream position `position` and
 * returns that byte's place in it. New data begins where the last transmission
 * ended, so this rarely takes a step.
 */
static u32 seek(struct sluice_sendbuf *b, u32 position)
{
	if ((s32)(position - b->cursor_position) < 0) {
		b->cursor = b->head;
		b->cursor_position = b->base;
	}
	while (b->cursor != b->tail &&
	       position - b->cursor_position >= chunk_at(b, b->cursor)->length)
		b->cursor_position += chunk_at(b, b->cursor++)->length;
	return position - b->cursor_position;
}

u32 sluice_sendbuf_attach(struct sluice_sendbuf *b, struct sk_buff *skb, u32 offset, u32 length)
{
	u32 within = seek(b, b->base + offset), index = b->cursor, left = length;
	struct skb_shared_info *shinfo = skb_shinfo(skb);
	int n = shinfo->nr_frags;

	while (left && index != b->tail && n < MAX_SKB_FRAGS) {
		const struct sluice_chunk *chunk = chunk_at(b, index++);
		u32 piece = min(left, chunk->length - within);

		get_page(chunk->page);
		if (unlikely(chunk->shared))
			shinfo->flags |= SKBFL_SHARED_FRAG;
		__skb_fill_page_desc(skb, n++, chunk->page, chunk->offset + within, piece);
		left -= piece;
		within = 0;
	}
	shinfo->nr_frags = n;
	length -= left;
	skb->len += length;
	skb->data_len += length;
	skb->truesize += length;
	return length;
}

void sluice_sendbuf_copy(struct sluice_sendbuf *b, void *to, u32 offset, u32 length)
{
	u32 within = seek(b, b->base + offset), index = b->cursor;

	while (length && index != b->tail) {
		const struct sluice_chunk *chunk = chunk_at(b, index++);
		u32 piece = min(length, chunk->length - within);

		memcpy(to, page_address(chunk->page) + chunk->offset + within, piece);
		to += piece;
		length -= piece;
		within = 0;
	}
}
