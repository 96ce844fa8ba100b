// SPDX-License-Identifier: GPL-2.0
/* The receive buffer: bytes in order and held, and what they are charged. */
#include <linux/prandom.h>

#include "control.h"
#include "fixture.h"
#include "memory.h"
#include "recvbuf.h"

#define HEADER 32
#define FIRST 0xfffff000u	/* positions wrap after a page */

static struct sluice_sock *socket(struct kunit *test)
{
	return sluice_sk(fixture_socket(test, sluice_family)->sk);
}

static u8 byte_at(u32 position)
{
	return position * 2654435761u >> 21;
}

/* A segment whose payload is the stream's bytes [position, position + length). */
static struct sluice_segment segment(struct kunit *test, u32 position, u32 length)
{
	struct sk_buff *skb = alloc_skb(HEADER + length, GFP_KERNEL);
	u32 i;

	KUNIT_ASSERT_NOT_NULL(test, skb);
	memset(skb_put(skb, HEADER), 0xee, HEADER);
	for (i = 0; i < length; i++)
		*(u8 *)skb_put(skb, 1) = byte_at(position + i);
	return (struct sluice_segment) {
		.payload = skb, .seq = position, .length = length, .header_length = HEADER,
	};
}

static void drop(struct sluice_segment *seg)
{
	kfree_skb(seg->payload);
}

static bool deliver(struct sluice_sock *s, struct sluice_segment *seg, u32 skip, u32 length,
		    bool in_order)
{
	bool kept;

	lock_sock(&s->inet.sk);
	kept = sluice_host_deliver(&s->conn, seg, skip, length, seg->seq + skip, in_order);
	release_sock(&s->inet.sk);
	return kept;
}

/* A whole segment, that must be kept. */
static void arrive(struct kunit *test, struct sluice_sock *s, u32 position, u32 length,
		   bool in_order)
{
	struct sluice_segment seg = segment(test, position, length);

	KUNIT_EXPECT_TRUE(test, deliver(s, &seg, 0, length, in_order));
	KUNIT_EXPECT_PTR_EQ(test, seg.payload, NULL);
	drop(&seg);
}

static void join(struct sluice_sock *s, u32 up_to)
{
	lock_sock(&s->inet.sk);
	sluice_host_join(&s->conn, up_to);
	release_sock(&s->inet.sk);
}

/* Reads up to `most` bytes as recvmsg() does and compares; bytes read. */
static u32 read_some(struct kunit *test, struct sluice_sock *s, u32 position, u32 most)
{
	struct sock *sk = &s->inet.sk;
	struct sk_buff *skb;
	u32 i, n = 0;
	u8 bytes[256];

	lock_sock(sk);
	while (most && (skb = skb_peek(&sk->sk_receive_queue))) {
		struct sluice_skb_cb *cb = sluice_skb_cb(skb);
		u32 piece = min3(most, cb->length, (u32)sizeof(bytes));

		KUNIT_EXPECT_EQ(test, cb->position, position + n);
		KUNIT_EXPECT_EQ(test, skb_copy_bits(skb, cb->skip, bytes, piece), 0);
		for (i = 0; i < piece && bytes[i] == byte_at(position + n + i); i++)
			;
		KUNIT_EXPECT_EQ(test, i, piece);
		sluice_recvbuf_consume(&s->in, sk, skb, piece);
		n += piece;
		most -= piece;
	}
	release_sock(sk);
	return n;
}

/* True sizes of all skbs, on the queue and held. */
static u32 true_size(const struct sluice_sock *s)
{
	struct rb_node *node;
	struct sk_buff *skb;
	u32 sum = 0;

	skb_queue_walk(&s->inet.sk.sk_receive_queue, skb)
		sum += skb->truesize;
	for (node = rb_first(&s->in.held); node; node = rb_next(node))
		sum += rb_to_skb(node)->truesize;
	return sum;
}

static u32 charge(const struct sluice_sock *s)
{
	return atomic_read(&s->inet.sk.sk_rmem_alloc);
}

/* ---- in order ------------------------------------------------------------------ */

