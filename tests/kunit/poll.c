// SPDX-License-Identifier: GPL-2.0
/* Readiness: what poll() says of input, and when somebody is woken to ask it. */
#include "control.h"
#include "fixture.h"

#define BUFFER 50000

static atomic_t woken;

static void count_wake(struct sock *sk)
{
	atomic_inc(&woken);
}

static bool readable(const struct socket *sock)
{
	return sock->ops->poll(NULL, (struct socket *)sock, NULL) & EPOLLIN;
}

/* A pair whose server has that low water mark. */
static void connect_with(struct kunit *test, struct fixture_pair *pair, int lowat)
{
	struct sock *sk;

	fixture_connect(test, pair, "127.0.0.1");
	sk = pair->server->sk;
	lock_sock(sk);
	sk->sk_userlocks |= SOCK_RCVBUF_LOCK;
	WRITE_ONCE(sk->sk_rcvbuf, BUFFER);
	WRITE_ONCE(sk->sk_rcvlowat, lowat);
	sk->sk_data_ready = count_wake;
	release_sock(sk);
	atomic_set(&woken, 0);
}

static void send(struct kunit *test, const struct fixture_pair *pair, u32 bytes)
{
	static const u8 zeros[500];

	while (bytes) {
		u32 part = min_t(u32, bytes, sizeof(zeros));

		KUNIT_ASSERT_EQ(test, fixture_send(pair->client, zeros, part), part);
		bytes -= part;
	}
}

static u32 unread(const struct fixture_pair *pair)
{
	return READ_ONCE(sluice_sk(pair->server->sk)->in.unread);
}

static void fewer_bytes_than_the_low_water_mark_are_not_worth_reading(struct kunit *test)
{
	struct fixture_pair pair;

	connect_with(test, &pair, 10000);
	KUNIT_EXPECT_FALSE(test, readable(pair.server));
	send(test, &pair, 9500);
	KUNIT_EXPECT_TRUE(test, fixture_eventually(unread(&pair) == 9500));
	KUNIT_EXPECT_EQ(test, atomic_read(&woken), 0);
	KUNIT_EXPECT_FALSE(test, readable(pair.server));
	send(test, &pair, 500);
	KUNIT_EXPECT_TRUE(test, fixture_eventually(atomic_read(&woken) > 0));
	KUNIT_EXPECT_TRUE(test, readable(pair.server));
}

/* Else both ends would wait for ever. */
static void a_window_that_closes_below_the_low_water_mark_is(struct kunit *test)
{
	static const u8 zeros[500];
	struct fixture_pair pair;

	connect_with(test, &pair, 4 * BUFFER);
	while (fixture_send(pair.client, zeros, sizeof(zeros)) > 0)
		;
	KUNIT_EXPECT_TRUE(test, fixture_eventually(atomic_read(&woken) > 0));
	KUNIT_EXPECT_TRUE(test, readable(pair.server));
	KUNIT_EXPECT_LT(test, unread(&pair), 4 * BUFFER);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(fewer_bytes_than_the_low_water_mark_are_not_worth_reading),
	KUNIT_CASE(a_window_that_closes_below_the_low_water_mark_is),
	{ }
};

static struct kunit_suite suite = {
	.name = "sluice_poll",
	.test_cases = cases,
};

kunit_test_suite(suite);
