// SPDX-License-Identifier: GPL-2.0
/* The registry of congestion-control algorithms, and an algorithm of a module at work. */
#include <linux/module.h>

#include "cc_registry.h"
#include "control.h"
#include "fixture.h"

/* What the core asked of the algorithm below. */
static struct {
	atomic_t begun, released, acked, most;
} calls;

static void mine_init(struct sluice_cc *cc, sluice_usec now)
{
	atomic_inc(&calls.begun);
}

static void mine_release(struct sluice_cc *cc)
{
	atomic_inc(&calls.released);
}

static void mine_acked(struct sluice_cc *cc, const struct sluice_cc_ack *ack)
{
	atomic_inc(&calls.acked);
	cc->cwnd += cc->mss;
	atomic_set(&calls.most, cc->cwnd);
}

static u32 mine_loss(struct sluice_cc *cc, u32 in_flight, sluice_usec now)
{
	return max(in_flight / 2, 2 * cc->mss);
}

static struct sluice_cc_ops mine = {
	.name = "kunit-cc_1",
	.owner = THIS_MODULE,
	.init = mine_init,
	.release = mine_release,
	.acked = mine_acked,
	.loss = mine_loss,
};

static void unregister_mine(void *unused)
{
	sluice_unregister_cc(&mine);
}

static void register_mine(struct kunit *test)
{
	memset(&calls, 0, sizeof(calls));
	KUNIT_ASSERT_EQ(test, sluice_register_cc(&mine), 0);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, unregister_mine, NULL), 0);
}

static bool listed(const char *wanted)
{
	char name[SLUICE_CC_NAME_MAX];
	unsigned int i;

	for (i = 0; sluice_cc_name(i, name); i++)
		if (!strcmp(name, wanted))
			return true;
	return false;
}

/* ---- names ---------------------------------------------------------------------- */

static void the_built_in_ones_are_there(struct kunit *test)
{
	KUNIT_EXPECT_PTR_EQ(test, sluice_cc_get("cubic"), &sluice_cc_cubic);
	KUNIT_EXPECT_PTR_EQ(test, sluice_cc_get("reno"), &sluice_cc_reno);
	KUNIT_EXPECT_TRUE(test, listed("cubic"));
	KUNIT_EXPECT_TRUE(test, listed("reno"));
	KUNIT_EXPECT_FALSE(test, listed("kunit-cc_1"));
}

static void other_names_are_not_found(struct kunit *test)
{
	KUNIT_EXPECT_PTR_EQ(test, sluice_cc_get(""), NULL);
	KUNIT_EXPECT_PTR_EQ(test, sluice_cc_get("cubi"), NULL);
	KUNIT_EXPECT_PTR_EQ(test, sluice_cc_get("cubic2"), NULL);
}

static void what_is_registered_is_found_until_unregistered(struct kunit *test)
{
	const struct sluice_cc_ops *ops;

	register_mine(test);
	ops = sluice_cc_get(mine.name);
	KUNIT_EXPECT_PTR_EQ(test, ops, &mine);
	KUNIT_EXPECT_TRUE(test, listed(mine.name));
	sluice_cc_put(ops);
	kunit_release_action(test, unregister_mine, NULL);
	KUNIT_EXPECT_PTR_EQ(test, sluice_cc_get(mine.name), NULL);
	KUNIT_EXPECT_FALSE(test, listed(mine.name));
}

static void names_are_taken_once(struct kunit *test)
{
	struct sluice_cc_ops twin = mine, cubic = mine;

	register_mine(test);
	strscpy(cubic.name, "cubic", sizeof(cubic.name));
	KUNIT_EXPECT_EQ(test, sluice_register_cc(&twin), -EEXIST);
	KUNIT_EXPECT_EQ(test, sluice_register_cc(&cubic), -EEXIST);
}

static int register_as(const char *name)
{
	struct sluice_cc_ops ops = mine;
	int error;

	memset(ops.name, 0, sizeof(ops.name));
	memcpy(ops.name, name, min(strlen(name), sizeof(ops.name)));
	error = sluice_register_cc(&ops);
	if (!error)
		sluice_unregister_cc(&ops);
	return error;
}

static void unsound_names_are_refused(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, register_as(""), -EINVAL);
	KUNIT_EXPECT_EQ(test, register_as("sixteen-letters-"), -EINVAL);	/* no room for NUL */
	KUNIT_EXPECT_EQ(test, register_as("two words"), -EINVAL);
	KUNIT_EXPECT_EQ(test, register_as("a/b"), -EINVAL);
	KUNIT_EXPECT_EQ(test, register_as("new\nline"), -EINVAL);
	KUNIT_EXPECT_EQ(test, register_as("fifteen-letters"), 0);
}

static void unfinished_algorithms_are_refused(struct kunit *test)
{
	struct sluice_cc_ops no_init = mine, no_acked = mine, no_loss = mine;

	no_init.init = NULL;
	no_acked.acked = NULL;
	no_loss.loss = NULL;
	KUNIT_EXPECT_EQ(test, sluice_register_cc(&no_init), -EINVAL);
	KUNIT_EXPECT_EQ(test, sluice_register_cc(&no_acked), -EINVAL);
	KUNIT_EXPECT_EQ(test, sluice_register_cc(&no_loss), -EINVAL);
	KUNIT_EXPECT_FALSE(test, listed(mine.name));
}

