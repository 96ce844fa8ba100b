// SPDX-License-Identifier: GPL-2.0
/* Pages that the send buffer refers to, and their owners. */
#include <linux/uio.h>

#include "control.h"
#include "fixture.h"
#include "sendbuf.h"
#include "zerocopy.h"

#define PAGES 4
#define ENOUGH_FOR_ANOTHER_OWNER (1 << 19)	/* msg_zerocopy_realloc()'s limit of one */

struct pages {
	struct sock *sk;
	struct sluice_sock *s;
	struct page *page[PAGES];
};

static void put_pages(void *pages)
{
	struct pages *p = pages;
	unsigned int i;

	for (i = 0; i < PAGES; i++)
		__free_page(p->page[i]);
}

static struct pages *pages(struct kunit *test)
{
	struct pages *p = kunit_kzalloc(test, sizeof(*p), GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, p);
	for (i = 0; i < PAGES; i++) {
		p->page[i] = alloc_page(GFP_KERNEL | __GFP_NOFAIL);
		memset(page_address(p->page[i]), 'a' + i, PAGE_SIZE);
	}
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, put_pages, p), 0);
	p->sk = fixture_socket(test, sluice_family)->sk;
	p->s = sluice_sk(p->sk);
	p->sk->sk_sndbuf = 10000000;
	p->sk->sk_route_caps |= NETIF_F_SG;
	return p;
}

/* The bytes [start, start + length) of the pages that stand behind each other. */
static struct iov_iter bytes_of(struct pages *p, struct bio_vec *vec, u32 start, u32 length)
{
	struct iov_iter from;
	u32 left = length;
	unsigned int n = 0, i = start / PAGE_SIZE;

	for (start %= PAGE_SIZE; left; i++, n++, start = 0) {
		vec[n].bv_page = p->page[i];
		vec[n].bv_offset = start;
		vec[n].bv_len = min_t(u32, left, PAGE_SIZE - start);
		left -= vec[n].bv_len;
	}
	iov_iter_bvec(&from, ITER_SOURCE, vec, n, length);
	return from;
}

static void released_to(struct pages *p, u32 bytes)
{
	lock_sock(p->sk);
	sluice_sendbuf_release(&p->s->out, p->sk, bytes);
	sluice_zerocopy_release(p->s, p->s->out.base);
	release_sock(p->sk);
}

/* ---- the send buffer ----------------------------------------------------------------- */

static void appended_pages_are_referred_to(struct kunit *test)
{
	struct pages *p = pages(test);
	struct bio_vec vec[PAGES];
	struct iov_iter from = bytes_of(p, vec, 1000, 2 * PAGE_SIZE);
	struct sk_buff *skb = alloc_skb(100, GFP_KERNEL);
	int taken, left = 2 * PAGE_SIZE;

	KUNIT_ASSERT_NOT_NULL(test, skb);
	lock_sock(p->sk);
	while (left > 0) {
		taken = sluice_sendbuf_append_pages(&p->s->out, p->sk, &from, left);
		if (taken <= 0)
			break;
		left -= taken;
	}
	release_sock(p->sk);
	KUNIT_ASSERT_EQ(test, left, 0);
	KUNIT_EXPECT_EQ(test, iov_iter_count(&from), 0);
	KUNIT_EXPECT_EQ(test, page_count(p->page[0]), 2);
	KUNIT_EXPECT_EQ(test, p->sk->sk_wmem_queued, 2 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, sluice_sendbuf_attach(&p->s->out, skb, 0, 2 * PAGE_SIZE),
			2 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, skb_shinfo(skb)->nr_frags, 3);
	KUNIT_EXPECT_PTR_EQ(test, skb_frag_page(&skb_shinfo(skb)->frags[1]), p->page[1]);
	KUNIT_EXPECT_TRUE(test, skb_has_shared_frag(skb));
	kfree_skb(skb);
	released_to(p, 2 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, page_count(p->page[0]), 1);
	KUNIT_EXPECT_EQ(test, p->sk->sk_wmem_queued, 0);
}

static void bytes_behind_each_other_in_a_page_are_one_piece(struct kunit *test)
{
	struct pages *p = pages(test);
	struct bio_vec vec[PAGES];
	u32 at;

	lock_sock(p->sk);
	for (at = 0; at < 1000; at += 100) {
		struct iov_iter from = bytes_of(p, vec, at, 100);

		KUNIT_EXPECT_EQ(test, sluice_sendbuf_append_pages(&p->s->out, p->sk, &from, 100),
				100);
	}
	release_sock(p->sk);
	KUNIT_EXPECT_EQ(test, p->s->out.tail - p->s->out.head, 1);
	KUNIT_EXPECT_EQ(test, page_count(p->page[0]), 2);
	released_to(p, 1000);
	KUNIT_EXPECT_EQ(test, page_count(p->page[0]), 1);
}

/* The device may not read slab memory through a page. */
static void slab_memory_is_copied(struct kunit *test)
{
	struct pages *p = pages(test);
	u8 *memory = kunit_kzalloc(test, 512, GFP_KERNEL);
	struct bio_vec vec = { .bv_len = 512 };
	struct iov_iter from;

	KUNIT_ASSERT_NOT_NULL(test, memory);
	vec.bv_page = virt_to_page(memory);
	vec.bv_offset = offset_in_page(memory);
	iov_iter_bvec(&from, ITER_SOURCE, &vec, 1, 512);
	lock_sock(p->sk);
	KUNIT_EXPECT_EQ(test, sluice_sendbuf_append_pages(&p->s->out, p->sk, &from, 512), 512);
	release_sock(p->sk);
	KUNIT_EXPECT_PTR_NE(test, p->s->out.ring[p->s->out.head].page, virt_to_page(memory));
}

