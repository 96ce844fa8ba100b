// SPDX-License-Identifier: GPL-2.0
/* Demultiplexing: pairs of endpoints and listeners (RFC 9293 3.1, 3.10.7). */
#include <linux/jhash.h>
#include <linux/random.h>
#include <linux/rculist.h>
#include <net/ipv6.h>
#include <net/sock_reuseport.h>

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
	return jhash2((const u32 *)key,
		      offsetofend(struct sluice_flow_key, remote_port) / sizeof(u32), seed);
}

static u32 hash_flow(const void *object, u32 length, u32 seed)
{
	return hash_key(&((const struct sluice_flow *)object)->key, length, seed);
}

/* Each segment is looked up: memcmp() would take twice as long. */
static bool keys_equal(const struct sluice_flow_key *a, const struct sluice_flow_key *b)
{
	const unsigned long *x = (const unsigned long *)a, *y = (const unsigned long *)b;
	unsigned long differ = 0;
	unsigned int i;

	BUILD_BUG_ON(sizeof(*a) % sizeof(*x));
	for (i = 0; i < sizeof(*a) / sizeof(*x); i++)
		differ |= x[i] ^ y[i];
	return !differ;
}

static int compare(struct rhashtable_compare_arg *arg, const void *object)
{
	return !keys_equal(&((const struct sluice_flow *)object)->key, arg->key);
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
	int error;

	flow->hashed = true;	/* before others can find it */
	error = rhashtable_lookup_insert_key(&flows, &flow->key, &flow->node, flow_params);
	if (error)
		flow->hashed = false;
	/* The table is growing as fast as it can: that is no memory, too. */
	return error == -E2BIG || error == -EBUSY ? -ENOMEM : error;
}

void sluice_flow_remove(struct sluice_flow *flow)
{
	if (!flow->hashed)
		return;
	/*
	 * In this order: a softirq on this CPU that found the flow unhashed but
	 * still in the table would look it up again for ever.
	 */
	rhashtable_remove_fast(&flows, &flow->node, flow_params);
	WRITE_ONCE(flow->hashed, false);
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

bool sluice_flow_stands(const struct sluice_flow *flow, const struct sluice_flow_key *key)
{
	return flow->hashed && keys_equal(&flow->key, key);
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

static bool are_equals(const struct sock *a, const struct sock *b)
{
	return keys_equal(&sluice_sk(a)->flow.key, &sluice_sk(b)->flow.key) &&
	       a->sk_family == b->sk_family && a->sk_ipv6only == b->sk_ipv6only &&
	       a->sk_bound_dev_if == b->sk_bound_dev_if && b->sk_reuseport &&
	       uid_eq(a->sk_uid, b->sk_uid);
}

/* Listeners that share their port are a group of the kernel's own, with its BPF program. */
static int join_equals(struct sock *sk, const struct sluice_listener_bucket *bucket)
{
	bool any = sk->sk_family == AF_INET ? !sk->sk_rcv_saddr :
					      ipv6_addr_any(&sk->sk_v6_rcv_saddr);
	struct sock *other;

	hlist_for_each_entry(other, &bucket->head, sk_node)
		if (are_equals(sk, other))
			return reuseport_add_sock(sk, other, any);
	return reuseport_alloc(sk, any);
}

int sluice_listener_insert(struct sock *sk)
{
	struct sluice_listener_bucket *bucket = bucket_of(sock_net(sk), inet_sk(sk)->inet_num);
	int error = 0;

	spin_lock_bh(&bucket->lock);
	if (sk->sk_reuseport)
		error = join_equals(sk, bucket);
	if (!error)
		hlist_add_head_rcu(&sk->sk_node, &bucket->head);
	spin_unlock_bh(&bucket->lock);
	return error;
}

void sluice_listener_remove(struct sock *sk)
{
	struct sluice_listener_bucket *bucket = bucket_of(sock_net(sk), inet_sk(sk)->inet_num);

	spin_lock_bh(&bucket->lock);
	if (!hlist_unhashed(&sk->sk_node))
		hlist_del_init_rcu(&sk->sk_node);
	if (rcu_access_pointer(sk->sk_reuseport_cb))
		reuseport_detach_sock(sk);
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
static int score(const struct sock *sk, const struct sluice_flow_key *key, int ifindex)
{
	int device = READ_ONCE(sk->sk_bound_dev_if);
	bool exact;

	if (!net_eq(sock_net(sk), key->net) || inet_sk(sk)->inet_num != ntohs(key->local_port) ||
	    sluice_is_real_tcp(sk) != key->real_tcp || (device && device != ifindex) ||
	    !address_matches(sk, &key->local, &exact))
		return 0;
	/* As Linux TCP weighs them */
	return 1 + (sk->sk_family == AF_INET) + !!device +
	       (READ_ONCE(sk->sk_incoming_cpu) == raw_smp_processor_id()) + 4 * exact;
}

/* The same for all segments of a connection. */
static u32 spread(const struct sluice_flow_key *key)
{
	return jhash2((const u32 *)&key->remote, 4,
		      (__force u32)key->local_port << 16 | (__force u32)key->remote_port);
}

struct sock *sluice_listener_among_equals(struct sock *sk, const struct sluice_flow_key *key,
					  struct sk_buff *skb, int header_length)
{
	struct sock *chosen = NULL;

	/* NULL: it joined no group, since it wasn't of the kind when it began to listen */
	if (sk->sk_reuseport)
		chosen = reuseport_select_sock(sk, spread(key), skb, header_length);
	return chosen ?: sk;
}

struct sock *sluice_listener_find(const struct sluice_flow_key *key, int ifindex,
				  struct sk_buff *skb, int header_length)
{
	struct sluice_listener_bucket *bucket = bucket_of(key->net, ntohs(key->local_port));
	struct sock *sk, *best = NULL;
	int best_score = 0;

	hlist_for_each_entry_rcu(sk, &bucket->head, sk_node) {
		int s = score(sk, key, ifindex);

		if (s > best_score) {
			best = sk;
			best_score = s;
		}
	}
	return best ? sluice_listener_among_equals(best, key, skb, header_length) : NULL;
}
