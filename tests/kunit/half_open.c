// SPDX-License-Identifier: GPL-2.0
/*
 * Half-open connections and the accept queue: limits, answers, and ends. The
 * segments of the peers are made here, and what the listener sends to them is
 * lost on the way, so that nobody else takes part.
 */
#include <net/icmp.h>

#include "control.h"
#include "fixture.h"
#include "listen.h"
#include "receive.h"

#define FIRST_PEER 20000
#define PEER_ISS 1000

struct table {
	struct fixture_wire wire;
	atomic_t syn_acks, resets;
	u32 mark;			/* of the last SYN-ACK; a SYN has it first */
	u8 ttl, tos;			/* likewise */
	const struct sock *sender;	/* likewise, of the SYN-ACK */
	struct socket *sock;
	struct sock *sk;
	u16 port;
	unsigned int failing;		/* which allocation is to fail that a segment brings; 0: none */
};

static bool lose_all(struct fixture_wire *wire, const struct sk_buff *skb,
		     const struct tcphdr *header)
{
	struct table *t = container_of(wire, struct table, wire);

	if (header->syn && header->ack) {
		atomic_inc(&t->syn_acks);
		t->mark = skb->mark;
		t->sender = skb->sk;
		t->ttl = ip_hdr(skb)->ttl;
		t->tos = ip_hdr(skb)->tos;
	}
	if (header->rst)
		atomic_inc(&t->resets);
	return false;
}

static struct table *listener(struct kunit *test, int backlog)
{
	struct table *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, t);
	t->wire.pass = lose_all;
	fixture_wire(test, &t->wire);
	t->sock = fixture_listener(test, "127.0.0.1", backlog);
	t->sk = t->sock->sk;
	t->port = fixture_port(t->sock);
	return t;
}

/* By number, as it is wanted even when the listener is gone. */
static struct sluice_flow_key key_of(struct kunit *test, const struct table *t, u16 peer)
{
	return (struct sluice_flow_key) {
		.local = fixture_in6(test, "127.0.0.1"),
		.remote = fixture_in6(test, "127.0.0.1"),
		.local_port = htons(t->port),
		.remote_port = htons(peer),
		.net = &init_net,
	};
}

#ifdef CONFIG_FAULT_INJECTION
static const bool allocations_can_fail = true;

/* The nth one of this task from now. */
static void fail_allocation(unsigned int nth)
{
	WRITE_ONCE(current->fail_nth, nth);
}
#else
static const bool allocations_can_fail;

static void fail_allocation(unsigned int nth)
{
}
#endif

static void take_lock(struct table *t)
{
	lock_sock(t->sk);
	local_bh_disable();
	rcu_read_lock();
	fail_allocation(t->failing);
}

static void leave_lock(struct table *t)
{
	fail_allocation(0);
	rcu_read_unlock();
	local_bh_enable();
	release_sock(t->sk);
}

/* isn_after: of a TIME_WAIT that it ends, or 0. */
static void send_syn_after(struct kunit *test, struct table *t, u16 peer, u32 isn_after)
{
	struct sluice_flow_key key = key_of(test, t, peer);
	struct sluice_segment syn = {
		.seq = PEER_ISS, .flags = SLUICE_SYN, .window = 65535, .mss = 1000,
		.source = peer, .destination = t->port, .header_length = 24,
		.payload = fixture_packet(),
	};
	struct sk_buff *skb = syn.payload;

	skb->mark = t->mark;
	ip_hdr(skb)->tos = t->tos;
	take_lock(t);
	sluice_listen_segment(t->sk, &syn, &key, isn_after);
	leave_lock(t);
	kfree_skb(skb);
}

static void send_syn(struct kunit *test, struct table *t, u16 peer)
{
	send_syn_after(test, t, peer, 0);
}

/* RCU read side. */
static struct sluice_half_open_sock *find(const struct sluice_flow_key *key)
{
	struct sluice_flow *flow = sluice_flow_find(key);

	if (!flow || flow->kind != SLUICE_FLOW_HALF_OPEN)
		return NULL;
	return container_of(flow, struct sluice_half_open_sock, flow);
}

