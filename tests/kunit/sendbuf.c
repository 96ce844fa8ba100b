// SPDX-License-Identifier: GPL-2.0
/* The send buffer against a plain array of bytes, and its accounting. */
#include <linux/prandom.h>
#include <linux/uio.h>

#include "control.h"
#include "fixture.h"
#include "memory.h"
#include "sendbuf.h"

#define ROOM 200000

/* A socket's send buffer and the bytes that must be in it. */
struct model {
	struct sock *sk;
	struct sluice_sendbuf *b;
	u8 *bytes;
	u32 length;
	u8 *scratch;
	struct rnd_state random;
};

static struct model *model(struct kunit *test)
{
	struct model *m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, m);
	m->bytes = kunit_kzalloc(test, ROOM, GFP_KERNEL);
	m->scratch = kunit_kzalloc(test, ROOM, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, m->bytes);
	KUNIT_ASSERT_NOT_NULL(test, m->scratch);
	m->sk = fixture_socket(test, sluice_family)->sk;
	m->sk->sk_sndbuf = ROOM * 2;
	m->b = &sluice_sk(m->sk)->out;
	prandom_seed_state(&m->random, 20230913);
	return m;
}

static u32 below(struct model *m, u32 bound)
{
	return prandom_u32_state(&m->random) % bound;
}

/* Appends once; what append() says it took. */
static int append(struct model *m, u32 length)
{
	struct kvec part = { .iov_base = m->bytes + m->length, .iov_len = length };
	struct iov_iter from;
	int taken;

	prandom_bytes_state(&m->random, m->bytes + m->length, length);
	iov_iter_kvec(&from, ITER_SOURCE, &part, 1, length);
	lock_sock(m->sk);
	taken = sluice_sendbuf_append(m->b, m->sk, &from, length);
	release_sock(m->sk);
	if (taken > 0)
		m->length += taken;
	return taken;
}

static void append_all(struct kunit *test, struct model *m, u32 length)
{
	while (length) {
		int taken = append(m, length);

		KUNIT_ASSERT_GT(test, taken, 0);
		KUNIT_ASSERT_LE(test, taken, length);
		length -= taken;
	}
}

static void release(struct model *m, u32 bytes)
{
	lock_sock(m->sk);
	sluice_sendbuf_release(m->b, m->sk, bytes);
	release_sock(m->sk);
	m->length -= bytes;
	memmove(m->bytes, m->bytes + bytes, m->length);
}

/* Every byte that is kept is charged, and no other. */
static bool charged(const struct model *m)
{
	return sluice_sendbuf_length(m->b) == m->length && m->sk->sk_wmem_queued == m->length;
}

/* Makes [offset, offset + length) an skb and compares; bytes that fitted. */
static u32 attach(struct kunit *test, struct model *m, u32 offset, u32 length)
{
	struct sk_buff *skb = alloc_skb(100, GFP_KERNEL);
	u32 fitted;

	KUNIT_ASSERT_NOT_NULL(test, skb);
	fitted = sluice_sendbuf_attach(m->b, skb, offset, length);
	KUNIT_EXPECT_EQ(test, skb->len, fitted);
	KUNIT_EXPECT_EQ(test, skb->data_len, fitted);
	memset(m->scratch, 0, fitted);
	KUNIT_EXPECT_EQ(test, skb_copy_bits(skb, 0, m->scratch, fitted), 0);
	if (memcmp(m->scratch, m->bytes + offset, fitted))
		KUNIT_FAIL(test, "[%u, %u) of %u is wrong", offset, offset + length, m->length);
	kfree_skb(skb);
	return fitted;
}

static void copy(struct kunit *test, struct model *m, u32 offset, u32 length)
{
	m->scratch[length] = 0x5a;
	sluice_sendbuf_copy(m->b, m->scratch, offset, length);
	if (memcmp(m->scratch, m->bytes + offset, length))
		KUNIT_FAIL(test, "[%u, %u) of %u is wrong", offset, offset + length, m->length);
	KUNIT_EXPECT_EQ(test, m->scratch[length], 0x5a);
}

/* ---- cases ---------------------------------------------------------------------- */

static void a_new_buffer_is_empty(struct kunit *test)
{
	struct model *m = model(test);

	KUNIT_EXPECT_EQ(test, sluice_sendbuf_length(m->b), 0);
	KUNIT_EXPECT_TRUE(test, charged(m));
}

static void appending_takes_no_more_than_the_limit(struct kunit *test)
{
	struct kvec part = { .iov_base = "0123456789", .iov_len = 10 };
	struct model *m = model(test);
	struct iov_iter from;

	iov_iter_kvec(&from, ITER_SOURCE, &part, 1, 10);
	lock_sock(m->sk);
	KUNIT_EXPECT_EQ(test, sluice_sendbuf_append(m->b, m->sk, &from, 4), 4);
	release_sock(m->sk);
	KUNIT_EXPECT_EQ(test, iov_iter_count(&from), 6);
	KUNIT_EXPECT_EQ(test, sluice_sendbuf_length(m->b), 4);
	KUNIT_EXPECT_EQ(test, m->sk->sk_wmem_queued, 4);
}

