// SPDX-License-Identifier: GPL-2.0
/* The port table: who may have which port, and for how long. */
#include <net/ip.h>
#include <net/ipv6.h>

#include "control.h"
#include "fixture.h"
#include "port_range.h"
#include "ports.h"

#define PORT 5001

/* An unbound socket with this local address, as bind() makes it before get_port. */
static struct sock *at(struct kunit *test, const char *text)
{
	struct sock *sk = fixture_socket(test, sluice_family)->sk;

	sk->sk_v6_rcv_saddr = fixture_in6(test, text);
	if (ipv6_addr_v4mapped(&sk->sk_v6_rcv_saddr))
		sk->sk_rcv_saddr = sk->sk_v6_rcv_saddr.s6_addr32[3];
	return sk;
}

static int get(struct sock *sk, u16 number)
{
	int error;

	lock_sock(sk);
	error = sluice_port_get(sk, number);
	release_sock(sk);
	return error;
}

static void put(struct sock *sk)
{
	lock_sock(sk);
	sluice_port_put(&sluice_sk(sk)->port);
	release_sock(sk);
}

/* May both have the port, in either order? */
static int both(struct kunit *test, struct sock *a, struct sock *b)
{
	int first, second;

	KUNIT_EXPECT_EQ(test, get(a, PORT), 0);
	first = get(b, PORT);
	put(b);
	put(a);
	KUNIT_EXPECT_EQ(test, get(b, PORT), 0);
	second = get(a, PORT);
	put(a);
	put(b);
	KUNIT_EXPECT_EQ(test, first, second);
	return first;
}

static int both_addresses(struct kunit *test, const char *a, const char *b)
{
	return both(test, at(test, a), at(test, b));
}

static void one_address_has_a_port_once(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, both_addresses(test, "127.0.0.1", "127.0.0.1"), -EADDRINUSE);
	KUNIT_EXPECT_EQ(test, both_addresses(test, "::1", "::1"), -EADDRINUSE);
}

static void different_addresses_share_a_port(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, both_addresses(test, "127.0.0.1", "127.0.0.2"), 0);
	KUNIT_EXPECT_EQ(test, both_addresses(test, "::1", "2001:db8::1"), 0);
	KUNIT_EXPECT_EQ(test, both_addresses(test, "::1", "127.0.0.1"), 0);
}

static void any_address_overlaps_each(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, both_addresses(test, "0.0.0.0", "127.0.0.1"), -EADDRINUSE);
	KUNIT_EXPECT_EQ(test, both_addresses(test, "::", "::1"), -EADDRINUSE);
	KUNIT_EXPECT_EQ(test, both_addresses(test, "::", "127.0.0.1"), -EADDRINUSE);
	KUNIT_EXPECT_EQ(test, both_addresses(test, "0.0.0.0", "::1"), 0);
}

static void ipv6only_leaves_ipv4_to_others(struct kunit *test)
{
	struct sock *v6 = at(test, "::");

	v6->sk_ipv6only = 1;
	KUNIT_EXPECT_EQ(test, both(test, v6, at(test, "0.0.0.0")), 0);
	KUNIT_EXPECT_EQ(test, both(test, v6, at(test, "127.0.0.1")), 0);
	KUNIT_EXPECT_EQ(test, both(test, v6, at(test, "::1")), -EADDRINUSE);
}

static void different_ports_never_conflict(struct kunit *test)
{
	struct sock *a = at(test, "::"), *b = at(test, "::");

	KUNIT_EXPECT_EQ(test, get(a, PORT), 0);
	KUNIT_EXPECT_EQ(test, get(b, PORT + 1), 0);
}

static void different_devices_share_a_port(struct kunit *test)
{
	struct sock *a = at(test, "::"), *b = at(test, "::");

	a->sk_bound_dev_if = 1;
	KUNIT_EXPECT_EQ(test, both(test, a, b), -EADDRINUSE);
	b->sk_bound_dev_if = 2;
	KUNIT_EXPECT_EQ(test, both(test, a, b), 0);
}

static void reuseaddr_needs_both(struct kunit *test)
{
	struct sock *a = at(test, "::1"), *b = at(test, "::1");

	a->sk_reuse = SK_CAN_REUSE;
	KUNIT_EXPECT_EQ(test, both(test, a, b), -EADDRINUSE);
	b->sk_reuse = SK_CAN_REUSE;
	KUNIT_EXPECT_EQ(test, both(test, a, b), 0);
}