/* A segment of that peer, when its connection is half open; whether it was. */
static bool send_next(struct kunit *test, struct table *t, u16 peer, u8 flags)
{
	struct sluice_flow_key key = key_of(test, t, peer);
	struct sluice_segment seg = {
		.payload = fixture_packet(), .seq = PEER_ISS + 1, .flags = flags, .window = 65535,
		.source = peer, .destination = t->port, .header_length = 20,
	};
	struct sluice_half_open_sock *h;

	take_lock(t);
	h = find(&key);
	if (h) {
		seg.ack = h->core.iss + 1;
		sluice_half_open_receive(h, &seg);
	}
	leave_lock(t);
	kfree_skb(seg.payload);
	return h;
}

static bool is_half_open(struct kunit *test, const struct table *t, u16 peer)
{
	struct sluice_flow_key key = key_of(test, t, peer);
	bool yes;

	rcu_read_lock();
	yes = find(&key);
	rcu_read_unlock();
	return yes;
}

static u32 count(const struct table *t)
{
	return READ_ONCE(sluice_sk(t->sk)->half_open_count);
}

static int references(const struct table *t)
{
	return refcount_read(&t->sk->sk_refcnt);
}

/* ---- cases ---------------------------------------------------------------------- */

static void a_syn_is_answered_and_remembered(struct kunit *test)
{
	struct table *t = listener(test, 10);

	send_syn(test, t, FIRST_PEER);
	KUNIT_EXPECT_EQ(test, count(t), 1);
	KUNIT_EXPECT_TRUE(test, is_half_open(test, t, FIRST_PEER));
	KUNIT_EXPECT_FALSE(test, is_half_open(test, t, FIRST_PEER + 1));
	KUNIT_EXPECT_EQ(test, atomic_read(&t->syn_acks), 1);
}

static void syns_beyond_the_limit_are_dropped_and_counted(struct kunit *test)
{
	struct table *t = listener(test, 1000);
	u64 before = fixture_count(SLUICE_CNT_half_open_overflows);
	u16 i;

	fixture_set(test, "max_syn_backlog", 20);
	fixture_set(test, "syncookies", 0);
	for (i = 0; i < 25; i++)	/* of which the last quarter stays empty */
		send_syn(test, t, FIRST_PEER + i);
	KUNIT_EXPECT_EQ(test, count(t), 16);
	KUNIT_EXPECT_EQ(test, atomic_read(&t->syn_acks), 16);
	KUNIT_EXPECT_EQ(test, fixture_count(SLUICE_CNT_half_open_overflows) - before, 9);
	KUNIT_EXPECT_TRUE(test, is_half_open(test, t, FIRST_PEER + 15));
	KUNIT_EXPECT_FALSE(test, is_half_open(test, t, FIRST_PEER + 16));
}

static void without_memory_a_syn_is_dropped_and_counted(struct kunit *test)
{
	struct table *t = listener(test, 10);
	u64 before = fixture_count(SLUICE_CNT_accept_no_memory);
	int held = references(t);

	if (!allocations_can_fail)
		kunit_skip(test, "this kernel doesn't let allocations fail");
	t->failing = 1;
	send_syn(test, t, FIRST_PEER);
	KUNIT_EXPECT_EQ(test, fixture_count(SLUICE_CNT_accept_no_memory) - before, 1);
	KUNIT_EXPECT_EQ(test, count(t), 0);
	KUNIT_EXPECT_EQ(test, references(t), held);
	KUNIT_EXPECT_EQ(test, atomic_read(&t->syn_acks), 0);
	t->failing = 0;
	send_syn(test, t, FIRST_PEER);
	KUNIT_EXPECT_EQ(test, count(t), 1);
	KUNIT_EXPECT_EQ(test, fixture_count(SLUICE_CNT_accept_no_memory) - before, 1);
}

