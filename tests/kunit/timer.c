// SPDX-License-Identifier: GPL-2.0
/* The one deadline of a connection: lazily moved, never early, never lost. */
#include "control.h"
#include "fixture.h"

#define MS USEC_PER_MSEC
#define FAR (1000 * MS)		/* farther than the steps of jiffies matter */
#define NEAR (5 * MS)

static struct sluice_sock *socket(struct kunit *test)
{
	return sluice_sk(fixture_socket(test, sluice_family)->sk);
}

static void arm_locked(struct sluice_sock *s, sluice_usec deadline)
{
	local_bh_disable();
	sluice_host_arm(&s->conn, deadline);
	local_bh_enable();
}

static void arm(struct sluice_sock *s, sluice_usec deadline)
{
	lock_sock(&s->inet.sk);
	arm_locked(s, deadline);
	release_sock(&s->inet.sk);
}

static bool coarse(const struct sluice_sock *s)
{
	return timer_pending(&s->inet.sk.sk_timer);
}

static bool precise(const struct sluice_sock *s)
{
	return hrtimer_active(&s->precise);
}

static void far_deadlines_take_the_cheap_timer_and_near_ones_the_precise(struct kunit *test)
{
	struct sluice_sock *s = socket(test);
	bool near_precise, near_coarse;

	lock_sock(&s->inet.sk);
	local_bh_disable();	/* however slow the machine, no timer goes off yet */
	arm_locked(s, sluice_now() + NEAR);
	near_precise = precise(s);
	near_coarse = coarse(s);
	sluice_timer_stop(s);
	sluice_timer_init(s);
	arm_locked(s, sluice_now() + FAR);
	local_bh_enable();
	release_sock(&s->inet.sk);
	KUNIT_EXPECT_TRUE(test, near_precise && !near_coarse);
	KUNIT_EXPECT_TRUE(test, coarse(s) && !precise(s));
}

static void a_later_deadline_does_not_touch_the_timer(struct kunit *test)
{
	struct sluice_sock *s = socket(test);
	sluice_usec now = sluice_now();
	unsigned long expires;

	arm(s, now + FAR);
	expires = s->inet.sk.sk_timer.expires;
	arm(s, now + 3 * FAR);
	KUNIT_EXPECT_EQ(test, s->deadline, now + 3 * FAR);
	KUNIT_EXPECT_EQ(test, s->timer_due, now + FAR);
	KUNIT_EXPECT_EQ(test, s->inet.sk.sk_timer.expires, expires);
	arm(s, 0);
	KUNIT_EXPECT_EQ(test, s->deadline, 0);
	KUNIT_EXPECT_TRUE(test, coarse(s));
}

static void an_earlier_deadline_moves_the_timer(struct kunit *test)
{
	struct sluice_sock *s = socket(test);
	sluice_usec now = sluice_now();
	unsigned long expires;

	arm(s, now + 3 * FAR);
	expires = s->inet.sk.sk_timer.expires;
	arm(s, now + FAR);
	KUNIT_EXPECT_EQ(test, s->timer_due, now + FAR);
	KUNIT_EXPECT_TRUE(test, time_before(s->inet.sk.sk_timer.expires, expires));
}

/* Arms, waits until the core was called, and tells how late that was. */
static s64 lateness(struct kunit *test, struct sluice_sock *s, u64 wait)
{
	sluice_usec deadline = sluice_now() + wait;

	arm(s, deadline);
	KUNIT_EXPECT_TRUE(test, fixture_eventually(!READ_ONCE(s->deadline)));
	return sluice_now() - deadline;
}

static void no_deadline_is_early(struct kunit *test)
{
	struct sluice_sock *s = socket(test);

	KUNIT_EXPECT_GE(test, lateness(test, s, 1 * MS), 0);
	KUNIT_EXPECT_GE(test, lateness(test, s, 20 * MS), 0);
	KUNIT_EXPECT_GE(test, lateness(test, s, 39 * MS), 0);
	KUNIT_EXPECT_GE(test, lateness(test, s, 41 * MS), 0);
	KUNIT_EXPECT_GE(test, lateness(test, s, 150 * MS), 0);
}

