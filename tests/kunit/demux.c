// SPDX-License-Identifier: GPL-2.0
/* Demultiplexing: pairs of endpoints, walks, and the choice of a listener. */
#include <net/ipv6.h>

#include "control.h"
#include "demux.h"
#include "fixture.h"
#include "sluice.h"

#define MANY 3000

/* Flows that stand for nothing; none is in the table after a test. */
static struct sluice_flow *flows;

static int begin(struct kunit *test)
{
	flows = kvcalloc(MANY, sizeof(*flows), GFP_KERNEL);
	return flows ? 0 : -ENOMEM;
}

static void end(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < MANY; i++)
		sluice_flow_remove(&flows[i]);
	synchronize_rcu();
	kvfree(flows);
}

static struct sluice_flow_key key(struct kunit *test, u16 port)
{
	return (struct sluice_flow_key) {
		.local = fixture_in6(test, "2001:db8::1"),
		.remote = fixture_in6(test, "2001:db8::2"),
		.local_port = htons(port),
		.remote_port = htons(80),
		.net = &init_net,
	};
}

static struct sluice_flow *find(const struct sluice_flow_key *key)
{
	struct sluice_flow *flow;

	rcu_read_lock();
	flow = sluice_flow_find(key);
	rcu_read_unlock();
	return flow;
}

static void what_was_inserted_is_found_until_removed(struct kunit *test)
{
	struct sluice_flow *flow = &flows[0];

	flow->key = key(test, 1);
	KUNIT_EXPECT_PTR_EQ(test, find(&flow->key), NULL);
	KUNIT_EXPECT_EQ(test, sluice_flow_insert(flow), 0);
	KUNIT_EXPECT_TRUE(test, flow->hashed);
	KUNIT_EXPECT_PTR_EQ(test, find(&flow->key), flow);
	sluice_flow_remove(flow);
	KUNIT_EXPECT_FALSE(test, flow->hashed);
	KUNIT_EXPECT_PTR_EQ(test, find(&flow->key), NULL);
	sluice_flow_remove(flow);	/* again: nothing */
}

static void a_pair_is_in_use_once(struct kunit *test)
{
	flows[0].key = flows[1].key = key(test, 1);
	KUNIT_EXPECT_EQ(test, sluice_flow_insert(&flows[0]), 0);
	KUNIT_EXPECT_EQ(test, sluice_flow_insert(&flows[1]), -EEXIST);
	KUNIT_EXPECT_FALSE(test, flows[1].hashed);
	KUNIT_EXPECT_PTR_EQ(test, find(&flows[0].key), &flows[0]);
	sluice_flow_remove(&flows[0]);
	KUNIT_EXPECT_EQ(test, sluice_flow_insert(&flows[1]), 0);
}

/* Keys that differ from the first in one field each. */
static unsigned int variants(struct kunit *test, struct sluice_flow *out, const char *local,
			     const char *remote, const char *other)
{
	static u8 another_net;
	unsigned int i;

	for (i = 0; i < 7; i++) {
		out[i].key = key(test, 1);
		out[i].key.local = fixture_in6(test, local);
		out[i].key.remote = fixture_in6(test, remote);
	}
	out[1].key.local = fixture_in6(test, other);
	out[2].key.remote = fixture_in6(test, other);
	out[3].key.local_port = htons(2);
	out[4].key.remote_port = htons(81);
	out[5].key.scope = 3;
	out[6].key.net = (struct net *)&another_net;	/* compared, never looked into */
	return 7;
}

static void all_differ(struct kunit *test, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		KUNIT_EXPECT_EQ_MSG(test, sluice_flow_insert(&flows[i]), 0, "variant %u", i);
	for (i = 0; i < count; i++)
		KUNIT_EXPECT_PTR_EQ_MSG(test, find(&flows[i].key), &flows[i], "variant %u", i);
}

static void every_field_of_an_ipv6_key_counts(struct kunit *test)
{
	all_differ(test, variants(test, flows, "2001:db8::1", "2001:db8::2", "2001:db8::3"));
}

static void every_field_of_an_ipv4_key_counts(struct kunit *test)
{
	all_differ(test, variants(test, flows, "192.0.2.1", "192.0.2.2", "192.0.2.3"));
}

