// SPDX-License-Identifier: GPL-2.0
/* TCP Fast Open of a listener: its limit, and the cookies by its keys. */
#include "fastopen.h"
#include "fixture.h"

static struct sock *listener(struct kunit *test, int queue)
{
	struct sock *sk = fixture_listener(test, "127.0.0.1", 16)->sk;

	lock_sock(sk);
	KUNIT_ASSERT_EQ(test, sluice_fastopen_set_queue(sk, queue), 0);
	release_sock(sk);
	return sk;
}

static bool admits(struct sock *sk)
{
	bool room;

	lock_sock(sk);
	room = sluice_fastopen_admits(sk);
	release_sock(sk);
	return room;
}

static void children_count_until_they_leave(struct kunit *test)
{
	struct sock *sk = listener(test, 2), *child[2];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(child); i++) {
		KUNIT_EXPECT_TRUE(test, admits(sk));
		child[i] = fixture_socket(test, AF_INET)->sk;
		sluice_fastopen_enter(sk, child[i]);
		KUNIT_EXPECT_TRUE(test, sluice_open_early(child[i]));
	}
	KUNIT_EXPECT_FALSE(test, admits(sk));
	sluice_fastopen_leave(child[0], false);
	KUNIT_EXPECT_FALSE(test, sluice_open_early(child[0]));
	KUNIT_EXPECT_TRUE(test, admits(sk));
	sluice_fastopen_leave(child[1], false);
	KUNIT_EXPECT_EQ(test, atomic_read(&sluice_sk(sk)->early), 0);
}

static void reset_ones_count_for_a_minute(struct kunit *test)
{
	struct sock *sk = listener(test, 1), *child = fixture_socket(test, AF_INET)->sk;

	sluice_fastopen_enter(sk, child);
	sluice_fastopen_leave(child, true);
	KUNIT_EXPECT_FALSE(test, admits(sk));
	sluice_sk(sk)->early_reset_at -= 59 * HZ;
	KUNIT_EXPECT_FALSE(test, admits(sk));
	sluice_sk(sk)->early_reset_at -= 2 * HZ;
	KUNIT_EXPECT_TRUE(test, admits(sk));
	KUNIT_EXPECT_EQ(test, atomic_read(&sluice_sk(sk)->early), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&sluice_sk(sk)->early_resets), 0);
}

static void describe(struct kunit *test, struct sluice_path *path, const char *local,
		     const char *remote)
{
	struct in6_addr address = fixture_in6(test, local);

	memset(path, 0, sizeof(*path));
	memcpy(path->local, &address, sizeof(path->local));
	address = fixture_in6(test, remote);
	memcpy(path->remote, &address, sizeof(path->remote));
}

static struct sluice_fastopen_cookie cookie(struct sock *sk, const struct sluice_path *path,
					    unsigned int which)
{
	struct sluice_fastopen_cookie cookie;

	memset(&cookie, 0, sizeof(cookie));
	sluice_host_fastopen_cookie(&sluice_sk(sk)->conn, path, which, &cookie);
	return cookie;
}

static bool same(struct sluice_fastopen_cookie a, struct sluice_fastopen_cookie b)
{
	return a.length == 8 && b.length == 8 && !memcmp(a.bytes, b.bytes, 8);
}

static void cookies_are_of_addresses_and_keys(struct kunit *test)
{
	static u8 keys[32] = { 1, 2, 3, [16] = 4, 5, 6 };
	struct sock *sk = listener(test, 1), *other = listener(test, 1);
	const char *pairs[][2] = { { "10.0.0.1", "10.0.0.2" }, { "2001:db8::1", "2001:db8::2" } };
	struct sluice_path path, elsewhere;
	unsigned int i;

	KUNIT_ASSERT_EQ(test, sluice_fastopen_set_keys(sk, KERNEL_SOCKPTR(keys), 32), 0);
	KUNIT_ASSERT_EQ(test, sluice_fastopen_set_keys(other, KERNEL_SOCKPTR(keys + 16), 16), 0);
	for (i = 0; i < ARRAY_SIZE(pairs); i++) {
		describe(test, &path, pairs[i][0], pairs[i][1]);
		describe(test, &elsewhere, pairs[i][1], pairs[i][0]);
		KUNIT_EXPECT_TRUE(test, same(cookie(sk, &path, 0), cookie(sk, &path, 0)));
		KUNIT_EXPECT_FALSE(test, same(cookie(sk, &path, 0), cookie(sk, &path, 1)));
		KUNIT_EXPECT_FALSE(test, same(cookie(sk, &path, 0), cookie(sk, &elsewhere, 0)));
		KUNIT_EXPECT_TRUE(test, same(cookie(sk, &path, 1), cookie(other, &path, 0)));
		KUNIT_EXPECT_EQ(test, cookie(other, &path, 1).length, 0);
	}
}

