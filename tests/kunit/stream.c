// SPDX-License-Identifier: GPL-2.0
/*
 * The core in kernel context: connections whose both ends are sockets that the
 * kernel opened, over loopback.
 */
#include "control.h"
#include "demux.h"
#include "fixture.h"
#include "memory.h"
#include "time_wait.h"

#define CHUNK 5000

/* One direction of a connection: a stream whose every byte is known. */
struct direction {
	struct socket *from, *to;
	u32 salt, total, sent, received;
	u8 buffer[CHUNK];
};

static u8 byte_at(u32 salt, u32 position)
{
	return (position + salt) * 2654435761u >> 23;
}

static bool send_some(struct direction *d)
{
	u32 i, length = min_t(u32, CHUNK, d->total - d->sent);
	int sent;

	if (!length)
		return false;
	for (i = 0; i < length; i++)
		d->buffer[i] = byte_at(d->salt, d->sent + i);
	sent = fixture_send(d->from, d->buffer, length);
	if (sent > 0)
		d->sent += sent;
	return sent > 0;
}

static bool receive_some(struct kunit *test, struct direction *d)
{
	int i, got = fixture_receive(d->to, d->buffer, CHUNK, MSG_DONTWAIT);

	for (i = 0; i < got; i++) {
		if (d->buffer[i] == byte_at(d->salt, d->received + i))
			continue;
		KUNIT_FAIL(test, "byte %u is wrong", d->received + i);
		return false;
	}
	if (got > 0)
		d->received += got;
	return got > 0;
}

static bool done(const struct direction *d)
{
	return d->received >= d->total;
}

/* Until both directions are through, or nothing has moved for ten seconds. */
static void pump(struct kunit *test, struct direction *a, struct direction *b)
{
	unsigned long since = jiffies;

	while (!(done(a) && done(b)) && time_before(jiffies, since + 10 * HZ)) {
		bool moved = send_some(a) | send_some(b);

		moved |= receive_some(test, a) | receive_some(test, b);
		if (moved)
			since = jiffies;
		else
			usleep_range(200, 500);
	}
	KUNIT_EXPECT_EQ(test, a->received, a->total);
	KUNIT_EXPECT_EQ(test, b->received, b->total);
}

static struct direction *direction(struct kunit *test, struct socket *from, struct socket *to,
				   u32 total)
{
	struct direction *d = kunit_kzalloc(test, sizeof(*d), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, d);
	d->from = from;
	d->to = to;
	d->total = total;
	d->salt = total ^ (from < to);
	return d;
}

static void carry(struct kunit *test, const char *address, u32 total)
{
	struct fixture_pair pair;

	fixture_connect(test, &pair, address);
	pump(test, direction(test, pair.client, pair.server, total),
	     direction(test, pair.server, pair.client, total));
}

static void ipv4_carries_every_byte_both_ways(struct kunit *test)
{
	carry(test, "127.0.0.1", 2000000);
}

static void ipv6_carries_every_byte_both_ways(struct kunit *test)
{
	carry(test, "::1", 2000000);
}

/* RFC 5461: what was said of the path is of no use once the peer is heard. */
static void soft_error_is_forgotten(struct kunit *test)
{
	struct fixture_pair pair;
	struct sock *sk;
	u8 byte = 0;

	fixture_connect(test, &pair, "::1");
	sk = pair.client->sk;
	WRITE_ONCE(sk->sk_err_soft, EHOSTUNREACH);
	msleep(50);
	KUNIT_EXPECT_EQ(test, READ_ONCE(sk->sk_err_soft), EHOSTUNREACH);
	KUNIT_EXPECT_EQ(test, fixture_send(pair.client, &byte, 1), 1);
	KUNIT_EXPECT_TRUE(test, fixture_eventually(!READ_ONCE(sk->sk_err_soft)));
}

static bool lose_some(struct fixture_wire *wire, const struct sk_buff *skb,
		      const struct tcphdr *header)
{
	return atomic_read(&wire->sent) % wire->every;
}

static void lossy(struct kunit *test, const char *address)
{
	struct fixture_wire *wire = kunit_kzalloc(test, sizeof(*wire), GFP_KERNEL);
	u64 before = fixture_count(SLUICE_CNT_retrans_segs);

	KUNIT_ASSERT_NOT_NULL(test, wire);
	wire->pass = lose_some;
	wire->every = 5;
	fixture_set(test, "rto_min", 5000);
	fixture_set(test, "rto_initial", 20000);
	fixture_wire(test, wire);
	carry(test, address, 300000);
	KUNIT_EXPECT_GT(test, atomic_read(&wire->lost), 4);
	KUNIT_EXPECT_GT(test, fixture_count(SLUICE_CNT_retrans_segs), before);
}

static void ipv4_loss_is_repaired(struct kunit *test)
{
	lossy(test, "127.0.0.1");
}

static void ipv6_loss_is_repaired(struct kunit *test)
{
	lossy(test, "::1");
}

/* ---- ends ------------------------------------------------------------------- */

static void half_closed_connections_still_carry_the_other_way(struct kunit *test)
{
	struct fixture_pair pair;
	char answer[16];

	fixture_connect(test, &pair, "127.0.0.1");
	KUNIT_EXPECT_EQ(test, fixture_send(pair.client, "question", 8), 8);
	KUNIT_EXPECT_EQ(test, kernel_sock_shutdown(pair.client, SHUT_WR), 0);
	KUNIT_EXPECT_EQ(test, fixture_receive(pair.server, answer, 16, 0), 8);
	KUNIT_EXPECT_EQ(test, fixture_receive(pair.server, answer, 16, 0), 0);
	KUNIT_EXPECT_EQ(test, fixture_send(pair.server, "answer", 6), 6);
	KUNIT_EXPECT_EQ(test, fixture_receive(pair.client, answer, 16, 0), 6);
	KUNIT_EXPECT_MEMEQ(test, answer, "answer", 6);
	KUNIT_EXPECT_EQ(test, fixture_send(pair.client, "more", 4), -EPIPE);
}