static void replacing_keeps_the_key_and_leaves_one(struct kunit *test)
{
	struct sluice_flow_key k = key(test, 1);

	flows[0].key = k;
	KUNIT_EXPECT_EQ(test, sluice_flow_insert(&flows[0]), 0);
	flows[1].kind = SLUICE_FLOW_TIME_WAIT;
	sluice_flow_replace(&flows[0], &flows[1]);
	KUNIT_EXPECT_FALSE(test, flows[0].hashed);
	KUNIT_EXPECT_TRUE(test, flows[1].hashed);
	KUNIT_EXPECT_PTR_EQ(test, find(&k), &flows[1]);
	KUNIT_EXPECT_EQ(test, flows[1].kind, SLUICE_FLOW_TIME_WAIT);
	sluice_flow_remove(&flows[0]);	/* the one that lost its place */
	KUNIT_EXPECT_PTR_EQ(test, find(&k), &flows[1]);
}

static bool is_ours(const struct sluice_flow *flow)
{
	return flow >= flows && flow < flows + MANY;
}

static unsigned int walk_all(bool pausing)
{
	struct sluice_flow_walk walk;
	struct sluice_flow *flow;
	unsigned int n = 0;

	sluice_flow_walk_begin(&walk);
	while ((flow = sluice_flow_walk_next(&walk))) {
		n += is_ours(flow);
		if (pausing && n % 100 == 0) {
			sluice_flow_walk_pause(&walk);
			cond_resched();
			sluice_flow_walk_resume(&walk);
		}
	}
	sluice_flow_walk_end(&walk);
	return n;
}

/* The table grows meanwhile, and shrinks again. */
static void thousands_are_found_and_walked_over(struct kunit *test)
{
	unsigned int i, missing = 0, errors = 0;

	for (i = 0; i < MANY; i++) {
		flows[i].key = key(test, i);
		errors += sluice_flow_insert(&flows[i]) != 0;
	}
	for (i = 0; i < MANY; i++)
		missing += find(&flows[i].key) != &flows[i];
	KUNIT_EXPECT_EQ(test, errors, 0);
	KUNIT_EXPECT_EQ(test, missing, 0);
	/* While it is resized, a walk may see one twice. */
	KUNIT_EXPECT_TRUE(test, fixture_eventually(walk_all(false) == MANY));
	KUNIT_EXPECT_TRUE(test, fixture_eventually(walk_all(true) >= MANY));
	for (i = 0; i < MANY; i++)
		sluice_flow_remove(&flows[i]);
	KUNIT_EXPECT_EQ(test, walk_all(false), 0);
}

static void only_link_local_addresses_have_a_scope(struct kunit *test)
{
	struct in6_addr global = fixture_in6(test, "2001:db8::1");
	struct in6_addr local = fixture_in6(test, "fe80::1");
	struct in6_addr v4 = fixture_in6(test, "169.254.1.1");

	KUNIT_EXPECT_EQ(test, sluice_flow_scope(&global, &global, 5), 0);
	KUNIT_EXPECT_EQ(test, sluice_flow_scope(&v4, &v4, 5), 0);
	KUNIT_EXPECT_EQ(test, sluice_flow_scope(&local, &local, 5), 5);
	KUNIT_EXPECT_EQ(test, sluice_flow_scope(&local, &global, 5), 5);
	KUNIT_EXPECT_EQ(test, sluice_flow_scope(&global, &local, 5), 5);
}

/* ---- listeners ------------------------------------------------------------------ */

#define PORT 5002
#define LOOPBACK 1	/* interface index of lo */

static struct sock *chosen(struct kunit *test, const char *local, u16 port, int ifindex, u16 remote)
{
	struct sluice_flow_key key = {
		.local = fixture_in6(test, local),
		.local_port = htons(port),
		.remote_port = htons(remote),
		.net = &init_net,
	};
	struct sock *sk;

	rcu_read_lock();
	sk = sluice_listener_find(&key, ifindex, NULL, 0);
	rcu_read_unlock();
	return sk;
}

static struct sock *listen_with(struct kunit *test, struct socket *sock, const char *address)
{
	sock->sk->sk_reuseport = 1;
	KUNIT_ASSERT_EQ(test, fixture_bind(test, sock, address, PORT), 0);
	KUNIT_ASSERT_EQ(test, kernel_listen(sock, 1), 0);
	return sock->sk;
}

static struct sock *listen_at(struct kunit *test, const char *address)
{
	return listen_with(test, fixture_socket(test, sluice_family), address);
}

