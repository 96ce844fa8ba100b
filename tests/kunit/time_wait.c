// SPDX-License-Identifier: GPL-2.0
/* TIME_WAIT objects: who gets one, how long, how many, and what ends them. */
#include <net/dst.h>

#include "compat.h"
#include "control.h"
#include "fixture.h"
#include "reply.h"
#include "time_wait.h"

/* The keys of a connection that both ends closed, the client first. */
struct closed {
	struct sluice_flow_key client, server;
	u16 port;
};

static void close_both(struct kunit *test, struct closed *c)
{
	struct fixture_pair pair;

	fixture_connect(test, &pair, "127.0.0.1");
	c->client = sluice_sk(pair.client->sk)->flow.key;
	c->server = sluice_sk(pair.server->sk)->flow.key;
	c->port = fixture_port(pair.client);
	fixture_close(test, pair.client);
	fixture_close(test, pair.server);
	fixture_close(test, pair.listener);
}

static int begin(struct kunit *test)
{
	sluice_time_wait_purge(&init_net);
	return 0;
}

static void end(struct kunit *test)
{
	sluice_time_wait_purge(&init_net);
}

/* RCU read side. */
static struct sluice_time_wait_sock *find(const struct sluice_flow_key *key)
{
	struct sluice_flow *flow = sluice_flow_find(key);

	if (!flow || flow->kind != SLUICE_FLOW_TIME_WAIT)
		return NULL;
	return container_of(flow, struct sluice_time_wait_sock, flow);
}

static bool waits(const struct sluice_flow_key *key)
{
	bool yes;

	rcu_read_lock();
	yes = find(key);
	rcu_read_unlock();
	return yes;
}

static int in_use(void)
{
	return atomic_read(&fixture_net()->time_waits);
}

static void make_one(struct kunit *test, struct closed *c)
{
	close_both(test, c);
	KUNIT_ASSERT_TRUE(test, fixture_eventually(waits(&c->client)));
}

static int bind_again(struct kunit *test, const struct closed *c)
{
	struct socket *sock = fixture_socket(test, sluice_family);
	int error = fixture_bind(test, sock, "127.0.0.1", c->port);

	fixture_close(test, sock);
	return error;
}

/* A segment without payload from the peer; what receive() says of it. */
static bool segment(const struct closed *c, u8 flags, s32 from_rcv_nxt, u32 *isn_after)
{
	struct sluice_time_wait_sock *tw;
	struct sluice_segment seg = {
		.flags = flags, .source = ntohs(c->client.remote_port),
		.destination = ntohs(c->client.local_port), .window = 1000, .header_length = 20,
		.payload = fixture_packet(),
	};
	bool gone = true;

	local_bh_disable();
	rcu_read_lock();
	tw = find(&c->client);
	if (tw) {
		seg.seq = tw->core.rcv_nxt + from_rcv_nxt;
		seg.ack = tw->core.snd_nxt;
		gone = sluice_time_wait_receive(tw, &seg, true, isn_after);
	}
	rcu_read_unlock();
	local_bh_enable();
	kfree_skb(seg.payload);
	return gone;
}

static bool lose_all(struct fixture_wire *wire, const struct sk_buff *skb,
		     const struct tcphdr *header)
{
	return false;
}

/* From here on what the TIME_WAIT says is lost: nobody is there, and would say so. */
static struct fixture_wire *silence(struct kunit *test)
{
	struct fixture_wire *wire = kunit_kzalloc(test, sizeof(*wire), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, wire);
	wire->pass = lose_all;
	fixture_wire(test, wire);
	return wire;
}

/* ---- cases ---------------------------------------------------------------------- */

static void who_closes_first_waits_and_keeps_the_port(struct kunit *test)
{
	struct closed c;

	make_one(test, &c);
	KUNIT_EXPECT_FALSE(test, waits(&c.server));
	KUNIT_EXPECT_EQ(test, in_use(), 1);
	KUNIT_EXPECT_EQ(test, bind_again(test, &c), -EADDRINUSE);
}

static void it_ends_after_2msl_and_not_before(struct kunit *test)
{
	u64 entered = fixture_count(SLUICE_CNT_time_wait_entered);
	sluice_usec since = sluice_now();
	struct closed c;

	fixture_set(test, "time_wait", 100000);
	close_both(test, &c);
	/* Not by looking for it: a slow machine would look too late. */
	KUNIT_EXPECT_TRUE(test, fixture_eventually(
				fixture_count(SLUICE_CNT_time_wait_entered) == entered + 1));
	KUNIT_EXPECT_TRUE(test, fixture_eventually(!waits(&c.client)));
	KUNIT_EXPECT_GE(test, sluice_now() - since, 100000);
	KUNIT_EXPECT_EQ(test, in_use(), 0);
	KUNIT_EXPECT_EQ(test, bind_again(test, &c), 0);
}