/* ---- the namespace's keys ------------------------------------------------------- */

#define KEY_A "00010203-04050607-08090a0b-0c0d0e0f"
#define KEY_B "ffffffff-0000002a-00000000-80000000"

static void follow_sysctl(void *unused)
{
	sluice_fastopen_key_follow(fixture_net());
}

static void expect_text(struct kunit *test, const char *expected)
{
	char text[SLUICE_FASTOPEN_KEY_TEXT];

	sluice_fastopen_key_print(fixture_net(), text);
	KUNIT_EXPECT_STREQ(test, text, expected);
}

/* The text is of the key's bytes in words, least significant byte first. */
static void keys_that_are_set_make_the_cookies(struct kunit *test)
{
	static u8 a[] = { 3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12 };
	struct sock *sk = listener(test, 1), *own = listener(test, 1);
	struct sluice_fastopen_cookie drawn;
	struct sluice_path path;

	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, follow_sysctl, NULL), 0);
	KUNIT_ASSERT_EQ(test, sluice_fastopen_set_keys(own, KERNEL_SOCKPTR(a), sizeof(a)), 0);
	describe(test, &path, "10.0.0.1", "10.0.0.2");
	drawn = cookie(sk, &path, 0);
	KUNIT_EXPECT_EQ(test, sluice_fastopen_key_source(fixture_net()), SLUICE_SOURCE_DEFAULT);
	KUNIT_EXPECT_EQ(test, sluice_fastopen_key_set(fixture_net(), KEY_A), 0);
	KUNIT_EXPECT_EQ(test, sluice_fastopen_key_source(fixture_net()), SLUICE_SOURCE_SET);
	expect_text(test, KEY_A);
	KUNIT_EXPECT_TRUE(test, same(cookie(sk, &path, 0), cookie(own, &path, 0)));
	KUNIT_EXPECT_EQ(test, cookie(sk, &path, 1).length, 0);
	KUNIT_EXPECT_EQ(test, sluice_fastopen_key_set(fixture_net(), KEY_B "," KEY_A), 0);
	expect_text(test, KEY_B "," KEY_A);
	KUNIT_EXPECT_FALSE(test, same(cookie(sk, &path, 0), cookie(own, &path, 0)));
	KUNIT_EXPECT_TRUE(test, same(cookie(sk, &path, 1), cookie(own, &path, 0)));
	KUNIT_EXPECT_EQ(test, sluice_fastopen_key_set(fixture_net(), "1-2-3-4"), 0);
	expect_text(test, "00000001-00000002-00000003-00000004");
	sluice_fastopen_key_follow(fixture_net());
	KUNIT_EXPECT_TRUE(test, same(cookie(sk, &path, 0), drawn));
}

static void what_is_no_key_changes_nothing(struct kunit *test)
{
	static const char * const wrong[] = {
		"", "1-2-3", "1-2-3-", "1-2-3-4-5", "1-2-3-4,", ",1-2-3-4", "1-2-3-g", "1.2.3.4",
		"1-2-3-4 5-6-7-8", "1-2-3-4,5-6-7-8,9-a-b-c", "000000001-2-3-4", "key",
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++)
		KUNIT_EXPECT_EQ_MSG(test, sluice_fastopen_key_set(fixture_net(), wrong[i]), -EINVAL,
				    "'%s'", wrong[i]);
	KUNIT_EXPECT_EQ(test, sluice_fastopen_key_source(fixture_net()), SLUICE_SOURCE_DEFAULT);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(children_count_until_they_leave),
	KUNIT_CASE(reset_ones_count_for_a_minute),
	KUNIT_CASE(cookies_are_of_addresses_and_keys),
	KUNIT_CASE(keys_that_are_set_make_the_cookies),
	KUNIT_CASE(what_is_no_key_changes_nothing),
	{ }
};

static struct kunit_suite suite = {
	.name = "sluice_fastopen",
	.test_cases = cases,
};

kunit_test_suite(suite);
