// SPDX-License-Identifier: GPL-2.0
/* What clients remember of TCP Fast Open: cookies of peers, and the pause. */
#include <linux/delay.h>

#include "fastopen_cache.h"
#include "fixture.h"

static struct sluice_flow_key peer(struct kunit *test, u32 number, u16 port)
{
	struct sluice_flow_key key = {
		.local = fixture_in6(test, "2001:db8::1"),
		.remote = fixture_in6(test, "2001:db8::2"),
		.local_port = htons(port),
		.remote_port = htons(port + 1),
		.net = &init_net,
	};

	key.remote.s6_addr32[2] = htonl(number);
	return key;
}

static void remember(struct kunit *test, u32 number, u8 length, u16 mss)
{
	struct sluice_fastopen_cookie cookie = { .length = length };
	struct sluice_flow_key key = peer(test, number, 1000);

	memcpy(cookie.bytes, &number, sizeof(number));
	sluice_fastopen_remember(&key, &cookie, mss);
}

/* The MSS; -1: no cookie, or another's. */
static int recall(struct kunit *test, u32 number, u16 port)
{
	struct sluice_flow_key key = peer(test, number, port);
	struct sluice_fastopen_cookie cookie;
	u16 mss;

	sluice_fastopen_recall(&key, &cookie, &mss);
	if (!cookie.length || memcmp(cookie.bytes, &number, sizeof(number)))
		return -1;
	return mss;
}

static void belongs_to_addresses_not_ports(struct kunit *test)
{
	struct sluice_flow_key key = peer(test, 1, 1000);
	struct sluice_fastopen_cookie cookie;
	u16 mss;

	remember(test, 1, 8, 1400);
	KUNIT_EXPECT_EQ(test, recall(test, 1, 1000), 1400);
	KUNIT_EXPECT_EQ(test, recall(test, 1, 2000), 1400);
	KUNIT_EXPECT_EQ(test, recall(test, 2, 1000), -1);
	key.real_tcp = 1;
	sluice_fastopen_recall(&key, &cookie, &mss);
	KUNIT_EXPECT_EQ(test, cookie.length, 0);
	KUNIT_EXPECT_EQ(test, mss, 0);
}

static void what_did_not_come_is_kept(struct kunit *test)
{
	remember(test, 1, 8, 1400);
	remember(test, 1, 0, 1300);
	KUNIT_EXPECT_EQ(test, recall(test, 1, 1000), 1300);
	remember(test, 1, 8, 0);
	KUNIT_EXPECT_EQ(test, recall(test, 1, 1000), 1300);
}

static void newest_have_room_however_many_there_are(struct kunit *test)
{
	u32 number, found = 0;

	for (number = 0; number < 5000; number++) {
		remember(test, number, 8, 1400);
		KUNIT_ASSERT_EQ(test, recall(test, number, 1000), 1400);
	}
	for (number = 0; number < 5000; number++)
		found += recall(test, number, 1000) == 1400;
	KUNIT_EXPECT_LE(test, found, 1024);
	KUNIT_EXPECT_GT(test, found, 900);
}

static void namespace_takes_its_own_along(struct kunit *test)
{
	struct sluice_flow_key key = peer(test, 1, 1000);
	struct sluice_fastopen_cookie cookie = { .length = 8 };
	static const char other;	/* an address that is no namespace's */
	u16 mss;

	remember(test, 1, 8, 1400);
	key.net = (const struct net *)&other;
	sluice_fastopen_remember(&key, &cookie, 1200);
	sluice_fastopen_forget_net(&init_net);
	KUNIT_EXPECT_EQ(test, recall(test, 1, 1000), -1);
	sluice_fastopen_recall(&key, &cookie, &mss);
	KUNIT_EXPECT_EQ(test, mss, 1200);
	sluice_fastopen_forget_net(key.net);
	sluice_fastopen_recall(&key, &cookie, &mss);
	KUNIT_EXPECT_EQ(test, mss, 0);
}

static void pause_doubles_until_data_were_taken(struct kunit *test)
{
	struct socket *sock = fixture_socket(test, AF_INET);
	struct sluice_conn *c = &sluice_sk(sock->sk)->conn;
	struct sluice_net *sn = fixture_net();

	sluice_host_fastopen_lost(c);
	KUNIT_EXPECT_FALSE(test, sluice_fastopen_paused(sn));
	fixture_set(test, "fastopen_blackhole", USEC_PER_SEC);
	KUNIT_EXPECT_FALSE(test, sluice_fastopen_paused(sn));
	sluice_host_fastopen_lost(c);
	KUNIT_EXPECT_TRUE(test, sluice_fastopen_paused(sn));
	sn->fastopen_lost_at -= USEC_PER_SEC;
	KUNIT_EXPECT_FALSE(test, sluice_fastopen_paused(sn));
	sluice_host_fastopen_lost(c);
	sn->fastopen_lost_at -= 3 * USEC_PER_SEC / 2;
	KUNIT_EXPECT_TRUE(test, sluice_fastopen_paused(sn));
	sn->fastopen_lost_at -= USEC_PER_SEC / 2;
	KUNIT_EXPECT_FALSE(test, sluice_fastopen_paused(sn));
	sluice_fastopen_worked(sn);
	sluice_host_fastopen_lost(c);
	sn->fastopen_lost_at -= USEC_PER_SEC;
	KUNIT_EXPECT_FALSE(test, sluice_fastopen_paused(sn));
	sluice_fastopen_worked(sn);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(belongs_to_addresses_not_ports),
	KUNIT_CASE(what_did_not_come_is_kept),
	KUNIT_CASE(newest_have_room_however_many_there_are),
	KUNIT_CASE(namespace_takes_its_own_along),
	KUNIT_CASE(pause_doubles_until_data_were_taken),
	{ }
};

static void forget(struct kunit *test)
{
	sluice_fastopen_forget_net(&init_net);
}

static struct kunit_suite suite = {
	.name = "sluice_fastopen_cache",
	.exit = forget,
	.test_cases = cases,
};

kunit_test_suite(suite);