static void reuseaddr_does_not_share_with_a_listener(struct kunit *test)
{
	struct socket *listener = fixture_socket(test, sluice_family);
	struct sock *sk = at(test, "::1");

	listener->sk->sk_reuse = SK_CAN_REUSE;
	sk->sk_reuse = SK_CAN_REUSE;
	KUNIT_ASSERT_EQ(test, fixture_bind(test, listener, "::1", PORT), 0);
	KUNIT_ASSERT_EQ(test, kernel_listen(listener, 1), 0);
	KUNIT_EXPECT_EQ(test, get(sk, PORT), -EADDRINUSE);
}

static void only_one_of_those_that_reuse_listens(struct kunit *test)
{
	struct socket *a = fixture_socket(test, sluice_family);
	struct socket *b = fixture_socket(test, sluice_family);

	a->sk->sk_reuse = b->sk->sk_reuse = SK_CAN_REUSE;
	KUNIT_ASSERT_EQ(test, fixture_bind(test, a, "::1", PORT), 0);
	KUNIT_ASSERT_EQ(test, fixture_bind(test, b, "::1", PORT), 0);
	KUNIT_EXPECT_EQ(test, kernel_listen(a, 1), 0);
	KUNIT_EXPECT_EQ(test, kernel_listen(b, 1), -EADDRINUSE);
}

static void reuseport_shares_among_one_user(struct kunit *test)
{
	struct sock *a = at(test, "::1"), *b = at(test, "::1");

	a->sk_reuseport = 1;
	KUNIT_EXPECT_EQ(test, both(test, a, b), -EADDRINUSE);
	b->sk_reuseport = 1;
	KUNIT_EXPECT_EQ(test, both(test, a, b), 0);
	b->sk_uid = KUIDT_INIT(1234);
	KUNIT_EXPECT_EQ(test, both(test, a, b), -EADDRINUSE);
}

static void asking_again_for_the_same_port_is_no_conflict(struct kunit *test)
{
	struct sock *sk = at(test, "::1");

	KUNIT_EXPECT_EQ(test, get(sk, PORT), 0);
	KUNIT_EXPECT_EQ(test, get(sk, PORT), 0);
	put(sk);
	KUNIT_EXPECT_EQ(test, get(at(test, "::1"), PORT), 0);
}

/* ---- ephemeral ports ---------------------------------------------------------- */

#define LOW 40000
#define HIGH 40004

static struct sock *with_range(struct kunit *test, const char *text)
{
	struct sock *sk = at(test, text);

	inet_sk(sk)->local_port_range = HIGH << 16 | LOW;
	return sk;
}

static void ephemeral_ports_are_those_of_the_range_once_each(struct kunit *test)
{
	unsigned int i, seen = 0;

	for (i = LOW; i <= HIGH; i++) {
		struct sock *sk = with_range(test, "::1");

		KUNIT_EXPECT_EQ(test, get(sk, 0), 0);
		KUNIT_EXPECT_GE(test, inet_sk(sk)->inet_num, LOW);
		KUNIT_EXPECT_LE(test, inet_sk(sk)->inet_num, HIGH);
		seen |= 1u << (inet_sk(sk)->inet_num - LOW);
	}
	KUNIT_EXPECT_EQ(test, seen, (1u << (HIGH - LOW + 1)) - 1);
	KUNIT_EXPECT_EQ(test, get(with_range(test, "::1"), 0), -EADDRINUSE);
	KUNIT_EXPECT_EQ(test, get(with_range(test, "127.0.0.1"), 0), 0);
}

static void follow_sysctl(void *unused)
{
	sluice_port_range_follow(fixture_net());
}

static void the_range_that_is_set_counts_for_the_sysctls(struct kunit *test)
{
	struct sock *sk = at(test, "::1");
	char text[SLUICE_PORT_RANGE_TEXT];
	int low, high;

	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, follow_sysctl, NULL), 0);
	KUNIT_EXPECT_EQ(test, sluice_port_range_source(fixture_net()), SLUICE_SOURCE_SYSCTL);
	KUNIT_EXPECT_EQ(test, sluice_port_range_set(fixture_net(), "50000 50000"), 0);
	KUNIT_EXPECT_EQ(test, sluice_port_range_source(fixture_net()), SLUICE_SOURCE_SET);
	sluice_port_range_print(fixture_net(), text);
	KUNIT_EXPECT_STREQ(test, text, "50000 50000");
	KUNIT_EXPECT_EQ(test, get(sk, 0), 0);
	KUNIT_EXPECT_EQ(test, inet_sk(sk)->inet_num, 50000);
	KUNIT_EXPECT_EQ(test, sluice_port_range_set(fixture_net(), "39990\t40002"), 0);
	sluice_port_range_of(with_range(test, "::1"), &low, &high);
	KUNIT_EXPECT_EQ(test, low, LOW);
	KUNIT_EXPECT_EQ(test, high, 40002);	/* HIGH is out of it */
	sluice_port_range_follow(fixture_net());
	sluice_port_range_of(at(test, "::1"), &low, &high);
	KUNIT_EXPECT_EQ(test, low, 32768);
	KUNIT_EXPECT_EQ(test, high, 60999);
}