static void syns_beyond_the_backlog_are_dropped_and_counted(struct kunit *test)
{
	u64 before = fixture_count(SLUICE_CNT_half_open_overflows);
	struct table *t = listener(test, 3);
	u16 i;

	fixture_set(test, "syncookies", 0);
	for (i = 0; i < 6; i++)
		send_syn(test, t, FIRST_PEER + i);
	KUNIT_EXPECT_EQ(test, count(t), 4);
	KUNIT_EXPECT_EQ(test, fixture_count(SLUICE_CNT_half_open_overflows) - before, 2);
	KUNIT_EXPECT_FALSE(test, is_half_open(test, t, FIRST_PEER + 4));
}

static void syns_beyond_the_backlog_are_answered_by_cookies(struct kunit *test)
{
	u64 before = fixture_count(SLUICE_CNT_cookies_sent);
	struct table *t = listener(test, 3);
	u16 i;

	for (i = 0; i < 6; i++)
		send_syn(test, t, FIRST_PEER + i);
	KUNIT_EXPECT_EQ(test, count(t), 4);
	KUNIT_EXPECT_EQ(test, atomic_read(&t->syn_acks), 6);
	KUNIT_EXPECT_EQ(test, fixture_count(SLUICE_CNT_cookies_sent) - before, 2);
}

static void what_ends_a_time_wait_is_bound_by_no_limit(struct kunit *test)
{
	struct table *t = listener(test, 0);

	fixture_set(test, "syncookies", 2);
	send_syn_after(test, t, FIRST_PEER, 5000);
	send_syn_after(test, t, FIRST_PEER + 1, 5000);
	KUNIT_EXPECT_EQ(test, count(t), 2);
	fixture_set(test, "syncookies", 0);
	send_syn_after(test, t, FIRST_PEER + 2, 5000);
	KUNIT_EXPECT_EQ(test, count(t), 3);
	send_syn(test, t, FIRST_PEER + 3);
	KUNIT_EXPECT_EQ(test, count(t), 3);
}

static void syns_beyond_the_limit_are_answered_by_cookies(struct kunit *test)
{
	struct table *t = listener(test, 1000);
	u64 before = fixture_count(SLUICE_CNT_cookies_sent);
	u16 i;

	fixture_set(test, "max_syn_backlog", 2);
	KUNIT_EXPECT_FALSE(test, sluice_listen_expects_cookies(t->sk));
	for (i = 0; i < 5; i++)
		send_syn(test, t, FIRST_PEER + i);
	KUNIT_EXPECT_EQ(test, count(t), 2);
	KUNIT_EXPECT_EQ(test, atomic_read(&t->syn_acks), 5);
	KUNIT_EXPECT_EQ(test, fixture_count(SLUICE_CNT_cookies_sent) - before, 3);
	KUNIT_EXPECT_FALSE(test, is_half_open(test, t, FIRST_PEER + 2));
	KUNIT_EXPECT_TRUE(test, sluice_listen_expects_cookies(t->sk));
}

static void a_reset_makes_room_again(struct kunit *test)
{
	struct table *t = listener(test, 10);
	int before = references(t);

	fixture_set(test, "max_syn_backlog", 1);
	send_syn(test, t, FIRST_PEER);
	KUNIT_EXPECT_TRUE(test, send_next(test, t, FIRST_PEER, SLUICE_RST));
	KUNIT_EXPECT_EQ(test, count(t), 0);
	KUNIT_EXPECT_FALSE(test, is_half_open(test, t, FIRST_PEER));
	KUNIT_EXPECT_EQ(test, references(t), before);
	send_syn(test, t, FIRST_PEER + 1);
	KUNIT_EXPECT_EQ(test, count(t), 1);
}

/* As the timer does that goes off while the listener's lock is owned. */
static void what_was_removed_sets_no_timer(struct kunit *test)
{
	struct table *t = listener(test, 10);
	struct sluice_flow_key key = key_of(test, t, FIRST_PEER);
	struct sluice_half_open_sock *h;

	send_syn(test, t, FIRST_PEER);
	take_lock(t);
	h = find(&key);
	if (h) {
		sluice_half_open_remove(h);
		mod_timer(&h->timer, jiffies + HZ / 20);
		KUNIT_EXPECT_FALSE(test, timer_pending(&h->timer));
		del_timer(&h->timer);
	}
	leave_lock(t);
	KUNIT_EXPECT_NOT_NULL(test, h);
}

