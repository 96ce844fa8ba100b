// SPDX-License-Identifier: GPL-2.0
/* Parameters that follow sysctls: of a namespace that the tests make up. */
#include <linux/string.h>
#include <net/net_namespace.h>

#include "fixture.h"
#include "params.h"
#include "tuning.h"

/* A namespace that nobody is in, with the sysctls of init_net. */
static struct sluice_net *fresh(struct kunit *test)
{
	struct sluice_net *sn = kunit_kzalloc(test, sizeof(*sn), GFP_KERNEL);
	struct net *net = kunit_kzalloc(test, sizeof(*net), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, sn);
	KUNIT_ASSERT_NOT_NULL(test, net);
	memcpy(&net->ipv4, &init_net.ipv4, sizeof(net->ipv4));
	memcpy(&net->core, &init_net.core, sizeof(net->core));
	sn->net = net;
	sluice_tuning_init(sn);
	return sn;
}

static u64 read(struct sluice_net *sn, const char *name)
{
	return sluice_param_read(sn, sluice_param_find(name));
}

static int write(struct sluice_net *sn, const char *name, u64 value)
{
	const char *why;

	return sluice_param_write(sn, sluice_param_find(name), value, &why);
}

static int reset(struct sluice_net *sn, const char *name)
{
	const char *why;

	return sluice_param_reset(sn, sluice_param_find(name), &why);
}

static enum sluice_source source(struct sluice_net *sn, const char *name)
{
	return sluice_param_source(sn, sluice_param_find(name));
}

/* ---- whose value counts ------------------------------------------------------------- */

static void a_sysctl_is_followed(struct kunit *test)
{
	struct sluice_net *sn = fresh(test);

	sn->net->ipv4.sysctl_tcp_syn_retries = 2;
	KUNIT_EXPECT_EQ(test, read(sn, "syn_retries"), 2);
	sn->net->ipv4.sysctl_tcp_syn_retries = 3;
	KUNIT_EXPECT_EQ(test, read(sn, "syn_retries"), 3);
	KUNIT_EXPECT_EQ(test, source(sn, "syn_retries"), SLUICE_SOURCE_SYSCTL);
	KUNIT_EXPECT_EQ(test, source(sn, "time_wait"), SLUICE_SOURCE_DEFAULT);
}

static void what_is_set_stands_against_the_sysctl(struct kunit *test)
{
	struct sluice_net *sn = fresh(test);

	sn->net->ipv4.sysctl_tcp_syn_retries = 2;
	KUNIT_EXPECT_EQ(test, write(sn, "syn_retries", 9), 0);
	KUNIT_EXPECT_EQ(test, source(sn, "syn_retries"), SLUICE_SOURCE_SET);
	sn->net->ipv4.sysctl_tcp_syn_retries = 3;
	KUNIT_EXPECT_EQ(test, read(sn, "syn_retries"), 9);
	KUNIT_EXPECT_EQ(test, sluice_param_standard(sn, sluice_param_find("syn_retries")), 3);
	KUNIT_EXPECT_EQ(test, reset(sn, "syn_retries"), 0);
	KUNIT_EXPECT_EQ(test, read(sn, "syn_retries"), 3);
	KUNIT_EXPECT_EQ(test, source(sn, "syn_retries"), SLUICE_SOURCE_SYSCTL);
}

/* Also where what is set is what the sysctl says, for now. */
static void setting_the_same_value_overrides(struct kunit *test)
{
	struct sluice_net *sn = fresh(test);

	KUNIT_EXPECT_EQ(test, write(sn, "retries2", sn->net->ipv4.sysctl_tcp_retries2), 0);
	KUNIT_EXPECT_EQ(test, source(sn, "retries2"), SLUICE_SOURCE_SET);
	sn->net->ipv4.sysctl_tcp_retries2++;
	KUNIT_EXPECT_EQ(test, read(sn, "retries2"), sn->net->ipv4.sysctl_tcp_retries2 - 1);
}

static void what_is_refused_overrides_nothing(struct kunit *test)
{
	struct sluice_net *sn = fresh(test);

	KUNIT_EXPECT_EQ(test, write(sn, "syn_retries", 0), -ERANGE);
	KUNIT_EXPECT_EQ(test, source(sn, "syn_retries"), SLUICE_SOURCE_SYSCTL);
	KUNIT_EXPECT_EQ(test, write(sn, "max_reordering", 1), -EINVAL);
	KUNIT_EXPECT_EQ(test, source(sn, "max_reordering"), SLUICE_SOURCE_SYSCTL);
}