static void bytes_in_order_are_readable_at_once(struct kunit *test)
{
	struct sluice_sock *s = socket(test);

	arrive(test, s, FIRST, 1000, true);
	KUNIT_EXPECT_EQ(test, s->in.unread, 1000);
	arrive(test, s, FIRST + 1000, 5000, true);
	KUNIT_EXPECT_EQ(test, s->in.unread, 6000);
	KUNIT_EXPECT_EQ(test, charge(s), true_size(s));
	KUNIT_EXPECT_EQ(test, read_some(test, s, FIRST, 10000), 6000);
}

static void reading_a_part_leaves_the_rest(struct kunit *test)
{
	struct sluice_sock *s = socket(test);

	arrive(test, s, FIRST, 3000, true);
	KUNIT_EXPECT_EQ(test, read_some(test, s, FIRST, 1), 1);
	KUNIT_EXPECT_EQ(test, s->in.unread, 2999);
	KUNIT_EXPECT_EQ(test, read_some(test, s, FIRST + 1, 2998), 2998);
	KUNIT_EXPECT_EQ(test, s->in.unread, 1);
	KUNIT_EXPECT_GT(test, charge(s), 0);
	KUNIT_EXPECT_EQ(test, read_some(test, s, FIRST + 2999, 100), 1);
	KUNIT_EXPECT_EQ(test, s->in.unread, 0);
	KUNIT_EXPECT_EQ(test, charge(s), 0);
}

/* What came before is cut off the front, what is too much off the end. */
static void a_part_of_a_segment_is_kept_by_itself(struct kunit *test)
{
	struct sluice_segment seg = segment(test, FIRST, 100);
	struct sluice_sock *s = socket(test);

	KUNIT_EXPECT_TRUE(test, deliver(s, &seg, 30, 50, true));
	KUNIT_EXPECT_NOT_NULL(test, seg.payload);
	drop(&seg);
	KUNIT_EXPECT_EQ(test, s->in.unread, 50);
	KUNIT_EXPECT_EQ(test, charge(s), true_size(s));
	KUNIT_EXPECT_EQ(test, read_some(test, s, FIRST + 30, 100), 50);
	KUNIT_EXPECT_EQ(test, charge(s), 0);
}

static void trimmed_segments_are_read_as_one_stream(struct kunit *test)
{
	struct sluice_sock *s = socket(test);
	u32 i;

	for (i = 0; i < 20; i++) {
		struct sluice_segment seg = segment(test, FIRST + i * 50, 100);

		KUNIT_EXPECT_TRUE(test, deliver(s, &seg, i ? 50 : 0, i ? 50 : 100, true));
		drop(&seg);
	}
	KUNIT_EXPECT_EQ(test, read_some(test, s, FIRST, 5000), 1050);
	KUNIT_EXPECT_EQ(test, charge(s), 0);
}

/* What the segment had beyond its part must not come between. */
static void a_cut_end_does_not_show_when_the_stream_goes_on(struct kunit *test)
{
	struct sluice_sock *s = socket(test);
	u32 i, start = FIRST;

	for (i = 0; i < 20; i++, start += 40) {
		struct sluice_segment seg = segment(test, start, 100);
		struct sk_buff *skb = seg.payload;

		memset(skb->data + HEADER + 20, 0xdd, 80);
		KUNIT_EXPECT_TRUE(test, deliver(s, &seg, 0, 20, true));
		drop(&seg);
		arrive(test, s, start + 20, 20, true);
	}
	KUNIT_EXPECT_EQ(test, read_some(test, s, FIRST, 5000), 800);
	KUNIT_EXPECT_EQ(test, charge(s), 0);
}

/* ---- held ---------------------------------------------------------------------- */