static void an_unanswered_syn_ack_is_repeated_and_given_up(struct kunit *test)
{
	struct table *t = listener(test, 10);
	u64 before = fixture_count(SLUICE_CNT_half_open_timeouts);
	int references_before = references(t);

	fixture_set(test, "rto_initial", 20000);
	fixture_set(test, "synack_retries", 2);
	send_syn(test, t, FIRST_PEER);
	KUNIT_EXPECT_TRUE(test, fixture_eventually(!count(t)));
	KUNIT_EXPECT_EQ(test, atomic_read(&t->syn_acks), 3);
	KUNIT_EXPECT_EQ(test, fixture_count(SLUICE_CNT_half_open_timeouts) - before, 1);
	KUNIT_EXPECT_FALSE(test, is_half_open(test, t, FIRST_PEER));
	KUNIT_EXPECT_TRUE(test, fixture_eventually(references(t) == references_before));
}

static void syn_acks_have_the_listeners_hop_limit(struct kunit *test)
{
	struct table *t = listener(test, 10);

	fixture_set(test, "rto_initial", 20000);
	fixture_set(test, "synack_retries", 1);
	inet_sk(t->sk)->uc_ttl = 255;
	send_syn(test, t, FIRST_PEER);
	KUNIT_EXPECT_EQ(test, t->ttl, 255);
	t->ttl = 0;
	KUNIT_EXPECT_TRUE(test, fixture_eventually(!count(t)));
	KUNIT_EXPECT_EQ(test, t->ttl, 255);
	inet_sk(t->sk)->uc_ttl = -1;
	send_syn(test, t, FIRST_PEER);
	KUNIT_EXPECT_EQ(test, t->ttl, 64);
}

/* net.ipv4.fwmark_reflect */
static void a_repeated_syn_ack_has_the_mark_of_the_syn(struct kunit *test)
{
	struct table *t = listener(test, 10);

	fixture_set(test, "rto_initial", 20000);
	fixture_set(test, "synack_retries", 1);
	init_net.ipv4.sysctl_fwmark_reflect = 1;
	t->mark = 7;
	send_syn(test, t, FIRST_PEER);
	KUNIT_EXPECT_EQ(test, t->mark, 7);
	t->mark = 0;
	KUNIT_EXPECT_TRUE(test, fixture_eventually(!count(t)));
	KUNIT_EXPECT_EQ(test, t->mark, 7);
	init_net.ipv4.sysctl_fwmark_reflect = 0;
}

/* An accepted connection, whose peer would never hear of its end. */
static void drop(struct socket *child)
{
	lock_sock(child->sk);
	sluice_conn_abort(&sluice_sk(child->sk)->conn, sluice_now());
	release_sock(child->sk);
	sock_release(child);
}

/* The connection that a SYN with that mark and TOS opens; *t has the SYN-ACK's. */
static struct socket *opened_by(struct kunit *test, struct table *t, u16 peer, u32 mark, u8 tos)
{
	struct socket *child;

	t->mark = mark;
	t->tos = tos;
	send_syn(test, t, peer);
	KUNIT_EXPECT_TRUE(test, send_next(test, t, peer, SLUICE_ACK));
	KUNIT_ASSERT_EQ(test, kernel_accept(t->sock, &child, O_NONBLOCK), 0);
	return child;
}

/* net.ipv4.tcp_reflect_tos */
static void a_connection_has_the_dscp_of_its_syn_where_told(struct kunit *test)
{
	struct table *t = listener(test, 10);
	struct socket *child;

	inet_sk(t->sk)->tos = 0x20;
	child = opened_by(test, t, FIRST_PEER, 0, 0xba);
	KUNIT_EXPECT_EQ(test, t->tos, 0x20);
	KUNIT_EXPECT_EQ(test, inet_sk(child->sk)->tos, 0x20);
	drop(child);
	fixture_set(test, "reflect_tos", 1);
	child = opened_by(test, t, FIRST_PEER + 1, 0, 0xba);
	KUNIT_EXPECT_EQ(test, t->tos, 0xb8);
	KUNIT_EXPECT_EQ(test, inet_sk(child->sk)->tos, 0xb8);
	KUNIT_EXPECT_EQ(test, inet_sk(t->sk)->tos, 0x20);
	drop(child);
}