/* ---- owners ---------------------------------------------------------------------------- */

/* A send of `length` bytes with MSG_ZEROCOPY, that said it had `size`. */
static void send_owned(struct kunit *test, struct pages *p, u32 length, size_t size)
{
	struct msghdr msg = { .msg_flags = MSG_ZEROCOPY };
	struct sluice_zerocopy_send send;
	struct bio_vec vec[PAGES];
	struct iov_iter from = bytes_of(p, vec, 0, length);

	lock_sock(p->sk);
	KUNIT_ASSERT_EQ(test, sluice_zerocopy_begin(p->sk, &msg, size, false, &send), 0);
	KUNIT_ASSERT_EQ(test, send.way, SLUICE_SEND_TELLS);
	KUNIT_EXPECT_EQ(test, sluice_zerocopy_append(p->sk, &send, &from, length), length);
	sluice_zerocopy_end(&send, true);
	release_sock(p->sk);
}

static void send_copied(struct kunit *test, struct pages *p, u32 length)
{
	struct bio_vec vec[PAGES];
	struct iov_iter from = bytes_of(p, vec, 0, length);

	lock_sock(p->sk);
	KUNIT_EXPECT_EQ(test, sluice_sendbuf_append(&p->s->out, p->sk, &from, length), length);
	release_sock(p->sk);
}

static void an_skb_has_one_owner_at_most(struct kunit *test)
{
	struct pages *p = pages(test);

	sock_set_flag(p->sk, SOCK_ZEROCOPY);
	send_owned(test, p, 1000, 1000);
	send_copied(test, p, 500);
	send_owned(test, p, 1000, ENOUGH_FOR_ANOTHER_OWNER);
	KUNIT_EXPECT_EQ(test, sluice_zerocopy_limit(p->s, 0, 1000, 100), 1000);
	KUNIT_EXPECT_EQ(test, sluice_zerocopy_limit(p->s, 0, 1500, 100), 1500);
	KUNIT_EXPECT_EQ(test, sluice_zerocopy_limit(p->s, 0, 2500, 100), 1500);
	KUNIT_EXPECT_EQ(test, sluice_zerocopy_limit(p->s, 0, 2500, 400), 1200);
	KUNIT_EXPECT_EQ(test, sluice_zerocopy_limit(p->s, 1000, 1500, 400), 1500);
	KUNIT_EXPECT_EQ(test, sluice_zerocopy_limit(p->s, 950, 1000, 700), 0);
	released_to(p, 2500);
	KUNIT_EXPECT_TRUE(test, list_empty(&p->s->owned));
}

static void one_owner_of_many_sends_limits_nothing(struct kunit *test)
{
	struct pages *p = pages(test);

	sock_set_flag(p->sk, SOCK_ZEROCOPY);
	send_owned(test, p, 1000, 1000);
	send_copied(test, p, 10);
	send_owned(test, p, 1000, 1000);
	KUNIT_EXPECT_EQ(test, sluice_zerocopy_limit(p->s, 0, 2010, 100), 2010);
	released_to(p, 2010);
}

static u32 reports(struct pages *p)
{
	return skb_queue_len(&p->sk->sk_error_queue);
}

static void the_owner_is_told_when_neither_buffer_nor_packet_has_it(struct kunit *test)
{
	struct pages *p = pages(test);
	struct sk_buff *skb = alloc_skb(100, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, skb);
	sock_set_flag(p->sk, SOCK_ZEROCOPY);
	send_owned(test, p, 1000, 1000);
	lock_sock(p->sk);
	KUNIT_EXPECT_EQ(test, sluice_sendbuf_attach(&p->s->out, skb, 0, 1000), 1000);
	sluice_zerocopy_own(p->s, skb, 0, 1000);
	release_sock(p->sk);
	KUNIT_EXPECT_NOT_NULL(test, skb_zcopy(skb));
	released_to(p, 999);
	KUNIT_EXPECT_EQ(test, reports(p), 0);
	released_to(p, 1);
	KUNIT_EXPECT_TRUE(test, list_empty(&p->s->owned));
	KUNIT_EXPECT_EQ(test, reports(p), 0);
	kfree_skb(skb);
	KUNIT_EXPECT_EQ(test, reports(p), 1);
}

/* Of which the program is told, too. */
static void without_scatter_gather_bytes_are_copied(struct kunit *test)
{
	struct msghdr msg = { .msg_flags = MSG_ZEROCOPY };
	struct pages *p = pages(test);
	struct sluice_zerocopy_send send;

	sock_set_flag(p->sk, SOCK_ZEROCOPY);
	p->sk->sk_route_caps = 0;
	lock_sock(p->sk);
	KUNIT_ASSERT_EQ(test, sluice_zerocopy_begin(p->sk, &msg, 100, false, &send), 0);
	KUNIT_EXPECT_EQ(test, send.way, SLUICE_SEND_COPIES);
	sluice_zerocopy_end(&send, true);
	release_sock(p->sk);
	KUNIT_EXPECT_EQ(test, reports(p), 1);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(appended_pages_are_referred_to),
	KUNIT_CASE(bytes_behind_each_other_in_a_page_are_one_piece),
	KUNIT_CASE(slab_memory_is_copied),
	KUNIT_CASE(an_skb_has_one_owner_at_most),
	KUNIT_CASE(one_owner_of_many_sends_limits_nothing),
	KUNIT_CASE(the_owner_is_told_when_neither_buffer_nor_packet_has_it),
	KUNIT_CASE(without_scatter_gather_bytes_are_copied),
	{ }
};

static struct kunit_suite suite = {
	.name = "sluice_zerocopy",
	.test_cases = cases,
};

kunit_test_suite(suite);
