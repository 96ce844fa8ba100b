// SPDX-License-Identifier: GPL-2.0
/* A namespace's parameters by name, its counters, and its limit of challenge ACKs. */
#include "fixture.h"
#include "params.h"
#include "tuning.h"

static struct sluice_net *fresh(struct kunit *test)
{
	struct sluice_net *sn = kunit_kmalloc(test, sizeof(*sn), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, sn);
	memset(sn, 0xff, sizeof(*sn));
	sn->net = &init_net;
	sluice_tuning_init(sn);
	return sn;
}

static int write(struct sluice_net *sn, const char *name, u64 value)
{
	const char *why;

	return sluice_param_write(sn, sluice_param_find(name), value, &why);
}

static void defaults_are_the_tables_and_in_range(struct kunit *test)
{
	struct sluice_net *sn = fresh(test);
	unsigned int i;

	KUNIT_EXPECT_EQ(test, sluice_param_count, sizeof(sn->config) / sizeof(u64));
	for (i = 0; i < sluice_param_count; i++) {
		const struct sluice_param *p = &sluice_params[i];

		KUNIT_EXPECT_EQ_MSG(test, sluice_param_read(sn, p), sluice_param_standard(sn, p),
				    "%s", p->name);
		if (!sluice_param_sysctl(p))
			KUNIT_EXPECT_EQ_MSG(test, sluice_param_read(sn, p), p->standard,
					    "%s", p->name);
		KUNIT_EXPECT_GE_MSG(test, p->standard, p->min, "%s", p->name);
		KUNIT_EXPECT_LE_MSG(test, p->standard, p->max, "%s", p->name);
	}
}

static void each_is_found_by_its_name(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < sluice_param_count; i++)
		KUNIT_EXPECT_PTR_EQ(test, sluice_param_find(sluice_params[i].name),
				    &sluice_params[i]);
}

static void other_names_are_not_found(struct kunit *test)
{
	KUNIT_EXPECT_PTR_EQ(test, sluice_param_find(""), NULL);
	KUNIT_EXPECT_PTR_EQ(test, sluice_param_find("rto_mi"), NULL);
	KUNIT_EXPECT_PTR_EQ(test, sluice_param_find("rto_minn"), NULL);
	KUNIT_EXPECT_PTR_EQ(test, sluice_param_find("RTO_MIN"), NULL);
}

static void writing_changes_that_one_alone(struct kunit *test)
{
	struct sluice_net *sn = fresh(test), *expected = fresh(test);

	KUNIT_EXPECT_EQ(test, write(sn, "syn_retries", 3), 0);
	expected->config.syn_retries = 3;
	KUNIT_EXPECT_MEMEQ(test, &sn->config, &expected->config, sizeof(sn->config));
}

static void values_out_of_range_change_nothing(struct kunit *test)
{
	struct sluice_net *sn = fresh(test), *expected = fresh(test);
	unsigned int i;

	for (i = 0; i < sluice_param_count; i++) {
		const struct sluice_param *p = &sluice_params[i];

		KUNIT_EXPECT_EQ_MSG(test, write(sn, p->name, p->max + 1), -ERANGE,
				    "%s", p->name);
		KUNIT_EXPECT_EQ_MSG(test, write(sn, p->name, U64_MAX), -ERANGE, "%s", p->name);
		if (p->min)
			KUNIT_EXPECT_EQ_MSG(test, write(sn, p->name, p->min - 1), -ERANGE,
					    "%s", p->name);
	}
	KUNIT_EXPECT_MEMEQ(test, &sn->config, &expected->config, sizeof(sn->config));
}

/* Widening first, so that no pair contradicts itself on the way. */
static void both_ends_of_a_range_are_taken(struct kunit *test)
{
	struct sluice_net *sn = fresh(test);
	unsigned int i;

	for (i = 0; i < sluice_param_count; i++) {
		const struct sluice_param *p = &sluice_params[i];
		bool greatest = strstr(p->name, "max");

		KUNIT_EXPECT_EQ_MSG(test, write(sn, p->name, greatest ? p->max : p->min), 0,
				    "%s", p->name);
		KUNIT_EXPECT_EQ_MSG(test, sluice_param_read(sn, p),
				    greatest ? p->max : p->min, "%s", p->name);
	}
}