static void output_is_delivered_after_close(struct kunit *test)
{
	struct fixture_pair pair;
	struct direction *d;
	u8 byte;

	fixture_connect(test, &pair, "127.0.0.1");
	d = direction(test, pair.client, pair.server, 1u << 30);
	while (send_some(d))
		;
	KUNIT_EXPECT_GT(test, d->sent, 16384);
	fixture_close(test, pair.client);
	while (fixture_eventually(receive_some(test, d)) && d->received < d->sent)
		;
	KUNIT_EXPECT_EQ(test, d->received, d->sent);
	KUNIT_EXPECT_EQ(test, fixture_receive(pair.server, &byte, 1, 0), 0);
}

static void unread_input_is_answered_by_reset(struct kunit *test)
{
	struct fixture_pair pair;
	u8 byte;

	fixture_connect(test, &pair, "::1");
	KUNIT_EXPECT_EQ(test, fixture_send(pair.client, "unread", 6), 6);
	KUNIT_EXPECT_TRUE(test, fixture_eventually(sluice_sk(pair.server->sk)->in.unread == 6));
	fixture_close(test, pair.server);
	KUNIT_EXPECT_EQ(test, fixture_receive(pair.client, &byte, 1, 0), -ECONNRESET);
}

static void a_port_where_nobody_listens_refuses(struct kunit *test)
{
	struct socket *listener = fixture_listener(test, "::1", 1);
	struct socket *sock = fixture_socket(test, sluice_family);
	struct sockaddr_sluice address = fixture_address(test, "::1", fixture_port(listener));

	fixture_close(test, listener);
	KUNIT_EXPECT_EQ(test, kernel_connect(sock, (struct sockaddr *)&address,
					     sizeof(address), 0), -ECONNREFUSED);
}

/* What waits for the lock's holder is limited; the peer sends the rest again. */
static void a_full_backlog_drops_and_counts(struct kunit *test)
{
	u64 before = fixture_count(SLUICE_CNT_backlog_dropped);
	const int much = 1 << 30;
	struct fixture_pair pair;
	struct sock *sk;
	char byte = 0;

	fixture_connect(test, &pair, "127.0.0.1");
	sk = pair.server->sk;
	lock_sock(sk);
	mutex_release(&sk->sk_lock.dep_map, _THIS_IP_);	/* lockdep: this task takes the peer's, too */
	atomic_add(much, &sk->sk_rmem_alloc);	/* as if the receive buffer held that */
	KUNIT_EXPECT_EQ(test, fixture_send(pair.client, "x", 1), 1);
	KUNIT_EXPECT_TRUE(test, fixture_eventually(
				fixture_count(SLUICE_CNT_backlog_dropped) > before));
	atomic_sub(much, &sk->sk_rmem_alloc);
	mutex_acquire(&sk->sk_lock.dep_map, 0, 0, _THIS_IP_);
	release_sock(sk);
	KUNIT_EXPECT_EQ(test, fixture_receive(pair.server, &byte, 1, 0), 1);
	KUNIT_EXPECT_EQ(test, byte, 'x');
}

/* ---- nothing left ----------------------------------------------------------- */

static unsigned int flows_in_use(void)
{
	struct sluice_flow_walk walk;
	unsigned int n = 0;

	sluice_flow_walk_begin(&walk);
	while (sluice_flow_walk_next(&walk))
		n++;
	sluice_flow_walk_end(&walk);
	return n;
}

static void closing_all_leaves_nothing(struct kunit *test)
{
	struct fixture_pair pair;

	fixture_connect(test, &pair, "127.0.0.1");
	pump(test, direction(test, pair.client, pair.server, 500000),
	     direction(test, pair.server, pair.client, 500000));
	fixture_close(test, pair.client);
	fixture_close(test, pair.server);
	fixture_close(test, pair.listener);
	KUNIT_EXPECT_TRUE(test, fixture_eventually(
				!percpu_counter_sum(&sluice_sockets_allocated)));
	KUNIT_EXPECT_EQ(test, atomic_read(&fixture_net()->orphans), 0);
	sluice_time_wait_purge(&init_net);
	KUNIT_EXPECT_EQ(test, flows_in_use(), 0);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(ipv4_carries_every_byte_both_ways),
	KUNIT_CASE(ipv6_carries_every_byte_both_ways),
	KUNIT_CASE(soft_error_is_forgotten),
	KUNIT_CASE_SLOW(ipv4_loss_is_repaired),
	KUNIT_CASE_SLOW(ipv6_loss_is_repaired),
	KUNIT_CASE(half_closed_connections_still_carry_the_other_way),
	KUNIT_CASE(output_is_delivered_after_close),
	KUNIT_CASE(unread_input_is_answered_by_reset),
	KUNIT_CASE(a_port_where_nobody_listens_refuses),
	KUNIT_CASE(a_full_backlog_drops_and_counts),
	KUNIT_CASE(closing_all_leaves_nothing),
	{ }
};

static struct kunit_suite suite = {
	.name = "sluice_stream",
	.test_cases = cases,
};

kunit_test_suite(suite);