static void one_without_a_sysctl_goes_back_to_what_is_built_in(struct kunit *test)
{
	struct sluice_net *sn = fresh(test);

	KUNIT_EXPECT_EQ(test, write(sn, "initial_window", 4), 0);
	KUNIT_EXPECT_EQ(test, source(sn, "initial_window"), SLUICE_SOURCE_SET);
	KUNIT_EXPECT_EQ(test, reset(sn, "initial_window"), 0);
	KUNIT_EXPECT_EQ(test, read(sn, "initial_window"), 10);
	KUNIT_EXPECT_EQ(test, source(sn, "initial_window"), SLUICE_SOURCE_DEFAULT);
}

/* ---- when it is seen ------------------------------------------------------------------- */

static void a_glance_sees_it_in_the_next_jiffy(struct kunit *test)
{
	struct sluice_net *sn = fresh(test);

	sluice_tuning_glance(sn);
	sn->net->ipv4.sysctl_tcp_syn_retries = 2;
	fixture_eventually(READ_ONCE(sn->glanced) != jiffies);
	sluice_tuning_glance(sn);
	KUNIT_EXPECT_EQ(test, sn->config.syn_retries, 2);
	KUNIT_EXPECT_LE(test, jiffies - sn->glanced, 2 * HZ);
}

static void a_glance_costs_nothing_within_a_jiffy(struct kunit *test)
{
	struct sluice_net *sn = fresh(test);
	unsigned long now;

	do {
		sn->config.syn_retries = 77;	/* would be put right */
		now = jiffies;
		WRITE_ONCE(sn->glanced, now);
		sluice_tuning_glance(sn);
	} while (now != jiffies);
	KUNIT_EXPECT_EQ(test, sn->config.syn_retries, 77);
}

static void a_socket_begins_with_the_sysctls_of_now(struct kunit *test)
{
	int before = init_net.ipv4.sysctl_tcp_rmem[1];
	struct socket *sock;

	WRITE_ONCE(init_net.ipv4.sysctl_tcp_rmem[1], 77777);
	sock = fixture_socket(test, PF_INET);
	WRITE_ONCE(init_net.ipv4.sysctl_tcp_rmem[1], before);
	KUNIT_EXPECT_EQ(test, sock->sk->sk_rcvbuf, 77777);
	sock = fixture_socket(test, PF_INET6);
	KUNIT_EXPECT_EQ(test, sock->sk->sk_rcvbuf, before);
}

/* ---- what a value means ------------------------------------------------------------------ */

static void jiffies_become_microseconds(struct kunit *test)
{
	struct sluice_net *sn = fresh(test);

	sn->net->ipv4.sysctl_tcp_fin_timeout = 5 * HZ;
	sn->net->ipv4.sysctl_tcp_keepalive_time = 7200 * HZ;
	sn->net->ipv4.sysctl_tcp_keepalive_intvl = HZ + 1;
	KUNIT_EXPECT_EQ(test, read(sn, "fin_timeout"), 5000000);
	KUNIT_EXPECT_EQ(test, read(sn, "keepalive_time"), 7200000000ull);
	KUNIT_EXPECT_EQ(test, read(sn, "keepalive_interval"), 1000000 + 1000000 / HZ);
}

static void no_orphan_retries_mean_eight(struct kunit *test)
{
	struct sluice_net *sn = fresh(test);

	sn->net->ipv4.sysctl_tcp_orphan_retries = 0;
	KUNIT_EXPECT_EQ(test, read(sn, "orphan_retries"), 8);
	sn->net->ipv4.sysctl_tcp_orphan_retries = 3;
	KUNIT_EXPECT_EQ(test, read(sn, "orphan_retries"), 3);
}

static void syn_cookies_leave_the_backlog_as_the_limit(struct kunit *test)
{
	struct sluice_net *sn = fresh(test);

	sn->net->ipv4.sysctl_max_syn_backlog = 128;
	sn->net->core.sysctl_somaxconn = 5000;
	sn->net->ipv4.sysctl_tcp_syncookies = 1;
	KUNIT_EXPECT_EQ(test, read(sn, "max_syn_backlog"), 5001);
	sn->net->ipv4.sysctl_tcp_syncookies = 0;
	KUNIT_EXPECT_EQ(test, read(sn, "max_syn_backlog"), 128);
	KUNIT_EXPECT_EQ(test, write(sn, "syncookies", 2), 0);
	KUNIT_EXPECT_EQ(test, read(sn, "max_syn_backlog"), 5001);
	KUNIT_EXPECT_EQ(test, write(sn, "somaxconn", 9), 0);
	KUNIT_EXPECT_EQ(test, read(sn, "max_syn_backlog"), 128);
}