static void a_least_above_its_greatest_is_refused_with_a_reason(struct kunit *test)
{
	struct sluice_net *sn = fresh(test);
	const char *why = NULL;

	KUNIT_ASSERT_EQ(test, write(sn, "rto_max", 2000000), 0);
	KUNIT_EXPECT_EQ(test, sluice_param_write(sn, sluice_param_find("rto_min"), 2000001,
						 &why), -EINVAL);
	KUNIT_ASSERT_NOT_NULL(test, why);
	KUNIT_EXPECT_STREQ(test, why, "rto_min would be above rto_max");
	KUNIT_EXPECT_EQ(test, sn->config.rto_min, 200000);
	KUNIT_EXPECT_EQ(test, write(sn, "rto_min", 2000000), 0);
	KUNIT_EXPECT_EQ(test, write(sn, "rto_max", 1999999), -EINVAL);
	KUNIT_EXPECT_EQ(test, write(sn, "delayed_ack_min", 200001), -EINVAL);
	KUNIT_EXPECT_EQ(test, write(sn, "reordering", 301), -EINVAL);
}

/* ---- net.c -------------------------------------------------------------------- */

static void counting_adds_to_that_counter_alone(struct kunit *test)
{
	const struct sluice_config *config = &fixture_net()->config;
	u64 a = fixture_count(SLUICE_CNT_bad_checksum), b = fixture_count(SLUICE_CNT_bad_header);

	sluice_count(fixture_net(), SLUICE_CNT_bad_checksum);
	sluice_host_count(config, SLUICE_CNT_bad_checksum, 41);
	KUNIT_EXPECT_EQ(test, fixture_count(SLUICE_CNT_bad_checksum) - a, 42);
	KUNIT_EXPECT_EQ(test, fixture_count(SLUICE_CNT_bad_header) - b, 0);
}

/* Of ten calls in a new second; when it ends within them, of those in another. */
static unsigned int allowed_in_a_second(void)
{
	struct sluice_net *sn = fixture_net();
	unsigned int allowed, i;
	unsigned long since;

	do {
		allowed = 0;
		sn->challenge_since = jiffies - HZ;
		for (i = 0; i < 10; i++) {
			allowed += sluice_host_challenge_allowed(&sn->config);
			if (!i)
				since = READ_ONCE(sn->challenge_since);
		}
	} while (since != READ_ONCE(sn->challenge_since));
	return allowed;
}

/* On average by so many; by how many nobody can know (RFC 5961 10). */
static void challenge_acks_are_limited_for_a_second(struct kunit *test)
{
	unsigned int round, allowed, least = 10, most = 0;

	fixture_set(test, "challenge_ack_limit", 3);
	for (round = 0; round < 100; round++) {
		allowed = allowed_in_a_second();
		least = min(least, allowed);
		most = max(most, allowed);
	}
	KUNIT_EXPECT_EQ(test, least, 2);
	KUNIT_EXPECT_EQ(test, most, 4);
}

static void very_high_limits_of_challenge_acks_limit_none(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < 20; i++) {
		fixture_set(test, "challenge_ack_limit", INT_MAX - i % 2);
		atomic_set(&fixture_net()->challenges_left, 0);
		KUNIT_EXPECT_EQ(test, allowed_in_a_second(), 10);
	}
}

static struct kunit_case cases[] = {
	KUNIT_CASE(defaults_are_the_tables_and_in_range),
	KUNIT_CASE(each_is_found_by_its_name),
	KUNIT_CASE(other_names_are_not_found),
	KUNIT_CASE(writing_changes_that_one_alone),
	KUNIT_CASE(values_out_of_range_change_nothing),
	KUNIT_CASE(both_ends_of_a_range_are_taken),
	KUNIT_CASE(a_least_above_its_greatest_is_refused_with_a_reason),
	KUNIT_CASE(counting_adds_to_that_counter_alone),
	KUNIT_CASE(challenge_acks_are_limited_for_a_second),
	KUNIT_CASE(very_high_limits_of_challenge_acks_limit_none),
	{ }
};

static struct kunit_suite suite = {
	.name = "sluice_params",
	.test_cases = cases,
};

kunit_test_suite(suite);