static void held_bytes_are_readable_only_when_joined(struct kunit *test)
{
	struct sluice_sock *s = socket(test);

	arrive(test, s, FIRST + 2000, 1000, false);
	KUNIT_EXPECT_EQ(test, s->in.unread, 0);
	KUNIT_EXPECT_EQ(test, read_some(test, s, FIRST, 10), 0);
	KUNIT_EXPECT_EQ(test, charge(s), true_size(s));
	arrive(test, s, FIRST, 2000, true);
	join(s, FIRST + 3000);
	KUNIT_EXPECT_EQ(test, s->in.unread, 3000);
	KUNIT_EXPECT_EQ(test, read_some(test, s, FIRST, 5000), 3000);
	KUNIT_EXPECT_EQ(test, charge(s), 0);
}

static void joining_stops_at_the_next_gap(struct kunit *test)
{
	struct sluice_sock *s = socket(test);

	arrive(test, s, FIRST + 3000, 500, false);
	arrive(test, s, FIRST + 1000, 1000, false);
	arrive(test, s, FIRST, 1000, true);
	join(s, FIRST + 2000);
	KUNIT_EXPECT_EQ(test, s->in.unread, 2000);
	KUNIT_EXPECT_FALSE(test, RB_EMPTY_ROOT(&s->in.held));
	KUNIT_EXPECT_EQ(test, read_some(test, s, FIRST, 5000), 2000);
}

static void dropping_held_bytes_keeps_the_readable_ones(struct kunit *test)
{
	struct sluice_sock *s = socket(test);

	arrive(test, s, FIRST, 100, true);
	arrive(test, s, FIRST + 5000, 100, false);
	arrive(test, s, FIRST + 6000, 100, false);
	lock_sock(&s->inet.sk);
	sluice_host_drop_held(&s->conn);
	release_sock(&s->inet.sk);
	KUNIT_EXPECT_TRUE(test, RB_EMPTY_ROOT(&s->in.held));
	KUNIT_EXPECT_EQ(test, charge(s), true_size(s));
	KUNIT_EXPECT_EQ(test, read_some(test, s, FIRST, 5000), 100);
	KUNIT_EXPECT_EQ(test, charge(s), 0);
}

#define PIECES 400

static void shuffle(struct rnd_state *random, u16 *order)
{
	u32 i, other;

	for (i = 0; i < PIECES; i++)
		order[i] = i;
	for (i = PIECES - 1; i; i--) {
		other = prandom_u32_state(random) % (i + 1);
		swap(order[i], order[other]);
	}
}

/* Pieces of a stream in any order: in order what continues it, else held and joined. */
static void pieces_in_any_order_are_read_in_sequence(struct kunit *test)
{
	u16 *order = kunit_kcalloc(test, PIECES, sizeof(*order), GFP_KERNEL);
	u32 *start = kunit_kcalloc(test, PIECES + 1, sizeof(*start), GFP_KERNEL);
	bool *here = kunit_kcalloc(test, PIECES + 1, sizeof(*here), GFP_KERNEL);
	struct sluice_sock *s = socket(test);
	u32 i, next = 0, read = FIRST;
	struct rnd_state random;

	prandom_seed_state(&random, 9293);
	shuffle(&random, order);
	s->inet.sk.sk_rcvbuf = 16 << 20;
	for (start[0] = FIRST, i = 0; i < PIECES; i++)
		start[i + 1] = start[i] + 1 + prandom_u32_state(&random) % 1500;
	for (i = 0; i < PIECES; i++) {
		u32 p = order[i];

		arrive(test, s, start[p], start[p + 1] - start[p], p == next);
		here[p] = true;
		if (p == next) {
			while (here[next])
				next++;
			join(s, start[next]);
		}
		KUNIT_ASSERT_EQ(test, read + s->in.unread, start[next]);
		read += read_some(test, s, read, prandom_u32_state(&random) % 3000);
	}
	read += read_some(test, s, read, UINT_MAX);
	KUNIT_EXPECT_EQ(test, read, start[PIECES]);
	KUNIT_EXPECT_EQ(test, charge(s), 0);
}

/* ---- room ---------------------------------------------------------------------- */

static u32 space(struct sluice_sock *s, u32 *full)
{
	u32 free;

	lock_sock(&s->inet.sk);
	free = sluice_host_receive_space(&s->conn, full);
	release_sock(&s->inet.sk);
	return free;
}