static void a_listener_hears_its_port_alone(struct kunit *test)
{
	struct sock *sk = listen_at(test, "::1");

	KUNIT_EXPECT_PTR_EQ(test, chosen(test, "::1", PORT, LOOPBACK, 0), sk);
	KUNIT_EXPECT_PTR_EQ(test, chosen(test, "::1", PORT + 1, LOOPBACK, 0), NULL);
	/* one that shares its bucket */
	KUNIT_EXPECT_PTR_EQ(test, chosen(test, "::1", PORT + SLUICE_LISTENER_BUCKETS, LOOPBACK, 0),
			    NULL);
	KUNIT_EXPECT_PTR_EQ(test, chosen(test, "2001:db8::1", PORT, LOOPBACK, 0), NULL);
}

static void a_closed_listener_is_not_found(struct kunit *test)
{
	struct socket *sock = fixture_socket(test, sluice_family);

	listen_with(test, sock, "::1");
	fixture_close(test, sock);
	KUNIT_EXPECT_PTR_EQ(test, chosen(test, "::1", PORT, LOOPBACK, 0), NULL);
}

static void the_more_particular_address_wins(struct kunit *test)
{
	struct sock *any = listen_at(test, "::"), *exact = listen_at(test, "::1");
	struct sock *v4 = listen_at(test, "127.0.0.1");

	KUNIT_EXPECT_PTR_EQ(test, chosen(test, "::1", PORT, LOOPBACK, 0), exact);
	KUNIT_EXPECT_PTR_EQ(test, chosen(test, "127.0.0.1", PORT, LOOPBACK, 0), v4);
	KUNIT_EXPECT_PTR_EQ(test, chosen(test, "2001:db8::1", PORT, LOOPBACK, 0), any);
	KUNIT_EXPECT_PTR_EQ(test, chosen(test, "127.0.0.2", PORT, LOOPBACK, 0), any);
}

static void an_address_wins_over_a_device_and_that_over_none(struct kunit *test)
{
	struct socket *sock = fixture_socket(test, sluice_family);
	struct sock *exact = listen_at(test, "::1"), *any = listen_at(test, "::"), *bound;

	sock->sk->sk_bound_dev_if = LOOPBACK;
	bound = listen_with(test, sock, "::");
	KUNIT_EXPECT_PTR_EQ(test, chosen(test, "::1", PORT, LOOPBACK, 0), exact);
	KUNIT_EXPECT_PTR_EQ(test, chosen(test, "::2", PORT, LOOPBACK, 0), bound);
	KUNIT_EXPECT_PTR_EQ(test, chosen(test, "::2", PORT, LOOPBACK + 1, 0), any);
	sock->sk->sk_bound_dev_if = 0;
}

static void ipv6only_listeners_do_not_hear_ipv4(struct kunit *test)
{
	struct socket *sock = fixture_socket(test, sluice_family);
	struct sock *sk;

	sock->sk->sk_ipv6only = 1;
	sk = listen_with(test, sock, "::");
	KUNIT_EXPECT_PTR_EQ(test, chosen(test, "127.0.0.1", PORT, LOOPBACK, 0), NULL);
	KUNIT_EXPECT_PTR_EQ(test, chosen(test, "::1", PORT, LOOPBACK, 0), sk);
}

static void an_ipv4_socket_wins_over_a_dual_one(struct kunit *test)
{
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	struct socket *sock = fixture_socket(test, AF_INET);
	struct sock *dual = listen_at(test, "::");

	sock->sk->sk_reuseport = 1;
	KUNIT_ASSERT_EQ(test, kernel_bind(sock, (struct sockaddr *)&any, sizeof(any)), 0);
	KUNIT_ASSERT_EQ(test, kernel_listen(sock, 1), 0);
	KUNIT_EXPECT_PTR_EQ(test, chosen(test, "127.0.0.1", PORT, LOOPBACK, 0), sock->sk);
	KUNIT_EXPECT_PTR_EQ(test, chosen(test, "::1", PORT, LOOPBACK, 0), dual);
}

static void other_namespaces_listeners_are_not_found(struct kunit *test)
{
	struct net *other = kunit_kzalloc(test, sizeof(*other), GFP_KERNEL);
	struct sluice_flow_key key = {
		.local = fixture_in6(test, "::1"),
		.local_port = htons(PORT),
		.net = other,
	};

	KUNIT_ASSERT_NOT_NULL(test, other);
	other->hash_mix = init_net.hash_mix;
	listen_at(test, "::1");
	rcu_read_lock();
	KUNIT_EXPECT_PTR_EQ(test, sluice_listener_find(&key, LOOPBACK, NULL, 0), NULL);
	rcu_read_unlock();
}

