// SPDX-License-Identifier: GPL-2.0
/* TIME_WAIT (RFC 9293 3.6, 3.10.7.4). */
#include <linux/slab.h>
#include <net/ipv6.h>

#include "compat.h"
#include "reply.h"
#include "sock.h"
#include "time_wait.h"

static struct kmem_cache *cache;

int sluice_time_wait_init(void)
{
	cache = KMEM_CACHE(sluice_time_wait_sock, SLAB_ACCOUNT);
	return cache ? 0 : -ENOMEM;
}

void sluice_time_wait_exit(void)
{
	rcu_barrier();	/* free_rcu() */
	kmem_cache_destroy(cache);
}

static void free_rcu(struct rcu_head *head)
{
	kmem_cache_free(cache, container_of(head, struct sluice_time_wait_sock, rcu));
}

static struct sluice_net *net_of(const struct sluice_time_wait_sock *tw)
{
	return sluice_net(tw->flow.key.net);
}

/* tw->lock held, tw in use. */
static void remove(struct sluice_time_wait_sock *tw)
{
	sluice_flow_remove(&tw->flow);
	sluice_port_put(&tw->port);
	del_timer(&tw->timer);
	atomic_dec(&net_of(tw)->time_waits);
	call_rcu(&tw->rcu, free_rcu);
}

static void arm(struct sluice_time_wait_sock *tw, sluice_usec now)
{
	u64 wait = tw->core.deadline > now ? tw->core.deadline - now : 0;

	/* An hour at most (config.def), which 32 bits hold. */
	mod_timer(&tw->timer, jiffies + 1 + usecs_to_jiffies(wait));
}

static void went_off(struct timer_list *timer)
{
	struct sluice_time_wait_sock *tw = from_timer(tw, timer, timer);
	sluice_usec now = sluice_now();

	rcu_read_lock();
	spin_lock(&tw->lock);
	if (tw->flow.hashed) {
		if (tw->core.deadline <= now)
			remove(tw);
		else
			arm(tw, now);
	}
	spin_unlock(&tw->lock);
	rcu_read_unlock();
}

static struct sluice_time_wait_sock *create(struct sluice_net *sn)
{
	struct sluice_time_wait_sock *tw;

	if (atomic_inc_return(&sn->time_waits) > READ_ONCE(sn->config.max_time_wait))
		goto full;
	tw = kmem_cache_alloc(cache, GFP_ATOMIC | __GFP_NOWARN);
	if (tw)
		return tw;
full:
	atomic_dec(&sn->time_waits);
	sluice_count(sn, SLUICE_CNT_time_wait_overflows);
	return NULL;
}

void sluice_host_time_wait(struct sluice_conn *c, const struct sluice_time_wait *t)
{
	struct sluice_sock *s = sluice_sock_of(c);
	struct sock *sk = &s->inet.sk;
	struct sluice_time_wait_sock *tw;

	if (!s->flow.hashed)
		return;
	tw = create(sluice_sk_net(sk));
	if (!tw)
		return;
	tw->core = *t;
	tw->v4_wire = s->v4_wire;
	tw->transparent = sluice_is_transparent(sk);
	tw->flow.kind = SLUICE_FLOW_TIME_WAIT;
	spin_lock_init(&tw->lock);
	timer_setup(&tw->timer, went_off, 0);
	sluice_port_hand_over(sk, &tw->port);
	local_bh_disable();
	spin_lock(&tw->lock);
	sluice_flow_replace(&s->flow, &tw->flow);
	arm(tw, sluice_now());
	spin_unlock(&tw->lock);
	local_bh_enable();
}

/* Answers and looks after the deadline. True: tw was removed for a new SYN. */
static bool judge(struct sluice_time_wait_sock *tw, const struct sluice_segment *seg,
		  bool listened, struct sluice_reply *reply, u32 *isn_after)
{
	sluice_usec now = sluice_now(), deadline = tw->core.deadline;

	switch (sluice_time_wait_segment(&tw->core, &net_of(tw)->config, seg, listened, reply,
					 isn_after, now)) {
	case SLUICE_TIME_WAIT_NEW_SYN:
		remove(tw);
		return true;
	case SLUICE_TIME_WAIT_REMOVE:
		remove(tw);
		return false;
	case SLUICE_TIME_WAIT_KEEP:
		break;
	}
	if (tw->core.deadline < deadline)
		arm(tw, now);	/* a later one is seen when the timer goes off */
	return false;
}

bool sluice_time_wait_receive(struct sluice_time_wait_sock *tw,
			      const struct sluice_segment *seg, bool listened, u32 *isn_after)
{
	struct sluice_reply reply = { .header_length = 0 };
	struct sluice_origin origin;
	bool gone = true;

	spin_lock(&tw->lock);
	if (tw->flow.hashed)
		gone = judge(tw, seg, listened, &reply, isn_after);
	spin_unlock(&tw->lock);
	if (reply.header_length) {
		sluice_origin_of(tw->flow.key.net, seg->payload, &origin);
		origin.any_source = tw->transparent;
		sluice_reply_send(tw->flow.key.net, NULL, &tw->flow.key, &origin, &reply);
	}
	return gone;
}

bool sluice_time_wait_cedes(struct sluice_time_wait_sock *tw, const struct sluice_segment *syn)
{
	bool cedes;

	spin_lock_bh(&tw->lock);
	cedes = tw->flow.hashed && sluice_time_wait_reusable(&tw->core, syn, sluice_now());
	if (cedes) {
		sluice_count(net_of(tw), SLUICE_CNT_time_wait_reused);
		remove(tw);
	}
	spin_unlock_bh(&tw->lock);
	return cedes;
}

static bool is_loopback(const struct in6_addr *address)
{
	return ipv6_addr_loopback(address) || ipv6_addr_v4mapped_loopback(address);
}

static bool may_yield(const struct sluice_time_wait_sock *tw, bool bound)
{
	u64 reuse = READ_ONCE(net_of(tw)->config.time_wait_reuse);

	if (bound)
		return tw->core.timestamp_ok;
	if (reuse == 0 || (reuse == 2 && !is_loopback(&tw->flow.key.local) &&
			   !is_loopback(&tw->flow.key.remote)))
		return false;
	return tw->core.timestamp_ok &&
	       sluice_now() - tw->core.ts_recent_at > USEC_PER_SEC;
}

bool sluice_time_wait_yields(const struct sluice_flow_key *key, bool bound)
{
	struct sluice_time_wait_sock *tw;
	struct sluice_flow *flow;
	bool yields = false;

	rcu_read_lock();
	flow = sluice_flow_find(key);
	if (flow && flow->kind == SLUICE_FLOW_TIME_WAIT) {
		tw = container_of(flow, struct sluice_time_wait_sock, flow);
		spin_lock(&tw->lock);
		yields = tw->flow.hashed && may_yield(tw, bound);
		if (yields)
			remove(tw);
		spin_unlock(&tw->lock);
	}
	rcu_read_unlock();
	return yields;
}

void sluice_time_wait_purge(const struct net *net)
{
	struct sluice_flow_walk walk;
	struct sluice_flow *flow;

	sluice_flow_walk_begin(&walk);
	while ((flow = sluice_flow_walk_next(&walk))) {
		struct sluice_time_wait_sock *tw;

		if (flow->kind != SLUICE_FLOW_TIME_WAIT || flow->key.net != net)
			continue;
		tw = container_of(flow, struct sluice_time_wait_sock, flow);
		spin_lock_bh(&tw->lock);
		if (tw->flow.hashed)
			remove(tw);
		spin_unlock_bh(&tw->lock);
	}
	sluice_flow_walk_end(&walk);
}