/* net.ipv4.tcp_fwmark_accept */
/* Rules, and programs of cgroups, ask whose a packet is. */
static void a_syn_ack_is_the_listeners(struct kunit *test)
{
	struct table *t = listener(test, 10);

	send_syn(test, t, FIRST_PEER);
	KUNIT_EXPECT_EQ(test, atomic_read(&t->syn_acks), 1);
	KUNIT_EXPECT_PTR_EQ(test, t->sender, t->sk);
}

static void a_connection_has_the_mark_of_its_syn_where_told(struct kunit *test)
{
	struct table *t = listener(test, 10);
	struct socket *child;

	child = opened_by(test, t, FIRST_PEER, 7, 0);
	KUNIT_EXPECT_EQ(test, t->mark, 0);
	KUNIT_EXPECT_EQ(test, child->sk->sk_mark, 0);
	drop(child);
	fixture_set(test, "fwmark_accept", 1);
	child = opened_by(test, t, FIRST_PEER + 1, 7, 0);
	KUNIT_EXPECT_EQ(test, t->mark, 7);
	KUNIT_EXPECT_EQ(test, child->sk->sk_mark, 7);
	KUNIT_EXPECT_EQ(test, t->sk->sk_mark, 0);
	drop(child);
	t->sk->sk_mark = 5;
	child = opened_by(test, t, FIRST_PEER + 2, 7, 0);
	KUNIT_EXPECT_EQ(test, t->mark, 5);
	KUNIT_EXPECT_EQ(test, child->sk->sk_mark, 5);
	drop(child);
}

static void a_syn_ack_has_the_ttl_of_the_namespace(struct kunit *test)
{
	struct table *t = listener(test, 10);

	fixture_set(test, "ip_default_ttl", 77);
	send_syn(test, t, FIRST_PEER);
	KUNIT_EXPECT_EQ(test, t->ttl, 77);
	inet_sk(t->sk)->uc_ttl = 99;
	send_syn(test, t, FIRST_PEER + 1);
	KUNIT_EXPECT_EQ(test, t->ttl, 99);
	inet_sk(t->sk)->uc_ttl = 66;	/* as of a connection that it was before */
	sluice_sk(t->sk)->lent_ttl = 66;
	send_syn(test, t, FIRST_PEER + 2);
	KUNIT_EXPECT_EQ(test, t->ttl, 77);
}

static void the_ack_makes_a_connection_to_accept(struct kunit *test)
{
	struct table *t = listener(test, 10);
	struct socket *child;

	send_syn(test, t, FIRST_PEER);
	KUNIT_EXPECT_EQ(test, kernel_accept(t->sock, &child, O_NONBLOCK), -EAGAIN);
	KUNIT_EXPECT_TRUE(test, send_next(test, t, FIRST_PEER, SLUICE_ACK));
	KUNIT_EXPECT_EQ(test, count(t), 0);
	KUNIT_EXPECT_EQ(test, t->sk->sk_ack_backlog, 1);
	KUNIT_ASSERT_EQ(test, kernel_accept(t->sock, &child, O_NONBLOCK), 0);
	KUNIT_EXPECT_EQ(test, t->sk->sk_ack_backlog, 0);
	KUNIT_EXPECT_EQ(test, child->sk->sk_state, TCP_ESTABLISHED);
	KUNIT_EXPECT_EQ(test, ntohs(inet_sk(child->sk)->inet_dport), FIRST_PEER);
	KUNIT_EXPECT_TRUE(test, sluice_sk(child->sk)->flow.hashed);
	drop(child);
}

/* A backlog of one takes two, as Linux counts it. */
static struct table *with_full_queue(struct kunit *test)
{
	struct table *t = listener(test, 1);