static void space_shrinks_by_what_is_kept_and_comes_back(struct kunit *test)
{
	struct sluice_sock *s = socket(test);
	u32 full, empty = space(s, &full), now;

	KUNIT_EXPECT_EQ(test, empty, full);
	arrive(test, s, FIRST, 100, true);	/* too small to teach it anything */
	now = space(s, &full);
	KUNIT_EXPECT_LT(test, now, empty - 100);
	arrive(test, s, FIRST + 1000, 100, false);
	KUNIT_EXPECT_LT(test, space(s, &full), now);
	lock_sock(&s->inet.sk);
	sluice_recvbuf_purge(&s->in, &s->inet.sk);
	release_sock(&s->inet.sk);
	KUNIT_EXPECT_EQ(test, space(s, &full), empty);
	KUNIT_EXPECT_EQ(test, s->in.unread, 0);
}

static void a_full_buffer_has_no_space_and_takes_nothing(struct kunit *test)
{
	struct sluice_segment seg = segment(test, FIRST + 40000, 100);
	struct sluice_sock *s = socket(test);
	void *payload = seg.payload;
	u32 full, before;

	s->inet.sk.sk_rcvbuf = 8192;
	arrive(test, s, FIRST, 40000, true);	/* begun below the limit */
	KUNIT_EXPECT_EQ(test, space(s, &full), 0);
	before = charge(s);
	KUNIT_EXPECT_FALSE(test, deliver(s, &seg, 0, 100, true));
	KUNIT_EXPECT_PTR_EQ(test, seg.payload, payload);
	KUNIT_EXPECT_FALSE(test, deliver(s, &seg, 10, 50, true));
	KUNIT_EXPECT_PTR_EQ(test, seg.payload, payload);
	KUNIT_EXPECT_EQ(test, charge(s), before);
	KUNIT_EXPECT_EQ(test, s->in.unread, 40000);
	KUNIT_EXPECT_FALSE(test, s->drop_held);
	drop(&seg);
}

static void held_bytes_make_way_for_readable_ones(struct kunit *test)
{
	struct sluice_segment seg = segment(test, FIRST, 100);
	struct sluice_sock *s = socket(test);

	s->inet.sk.sk_rcvbuf = 8192;
	arrive(test, s, FIRST + 1000, 40000, false);
	KUNIT_EXPECT_FALSE(test, deliver(s, &seg, 0, 100, false));
	KUNIT_EXPECT_FALSE(test, s->drop_held);
	KUNIT_EXPECT_FALSE(test, deliver(s, &seg, 0, 100, true));
	KUNIT_EXPECT_TRUE(test, s->drop_held);
	drop(&seg);
}

/* A window of n bytes is a promise, even if they come one by one. */
static void what_the_window_promised_fits_in_single_bytes(struct kunit *test)
{
	struct sluice_sock *s = socket(test);
	u32 full, i, refused = 0, promised;

	s->inet.sk.sk_rcvbuf = 32768;
	promised = space(s, &full);
	KUNIT_EXPECT_GE(test, promised, 8192);
	for (i = 0; i < promised; i++) {
		struct sluice_segment seg = segment(test, FIRST + i, 1);

		refused += !deliver(s, &seg, 0, 1, true);
		drop(&seg);
	}
	KUNIT_EXPECT_EQ(test, refused, 0);
	KUNIT_EXPECT_EQ(test, charge(s), true_size(s));
	KUNIT_EXPECT_EQ(test, read_some(test, s, FIRST, UINT_MAX), promised);
	KUNIT_EXPECT_EQ(test, charge(s), 0);
}

/* What comes while no socket may have any more, until some is refused. */
static u32 kept_without_memory(struct kunit *test)
{
	static const long none[3] = { LONG_MIN, LONG_MIN, LONG_MIN };
	struct sluice_sock *s = socket(test);
	u32 position = FIRST;
	bool kept = true;

	sluice_memory_limit(none);
	while (kept && charge(s) < s->inet.sk.sk_rcvbuf) {
		struct sluice_segment seg = segment(test, position, 100);

		kept = deliver(s, &seg, 0, 100, true);
		drop(&seg);
		position += 100;
	}
	sluice_memory_follow_tcp();
	sluice_leave_memory_pressure(NULL);
	return charge(s);
}