static void what_is_no_range_of_ports_changes_nothing(struct kunit *test)
{
	static const char * const wrong[] = {
		"", "40000", "40000 ", "40000 39999", "0 50000", "1023 50000", "40000 65536",
		"-1 50000", "40000 50000 1", "40000 50000x", "40000-50000", "many ports",
		"4294999296 50000",
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++)
		KUNIT_EXPECT_EQ_MSG(test, sluice_port_range_set(fixture_net(), wrong[i]), -EINVAL,
				    "'%s'", wrong[i]);
	KUNIT_EXPECT_EQ(test, sluice_port_range_source(fixture_net()), SLUICE_SOURCE_SYSCTL);
}

static u16 tried[HIGH - LOW + 2];
static unsigned int tries, refusals;

static int try(struct sock *sk, u16 port)
{
	if (tries < ARRAY_SIZE(tried))
		tried[tries] = port;
	return tries++ < refusals ? -EEXIST : 0;
}

static int try_in_vain(struct sock *sk, u16 port)
{
	tries++;
	return -ENETUNREACH;
}

static int connect(struct sock *sk, unsigned int refuse)
{
	int error;

	tries = 0;
	refusals = refuse;
	lock_sock(sk);
	error = sluice_port_connect(sk, 12345, try);
	release_sock(sk);
	return error;
}

static void connect_goes_on_until_a_pair_is_free(struct kunit *test)
{
	struct sock *sk = with_range(test, "::1");

	KUNIT_EXPECT_EQ(test, connect(sk, 3), 0);
	KUNIT_EXPECT_EQ(test, tries, 4);
	KUNIT_EXPECT_EQ(test, inet_sk(sk)->inet_num, tried[3]);
	KUNIT_EXPECT_NE(test, tried[3], tried[2]);
}

static void connect_tries_the_whole_range_and_gives_up(struct kunit *test)
{
	struct sock *sk = with_range(test, "::1");
	unsigned int i, seen = 0;

	KUNIT_EXPECT_EQ(test, connect(sk, UINT_MAX), -EADDRNOTAVAIL);
	for (i = 0; i < min_t(unsigned int, tries, ARRAY_SIZE(tried)); i++)
		seen |= 1u << (tried[i] - LOW);
	KUNIT_EXPECT_EQ(test, seen, (1u << (HIGH - LOW + 1)) - 1);
	KUNIT_EXPECT_PTR_EQ(test, sluice_sk(sk)->port.port, NULL);
	KUNIT_EXPECT_EQ(test, inet_sk(sk)->inet_num, 0);
}

static void connect_stops_at_other_errors(struct kunit *test)
{
	struct sock *sk = with_range(test, "::1");

	tries = 0;
	lock_sock(sk);
	KUNIT_EXPECT_EQ(test, sluice_port_connect(sk, 0, try_in_vain), -ENETUNREACH);
	release_sock(sk);
	KUNIT_EXPECT_EQ(test, tries, 1);
	KUNIT_EXPECT_PTR_EQ(test, sluice_sk(sk)->port.port, NULL);
}

static void connections_share_ports_that_nobody_bound(struct kunit *test)
{
	struct sock *a = with_range(test, "::1"), *b = with_range(test, "::1");

	KUNIT_EXPECT_EQ(test, connect(a, 0), 0);
	KUNIT_EXPECT_EQ(test, connect(b, 0), 0);
	KUNIT_EXPECT_EQ(test, inet_sk(a)->inet_num, inet_sk(b)->inet_num);
}

static void connections_avoid_ports_that_were_bound(struct kunit *test)
{
	struct sock *a = with_range(test, "::1"), *b = with_range(test, "::1");
	u16 first;

	KUNIT_EXPECT_EQ(test, connect(a, 0), 0);
	first = inet_sk(a)->inet_num;
	put(a);
	KUNIT_EXPECT_EQ(test, get(a, first), 0);
	KUNIT_EXPECT_EQ(test, connect(b, 0), 0);
	KUNIT_EXPECT_NE(test, inet_sk(b)->inet_num, first);
}

/* ---- handing on --------------------------------------------------------------- */

