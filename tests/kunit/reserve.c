// SPDX-License-Identifier: GPL-2.0
/* Ports that real TCP holds against kernel TCP, and the other way round. */
#include <linux/in.h>
#include <net/ipv6.h>

#include "fixture.h"
#include "ports.h"
#include "reserve.h"

#define PORT 5001

/* Real TCP of ours, or kernel TCP; IPv4. */
static struct socket *ours(struct kunit *test, bool reuse)
{
	struct socket *sock = fixture_socket_of(test, AF_INET, SLUICE_PROTO_TCP);

	sock->sk->sk_reuse = reuse ? SK_CAN_REUSE : SK_NO_REUSE;
	return sock;
}

static struct socket *kernels(struct kunit *test, bool reuse)
{
	struct socket *sock = fixture_socket_of(test, AF_INET, IPPROTO_TCP);

	sock->sk->sk_reuse = reuse ? SK_CAN_REUSE : SK_NO_REUSE;
	return sock;
}

static int bind_to(struct socket *sock, u32 address, u16 port)
{
	struct sockaddr_in in = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(address),
		.sin_port = htons(port),
	};

	return kernel_bind(sock, (struct sockaddr *)&in, sizeof(in));
}

static int take(struct socket *sock)
{
	return bind_to(sock, INADDR_LOOPBACK, PORT);
}

static void whoever_comes_second_is_refused(struct kunit *test)
{
	struct socket *first = ours(test, false), *second = kernels(test, false);

	KUNIT_EXPECT_EQ(test, take(first), 0);
	KUNIT_EXPECT_EQ(test, take(second), -EADDRINUSE);
	fixture_close(test, first);
	KUNIT_EXPECT_EQ(test, take(second), 0);
	KUNIT_EXPECT_EQ(test, take(ours(test, false)), -EADDRINUSE);
	fixture_close(test, second);
	KUNIT_EXPECT_EQ(test, take(ours(test, false)), 0);
}

static void addresses_are_held_apart(struct kunit *test)
{
	struct socket *any = ours(test, false);

	KUNIT_EXPECT_EQ(test, take(ours(test, false)), 0);
	KUNIT_EXPECT_EQ(test, bind_to(kernels(test, false), INADDR_LOOPBACK + 1, PORT), 0);
	KUNIT_EXPECT_EQ(test, bind_to(kernels(test, false), INADDR_ANY, PORT), -EADDRINUSE);
	KUNIT_EXPECT_EQ(test, bind_to(any, INADDR_ANY, PORT + 1), 0);
	KUNIT_EXPECT_EQ(test, bind_to(kernels(test, false), INADDR_LOOPBACK, PORT + 1), -EADDRINUSE);
}

/* As between two sockets of kernel TCP: both may bind, and one may listen. */
static void those_that_reuse_share_until_one_listens(struct kunit *test)
{
	struct socket *mine = ours(test, true), *theirs = kernels(test, true);

	KUNIT_EXPECT_EQ(test, take(mine), 0);
	KUNIT_EXPECT_EQ(test, take(theirs), 0);
	KUNIT_EXPECT_EQ(test, kernel_listen(mine, 1), 0);
	KUNIT_EXPECT_EQ(test, kernel_listen(theirs, 1), -EADDRINUSE);
	KUNIT_EXPECT_EQ(test, take(kernels(test, true)), -EADDRINUSE);
	fixture_close(test, mine);
	KUNIT_EXPECT_EQ(test, kernel_listen(theirs, 1), 0);
	KUNIT_EXPECT_EQ(test, take(ours(test, true)), -EADDRINUSE);
}

/* One that doesn't share makes the whole reservation strict, for as long as any of them is there. */
static void the_strictest_user_counts(struct kunit *test)
{
	struct socket *lenient = ours(test, true), *next = ours(test, true);

	KUNIT_EXPECT_EQ(test, take(lenient), 0);
	KUNIT_EXPECT_EQ(test, take(next), 0);
	KUNIT_EXPECT_EQ(test, take(kernels(test, false)), -EADDRINUSE);
	KUNIT_EXPECT_EQ(test, take(kernels(test, true)), 0);
}

static void a_port_is_held_until_its_last_user_goes(struct kunit *test)
{
	struct socket *users[3], *kernel = kernels(test, false);
	int i;

	for (i = 0; i < ARRAY_SIZE(users); i++) {
		users[i] = ours(test, true);
		KUNIT_EXPECT_EQ(test, take(users[i]), 0);
	}
	for (i = 0; i < ARRAY_SIZE(users); i++) {
		KUNIT_EXPECT_EQ(test, take(kernel), -EADDRINUSE);
		fixture_close(test, users[i]);
	}
	KUNIT_EXPECT_EQ(test, take(kernel), 0);
}

static void all_users_of_an_address_share_one_reservation(struct kunit *test)
{
	struct socket *first = ours(test, true), *second = ours(test, true);

	KUNIT_EXPECT_EQ(test, take(first), 0);
	KUNIT_EXPECT_EQ(test, take(second), 0);
	KUNIT_ASSERT_NOT_NULL(test, sluice_sk(first->sk)->port.reservation);
	KUNIT_EXPECT_PTR_EQ(test, sluice_sk(first->sk)->port.reservation,
			    sluice_sk(second->sk)->port.reservation);
	KUNIT_EXPECT_EQ(test, sluice_sk(first->sk)->port.reservation->users, 2);
}

static void native_ports_are_nobody_elses(struct kunit *test)
{
	struct socket *native = fixture_socket_of(test, AF_INET, SLUICE_PROTO_STREAM);

	KUNIT_EXPECT_EQ(test, take(native), 0);
	KUNIT_EXPECT_PTR_EQ(test, sluice_sk(native->sk)->port.reservation, NULL);
	KUNIT_EXPECT_EQ(test, take(kernels(test, false)), 0);
	KUNIT_EXPECT_EQ(test, take(ours(test, false)), -EADDRINUSE);
}

/* Of what was refused nothing stays behind. */
static void a_refusal_leaves_nothing(struct kunit *test)
{
	struct socket *kernel = kernels(test, false), *refused = ours(test, false);
	int i;

	KUNIT_EXPECT_EQ(test, take(kernel), 0);
	for (i = 0; i < 100; i++)
		KUNIT_EXPECT_EQ(test, take(refused), -EADDRINUSE);
	KUNIT_EXPECT_PTR_EQ(test, sluice_sk(refused->sk)->port.port, NULL);
	fixture_close(test, kernel);
	KUNIT_EXPECT_EQ(test, take(refused), 0);
	KUNIT_EXPECT_EQ(test, sluice_sk(refused->sk)->port.reservation->users, 1);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(whoever_comes_second_is_refused),
	KUNIT_CASE(addresses_are_held_apart),
	KUNIT_CASE(those_that_reuse_share_until_one_listens),
	KUNIT_CASE(the_strictest_user_counts),
	KUNIT_CASE(a_port_is_held_until_its_last_user_goes),
	KUNIT_CASE(all_users_of_an_address_share_one_reservation),
	KUNIT_CASE(native_ports_are_nobody_elses),
	KUNIT_CASE(a_refusal_leaves_nothing),
	{ }
};

static struct kunit_suite suite = {
	.name = "sluice_reserve",
	.test_cases = cases,
};

kunit_test_suite(suite);
