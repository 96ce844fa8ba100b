// SPDX-License-Identifier: GPL-2.0
/*
 * The one deadline of a connection. The kernel's timer is moved only when it
 * would go off too late; one that goes off early looks again. A far deadline
 * takes sk_timer, whose steps are jiffies and which costs little to set; a
 * near one takes a high-resolution timer.
 */
#include <net/sock.h>

#include "compat.h"
#include "sock.h"
#include "tuning.h"

/* Nearer than this, a jiffy more or less would be seen. */
#define PRECISE_USEC (4 * USEC_PER_SEC / HZ)
/* Farther, the timer goes off and is set again: usecs_to_jiffies() takes 32 bits. */
#define FARTHEST_USEC (3600ull * USEC_PER_SEC)

static void set_precise(struct sluice_sock *s, u64 wait)
{
	unsigned long flags;

	/* It may run and be set at once, and set again: one reference is for all of that. */
	spin_lock_irqsave(&s->precise_lock, flags);
	if (s->precise_held || refcount_inc_not_zero(&s->inet.sk.sk_refcnt)) {
		s->precise_held = true;
		hrtimer_start(&s->precise, ns_to_ktime(wait * NSEC_PER_USEC),
			      HRTIMER_MODE_REL_PINNED_SOFT);
	}
	spin_unlock_irqrestore(&s->precise_lock, flags);
}

/* A packet may outlive the socket, and may be freed while its lock is held: the timer sees to it. */
void sluice_timer_drained(struct sluice_sock *s)
{
	WRITE_ONCE(s->awaits_queue, false);
	WRITE_ONCE(s->queue_drained, true);
	set_precise(s, 0);
}

static void tell_drained(struct sluice_sock *s)
{
	WRITE_ONCE(s->queue_drained, false);
	if (!READ_ONCE(s->awaits_queue))
		sock_set_flag(&s->inet.sk, SOCK_USE_WRITE_QUEUE);
	sluice_conn_drained(&s->conn, sluice_now());
	sluice_sock_settle(&s->inet.sk);
}

/* sk_reset_timer() holds too late: the timer may have gone off, and let go, before. */
static void set_coarse(struct sock *sk, u64 wait)
{
	sock_hold(sk);
	if (mod_timer(&sk->sk_timer, jiffies + 1 + usecs_to_jiffies(min(wait, FARTHEST_USEC))))
		__sock_put(sk);	/* the one that was set already holds */
}

static void set(struct sluice_sock *s, sluice_usec now)
{
	u64 wait = s->deadline > now ? s->deadline - now : 0;

	s->timer_due = s->deadline;
	if (wait < PRECISE_USEC)
		set_precise(s, wait);
	else
		set_coarse(&s->inet.sk, wait);
}

void sluice_host_arm(struct sluice_conn *c, sluice_usec deadline)
{
	struct sluice_sock *s = sluice_sock_of(c);

	s->deadline = deadline;
	if (deadline && (!s->timer_due || deadline < s->timer_due))
		set(s, sluice_now());
}

void sluice_timer_catch_up(struct sluice_sock *s)
{
	sluice_usec now = sluice_now();

	if (unlikely(READ_ONCE(s->queue_drained)))
		tell_drained(s);
	s->timer_missed = false;
	s->timer_due = 0;
	if (!s->deadline)
		return;
	if (s->deadline > now) {
		set(s, now);
		return;
	}
	s->deadline = 0;
	sluice_tuning_glance(sluice_sk_net(&s->inet.sk));
	sluice_sock_see_pacing_rate(&s->inet.sk);
	sluice_conn_time(&s->conn, now);
	sluice_sock_settle(&s->inet.sk);
}

static void went_off(struct sluice_sock *s)
{
	struct sock *sk = &s->inet.sk;

	bh_lock_sock(sk);
	if (sock_owned_by_user(sk))
		s->timer_missed = true;	/* release_sock() sees to it */
	else
		sluice_timer_catch_up(s);
	bh_unlock_sock(sk);
}

static void coarse_went_off(struct timer_list *timer)
{
	struct sock *sk = from_timer((struct sock *)NULL, timer, sk_timer);

	went_off(sluice_sk(sk));
	sock_put(sk);
}

static enum hrtimer_restart precise_went_off(struct hrtimer *timer)
{
	struct sluice_sock *s = container_of(timer, struct sluice_sock, precise);
	bool over;

	went_off(s);
	spin_lock(&s->precise_lock);
	over = !hrtimer_is_queued(timer);
	if (over)
		s->precise_held = false;
	spin_unlock(&s->precise_lock);
	if (over)
		sock_put(&s->inet.sk);
	return HRTIMER_NORESTART;
}

void sluice_timer_init(struct sluice_sock *s)
{
	s->deadline = s->timer_due = 0;
	spin_lock_init(&s->precise_lock);
	s->precise_held = false;
	timer_setup(&s->inet.sk.sk_timer, coarse_went_off, 0);
	hrtimer_init(&s->precise, CLOCK_MONOTONIC, HRTIMER_MODE_REL_PINNED_SOFT);
	s->precise.function = precise_went_off;
}

void sluice_timer_stop(struct sluice_sock *s)
{
	bool cancelled;

	s->deadline = 0;
	sk_stop_timer(&s->inet.sk, &s->inet.sk.sk_timer);
	/* One that runs sees to its reference itself. */
	spin_lock_bh(&s->precise_lock);
	cancelled = hrtimer_try_to_cancel(&s->precise) == 1;
	if (cancelled)
		s->precise_held = false;
	spin_unlock_bh(&s->precise_lock);
	if (cancelled)
		__sock_put(&s->inet.sk);
}