static void each_of_three_has_its_parameter(struct kunit *test)
{
	static const char * const names[] = { "min", "default", "max" };
	struct sluice_net *sn = fresh(test);
	char name[16];
	int i;

	for (i = 0; i < 3; i++) {
		sn->net->ipv4.sysctl_tcp_rmem[i] = 10000 + i;
		sn->net->ipv4.sysctl_tcp_wmem[i] = 20000 + i;
	}
	for (i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "rmem_%s", names[i]);
		KUNIT_EXPECT_EQ(test, read(sn, name), 10000 + i);
		snprintf(name, sizeof(name), "wmem_%s", names[i]);
		KUNIT_EXPECT_EQ(test, read(sn, name), 20000 + i);
	}
}

/* Every bit of every sysctl at once, then none: nothing may leave its range. */
static void values_out_of_range_count_as_the_nearest(struct kunit *test)
{
	static const u8 bytes[] = { 0xff, 0x00, 0x7f, 0x80 };
	struct sluice_net *sn = fresh(test);
	unsigned int i, n;

	for (n = 0; n < ARRAY_SIZE(bytes); n++) {
		memset(&sn->net->ipv4, bytes[n], sizeof(sn->net->ipv4));
		memset(&sn->net->core, bytes[n], sizeof(sn->net->core));
		for (i = 0; i < sluice_param_count; i++) {
			const struct sluice_param *p = &sluice_params[i];
			u64 value = sluice_param_read(sn, p);

			KUNIT_EXPECT_GE_MSG(test, value, p->min, "%s, %#x", p->name, bytes[n]);
			KUNIT_EXPECT_LE_MSG(test, value, p->max, "%s, %#x", p->name, bytes[n]);
		}
		KUNIT_EXPECT_LE(test, read(sn, "reordering"), read(sn, "max_reordering"));
		KUNIT_EXPECT_LE(test, read(sn, "rto_min"), read(sn, "rto_max"));
	}
	sn->net->ipv4.sysctl_tcp_synack_retries = 200;
	sn->net->ipv4.sysctl_tcp_timestamps = 2;
	KUNIT_EXPECT_EQ(test, read(sn, "synack_retries"), 127);
	KUNIT_EXPECT_EQ(test, read(sn, "timestamps"), 1);
}

static void a_least_follows_no_further_than_its_greatest(struct kunit *test)
{
	struct sluice_net *sn = fresh(test);

	sn->net->ipv4.sysctl_tcp_reordering = 50;
	sn->net->ipv4.sysctl_tcp_max_reordering = 40;
	KUNIT_EXPECT_EQ(test, read(sn, "max_reordering"), 40);
	KUNIT_EXPECT_EQ(test, read(sn, "reordering"), 40);
	KUNIT_EXPECT_EQ(test, write(sn, "reordering", 30), 0);
	sn->net->ipv4.sysctl_tcp_max_reordering = 20;
	KUNIT_EXPECT_EQ(test, read(sn, "max_reordering"), 30);
	KUNIT_EXPECT_EQ(test, reset(sn, "reordering"), 0);
	KUNIT_EXPECT_EQ(test, read(sn, "max_reordering"), 20);
	KUNIT_EXPECT_EQ(test, read(sn, "reordering"), 20);
}

static void the_share_of_payload_is_what_adv_win_scale_leaves(struct kunit *test)
{
	static const struct {
		int scale;
		u64 percent;
	} cases[] = { { 1, 50 }, { 2, 75 }, { 31, 100 }, { 0, 100 }, { -1, 50 }, { -2, 25 }, { -31, 1 } };
	struct sluice_net *sn = fresh(test);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		sn->net->ipv4.sysctl_tcp_adv_win_scale = cases[i].scale;
		KUNIT_EXPECT_EQ(test, read(sn, "payload_share"), cases[i].percent);
	}
}

