// SPDX-License-Identifier: GPL-2.0
/* Demultiplexing: pairs of endpoints and listeners (RFC 9293 3.1, 3.10.7). */
#include <linux/jhash.h>
#include <linux/random.h>
#include <linux/rculist.h>
#include <net/ipv6.h>

#include "compat.h"
#include "demux.h"
#include "sock.h"

static struct rhashtable flows;
struct sluice_listener_bucket sluice_listeners[SLUICE_LISTENER_BUCKETS];

/* jhash2() over words: no byte of a key may be padding. */
static_assert(sizeof(struct sluice_flow_key) ==
	      2 * sizeof(struct in6_addr) + 2 * sizeof(__be16) + sizeof(u32) + sizeof(void *));

static u32 hash_key(const void *data, u32 length, u32 seed)
{
	const struct sluice_flow_key *key = data;

	/* What else a key holds rarely tells flows apart; the comparison sees it. */
	if (ipv6_addr_v4mapped(&key->remote))
		return jhash_3words((__force u32)key->local.s6_addr32[3],
				    (__force u32)key->remote.s6_addr32[3],
				    (__force u32)key->local_port << 16 |
				    (__force u32)key->remote_port, seed);
	return jhash2((const u32 *)key, offsetof(struct sluice_flow_key, scope) / sizeof(u32),
		      seed);
}

static u32 hash_flow(const void *object, u32 length, u32 seed)
{
	return hash_key(&((const struct sluice_flow *)object)->key, length, seed);
}

static int compare(struct rhashtable_compare_arg *arg, const void *object)
{
	const struct sluice_flow *flow = object;

	return memcmp(&flow->key, arg->key, sizeof(flow->key));
}

static const struct rhashtable_params flow_params = {
	.head_offset = offsetof(struct sluice_flow, node),
	.key_offset = offsetof(struct sluice_flow, key),
	.key_len = sizeof(struct sluice_flow_key),
	.hashfn = hash_key,
	.obj_hashfn = hash_flow,
	.obj_cmpfn = compare,
	.min_size = 256,
	.automatic_shrinking = true,
};

int sluice_demux_init(void)
{
	unsigned int i;

	for (i = 0; i < SLUICE_LISTENER_BUCKETS; i++) {
		INIT_HLIST_HEAD(&sluice_listeners[i].head);
		spin_lock_init(&sluice_listeners[i].lock);
	}
	return rhashtable_init(&flows, &flow_params);
}

void sluice_demux_exit(void)
{
	WARN_ON(atomic_read(&flows.nelems));
	rhashtable_destroy(&flows);
}

u32 sluice_flow_scope(const struct in6_addr *local, const struct in6_addr *remote, int ifindex)
{
	if (ipv6_addr_type(remote) & IPV6_ADDR_LINKLOCAL ||
	    ipv6_addr_type(local) & IPV6_ADDR_LINKLOCAL)
		return ifindex;
	return 0;
}

int sluice_flow_insert(struct sluice_flow *flow)
{
	int error = rhashtable_lookup_insert_key(&flows, &flow->key, &flow->node, flow_params);

	flow->hashed = !error;
	/* The table is growing as fast as it can: that is no memory, too. */
	return error == -E2BIG || error == -EBUSY ? -ENOMEM : error;
}

void sluice_flow_remove(struct sluice_flow *flow)
{
	if (!flow->hashed)
		return;
	WRITE_ONCE(flow->hashed, false);
	rhashtable_remove_fast(&flows, &flow->node, flow_params);
}

void sluice_flow_replace(struct sluice_flow *from, struct sluice_flow *to)
{
	to->key = from->key;
	to->hashed = true;
	WRITE_ONCE(from->hashed, false);
	WARN_ON_ONCE(rhashtable_replace_fast(&flows, &from->node, &to->node, flow_params));
}

struct sluice_flow *sluice_flow_find(const struct sluice_flow_key *key)
{
	return rhashtable_lookup(&flows, key, flow_params);
}

/* ---- walks --------------------------------------------------------------- */

void sluice_flow_walk_begin(struct sluice_flow_walk *walk)
	__acquires(RCU)
{
	rhashtable_walk_enter(&flows, &walk->iter);
	rhashtable_walk_start(&walk->iter);
}