static void unreadable_input_is_efault_and_charges_nothing(struct kunit *test)
{
	struct model *m = model(test);

	append_all(test, m, 100);
	KUNIT_EXPECT_EQ(test, append(m, 0), -EFAULT);
	KUNIT_EXPECT_TRUE(test, charged(m));
	KUNIT_EXPECT_EQ(test, attach(test, m, 0, 100), 100);
}

static void every_range_can_be_attached(struct kunit *test)
{
	struct model *m = model(test);
	u32 offset, length;

	append_all(test, m, 300);
	for (offset = 0; offset <= 300; offset += 7)
		for (length = 1; length <= 300 - offset; length += 11)
			KUNIT_EXPECT_EQ(test, attach(test, m, offset, length), length);
}

/* The cursor moves both ways: retransmissions go back. */
static void random_appends_releases_and_attaches_agree_with_the_model(struct kunit *test)
{
	struct model *m = model(test);
	unsigned int step;

	for (step = 0; step < 4000; step++) {
		u32 offset = below(m, m->length + 1);
		u32 length = below(m, min(m->length - offset, 60000) + 1);

		if (m->length < ROOM / 2 && below(m, 2))
			append(m, 1 + below(m, 9000));
		else if (below(m, 3) == 0)
			release(m, below(m, min(m->length, 20000) + 1));
		else if (below(m, 2))
			attach(test, m, offset, length);
		else
			copy(test, m, offset, length);
		if (!charged(m))
			break;
	}
	KUNIT_EXPECT_EQ(test, step, 4000);
}

static void positions_wrap(struct kunit *test)
{
	struct model *m = model(test);

	m->b->base = m->b->end = m->b->cursor_position = (u32)-50000;
	append_all(test, m, 100000);
	KUNIT_EXPECT_LT(test, m->b->end, m->b->base);
	attach(test, m, 99000, 1000);
	attach(test, m, 49000, 2000);
	release(m, 49500);
	attach(test, m, 0, 1000);
	attach(test, m, 50000, 400);
	copy(test, m, 0, 1000);
	release(m, 50500);
	KUNIT_EXPECT_TRUE(test, charged(m));
}

/* Two sockets that write in turn share pages, so neither has two pieces in a row. */
static struct model *in_pieces(struct kunit *test, u32 pieces, u32 size)
{
	struct model *m = model(test), *other = model(test);

	while (pieces--) {
		append_all(test, m, size);
		append_all(test, other, 1);
	}
	return m;
}

static void an_skb_gets_as_many_pieces_as_fit(struct kunit *test)
{
	struct model *m = in_pieces(test, 40, 100);

	KUNIT_EXPECT_EQ(test, attach(test, m, 0, 4000), MAX_SKB_FRAGS * 100);
	KUNIT_EXPECT_EQ(test, attach(test, m, 250, 3750), MAX_SKB_FRAGS * 100 - 50);
	copy(test, m, 0, 4000);
}

static void many_pieces_are_kept_and_released_one_by_one(struct kunit *test)
{
	struct model *m = in_pieces(test, 200, 13);

	while (m->length) {
		attach(test, m, m->length / 2, min(m->length / 2, 100));
		release(m, min(m->length, 9));
		KUNIT_ASSERT_TRUE(test, charged(m));
	}
	append_all(test, m, 10);
	KUNIT_EXPECT_EQ(test, attach(test, m, 0, 10), 10);
}

/* What an skb on its way refers to stays, whatever becomes of the buffer. */
static void attached_bytes_outlive_their_release(struct kunit *test)
{
	struct sk_buff *skb = alloc_skb(100, GFP_KERNEL);
	struct model *m = model(test);
	u8 *sent = kunit_kmalloc(test, 70000, GFP_KERNEL);

	append_all(test, m, 70000);
	memcpy(sent, m->bytes, 70000);
	KUNIT_EXPECT_EQ(test, sluice_sendbuf_attach(m->b, skb, 0, 70000), 70000);
	release(m, 70000);
	append_all(test, m, 70000);
	KUNIT_EXPECT_EQ(test, skb_copy_bits(skb, 0, m->scratch, 70000), 0);
	KUNIT_EXPECT_MEMEQ(test, m->scratch, sent, 70000);
	kfree_skb(skb);
}

static void purging_frees_and_uncharges_all(struct kunit *test)
{
	struct model *m = in_pieces(test, 50, 1000);

	lock_sock(m->sk);
	sluice_sendbuf_purge(m->b, m->sk);
	release_sock(m->sk);
	m->length = 0;
	KUNIT_EXPECT_TRUE(test, charged(m));
	KUNIT_EXPECT_TRUE(test, m->b->ring == m->b->inlined);
	append_all(test, m, 1000);
	KUNIT_EXPECT_EQ(test, attach(test, m, 0, 1000), 1000);
}

/* ---- memory.c -------------------------------------------------------------------- */