#define EQUALS 4
#define SYNS 4000

/* Each of them hears its share, give or take a quarter of it. */
static void equals_share_the_syns_evenly(struct kunit *test)
{
	struct sock *sk[EQUALS];
	unsigned int i, n, heard[EQUALS] = { };

	for (i = 0; i < EQUALS; i++)
		sk[i] = listen_at(test, "::1");
	for (n = 0; n < SYNS; n++) {
		struct sock *one = chosen(test, "::1", PORT, LOOPBACK, n);

		KUNIT_EXPECT_PTR_EQ(test, one, chosen(test, "::1", PORT, LOOPBACK, n));
		for (i = 0; i < EQUALS; i++)
			heard[i] += one == sk[i];
	}
	for (i = 0; i < EQUALS; i++) {
		KUNIT_EXPECT_GT(test, heard[i], SYNS / EQUALS * 3 / 4);
		KUNIT_EXPECT_LT(test, heard[i], SYNS / EQUALS * 5 / 4);
	}
}

/* They and no other: SO_REUSEPORT alone doesn't make a group. */
static void equals_are_of_one_kind(struct kunit *test)
{
	struct sock *a = listen_at(test, "::1"), *b = listen_at(test, "::1");
	struct sock *any = listen_at(test, "::");
	struct socket *only = fixture_socket(test, sluice_family);

	only->sk->sk_ipv6only = 1;
	listen_with(test, only, "::");
	KUNIT_EXPECT_PTR_EQ(test, rcu_access_pointer(a->sk_reuseport_cb),
			    rcu_access_pointer(b->sk_reuseport_cb));
	KUNIT_EXPECT_PTR_NE(test, rcu_access_pointer(a->sk_reuseport_cb),
			    rcu_access_pointer(any->sk_reuseport_cb));
	KUNIT_EXPECT_PTR_NE(test, rcu_access_pointer(only->sk->sk_reuseport_cb),
			    rcu_access_pointer(any->sk_reuseport_cb));
}

static void one_whose_cpu_it_is_is_chosen_among_equals(struct kunit *test)
{
	struct sock *sk[EQUALS];
	unsigned int i, n;
	int cpu = 0;	/* the one that such a kernel has */

	for (i = 0; i < EQUALS; i++)
		sk[i] = listen_at(test, "::1");
	KUNIT_ASSERT_EQ(test, sock_setsockopt(sk[2]->sk_socket, SOL_SOCKET, SO_INCOMING_CPU,
					      KERNEL_SOCKPTR(&cpu), sizeof(cpu)), 0);
	for (n = 0; n < 100; n++)
		KUNIT_EXPECT_PTR_EQ(test, chosen(test, "::1", PORT, LOOPBACK, n), sk[2]);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(what_was_inserted_is_found_until_removed),
	KUNIT_CASE(a_pair_is_in_use_once),
	KUNIT_CASE(every_field_of_an_ipv6_key_counts),
	KUNIT_CASE(every_field_of_an_ipv4_key_counts),
	KUNIT_CASE(replacing_keeps_the_key_and_leaves_one),
	KUNIT_CASE(thousands_are_found_and_walked_over),
	KUNIT_CASE(only_link_local_addresses_have_a_scope),
	KUNIT_CASE(a_listener_hears_its_port_alone),
	KUNIT_CASE(a_closed_listener_is_not_found),
	KUNIT_CASE(the_more_particular_address_wins),
	KUNIT_CASE(an_address_wins_over_a_device_and_that_over_none),
	KUNIT_CASE(ipv6only_listeners_do_not_hear_ipv4),
	KUNIT_CASE(an_ipv4_socket_wins_over_a_dual_one),
	KUNIT_CASE(other_namespaces_listeners_are_not_found),
	KUNIT_CASE(equals_share_the_syns_evenly),
	KUNIT_CASE(equals_are_of_one_kind),
	KUNIT_CASE(one_whose_cpu_it_is_is_chosen_among_equals),
	{ }
};

static struct kunit_suite suite = {
	.name = "sluice_demux",
	.init = begin,
	.exit = end,
	.test_cases = cases,
};

kunit_test_suite(suite);