static void every_sysctl_has_its_own_field(struct kunit *test)
{
	struct sluice_net *sn = fresh(test);
	unsigned int i, n;

	for (i = 0; i < sluice_param_count; i++)
		for (n = i + 1; n < sluice_param_count; n++)
			if (sluice_param_sysctl(&sluice_params[i]) &&
			    sluice_param_sysctl(&sluice_params[n]))
				KUNIT_EXPECT_STRNEQ(test, sluice_param_sysctl(&sluice_params[i]),
						    sluice_param_sysctl(&sluice_params[n]));
	sn->net->ipv4.sysctl_tcp_retries1 = 21;
	sn->net->ipv4.sysctl_tcp_retries2 = 22;
	sn->net->ipv4.sysctl_tcp_keepalive_probes = 23;
	sn->net->ipv4.tcp_death_row.sysctl_max_tw_buckets = 24;
	sn->net->ipv4.sysctl_tcp_challenge_ack_limit = 25;
	sn->net->ipv4.sysctl_tcp_notsent_lowat = 26;
	sn->net->core.sysctl_somaxconn = 27;
	sn->net->ipv4.sysctl_tcp_recovery = 6;
	sn->net->ipv4.sysctl_tcp_early_retrans = 2;
	sn->net->ipv4.sysctl_tcp_frto = 0;
	sn->net->ipv4.sysctl_tcp_autocorking = 0;
	sn->net->ipv4.sysctl_tcp_rfc1337 = 1;
	sn->net->ipv4.sysctl_tcp_sack = 0;
	sn->net->ipv4.sysctl_tcp_dsack = 0;
	sn->net->ipv4.sysctl_tcp_window_scaling = 0;
	sn->net->ipv4.sysctl_tcp_moderate_rcvbuf = 0;
	sn->net->ipv4.sysctl_tcp_slow_start_after_idle = 0;
	sn->net->ipv4.sysctl_tcp_abort_on_overflow = 1;
	sn->net->ipv4.sysctl_tcp_reflect_tos = 1;
	sn->net->ipv4.sysctl_tcp_fwmark_accept = 1;
	sn->net->ipv4.sysctl_tcp_min_snd_mss = 500;
	sn->net->ipv4.sysctl_ip_default_ttl = 28;
	sn->net->ipv4.sysctl_tcp_syn_linear_timeouts = 29;
	KUNIT_EXPECT_EQ(test, read(sn, "retries1"), 21);
	KUNIT_EXPECT_EQ(test, read(sn, "retries2"), 22);
	KUNIT_EXPECT_EQ(test, read(sn, "keepalive_probes"), 23);
	KUNIT_EXPECT_EQ(test, read(sn, "max_time_wait"), 24);
	KUNIT_EXPECT_EQ(test, read(sn, "challenge_ack_limit"), 25);
	KUNIT_EXPECT_EQ(test, read(sn, "notsent_lowat"), 26);
	KUNIT_EXPECT_EQ(test, read(sn, "somaxconn"), 27);
	KUNIT_EXPECT_EQ(test, read(sn, "recovery"), 6);
	KUNIT_EXPECT_EQ(test, read(sn, "early_retrans"), 2);
	KUNIT_EXPECT_EQ(test, read(sn, "frto"), 0);
	KUNIT_EXPECT_EQ(test, read(sn, "autocorking"), 0);
	KUNIT_EXPECT_EQ(test, read(sn, "rfc1337"), 1);
	KUNIT_EXPECT_EQ(test, read(sn, "sack"), 0);
	KUNIT_EXPECT_EQ(test, read(sn, "dsack"), 0);
	KUNIT_EXPECT_EQ(test, read(sn, "window_scaling"), 0);
	KUNIT_EXPECT_EQ(test, read(sn, "moderate_rcvbuf"), 0);
	KUNIT_EXPECT_EQ(test, read(sn, "slow_start_after_idle"), 0);
	KUNIT_EXPECT_EQ(test, read(sn, "abort_on_overflow"), 1);
	KUNIT_EXPECT_EQ(test, read(sn, "reflect_tos"), 1);
	KUNIT_EXPECT_EQ(test, read(sn, "fwmark_accept"), 1);
	KUNIT_EXPECT_EQ(test, read(sn, "min_snd_mss"), 500);
	KUNIT_EXPECT_EQ(test, read(sn, "ip_default_ttl"), 28);
	KUNIT_EXPECT_EQ(test, read(sn, "syn_linear_timeouts"), 29);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(a_sysctl_is_followed),
	KUNIT_CASE(what_is_set_stands_against_the_sysctl),
	KUNIT_CASE(setting_the_same_value_overrides),
	KUNIT_CASE(what_is_refused_overrides_nothing),
	KUNIT_CASE(one_without_a_sysctl_goes_back_to_what_is_built_in),
	KUNIT_CASE(a_glance_sees_it_in_the_next_jiffy),
	KUNIT_CASE(a_glance_costs_nothing_within_a_jiffy),
	KUNIT_CASE(a_socket_begins_with_the_sysctls_of_now),
	KUNIT_CASE(jiffies_become_microseconds),
	KUNIT_CASE(no_orphan_retries_mean_eight),
	KUNIT_CASE(syn_cookies_leave_the_backlog_as_the_limit),
	KUNIT_CASE(each_of_three_has_its_parameter),
	KUNIT_CASE(values_out_of_range_count_as_the_nearest),
	KUNIT_CASE(a_least_follows_no_further_than_its_greatest),
	KUNIT_CASE(every_sysctl_has_its_own_field),
	KUNIT_CASE(the_share_of_payload_is_what_adv_win_scale_leaves),
	{ }
};

static struct kunit_suite suite = {
	.name = "sluice_tuning",
	.test_cases = cases,
};

kunit_test_suite(suite);