static void a_deadline_that_passed_is_due_at_once(struct kunit *test)
{
	struct sluice_sock *s = socket(test);

	arm(s, 1);
	KUNIT_EXPECT_TRUE(test, fixture_eventually(!READ_ONCE(s->deadline)));
	KUNIT_EXPECT_EQ(test, s->timer_due, 0);
}

static void a_timer_that_went_off_early_is_set_again(struct kunit *test)
{
	struct sluice_sock *s = socket(test);
	sluice_usec later = sluice_now() + FAR;

	arm(s, sluice_now() + NEAR);
	arm(s, later);
	KUNIT_EXPECT_EQ(test, s->deadline, later);
	KUNIT_EXPECT_TRUE(test, fixture_eventually(READ_ONCE(s->timer_due) == later));
	KUNIT_EXPECT_EQ(test, s->deadline, later);
	KUNIT_EXPECT_TRUE(test, fixture_eventually(!READ_ONCE(s->deadline)));
	KUNIT_EXPECT_GE(test, sluice_now(), later);
}

static void without_a_deadline_the_timer_runs_out(struct kunit *test)
{
	struct sluice_sock *s = socket(test);

	arm(s, sluice_now() + NEAR);
	arm(s, 0);
	KUNIT_EXPECT_TRUE(test, fixture_eventually(!READ_ONCE(s->timer_due)));
	KUNIT_EXPECT_FALSE(test, precise(s) || coarse(s));
}

static void a_deadline_during_a_system_call_is_seen_at_its_end(struct kunit *test)
{
	struct sluice_sock *s = socket(test);
	sluice_usec deadline;

	lock_sock(&s->inet.sk);
	deadline = sluice_now() + NEAR;
	arm_locked(s, deadline);
	KUNIT_EXPECT_TRUE(test, fixture_eventually(sluice_now() > deadline + 20 * MS));
	KUNIT_EXPECT_EQ(test, s->deadline, deadline);
	KUNIT_EXPECT_TRUE(test, s->timer_missed);
	release_sock(&s->inet.sk);
	KUNIT_EXPECT_EQ(test, s->deadline, 0);
	KUNIT_EXPECT_FALSE(test, s->timer_missed);
}

static int references(const struct sluice_sock *s)
{
	return refcount_read(&s->inet.sk.sk_refcnt);
}

static void each_timer_holds_one_reference_until_stopped(struct kunit *test)
{
	struct sluice_sock *s = socket(test);
	int before = references(s);

	lock_sock(&s->inet.sk);
	local_bh_disable();	/* no timer goes off yet */
	arm_locked(s, sluice_now() + FAR);
	KUNIT_EXPECT_EQ(test, references(s), before + 1);
	arm_locked(s, sluice_now() + 30 * MS);
	KUNIT_EXPECT_EQ(test, references(s), before + 2);
	arm_locked(s, sluice_now() + 25 * MS);
	KUNIT_EXPECT_EQ(test, references(s), before + 2);
	sluice_timer_stop(s);
	KUNIT_EXPECT_EQ(test, references(s), before);
	KUNIT_EXPECT_FALSE(test, precise(s) || coarse(s));
	local_bh_enable();
	release_sock(&s->inet.sk);
}

static void a_timer_that_went_off_gives_its_reference_back(struct kunit *test)
{
	struct sluice_sock *s = socket(test);
	int before = references(s);

	lateness(test, s, NEAR);
	KUNIT_EXPECT_TRUE(test, fixture_eventually(references(s) == before));
	lateness(test, s, 60 * MS);
	KUNIT_EXPECT_TRUE(test, fixture_eventually(references(s) == before));
}

