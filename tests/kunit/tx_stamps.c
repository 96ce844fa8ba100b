// SPDX-License-Identifier: GPL-2.0
/* Marks of SO_TIMESTAMPING in the send buffer. */
#include <linux/errqueue.h>
#include <linux/net_tstamp.h>

#include "fixture.h"
#include "tx_stamps.h"

#define FIRST 7000	/* sequence number of position 0 */

static struct sluice_sock *marked_sock(struct kunit *test)
{
	return sluice_sk(fixture_socket(test, AF_SLUICE)->sk);
}

/* The last `unsent` bytes before `end` can't go yet. */
static void mark_waiting(struct sluice_sock *s, u32 flags, u32 begin, u32 end, u32 unsent)
{
	lock_sock(&s->inet.sk);
	sluice_tx_stamps_mark(&s->inet.sk, flags, begin, end, unsent);
	release_sock(&s->inet.sk);
}

static void mark(struct sluice_sock *s, u32 flags, u32 begin, u32 end)
{
	mark_waiting(s, flags, begin, end, end - begin);
}

/* The stream position that a packet of these bytes is to be stamped for; -1: none. */
static s64 stamped(struct kunit *test, struct sluice_sock *s, u32 position, u32 length)
{
	struct sk_buff *skb = alloc_skb(sizeof(struct tcphdr), GFP_KERNEL);
	s64 answer = -1;

	KUNIT_ASSERT_NOT_NULL(test, skb);
	skb_reset_transport_header(skb);
	skb_put_zero(skb, sizeof(struct tcphdr));
	tcp_hdr(skb)->seq = htonl(FIRST + position);
	lock_sock(&s->inet.sk);
	sluice_tx_stamps_apply(s, skb, position, length);
	release_sock(&s->inet.sk);
	if (skb_shinfo(skb)->tx_flags & SKBTX_SW_TSTAMP)
		answer = skb_shinfo(skb)->tskey - FIRST;
	kfree_skb(skb);
	return answer;
}

static void acknowledge(struct sluice_sock *s, u32 bytes)
{
	u32 base = s->out.base;

	lock_sock(&s->inet.sk);
	s->out.base = bytes;	/* of a buffer that is empty: put back at once */
	sluice_tx_stamps_acked(s);
	s->out.base = base;
	release_sock(&s->inet.sk);
}

static void the_last_mark_of_a_packet_counts(struct kunit *test)
{
	struct sluice_sock *s = marked_sock(test);

	mark(s, SOF_TIMESTAMPING_TX_SOFTWARE, 0, 100);
	mark(s, SOF_TIMESTAMPING_TX_SOFTWARE, 100, 200);
	mark(s, SOF_TIMESTAMPING_TX_SOFTWARE, 200, 5000);
	KUNIT_EXPECT_EQ(test, stamped(test, s, 0, 99), -1);
	KUNIT_EXPECT_EQ(test, stamped(test, s, 0, 100), 99);
	KUNIT_EXPECT_EQ(test, stamped(test, s, 0, 1000), 199);
	KUNIT_EXPECT_EQ(test, stamped(test, s, 199, 1), 199);
	KUNIT_EXPECT_EQ(test, stamped(test, s, 200, 4799), -1);
	KUNIT_EXPECT_EQ(test, stamped(test, s, 200, 4800), 4999);
	KUNIT_EXPECT_EQ(test, stamped(test, s, 5000, 5000), -1);
}

static void positions_wrap(struct kunit *test)
{
	struct sluice_sock *s = marked_sock(test);

	mark(s, SOF_TIMESTAMPING_TX_SOFTWARE, 0xfffffff0, 16);
	KUNIT_EXPECT_EQ(test, stamped(test, s, 0xfffffff8, 100), 15);
	KUNIT_EXPECT_EQ(test, stamped(test, s, 0xfffffff8, 23), -1);
}

static void acknowledged_marks_go(struct kunit *test)
{
	struct sluice_sock *s = marked_sock(test);

	mark(s, SOF_TIMESTAMPING_TX_SOFTWARE, 0, 100);
	mark(s, SOF_TIMESTAMPING_TX_SOFTWARE, 100, 200);
	acknowledge(s, 99);
	KUNIT_EXPECT_EQ(test, stamped(test, s, 0, 100), 99);
	acknowledge(s, 100);
	KUNIT_EXPECT_EQ(test, stamped(test, s, 0, 100), -1);
	KUNIT_EXPECT_EQ(test, stamped(test, s, 0, 200), 199);
	acknowledge(s, 200);
	KUNIT_EXPECT_EQ(test, stamped(test, s, 0, 200), -1);
	KUNIT_EXPECT_EQ(test, skb_queue_len(&s->inet.sk.sk_error_queue), 0);
}

static void an_acknowledgment_is_told_of_who_asked(struct kunit *test)
{
	struct sluice_sock *s = marked_sock(test);
	struct sk_buff_head *queue = &s->inet.sk.sk_error_queue;

	s->inet.sk.sk_tsflags = SOF_TIMESTAMPING_OPT_ID | SOF_TIMESTAMPING_OPT_TSONLY;
	mark(s, SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_TX_ACK, 0, 100);
	stamped(test, s, 0, 100);
	acknowledge(s, 100);
	KUNIT_ASSERT_EQ(test, skb_queue_len(queue), 1);
	KUNIT_EXPECT_EQ(test, SKB_EXT_ERR(skb_peek(queue))->ee.ee_info, SCM_TSTAMP_ACK);
	KUNIT_EXPECT_EQ(test, SKB_EXT_ERR(skb_peek(queue))->ee.ee_data, FIRST + 99);
}