static void who_holds_an_algorithm_holds_its_module(struct kunit *test)
{
	const struct sluice_cc_ops *ops;
	int before = module_refcount(THIS_MODULE);

	register_mine(test);
	KUNIT_EXPECT_EQ(test, module_refcount(THIS_MODULE), before);
	ops = sluice_cc_get(mine.name);
	sluice_cc_hold(ops);
	KUNIT_EXPECT_EQ(test, module_refcount(THIS_MODULE), before + 2);
	sluice_cc_put(ops);
	sluice_cc_put(ops);
	KUNIT_EXPECT_EQ(test, module_refcount(THIS_MODULE), before);
}

/* ---- the namespace's default ------------------------------------------------------ */

static void drop_default(void *unused)
{
	sluice_cc_drop_default(fixture_net());
}

static const char *default_name(void)
{
	const struct sluice_cc_ops *ops = sluice_cc_get_default(fixture_net());

	sluice_cc_put(ops);
	return ops->name;
}

static void the_default_is_cubic_until_chosen(struct kunit *test)
{
	struct socket *before = fixture_socket(test, sluice_family), *after;

	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, drop_default, NULL), 0);
	KUNIT_EXPECT_STREQ(test, default_name(), "cubic");
	KUNIT_EXPECT_EQ(test, sluice_cc_set_default(fixture_net(), "reno"), 0);
	KUNIT_EXPECT_STREQ(test, default_name(), "reno");
	after = fixture_socket(test, sluice_family);
	KUNIT_EXPECT_PTR_EQ(test, sluice_conn_cc(&sluice_sk(before->sk)->conn), &sluice_cc_cubic);
	KUNIT_EXPECT_PTR_EQ(test, sluice_conn_cc(&sluice_sk(after->sk)->conn), &sluice_cc_reno);
	KUNIT_EXPECT_EQ(test, sluice_cc_set_default(fixture_net(), "nonesuch"), -ENOENT);
	KUNIT_EXPECT_STREQ(test, default_name(), "reno");
}

static void the_default_holds_its_module(struct kunit *test)
{
	int before = module_refcount(THIS_MODULE);

	register_mine(test);
	KUNIT_EXPECT_EQ(test, sluice_cc_set_default(fixture_net(), mine.name), 0);
	KUNIT_EXPECT_STREQ(test, default_name(), mine.name);
	KUNIT_EXPECT_EQ(test, module_refcount(THIS_MODULE), before + 1);
	KUNIT_EXPECT_EQ(test, sluice_cc_set_default(fixture_net(), "cubic"), 0);
	KUNIT_EXPECT_EQ(test, module_refcount(THIS_MODULE), before);
	KUNIT_EXPECT_EQ(test, sluice_cc_set_default(fixture_net(), mine.name), 0);
	sluice_cc_drop_default(fixture_net());
	KUNIT_EXPECT_EQ(test, module_refcount(THIS_MODULE), before);
	KUNIT_EXPECT_STREQ(test, default_name(), "cubic");
}

/* ---- at work ----------------------------------------------------------------------- */

static void a_registered_algorithm_governs_a_connection(struct kunit *test)
{
	struct fixture_pair pair;
	static u8 bytes[4000];
	int i;

	register_mine(test);
	fixture_connect(test, &pair, "127.0.0.1");
	KUNIT_ASSERT_EQ(test, pair.client->ops->setsockopt(pair.client, IPPROTO_TCP,
			TCP_CONGESTION, KERNEL_SOCKPTR((void *)mine.name), strlen(mine.name)), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&calls.begun), 1);
	for (i = 0; i < 30; i++) {
		KUNIT_EXPECT_EQ(test, fixture_send(pair.client, bytes, sizeof(bytes)), 4000);
		KUNIT_EXPECT_EQ(test, fixture_receive(pair.server, bytes, 4000, MSG_WAITALL), 4000);
	}
	KUNIT_EXPECT_TRUE(test, fixture_eventually(atomic_read(&calls.acked) > 0));
	KUNIT_EXPECT_GT(test, atomic_read(&calls.most), 0);
	fixture_close(test, pair.server);
	fixture_close(test, pair.client);
	KUNIT_EXPECT_TRUE(test, fixture_eventually(atomic_read(&calls.released) == 1));
}

static struct kunit_case cases[] = {
	KUNIT_CASE(the_built_in_ones_are_there),
	KUNIT_CASE(other_names_are_not_found),
	KUNIT_CASE(what_is_registered_is_found_until_unregistered),
	KUNIT_CASE(names_are_taken_once),
	KUNIT_CASE(unsound_names_are_refused),
	KUNIT_CASE(unfinished_algorithms_are_refused),
	KUNIT_CASE(who_holds_an_algorithm_holds_its_module),
	KUNIT_CASE(the_default_is_cubic_until_chosen),
	KUNIT_CASE(the_default_holds_its_module),
	KUNIT_CASE(a_registered_algorithm_governs_a_connection),
	{ }
};

static struct kunit_suite suite = {
	.name = "sluice_cc_registry",
	.test_cases = cases,
};

kunit_test_suite(suite);