/* On another processor it goes off, and before it is through it is set twice. */
static void a_timer_set_while_it_goes_off_holds_one_reference(struct kunit *test)
{
	struct sluice_sock *s = socket(test);
	int before = references(s);

	lock_sock(&s->inet.sk);
	local_bh_disable();	/* no timer goes off yet */
	arm_locked(s, sluice_now() + 30 * MS);
	hrtimer_cancel(&s->precise);	/* out of the queue: it runs */
	arm_locked(s, sluice_now() + 25 * MS);
	arm_locked(s, sluice_now() + 20 * MS);
	KUNIT_EXPECT_EQ(test, references(s), before + 1);
	s->precise.function(&s->precise);
	KUNIT_EXPECT_TRUE(test, s->timer_missed);
	KUNIT_EXPECT_EQ(test, references(s), before + 1);
	hrtimer_cancel(&s->precise);	/* and once more, undisturbed */
	s->precise.function(&s->precise);
	KUNIT_EXPECT_EQ(test, references(s), before);
	arm_locked(s, sluice_now() + 15 * MS);
	KUNIT_EXPECT_EQ(test, references(s), before + 1);
	sluice_timer_stop(s);
	KUNIT_EXPECT_EQ(test, references(s), before);
	s->timer_missed = false;
	local_bh_enable();
	release_sock(&s->inet.sk);
}

/* ---- the host's queues -------------------------------------------------------------- */

static bool uses_write_queue(struct sluice_sock *s)
{
	return sock_flag(&s->inet.sk, SOCK_USE_WRITE_QUEUE);
}

static void packets_that_leave_are_told_of_when_they_are_awaited(struct kunit *test)
{
	struct sluice_sock *s = sluice_sk(fixture_socket(test, sluice_family)->sk);
	struct sk_buff *skb = alloc_skb(100, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, skb);
	lock_sock(&s->inet.sk);
	KUNIT_EXPECT_EQ(test, sluice_host_queued(&s->conn), 0);
	KUNIT_EXPECT_FALSE(test, sluice_host_await_queue(&s->conn));
	skb_set_owner_w(skb, &s->inet.sk);
	KUNIT_EXPECT_EQ(test, sluice_host_queued(&s->conn), skb->truesize);
	KUNIT_EXPECT_TRUE(test, sluice_host_await_queue(&s->conn));
	release_sock(&s->inet.sk);
	KUNIT_EXPECT_FALSE(test, uses_write_queue(s));
	KUNIT_EXPECT_TRUE(test, s->awaits_queue);
	kfree_skb(skb);
	KUNIT_EXPECT_FALSE(test, s->awaits_queue);
	KUNIT_EXPECT_TRUE(test, fixture_eventually(uses_write_queue(s)));
	KUNIT_EXPECT_FALSE(test, s->queue_drained);
}

/* Its memory is that of the packet, and nothing else is left of it. */
static void a_packet_may_outlive_its_socket(struct kunit *test)
{
	struct socket *sock = fixture_socket(test, sluice_family);
	struct sluice_sock *s = sluice_sk(sock->sk);
	struct sk_buff *skb = alloc_skb(100, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, skb);
	lock_sock(&s->inet.sk);
	skb_set_owner_w(skb, &s->inet.sk);
	KUNIT_EXPECT_TRUE(test, sluice_host_await_queue(&s->conn));
	release_sock(&s->inet.sk);
	fixture_close(test, sock);
	kfree_skb(skb);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(packets_that_leave_are_told_of_when_they_are_awaited),
	KUNIT_CASE(a_packet_may_outlive_its_socket),
	KUNIT_CASE(far_deadlines_take_the_cheap_timer_and_near_ones_the_precise),
	KUNIT_CASE(a_later_deadline_does_not_touch_the_timer),
	KUNIT_CASE(an_earlier_deadline_moves_the_timer),
	KUNIT_CASE(no_deadline_is_early),
	KUNIT_CASE(a_deadline_that_passed_is_due_at_once),
	KUNIT_CASE(a_timer_that_went_off_early_is_set_again),
	KUNIT_CASE(without_a_deadline_the_timer_runs_out),
	KUNIT_CASE(a_deadline_during_a_system_call_is_seen_at_its_end),
	KUNIT_CASE(each_timer_holds_one_reference_until_stopped),
	KUNIT_CASE(a_timer_that_went_off_gives_its_reference_back),
	KUNIT_CASE(a_timer_set_while_it_goes_off_holds_one_reference),
	{ }
};

static struct kunit_suite suite = {
	.name = "sluice_timer",
	.test_cases = cases,
};

kunit_test_suite(suite);
