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

static void mark(struct sluice_sock *s, u32 flags, u32 begin, u32 end)
{
	lock_sock(&s->inet.sk);
	sluice_tx_stamps_mark(&s->inet.sk, flags, begin, end);
	release_sock(&s->inet.sk);
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
	KUNIT_CASE(who_asks_for_nothing_leaves_no_mark),
	{}
};

static struct kunit_suite suite = {
	.name = "sluice_tx_stamps",
	.test_cases = cases,
};

kunit_test_suite(suite);