struct sluice_flow *sluice_flow_walk_next(struct sluice_flow_walk *walk)
{
	struct sluice_flow *flow;

	do	/* -EAGAIN: the table was resized, the walk begins again */
		flow = rhashtable_walk_next(&walk->iter);
	while (IS_ERR(flow));
	return flow;
}

void sluice_flow_walk_pause(struct sluice_flow_walk *walk)
	__releases(RCU)
{
	rhashtable_walk_stop(&walk->iter);
}

void sluice_flow_walk_resume(struct sluice_flow_walk *walk)
	__acquires(RCU)
{
	rhashtable_walk_start(&walk->iter);
}

void sluice_flow_walk_end(struct sluice_flow_walk *walk)
	__releases(RCU)
{
	rhashtable_walk_stop(&walk->iter);
	rhashtable_walk_exit(&walk->iter);
}

/* ---- listeners ----------------------------------------------------------- */

static struct sluice_listener_bucket *bucket_of(const struct net *net, u16 port)
{
	return &sluice_listeners[(port ^ net_hash_mix(net)) % SLUICE_LISTENER_BUCKETS];
}

void sluice_listener_insert(struct sock *sk)
{
	struct sluice_listener_bucket *bucket = bucket_of(sock_net(sk), inet_sk(sk)->inet_num);

	spin_lock_bh(&bucket->lock);
	hlist_add_head_rcu(&sk->sk_node, &bucket->head);
	spin_unlock_bh(&bucket->lock);
}

void sluice_listener_remove(struct sock *sk)
{
	struct sluice_listener_bucket *bucket = bucket_of(sock_net(sk), inet_sk(sk)->inet_num);

	spin_lock_bh(&bucket->lock);
	if (!hlist_unhashed(&sk->sk_node))
		hlist_del_init_rcu(&sk->sk_node);
	spin_unlock_bh(&bucket->lock);
}

static bool address_matches(const struct sock *sk, const struct in6_addr *local, bool *exact)
{
	bool v4 = ipv6_addr_v4mapped(local);

	if (sk->sk_family == AF_INET) {
		*exact = sk->sk_rcv_saddr != 0;
		return v4 && (!*exact || sk->sk_rcv_saddr == local->s6_addr32[3]);
	}
	*exact = !ipv6_addr_any(&sk->sk_v6_rcv_saddr);
	if (*exact)
		return ipv6_addr_equal(&sk->sk_v6_rcv_saddr, local) ||
		       (v4 && !sk->sk_ipv6only && !sk->sk_v6_rcv_saddr.s6_addr32[3] &&
			ipv6_addr_v4mapped(&sk->sk_v6_rcv_saddr));
	return !v4 || !sk->sk_ipv6only;
}

/* How well a listener fits: 0 not at all; the more particular, the higher. */
static int score(const struct sock *sk, const struct net *net, const struct in6_addr *local,
		 u16 port, int ifindex)
{
	int device = READ_ONCE(sk->sk_bound_dev_if);
	bool exact;

	if (!net_eq(sock_net(sk), net) || inet_sk(sk)->inet_num != port ||
	    (device && device != ifindex) || !address_matches(sk, local, &exact))
		return 0;
	/* AF_INET before a dual-stack socket, as Linux TCP */
	return 1 + (sk->sk_family == AF_INET) + 2 * exact + 4 * !!device;
}

struct sock *sluice_listener_find(const struct net *net, const struct in6_addr *local,
				  u16 port, int ifindex, u32 spread)
{
	struct sluice_listener_bucket *bucket = bucket_of(net, port);
	struct sock *sk, *best = NULL;
	int best_score = 0, equals = 0;

	hlist_for_each_entry_rcu(sk, &bucket->head, sk_node) {
		int s = score(sk, net, local, port, ifindex);

		if (!s || s < best_score)
			continue;
		equals = s > best_score ? 1 : equals + 1;
		/* Each of n equals is chosen with probability 1/n. */
		if (equals == 1 || !reciprocal_scale(spread, equals))
			best = sk;
		best_score = s;
		spread = next_pseudo_random32(spread);
	}
	return best;
}