static void an_accepted_connection_keeps_its_listeners_port(struct kunit *test)
{
	struct sock *listener = at(test, "::1"), *child = at(test, "::1");
	struct fixture_pair pair;

	fixture_connect(test, &pair, "::1");
	KUNIT_EXPECT_EQ(test, inet_sk(pair.server->sk)->inet_num, fixture_port(pair.listener));
	KUNIT_EXPECT_EQ(test, get(listener, PORT), 0);
	inet_sk(child)->inet_num = PORT;
	KUNIT_EXPECT_EQ(test, sluice_port_inherit(child, listener), 0);
	put(listener);
	KUNIT_EXPECT_EQ(test, get(at(test, "::1"), PORT), -EADDRINUSE);
	put(child);
	KUNIT_EXPECT_EQ(test, get(at(test, "::1"), PORT), 0);
}

/* Where a transparent proxy's rules brought it from. */
static void a_connection_of_another_port_holds_none(struct kunit *test)
{
	struct sock *listener = at(test, "::1"), *child = at(test, "::1");

	KUNIT_EXPECT_EQ(test, get(listener, PORT), 0);
	inet_sk(child)->inet_num = PORT + 1;
	KUNIT_EXPECT_EQ(test, sluice_port_inherit(child, listener), 0);
	KUNIT_EXPECT_PTR_EQ(test, sluice_sk(child)->port.port, NULL);
	KUNIT_EXPECT_EQ(test, get(at(test, "::1"), PORT + 1), 0);
	put(listener);
	KUNIT_EXPECT_EQ(test, get(at(test, "::1"), PORT), 0);
}

static void nothing_is_inherited_from_a_listener_without_port(struct kunit *test)
{
	struct sock *listener = at(test, "::1"), *child = at(test, "::1");

	KUNIT_EXPECT_EQ(test, sluice_port_inherit(child, listener), -ENOENT);
	KUNIT_EXPECT_PTR_EQ(test, sluice_sk(child)->port.port, NULL);
}

static void time_wait_keeps_the_port_and_its_terms(struct kunit *test)
{
	struct sluice_port_user time_wait = { };
	struct sock *sk = at(test, "::1"), *stranger = at(test, "::1"), *reuser = at(test, "::1");

	sk->sk_reuse = reuser->sk_reuse = SK_CAN_REUSE;
	KUNIT_EXPECT_EQ(test, get(sk, PORT), 0);
	lock_sock(sk);
	sluice_port_hand_over(sk, &time_wait);
	release_sock(sk);
	put(sk);
	KUNIT_EXPECT_EQ(test, get(stranger, PORT), -EADDRINUSE);
	KUNIT_EXPECT_EQ(test, get(at(test, "::2"), PORT), 0);
	KUNIT_EXPECT_EQ(test, get(reuser, PORT), 0);
	put(reuser);
	sluice_port_put(&time_wait);
	KUNIT_EXPECT_EQ(test, get(stranger, PORT), 0);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(one_address_has_a_port_once),
	KUNIT_CASE(different_addresses_share_a_port),
	KUNIT_CASE(any_address_overlaps_each),
	KUNIT_CASE(ipv6only_leaves_ipv4_to_others),
	KUNIT_CASE(different_ports_never_conflict),
	KUNIT_CASE(different_devices_share_a_port),
	KUNIT_CASE(reuseaddr_needs_both),
	KUNIT_CASE(reuseaddr_does_not_share_with_a_listener),
	KUNIT_CASE(only_one_of_those_that_reuse_listens),
	KUNIT_CASE(reuseport_shares_among_one_user),
	KUNIT_CASE(asking_again_for_the_same_port_is_no_conflict),
	KUNIT_CASE(ephemeral_ports_are_those_of_the_range_once_each),
	KUNIT_CASE(the_range_that_is_set_counts_for_the_sysctls),
	KUNIT_CASE(what_is_no_range_of_ports_changes_nothing),
	KUNIT_CASE(connect_goes_on_until_a_pair_is_free),
	KUNIT_CASE(connect_tries_the_whole_range_and_gives_up),
	KUNIT_CASE(connect_stops_at_other_errors),
	KUNIT_CASE(connections_share_ports_that_nobody_bound),
	KUNIT_CASE(connections_avoid_ports_that_were_bound),
	KUNIT_CASE(an_accepted_connection_keeps_its_listeners_port),
	KUNIT_CASE(a_connection_of_another_port_holds_none),
	KUNIT_CASE(nothing_is_inherited_from_a_listener_without_port),
	KUNIT_CASE(time_wait_keeps_the_port_and_its_terms),
	{ }
};

static struct kunit_suite suite = {
	.name = "sluice_ports",
	.test_cases = cases,
};

kunit_test_suite(suite);