static void restore_limits(void *nothing)
{
	sluice_memory_follow_tcp();
	sluice_leave_memory_pressure(NULL);
}

static void allow_no_memory(struct kunit *test)
{
	/* Less than nothing: each CPU has a share that counts only when it is used up. */
	static const long less[3] = { -1, -1, -1 };

	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, restore_limits, NULL), 0);
	sluice_memory_limit(less);
}

/* Beyond what is reserved already. */
static void without_memory_appending_is_enomem(struct kunit *test)
{
	struct model *m = model(test);
	int taken = 1;
	u32 before;

	/* Otherwise the kernel makes the buffer smaller instead, and lets it be full. */
	m->sk->sk_userlocks |= SOCK_SNDBUF_LOCK;
	append_all(test, m, 1000);
	allow_no_memory(test);
	while (taken > 0 && m->length < ROOM / 2)
		taken = append(m, 4096);
	KUNIT_EXPECT_EQ(test, taken, -ENOMEM);
	KUNIT_EXPECT_GE(test, m->length, 1000);
	before = m->length;
	KUNIT_EXPECT_EQ(test, append(m, 4096), -ENOMEM);
	KUNIT_EXPECT_EQ(test, m->length, before);
	KUNIT_EXPECT_TRUE(test, charged(m));
	attach(test, m, 0, m->length);
}

/* tcp_wmem's first number */
static void without_memory_each_socket_has_its_minimum(struct kunit *test)
{
	struct model *m = model(test);

	m->sk->sk_userlocks |= SOCK_SNDBUF_LOCK;
	fixture_set(test, "wmem_min", 20000);
	allow_no_memory(test);
	while (m->length < ROOM / 2 && append(m, 1000) > 0)
		;
	KUNIT_EXPECT_GE(test, m->length, 20000);
	KUNIT_EXPECT_LT(test, m->length, 20000 + 2 * PAGE_SIZE);
	KUNIT_EXPECT_TRUE(test, charged(m));
}

static void pressure_begins_once_is_counted_and_ends(struct kunit *test)
{
	u64 before = fixture_count(SLUICE_CNT_memory_pressure);
	struct model *m = model(test);

	KUNIT_EXPECT_EQ(test, sluice_memory_pressure, 0);
	sluice_enter_memory_pressure(m->sk);
	sluice_enter_memory_pressure(m->sk);
	KUNIT_EXPECT_NE(test, sluice_memory_pressure, 0);
	KUNIT_EXPECT_EQ(test, fixture_count(SLUICE_CNT_memory_pressure) - before, 1);
	sluice_leave_memory_pressure(m->sk);
	KUNIT_EXPECT_EQ(test, sluice_memory_pressure, 0);
}

static void memory_of_the_core_is_charged_until_freed(struct kunit *test)
{
	struct sock *sk = fixture_socket(test, sluice_family)->sk;
	struct sluice_conn *c = &sluice_sk(sk)->conn;
	int free = sk->sk_forward_alloc;
	u8 *memory;

	lock_sock(sk);
	memory = sluice_host_resize(c, NULL, 0, 1000);
	KUNIT_EXPECT_NOT_NULL(test, memory);
	memset(memory, 0x77, 1000);
	memory = sluice_host_resize(c, memory, 1000, 5000);
	KUNIT_EXPECT_NOT_NULL(test, memory);
	KUNIT_EXPECT_PTR_EQ(test, memchr_inv(memory, 0x77, 1000), NULL);
	KUNIT_EXPECT_EQ(test, (sk->sk_forward_alloc + 5000 - free) % PAGE_SIZE, 0);
	KUNIT_EXPECT_PTR_EQ(test, sluice_host_resize(c, memory, 5000, 0), NULL);
	KUNIT_EXPECT_EQ(test, (sk->sk_forward_alloc - free) % PAGE_SIZE, 0);
	release_sock(sk);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(a_new_buffer_is_empty),
	KUNIT_CASE(appending_takes_no_more_than_the_limit),
	KUNIT_CASE(unreadable_input_is_efault_and_charges_nothing),
	KUNIT_CASE(every_range_can_be_attached),
	KUNIT_CASE(random_appends_releases_and_attaches_agree_with_the_model),
	KUNIT_CASE(positions_wrap),
	KUNIT_CASE(an_skb_gets_as_many_pieces_as_fit),
	KUNIT_CASE(many_pieces_are_kept_and_released_one_by_one),
	KUNIT_CASE(attached_bytes_outlive_their_release),
	KUNIT_CASE(purging_frees_and_uncharges_all),
	KUNIT_CASE(without_memory_appending_is_enomem),
	KUNIT_CASE(without_memory_each_socket_has_its_minimum),
	KUNIT_CASE(pressure_begins_once_is_counted_and_ends),
	KUNIT_CASE(memory_of_the_core_is_charged_until_freed),
	{ }
};

static struct kunit_suite suite = {
	.name = "sluice_sendbuf",
	.test_cases = cases,
};

kunit_test_suite(suite);
