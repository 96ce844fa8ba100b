// SPDX-License-Identifier: GPL-2.0
/* Transparent listeners of real TCP in kernel TCP's table of listeners. */
#include <linux/in.h>
#include <net/inet_connection_sock.h>
#include <net/inet_hashtables.h>
#include <net/ipv6.h>

#include "compat.h"
#include "fixture.h"
#include "stand_in.h"

#define PORT 5002

static void set_transparent(struct kunit *test, struct socket *sock, int on)
{
	KUNIT_ASSERT_EQ(test, sock->ops->setsockopt(sock, IPPROTO_IP, IP_TRANSPARENT,
						    KERNEL_SOCKPTR(&on), sizeof(on)), 0);
}

static struct socket *listener(struct kunit *test, int family, int protocol, bool transparent)
{
	struct socket *sock = fixture_socket_of(test, family, protocol);
	struct sockaddr_storage any = { .ss_family = family };
	struct sockaddr_in *in = (struct sockaddr_in *)&any;	/* the port is where IPv6 has it */

	in->sin_port = htons(PORT);
	if (transparent)
		set_transparent(test, sock, 1);
	KUNIT_ASSERT_EQ(test, kernel_bind(sock, (struct sockaddr *)&any, sizeof(any)), 0);
	KUNIT_ASSERT_EQ(test, kernel_listen(sock, 5), 0);
	return sock;
}

/* Whom kernel TCP finds for that port, at the loopback address; NULL: none. */
static struct sock *found_by_kernel(void)
{
	struct sock *sk;

	rcu_read_lock();
	sk = inet_lookup_listener(&init_net, init_net.ipv4.tcp_death_row.hashinfo, NULL, 0,
				  htonl(INADDR_LOOPBACK), htons(1), htonl(INADDR_LOOPBACK),
				  htons(PORT), 1, 0);
	rcu_read_unlock();
	return sk;
}

static struct sock *found_stand_in(struct kunit *test)
{
	struct sock *stand_in = found_by_kernel();

	KUNIT_ASSERT_NOT_NULL(test, stand_in);
	KUNIT_ASSERT_TRUE(test, sluice_is_stand_in(stand_in));
	return stand_in;
}

static void expect_stands_for(struct kunit *test, const struct socket *sock)
{
	const struct sock *stand_in = found_stand_in(test);

	rcu_read_lock();
	KUNIT_EXPECT_PTR_EQ(test, sluice_stand_in_listener(stand_in), sock->sk);
	rcu_read_unlock();
	KUNIT_EXPECT_TRUE(test, sluice_is_transparent(stand_in));
}

static void kernel_tcp_finds_a_transparent_listener(struct kunit *test)
{
	static const int families[] = { AF_INET, AF_INET6 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(families); i++) {
		struct socket *sock = listener(test, families[i], SLUICE_PROTO_TCP, true);

		expect_stands_for(test, sock);
		fixture_close(test, sock);
		KUNIT_EXPECT_PTR_EQ(test, found_by_kernel(), NULL);
	}
}

static void it_finds_no_other(struct kunit *test)
{
	struct socket *sock = listener(test, AF_INET, SLUICE_PROTO_TCP, false);

	KUNIT_EXPECT_PTR_EQ(test, found_by_kernel(), NULL);
	fixture_close(test, sock);
	sock = listener(test, AF_INET, SLUICE_PROTO_STREAM, true);
	KUNIT_EXPECT_PTR_EQ(test, found_by_kernel(), NULL);
	fixture_close(test, sock);
	KUNIT_EXPECT_FALSE(test, sluice_is_stand_in(NULL));
	KUNIT_EXPECT_FALSE(test, sluice_is_stand_in(fixture_socket_of(test, AF_INET,
								       IPPROTO_TCP)->sk));
}

static void a_listener_may_become_transparent_and_cease_to_be(struct kunit *test)
{
	struct socket *sock = listener(test, AF_INET, SLUICE_PROTO_TCP, false);

	set_transparent(test, sock, 1);
	expect_stands_for(test, sock);
	set_transparent(test, sock, 1);
	expect_stands_for(test, sock);
	set_transparent(test, sock, 0);
	KUNIT_EXPECT_PTR_EQ(test, found_by_kernel(), NULL);
}

/* For which it would make a request, and later a connection, of its own. */
static void a_syn_that_kernel_tcp_gets_is_dropped_and_counted(struct kunit *test)
{
	struct socket *sock = listener(test, AF_INET, SLUICE_PROTO_TCP, true);
	struct sock *stand_in = found_stand_in(test);
	u64 before = fixture_count(SLUICE_CNT_stand_in_syns);
	struct sk_buff *syn = fixture_packet();

	KUNIT_ASSERT_NOT_NULL(test, syn);
	local_bh_disable();
	rcu_read_lock();
	KUNIT_EXPECT_EQ(test, inet_csk(stand_in)->icsk_af_ops->conn_request(stand_in, syn), 0);
	rcu_read_unlock();
	local_bh_enable();
	kfree_skb(syn);
	KUNIT_EXPECT_EQ(test, fixture_count(SLUICE_CNT_stand_in_syns), before + 1);
	KUNIT_EXPECT_EQ(test, sock->sk->sk_ack_backlog + stand_in->sk_ack_backlog, 0);
}

/* Whom it would destroy from under its listener. */
static void sock_diag_destroys_no_stand_in(struct kunit *test)
{
	struct socket *sock = listener(test, AF_INET, SLUICE_PROTO_TCP, true);

	KUNIT_EXPECT_PTR_EQ(test, found_stand_in(test)->sk_prot->diag_destroy, NULL);
	expect_stands_for(test, sock);
}

/* Packets hold it when the listener is closed, and even the module gone. */
static void what_is_left_of_it_is_kernel_tcps_alone(struct kunit *test)
{
	struct socket *sock = listener(test, AF_INET, SLUICE_PROTO_TCP, true);
	struct socket *kernels = fixture_socket_of(test, AF_INET, IPPROTO_TCP);
	struct sock *stand_in = found_stand_in(test);

	sock_hold(stand_in);
	fixture_close(test, sock);
	KUNIT_EXPECT_FALSE(test, sluice_is_stand_in(stand_in));
	KUNIT_EXPECT_PTR_EQ(test, stand_in->sk_prot, kernels->sk->sk_prot);
	KUNIT_EXPECT_PTR_EQ(test, inet_csk(stand_in)->icsk_af_ops,
			    inet_csk(kernels->sk)->icsk_af_ops);
	rcu_read_lock();
	KUNIT_EXPECT_PTR_EQ(test, sluice_stand_in_listener(stand_in), NULL);
	rcu_read_unlock();
	sock_put(stand_in);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(kernel_tcp_finds_a_transparent_listener),
	KUNIT_CASE(it_finds_no_other),
	KUNIT_CASE(a_listener_may_become_transparent_and_cease_to_be),
	KUNIT_CASE(a_syn_that_kernel_tcp_gets_is_dropped_and_counted),
	KUNIT_CASE(sock_diag_destroys_no_stand_in),
	KUNIT_CASE(what_is_left_of_it_is_kernel_tcps_alone),
	{ }
};

static struct kunit_suite suite = {
	.name = "sluice_stand_in",
	.test_cases = cases,
};

kunit_test_suite(suite);