	send_syn(test, t, FIRST_PEER);
	send_next(test, t, FIRST_PEER, SLUICE_ACK);
	send_syn(test, t, FIRST_PEER + 1);
	send_syn(test, t, FIRST_PEER + 2);
	send_next(test, t, FIRST_PEER + 1, SLUICE_ACK);
	KUNIT_EXPECT_EQ(test, t->sk->sk_ack_backlog, 2);
	KUNIT_EXPECT_EQ(test, count(t), 1);
	return t;
}

static void a_full_accept_queue_makes_the_last_ack_wait(struct kunit *test)
{
	u64 before = fixture_count(SLUICE_CNT_listen_overflows);
	struct table *t = with_full_queue(test);
	struct socket *child;

	KUNIT_EXPECT_TRUE(test, send_next(test, t, FIRST_PEER + 2, SLUICE_ACK));
	KUNIT_EXPECT_EQ(test, fixture_count(SLUICE_CNT_listen_overflows) - before, 1);
	KUNIT_EXPECT_TRUE(test, is_half_open(test, t, FIRST_PEER + 2));
	KUNIT_EXPECT_EQ(test, t->sk->sk_ack_backlog, 2);
	KUNIT_ASSERT_EQ(test, kernel_accept(t->sock, &child, O_NONBLOCK), 0);
	KUNIT_EXPECT_TRUE(test, send_next(test, t, FIRST_PEER + 2, SLUICE_ACK));
	KUNIT_EXPECT_EQ(test, t->sk->sk_ack_backlog, 2);
	KUNIT_EXPECT_EQ(test, count(t), 0);
	lock_sock(child->sk);
	sluice_conn_abort(&sluice_sk(child->sk)->conn, sluice_now());
	release_sock(child->sk);
	sock_release(child);
}

static void a_full_accept_queue_drops_syns(struct kunit *test)
{
	struct table *t = with_full_queue(test);
	u64 before = fixture_count(SLUICE_CNT_listen_overflows);

	send_syn(test, t, FIRST_PEER + 7);
	KUNIT_EXPECT_FALSE(test, is_half_open(test, t, FIRST_PEER + 7));
	KUNIT_EXPECT_EQ(test, fixture_count(SLUICE_CNT_listen_overflows) - before, 1);
}

static void a_full_accept_queue_resets_when_told_to(struct kunit *test)
{
	struct table *t = with_full_queue(test);

	fixture_set(test, "abort_on_overflow", 1);
	KUNIT_EXPECT_TRUE(test, send_next(test, t, FIRST_PEER + 2, SLUICE_ACK));
	KUNIT_EXPECT_EQ(test, count(t), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&t->resets), 1);
}

static void closing_a_listener_ends_all_that_hangs_on_it(struct kunit *test)
{
	struct table *t = with_full_queue(test);
	u16 i;

	fixture_close(test, t->sock);
	for (i = 0; i < 3; i++) {
		struct sluice_flow_key key = key_of(test, t, FIRST_PEER + i);


		rcu_read_lock();
		KUNIT_EXPECT_PTR_EQ(test, sluice_flow_find(&key), NULL);
		rcu_read_unlock();
	}
	/* Those that were established are told. */
	KUNIT_EXPECT_EQ(test, atomic_read(&t->resets), 2);
}

/* A router says this of the SYN-ACK to that peer, or of a segment `ahead` of it. */
static void complain(struct kunit *test, struct table *t, u16 peer, u8 type, u8 code, u32 ahead)
{
	struct sk_buff *skb = alloc_skb(64, GFP_KERNEL);
	struct sluice_flow_key key = key_of(test, t, peer);
	struct sluice_half_open_sock *h;
	struct tcphdr *th;
	struct iphdr *ip;

	KUNIT_ASSERT_NOT_NULL(test, skb);
	skb->dev = init_net.loopback_dev;
	skb_reset_transport_header(skb);
	skb_put_zero(skb, sizeof(struct icmphdr) + sizeof(*ip) + 8);
	icmp_hdr(skb)->type = type;
	icmp_hdr(skb)->code = code;
	ip = skb_pull(skb, sizeof(struct icmphdr));
	ip->ihl = 5;
	ip->saddr = ip->daddr = htonl(INADDR_LOOPBACK);
	th = (struct tcphdr *)(ip + 1);
	th->source = htons(t->port);
	th->dest = htons(peer);
	rcu_read_lock();
	local_bh_disable();
	h = find(&key);
	th->seq = htonl((h ? h->core.iss : 0) + ahead);
	sluice_icmp_v4(skb, 0);
	local_bh_enable();
	rcu_read_unlock();
	kfree_skb(skb);
}