static void a_repeated_fin_is_answered_and_begins_2msl_anew(struct kunit *test)
{
	struct fixture_wire *wire;
	struct closed c;
	u32 isn = 0;
	sluice_usec since;

	fixture_set(test, "time_wait", 1000000);
	make_one(test, &c);
	wire = silence(test);
	msleep(200);
	since = sluice_now();
	KUNIT_EXPECT_FALSE(test, segment(&c, SLUICE_FIN | SLUICE_ACK, -1, &isn));
	KUNIT_EXPECT_EQ(test, atomic_read(&wire->sent), 1);
	KUNIT_EXPECT_TRUE(test, fixture_eventually(!waits(&c.client)));
	KUNIT_EXPECT_GE(test, sluice_now() - since, 1000000);
}

static void a_newer_syn_takes_its_place(struct kunit *test)
{
	struct closed c;
	u32 isn = 0;

	make_one(test, &c);
	silence(test);
	KUNIT_EXPECT_FALSE(test, segment(&c, SLUICE_SYN, -10000, &isn));
	KUNIT_EXPECT_TRUE(test, waits(&c.client));
	KUNIT_EXPECT_EQ(test, isn, 0);
	KUNIT_EXPECT_TRUE(test, segment(&c, SLUICE_SYN, 10000, &isn));
	KUNIT_EXPECT_NE(test, isn, 0);
	KUNIT_EXPECT_FALSE(test, waits(&c.client));
	KUNIT_EXPECT_EQ(test, in_use(), 0);
	KUNIT_EXPECT_EQ(test, bind_again(test, &c), 0);
}

/* A SYN of the peer's that kernel TCP may want: does the TIME_WAIT let it have that? */
static bool cedes(const struct closed *c, s32 from_rcv_nxt)
{
	struct sluice_segment seg = { .flags = SLUICE_SYN };
	struct sluice_time_wait_sock *tw;
	bool yes = false;

	rcu_read_lock();
	tw = find(&c->client);
	if (tw) {
		seg.seq = tw->core.rcv_nxt + from_rcv_nxt;
		yes = sluice_time_wait_cedes(tw, &seg);
	}
	rcu_read_unlock();
	return yes;
}

static void it_cedes_the_pair_to_nothing_but_a_newer_syn(struct kunit *test)
{
	u64 before = fixture_count(SLUICE_CNT_time_wait_reused);
	struct closed c;

	make_one(test, &c);
	KUNIT_EXPECT_FALSE(test, cedes(&c, -10000));
	KUNIT_EXPECT_TRUE(test, waits(&c.client));
	KUNIT_EXPECT_TRUE(test, cedes(&c, 10000));
	KUNIT_EXPECT_FALSE(test, waits(&c.client));
	KUNIT_EXPECT_EQ(test, in_use(), 0);
	KUNIT_EXPECT_EQ(test, fixture_count(SLUICE_CNT_time_wait_reused), before + 1);
}

static void only_a_reset_in_sequence_ends_it(struct kunit *test)
{
	struct closed c;
	u32 isn = 0;

	make_one(test, &c);
	segment(&c, SLUICE_RST, 1, &isn);
	segment(&c, SLUICE_RST, -1, &isn);
	KUNIT_EXPECT_TRUE(test, waits(&c.client));
	segment(&c, SLUICE_RST, 0, &isn);
	KUNIT_EXPECT_FALSE(test, waits(&c.client));
	KUNIT_EXPECT_EQ(test, in_use(), 0);
}

static void above_the_limit_there_is_none_and_that_is_counted(struct kunit *test)
{
	u64 before = fixture_count(SLUICE_CNT_time_wait_overflows);
	struct closed c;

	fixture_set(test, "max_time_wait", 1);
	make_one(test, &c);
	close_both(test, &c);
	KUNIT_EXPECT_TRUE(test, fixture_eventually(
				fixture_count(SLUICE_CNT_time_wait_overflows) == before + 1));
	KUNIT_EXPECT_EQ(test, in_use(), 1);
	KUNIT_EXPECT_FALSE(test, waits(&c.client));
	KUNIT_EXPECT_TRUE(test, fixture_eventually(!bind_again(test, &c)));
}

static void purging_ends_all_of_a_namespace(struct kunit *test)
{
	static u8 another;
	struct closed c[5];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(c); i++)
		make_one(test, &c[i]);
	KUNIT_EXPECT_EQ(test, in_use(), 5);
	sluice_time_wait_purge((struct net *)&another);	/* compared, never looked into */
	KUNIT_EXPECT_EQ(test, in_use(), 5);
	sluice_time_wait_purge(&init_net);
	KUNIT_EXPECT_EQ(test, in_use(), 0);
	for (i = 0; i < ARRAY_SIZE(c); i++) {
		KUNIT_EXPECT_FALSE(test, waits(&c[i].client));
		KUNIT_EXPECT_EQ(test, bind_again(test, &c[i]), 0);
	}
}

