/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Demultiplexing (RFC 9293 3.1, 3.10.7): which object a segment is for. One
 * table holds every pair of endpoints that is in use, whatever stands behind
 * it: a connection, a half-open connection of a listener, or a TIME_WAIT. A
 * second one holds the listeners. Look-ups run under RCU, without reference
 * or lock; every object is freed after a grace period, so a reader locks what
 * it found and then looks whether it is still in use.
 */
#ifndef SLUICE_LINUX_DEMUX_H
#define SLUICE_LINUX_DEMUX_H

#include <linux/in6.h>
#include <linux/jhash.h>
#include <linux/rhashtable.h>
#include <net/net_namespace.h>
#include <net/sock.h>

/* A pair of endpoints. Every byte counts: no holes, no padding. */
struct sluice_flow_key {
	struct in6_addr local, remote;	/* IPv4 as v4-mapped */
	__be16 local_port, remote_port;
	u32 scope : 31;			/* interface, when an address is link-local; else 0 */
	u32 real_tcp : 1;		/* IP protocol 6, not 253 */
	const struct net *net;
};

enum sluice_flow_kind {
	SLUICE_FLOW_CONN,		/* struct sluice_sock, member flow */
	SLUICE_FLOW_HALF_OPEN,		/* struct sluice_half_open_sock */
	SLUICE_FLOW_TIME_WAIT,		/* struct sluice_time_wait_sock */
};

struct sluice_flow {
	struct rhash_head node;
	struct sluice_flow_key key;
	u8 kind;			/* enum sluice_flow_kind */
	bool hashed;			/* written under the owner's lock */
};

int sluice_demux_init(void);
void sluice_demux_exit(void);

/* Interface that belongs to the key: ifindex for link-local addresses, else 0. */
u32 sluice_flow_scope(const struct in6_addr *local, const struct in6_addr *remote, int ifindex);

/* 0, -EEXIST (the pair is in use), -ENOMEM. Any context; the owner's lock held. */
int sluice_flow_insert(struct sluice_flow *flow);
void sluice_flow_remove(struct sluice_flow *flow);
/*
 * Puts `to`, which gets from's key, in from's place, leaving no gap. BH
 * disabled: who finds `from` meanwhile looks again until it is done.
 */
void sluice_flow_replace(struct sluice_flow *from, struct sluice_flow *to);
/* RCU read side. NULL: none. */
struct sluice_flow *sluice_flow_find(const struct sluice_flow_key *key);
/* Is a flow that was found still in use, and for this pair? The owner's lock held. */
bool sluice_flow_stands(const struct sluice_flow *flow, const struct sluice_flow_key *key);

/*
 * Walk over all flows of all namespaces:
 *	sluice_flow_walk_begin(&walk);
 *	while ((flow = sluice_flow_walk_next(&walk))) ...
 *	sluice_flow_walk_end(&walk);
 * RCU is held between the calls; _pause/_resume leave and take it again.
 * An object may be seen twice, or be missed, while the table grows or shrinks.
 */
struct sluice_flow_walk {
	struct rhashtable_iter iter;
};

void sluice_flow_walk_begin(struct sluice_flow_walk *walk);
struct sluice_flow *sluice_flow_walk_next(struct sluice_flow_walk *walk);
void sluice_flow_walk_pause(struct sluice_flow_walk *walk);
void sluice_flow_walk_resume(struct sluice_flow_walk *walk);
void sluice_flow_walk_end(struct sluice_flow_walk *walk);

/* ---- listeners --------------------------------------------------------- */

#define SLUICE_LISTENER_BUCKETS 256

/* Chained by sk_node; readers hold RCU. */
struct sluice_listener_bucket {
	struct hlist_head head;
	spinlock_t lock;
};

extern struct sluice_listener_bucket sluice_listeners[SLUICE_LISTENER_BUCKETS];

/* Socket lock held; flow.key is its address. 0, or -ENOMEM. */
int sluice_listener_insert(struct sock *sk);
void sluice_listener_remove(struct sock *sk);

/*
 * The listener for a SYN of that pair: the most specific address, then the
 * interface, the family and the CPU (SO_INCOMING_CPU) win, then one among
 * equals. RCU read side, BH disabled if there is a segment; NULL: none.
 */
struct sock *sluice_listener_find(const struct sluice_flow_key *key, int ifindex,
				  struct sk_buff *skb, int header_length);
/*
 * Among equals (SO_REUSEPORT) of sk, itself one, their BPF program chooses, which
 * sees `skb` from the segment's header on; where there is none or no segment
 * (NULL), one whose CPU this is, and a hash of the pair.
 */
struct sock *sluice_listener_among_equals(struct sock *sk, const struct sluice_flow_key *key,
					  struct sk_buff *skb, int header_length);

/* Next in a walk over a bucket; RCU read side. */
#define sluice_for_each_listener_rcu(sk, bucket) \
	hlist_for_each_entry_rcu(sk, &sluice_listeners[bucket].head, sk_node)

#endif /* SLUICE_LINUX_DEMUX_H */
