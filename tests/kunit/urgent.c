// SPDX-License-Identifier: GPL-2.0
/* Urgent bytes that don't come in order (RFC 9293 3.8.5), over loopback. */
#include "fixture.h"
#include "urgent.h"

/* Loses every segment that begins there. */
struct hole {
	struct fixture_wire wire;
	u32 seq;
	bool open;
};

static bool lose_hole(struct fixture_wire *wire, const struct sk_buff *skb,
		      const struct tcphdr *header)
{
	const struct hole *h = container_of(wire, struct hole, wire);

	return !READ_ONCE(h->open) || ntohl(header->seq) != h->seq;
}

/* A pair, and a hole at the first byte from client to server. */
static struct hole *hole(struct kunit *test, struct fixture_pair *pair)
{
	struct hole *h = kunit_kzalloc(test, sizeof(*h), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, h);
	fixture_set(test, "rto_min", 5000);
	fixture_connect(test, pair, "127.0.0.1");
	h->seq = sluice_conn_rcv_nxt(&sluice_sk(pair->server->sk)->conn);
	h->wire.pass = lose_hole;
	h->open = true;
	fixture_wire(test, &h->wire);
	return h;
}

static void send_urgent(struct kunit *test, struct socket *sock, const char *bytes)
{
	struct msghdr msg = { .msg_flags = MSG_DONTWAIT | MSG_NOSIGNAL | MSG_OOB };
	struct kvec part = { .iov_base = (void *)bytes, .iov_len = strlen(bytes) };

	KUNIT_EXPECT_EQ(test, kernel_sendmsg(sock, &msg, &part, 1, part.iov_len), part.iov_len);
}

static int receive(struct socket *sock, char *bytes, int flags)
{
	memset(bytes, 0, 16);
	return fixture_receive(sock, bytes, 15, flags | MSG_DONTWAIT);
}

/* "abc" is lost, and the urgent "X" behind it is there. */
static struct hole *byte_beyond_a_gap(struct kunit *test, struct fixture_pair *pair)
{
	struct hole *h = hole(test, pair);
	char bytes[16];

	KUNIT_ASSERT_EQ(test, fixture_send(pair->client, "abc", 3), 3);
	send_urgent(test, pair->client, "X");
	KUNIT_EXPECT_TRUE(test, fixture_eventually(
		receive(pair->server, bytes, MSG_OOB | MSG_PEEK) == 1));
	KUNIT_EXPECT_EQ(test, bytes[0], 'X');
	KUNIT_EXPECT_EQ(test, receive(pair->server, bytes, 0), -EAGAIN);
	KUNIT_EXPECT_FALSE(test, sluice_urgent_at_mark(pair->server->sk));
	return h;
}

static void expect_stream(struct kunit *test, struct socket *server, const char *expected)
{
	char bytes[16];

	KUNIT_EXPECT_TRUE(test, fixture_eventually(receive(server, bytes, 0) > 0));
	KUNIT_EXPECT_STREQ(test, bytes, expected);
}

static void a_byte_beyond_a_gap_can_be_had_at_once(struct kunit *test)
{
	struct fixture_pair pair;
	struct hole *h = byte_beyond_a_gap(test, &pair);
	char bytes[16];

	KUNIT_EXPECT_EQ(test, receive(pair.server, bytes, MSG_OOB), 1);
	WRITE_ONCE(h->open, false);
	expect_stream(test, pair.server, "abc");
	KUNIT_EXPECT_TRUE(test, sluice_urgent_at_mark(pair.server->sk));
	KUNIT_EXPECT_EQ(test, receive(pair.server, bytes, MSG_OOB), -EINVAL);
	fixture_send(pair.client, "def", 3);
	expect_stream(test, pair.server, "def");
}

static void a_byte_that_was_dropped_and_comes_again_is_had_once(struct kunit *test)
{
	struct fixture_pair pair;
	struct hole *h = byte_beyond_a_gap(test, &pair);
	struct sock *sk = pair.server->sk;
	char bytes[16];

	KUNIT_EXPECT_EQ(test, receive(pair.server, bytes, MSG_OOB), 1);
	lock_sock(sk);
	sluice_conn_drop_held(&sluice_sk(sk)->conn);
	release_sock(sk);
	WRITE_ONCE(h->open, false);
	expect_stream(test, pair.server, "abc");
	fixture_send(pair.client, "def", 3);
	KUNIT_EXPECT_EQ(test, receive(pair.server, bytes, MSG_OOB), -EINVAL);
	expect_stream(test, pair.server, "def");
}

static void what_is_taken_out_opens_the_window_again(struct kunit *test)
{
	struct fixture_pair pair;
	struct sock *sk;
	char bytes[16];
	int i;

	fixture_connect(test, &pair, "127.0.0.1");
	sk = pair.server->sk;
	for (i = 0; i < 20; i++) {
		send_urgent(test, pair.client, "aX");
		KUNIT_EXPECT_TRUE(test, fixture_eventually(
			receive(pair.server, bytes, MSG_OOB) == 1));
		expect_stream(test, pair.server, "a");
	}
	fixture_send(pair.client, "b", 1);
	expect_stream(test, pair.server, "b");
	KUNIT_EXPECT_EQ(test, sluice_sk(sk)->in.unread, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&sk->sk_rmem_alloc), 0);
	/* With a byte left over anywhere, this close would reset. */
	fixture_close(test, pair.server);
	KUNIT_EXPECT_TRUE(test, fixture_eventually(receive(pair.client, bytes, 0) == 0));
}

static struct kunit_case cases[] = {
	KUNIT_CASE(a_byte_beyond_a_gap_can_be_had_at_once),
	KUNIT_CASE(a_byte_that_was_dropped_and_comes_again_is_had_once),
	KUNIT_CASE(what_is_taken_out_opens_the_window_again),
	{ }
};

static struct kunit_suite suite = {
	.name = "sluice_urgent",
	.test_cases = cases,
};

kunit_test_suite(suite);