static bool yields(const struct closed *c)
{
	bool yes;

	local_bh_disable();
	yes = sluice_time_wait_yields(&c->client, false);
	local_bh_enable();
	return yes;
}

static void it_yields_at_once_to_a_socket_that_is_bound(struct kunit *test)
{
	struct closed c;
	bool yes;

	fixture_set(test, "time_wait_reuse", 0);
	make_one(test, &c);
	local_bh_disable();
	yes = sluice_time_wait_yields(&c.client, true);
	local_bh_enable();
	KUNIT_EXPECT_TRUE(test, yes);
	KUNIT_EXPECT_FALSE(test, waits(&c.client));
}

static void it_yields_to_connect_after_a_second_with_timestamps(struct kunit *test)
{
	struct closed c;

	make_one(test, &c);
	KUNIT_EXPECT_FALSE(test, yields(&c));
	msleep(1100);
	KUNIT_EXPECT_TRUE(test, yields(&c));
	KUNIT_EXPECT_FALSE(test, waits(&c.client));
	KUNIT_EXPECT_FALSE(test, yields(&c));
}

static void without_timestamps_it_never_yields(struct kunit *test)
{
	struct closed c;

	fixture_set(test, "timestamps", 0);
	make_one(test, &c);
	msleep(1100);
	KUNIT_EXPECT_FALSE(test, yields(&c));
	KUNIT_EXPECT_TRUE(test, waits(&c.client));
}

static void it_yields_only_where_time_wait_reuse_says_so(struct kunit *test)
{
	struct closed c;

	make_one(test, &c);
	msleep(1100);
	fixture_set(test, "time_wait_reuse", 0);
	KUNIT_EXPECT_FALSE(test, yields(&c));
	fixture_set(test, "time_wait_reuse", 2);
	KUNIT_EXPECT_TRUE(test, yields(&c));
}

/* The address that a transparent connection had is none of this host's. */
static void a_transparent_one_answers_from_any_address(struct kunit *test)
{
	struct sluice_flow_key key = {
		.local = fixture_in6(test, "192.0.2.9"),
		.remote = fixture_in6(test, "127.0.0.1"),
		.real_tcp = true,
		.net = &init_net,
	};
	struct sluice_origin origin = {};
	struct dst_entry *dst;

	KUNIT_EXPECT_PTR_EQ(test, sluice_reply_route(&init_net, NULL, &key, &origin), NULL);
	origin.any_source = true;
	dst = sluice_reply_route(&init_net, NULL, &key, &origin);
	KUNIT_EXPECT_NOT_NULL(test, dst);
	dst_release(dst);
}

static void it_knows_whether_its_connection_was_transparent(struct kunit *test)
{
	static const bool transparent[] = { false, true };
	struct sluice_time_wait_sock *tw;
	struct fixture_pair pair;
	struct sluice_flow_key key;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(transparent); i++) {
		fixture_connect(test, &pair, "127.0.0.1");
		if (transparent[i])
			sluice_set_transparent(pair.client->sk);
		key = sluice_sk(pair.client->sk)->flow.key;
		fixture_close(test, pair.client);
		fixture_close(test, pair.server);
		fixture_close(test, pair.listener);
		KUNIT_ASSERT_TRUE(test, fixture_eventually(waits(&key)));
		rcu_read_lock();
		tw = find(&key);
		KUNIT_EXPECT_EQ(test, tw ? tw->transparent : 2, transparent[i]);
		rcu_read_unlock();
	}
}

static struct kunit_case cases[] = {
	KUNIT_CASE(who_closes_first_waits_and_keeps_the_port),
	KUNIT_CASE(it_ends_after_2msl_and_not_before),
	KUNIT_CASE_SLOW(a_repeated_fin_is_answered_and_begins_2msl_anew),
	KUNIT_CASE(a_newer_syn_takes_its_place),
	KUNIT_CASE(it_cedes_the_pair_to_nothing_but_a_newer_syn),
	KUNIT_CASE(only_a_reset_in_sequence_ends_it),
	KUNIT_CASE(it_knows_whether_its_connection_was_transparent),
	KUNIT_CASE(a_transparent_one_answers_from_any_address),
	KUNIT_CASE(above_the_limit_there_is_none_and_that_is_counted),
	KUNIT_CASE(purging_ends_all_of_a_namespace),
	KUNIT_CASE(it_yields_at_once_to_a_socket_that_is_bound),
	KUNIT_CASE_SLOW(it_yields_to_connect_after_a_second_with_timestamps),
	KUNIT_CASE_SLOW(without_timestamps_it_never_yields),
	KUNIT_CASE_SLOW(it_yields_only_where_time_wait_reuse_says_so),
	{ }
};

static struct kunit_suite suite = {
	.name = "sluice_time_wait",
	.init = begin,
	.exit = end,
	.test_cases = cases,
};

kunit_test_suite(suite);