static void without_memory_each_socket_has_its_minimum(struct kunit *test)
{
	u32 kept;

	fixture_set(test, "rmem_min", 10000);
	kept = kept_without_memory(test);
	KUNIT_EXPECT_GE(test, kept, 10000);
	KUNIT_EXPECT_LT(test, kept, 10000 + 2 * PAGE_SIZE);
	fixture_set(test, "rmem_min", 40000);
	kept = kept_without_memory(test);
	KUNIT_EXPECT_GE(test, kept, 40000);
	KUNIT_EXPECT_LT(test, kept, 40000 + 2 * PAGE_SIZE);
}

static void autotuning_grows_the_buffer_to_its_maximum_only(struct kunit *test)
{
	struct sluice_sock *s = socket(test);
	struct sock *sk = &s->inet.sk;
	u64 most = fixture_net()->config.rmem_max;
	u32 full;

	lock_sock(sk);
	sluice_host_want_receive_buffer(&s->conn, 200000);
	sluice_host_receive_space(&s->conn, &full);
	KUNIT_EXPECT_GE(test, full, 199000);
	sluice_host_want_receive_buffer(&s->conn, 1000);	/* never less */
	KUNIT_EXPECT_GT(test, sk->sk_rcvbuf, 200000);
	sluice_host_want_receive_buffer(&s->conn, UINT_MAX);
	KUNIT_EXPECT_EQ(test, sk->sk_rcvbuf, most);
	sluice_host_want_send_buffer(&s->conn, UINT_MAX);
	KUNIT_EXPECT_EQ(test, sk->sk_sndbuf, fixture_net()->config.wmem_max);
	release_sock(sk);
}

static void buffers_that_the_user_set_are_left_alone(struct kunit *test)
{
	struct sluice_sock *s = socket(test);
	struct sock *sk = &s->inet.sk;

	sk->sk_userlocks |= SOCK_RCVBUF_LOCK | SOCK_SNDBUF_LOCK;
	sk->sk_rcvbuf = sk->sk_sndbuf = 10000;
	lock_sock(sk);
	sluice_host_want_receive_buffer(&s->conn, 200000);
	sluice_host_want_send_buffer(&s->conn, 200000);
	release_sock(sk);
	KUNIT_EXPECT_EQ(test, sk->sk_rcvbuf, 10000);
	KUNIT_EXPECT_EQ(test, sk->sk_sndbuf, 10000);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(bytes_in_order_are_readable_at_once),
	KUNIT_CASE(reading_a_part_leaves_the_rest),
	KUNIT_CASE(a_part_of_a_segment_is_kept_by_itself),
	KUNIT_CASE(trimmed_segments_are_read_as_one_stream),
	KUNIT_CASE(a_cut_end_does_not_show_when_the_stream_goes_on),
	KUNIT_CASE(held_bytes_are_readable_only_when_joined),
	KUNIT_CASE(joining_stops_at_the_next_gap),
	KUNIT_CASE(dropping_held_bytes_keeps_the_readable_ones),
	KUNIT_CASE(pieces_in_any_order_are_read_in_sequence),
	KUNIT_CASE(space_shrinks_by_what_is_kept_and_comes_back),
	KUNIT_CASE(a_full_buffer_has_no_space_and_takes_nothing),
	KUNIT_CASE(held_bytes_make_way_for_readable_ones),
	KUNIT_CASE(what_the_window_promised_fits_in_single_bytes),
	KUNIT_CASE(without_memory_each_socket_has_its_minimum),
	KUNIT_CASE(autotuning_grows_the_buffer_to_its_maximum_only),
	KUNIT_CASE(buffers_that_the_user_set_are_left_alone),
	{ }
};

static struct kunit_suite suite = {
	.name = "sluice_recvbuf",
	.test_cases = cases,
};

kunit_test_suite(suite);