/* As TCP: what may pass doesn't take a peer's place away. */
static void icmp_ends_what_cannot_arrive(struct kunit *test)
{
	static const struct {
		u8 type, code;
		u32 ahead;
		bool stays;
	} rows[] = {
		{ ICMP_DEST_UNREACH, ICMP_HOST_UNREACH },
		{ ICMP_DEST_UNREACH, ICMP_NET_UNREACH },
		{ ICMP_TIME_EXCEEDED, ICMP_EXC_TTL },
		{ ICMP_PARAMETERPROB, 0 },
		{ ICMP_DEST_UNREACH, ICMP_HOST_UNREACH, .ahead = 1, .stays = true },
		{ ICMP_DEST_UNREACH, ICMP_PORT_UNREACH, .stays = true },
		{ ICMP_DEST_UNREACH, ICMP_PKT_FILTERED, .stays = true },
		{ ICMP_SOURCE_QUENCH, 0, .stays = true },
	};
	u64 missed = fixture_count(SLUICE_CNT_icmp_out_of_window);
	struct table *t = listener(test, 10);
	u16 i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		send_syn(test, t, FIRST_PEER + i);
		complain(test, t, FIRST_PEER + i, rows[i].type, rows[i].code, rows[i].ahead);
		KUNIT_EXPECT_EQ_MSG(test, is_half_open(test, t, FIRST_PEER + i), rows[i].stays,
				    "row %u", i);
	}
	KUNIT_EXPECT_EQ(test, fixture_count(SLUICE_CNT_icmp_out_of_window) - missed, 1);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(syns_beyond_the_limit_are_answered_by_cookies),
	KUNIT_CASE(without_memory_a_syn_is_dropped_and_counted),
	KUNIT_CASE(syns_beyond_the_backlog_are_dropped_and_counted),
	KUNIT_CASE(syns_beyond_the_backlog_are_answered_by_cookies),
	KUNIT_CASE(what_ends_a_time_wait_is_bound_by_no_limit),
	KUNIT_CASE(icmp_ends_what_cannot_arrive),
	KUNIT_CASE(a_syn_is_answered_and_remembered),
	KUNIT_CASE(syns_beyond_the_limit_are_dropped_and_counted),
	KUNIT_CASE(a_reset_makes_room_again),
	KUNIT_CASE(what_was_removed_sets_no_timer),
	KUNIT_CASE(an_unanswered_syn_ack_is_repeated_and_given_up),
	KUNIT_CASE(syn_acks_have_the_listeners_hop_limit),
	KUNIT_CASE(a_repeated_syn_ack_has_the_mark_of_the_syn),
	KUNIT_CASE(a_syn_ack_is_the_listeners),
	KUNIT_CASE(a_connection_has_the_dscp_of_its_syn_where_told),
	KUNIT_CASE(a_connection_has_the_mark_of_its_syn_where_told),
	KUNIT_CASE(a_syn_ack_has_the_ttl_of_the_namespace),
	KUNIT_CASE(the_ack_makes_a_connection_to_accept),
	KUNIT_CASE(a_full_accept_queue_makes_the_last_ack_wait),
	KUNIT_CASE(a_full_accept_queue_drops_syns),
	KUNIT_CASE(a_full_accept_queue_resets_when_told_to),
	KUNIT_CASE(closing_a_listener_ends_all_that_hangs_on_it),
	{ }
};

static struct kunit_suite suite = {
	.name = "sluice_half_open",
	.test_cases = cases,
};

kunit_test_suite(suite);