static int charge(const struct sluice_sock *s)
{
	return READ_ONCE(s->inet.sk.sk_wmem_queued);
}

static void sends_that_wait_for_one_segment_share_a_mark(struct kunit *test)
{
	struct sluice_sock *s = marked_sock(test);
	u32 mss = sluice_conn_mss(&s->conn), i;
	int one;

	mark(s, SOF_TIMESTAMPING_TX_SOFTWARE, 0, 100);
	one = charge(s);
	KUNIT_EXPECT_GT(test, one, 0);
	for (i = 100; i < 100 + mss; i++)	/* the first of them isn't the last mark's any more */
		mark_waiting(s, SOF_TIMESTAMPING_TX_SOFTWARE, i, i + 1, i + 1 - 100);
	KUNIT_EXPECT_EQ(test, charge(s), 2 * one);
	mark_waiting(s, SOF_TIMESTAMPING_TX_SOFTWARE, i, i + 1, i + 1 - 100);
	KUNIT_EXPECT_EQ(test, charge(s), 3 * one);
	KUNIT_EXPECT_EQ(test, stamped(test, s, 0, 100), 99);
	KUNIT_EXPECT_EQ(test, stamped(test, s, 100, mss - 1), -1);
	KUNIT_EXPECT_EQ(test, stamped(test, s, 100, mss), 99 + mss);
	KUNIT_EXPECT_EQ(test, stamped(test, s, 100 + mss, 1), 100 + mss);
	acknowledge(s, 101 + mss);
	KUNIT_EXPECT_EQ(test, charge(s), 0);
}

static void a_shared_mark_tells_all_that_was_asked(struct kunit *test)
{
	struct sluice_sock *s = marked_sock(test);

	s->inet.sk.sk_tsflags = SOF_TIMESTAMPING_OPT_ID | SOF_TIMESTAMPING_OPT_TSONLY;
	mark_waiting(s, SOF_TIMESTAMPING_TX_ACK, 0, 10, 10);
	mark_waiting(s, SOF_TIMESTAMPING_TX_SOFTWARE, 10, 20, 20);
	KUNIT_EXPECT_EQ(test, stamped(test, s, 0, 20), 19);
	acknowledge(s, 20);
	KUNIT_EXPECT_EQ(test, skb_queue_len(&s->inet.sk.sk_error_queue), 1);
}

static void large_sends_have_a_mark_each(struct kunit *test)
{
	struct sluice_sock *s = marked_sock(test);

	mark_waiting(s, SOF_TIMESTAMPING_TX_SOFTWARE, 0, 100000, 100000);
	mark_waiting(s, SOF_TIMESTAMPING_TX_SOFTWARE, 100000, 100001, 100001);
	KUNIT_EXPECT_EQ(test, stamped(test, s, 0, 100000), 99999);
	KUNIT_EXPECT_EQ(test, stamped(test, s, 50000, 50001), 100000);
}

static void a_new_stream_has_no_marks_and_counts_anew(struct kunit *test)
{
	struct sluice_sock *s = marked_sock(test);
	struct sk_buff_head *queue = &s->inet.sk.sk_error_queue;

	s->inet.sk.sk_tsflags = SOF_TIMESTAMPING_OPT_ID | SOF_TIMESTAMPING_OPT_TSONLY;
	mark(s, SOF_TIMESTAMPING_OPT_ID | SOF_TIMESTAMPING_TX_ACK, 50, 100);
	mark(s, SOF_TIMESTAMPING_OPT_ID | SOF_TIMESTAMPING_TX_ACK, 100, 200);
	stamped(test, s, 0, 200);
	acknowledge(s, 100);
	lock_sock(&s->inet.sk);
	sluice_disconnect(&s->inet.sk, 0);
	release_sock(&s->inet.sk);
	KUNIT_EXPECT_NULL(test, s->tx_stamps);
	KUNIT_EXPECT_EQ(test, charge(s), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&s->inet.sk.sk_tskey), 0);
	KUNIT_ASSERT_EQ(test, skb_queue_len(queue), 1);
	KUNIT_EXPECT_EQ(test, SKB_EXT_ERR(skb_peek(queue))->ee.ee_data, 49);
}

static void who_asks_for_nothing_leaves_no_mark(struct kunit *test)
{
	struct sluice_sock *s = marked_sock(test);

	mark(s, SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_RX_SOFTWARE, 0, 100);
	KUNIT_EXPECT_NULL(test, s->tx_stamps);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(the_last_mark_of_a_packet_counts),
	KUNIT_CASE(positions_wrap),
	KUNIT_CASE(acknowledged_marks_go),
	KUNIT_CASE(an_acknowledgment_is_told_of_who_asked),
	KUNIT_CASE(sends_that_wait_for_one_segment_share_a_mark),
	KUNIT_CASE(a_shared_mark_tells_all_that_was_asked),
	KUNIT_CASE(large_sends_have_a_mark_each),
	KUNIT_CASE(a_new_stream_has_no_marks_and_counts_anew),
	KUNIT_CASE(who_asks_for_nothing_leaves_no_mark),
	{}
};

static struct kunit_suite suite = {
	.name = "sluice_tx_stamps",
	.test_cases = cases,
};

kunit_test_suite(suite);
