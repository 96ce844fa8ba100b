// SPDX-License-Identifier: GPL-2.0
/*
 * The connection that a listener brings forth when a handshake is over
 * (RFC 9293 3.10.7.4, fifth, SYN-RECEIVED): a copy of the listener, with
 * addresses, a route and a transmission control block of its own.
 */
#include <linux/cgroup.h>
#include <linux/memcontrol.h>
#include <net/inet_hashtables.h>
#include <net/ipv6.h>
#include <net/tcp_states.h>
#include <net/transp_v6.h>

#include "cc_registry.h"
#include "compat.h"
#include "fastopen.h"
#include "listen.h"
#include "pktoptions.h"
#include "receive.h"
#include "sock.h"
#include "transmit.h"

/* sk_clone_lock() leaves it to accept(), where modules can't reach it. */
static void charge_as_listener(struct sock *child, const struct sock *listener)
{
#ifdef CONFIG_MEMCG
	if (mem_cgroup_sockets_enabled && listener->sk_memcg) {
		css_get(&listener->sk_memcg->css);
		child->sk_memcg = listener->sk_memcg;
	}
#endif
}

/* What is the listener's alone, and came along with the copy. */
static void forget_listener_v6(struct sock *child, const struct sock *listener)
{
	struct ipv6_pinfo *np = &sluice_sk(child)->inet6;
	struct ipv6_txoptions *options;

	inet_sk(child)->pinet6 = np;
	np->ipv6_mc_list = NULL;
	np->ipv6_ac_list = NULL;
	sluice_inet6_forget_labels(child);
	np->pktoptions = NULL;
	RCU_INIT_POINTER(np->opt, NULL);
	options = rcu_dereference(inet6_sk(listener)->opt);
	if (options)
		RCU_INIT_POINTER(np->opt, ipv6_dup_options(child, options));
}

static void set_addresses_v6(struct sock *child, const struct sluice_flow_key *key)
{
	struct inet_sock *inet = inet_sk(child);

	child->sk_v6_rcv_saddr = key->local;
	child->sk_v6_daddr = key->remote;
	inet->inet_daddr = inet->inet_saddr = inet->inet_rcv_saddr = LOOPBACK4_IPV6;
	if (key->scope)
		child->sk_bound_dev_if = key->scope;
}

static void set_addresses_v4(struct sock *child, const struct sluice_flow_key *key)
{
	sk_rcv_saddr_set(child, key->local.s6_addr32[3]);
	sk_daddr_set(child, key->remote.s6_addr32[3]);
	inet_sk(child)->inet_saddr = key->local.s6_addr32[3];
}

static void set_addresses(struct sock *child, const struct sluice_flow_key *key)
{
	struct inet_sock *inet = inet_sk(child);

	if (sluice_sk(child)->v4_wire)
		set_addresses_v4(child, key);
	else
		set_addresses_v6(child, key);
	if (child->sk_family == AF_INET6)
		inet6_sk(child)->saddr = key->local;
	inet->inet_dport = key->remote_port;
	inet->inet_sport = key->local_port;
	inet->inet_num = ntohs(key->local_port);	/* not the listener's where rules redirect */
	atomic_set(&inet->inet_id, get_random_u16());
	sk_set_txhash(child);
}

/* What it sends is treated as its SYN was, where the namespace says so. */
static void follow_origin(struct sock *child, const struct sluice_origin *origin)
{
	if (!child->sk_mark)
		child->sk_mark = origin->accepted_mark;
	if (!READ_ONCE(sluice_sk_net(child)->config.reflect_tos))
		return;
	if (sluice_sk(child)->v4_wire)
		inet_sk(child)->tos = origin->traffic_class;
	else
		inet6_sk(child)->tclass = origin->traffic_class;
}

/* A locked copy, in nobody's sight yet. */
static struct sock *copy(struct sock *listener, const struct sluice_half_open_sock *h)
{
	struct sock *sk = sk_clone_lock(listener, GFP_ATOMIC);
	struct sluice_sock *child = sluice_sk(sk);

	if (!sk)
		return NULL;
	inet_sk_set_state(sk, TCP_SYN_RECV);
	RCU_INIT_POINTER(inet_sk(sk)->inet_opt, NULL);
	RCU_INIT_POINTER(inet_sk(sk)->mc_list, NULL);
	if (sk->sk_family == AF_INET6)
		forget_listener_v6(sk, listener);
	sluice_sock_init_parts(child);
	child->v4_wire = h->v4_wire;
	charge_as_listener(sk, listener);
	sluice_conn_inherit(&child->conn, &sluice_sk(listener)->conn);
	sluice_cc_hold(sluice_conn_cc(&child->conn));
	set_addresses(sk, &h->flow.key);
	sk->sk_mark = listener->sk_mark;
	follow_origin(sk, &h->origin);
	return sk;
}

/* sk_clone_lock() took the lock, which sparse doesn't see. */
static void let_go(struct sock *sk)
{
	__acquire(&sk->sk_lock.slock);
	bh_unlock_sock(sk);
	sock_put(sk);
}

/* The copy can't be used. It has no place anywhere, so it just goes. */
static void discard(struct sock *sk)
{
	sock_set_flag(sk, SOCK_DEAD);
	inet_sk_set_state(sk, TCP_CLOSE);
	sluice_sock_destroy(sk);
	let_go(sk);
}

static void queue_for_accept(struct sock *listener, struct sock *sk)
{
	list_add_tail(&sluice_sk(sk)->ready, &sluice_sk(listener)->ready);
	sk_acceptq_added(listener);
	listener->sk_data_ready(listener);
}

/* In SYN_RECEIVED and locked, in h's place, because of seg. NULL: no memory or no route. */
static struct sock *make(struct sluice_half_open_sock *h, const struct sluice_segment *seg)
{
	struct sock *listener = h->listener, *sk = copy(listener, h);
	struct sluice_sock *child = sluice_sk(sk);
	struct sluice_path path;

	if (!sk)
		return NULL;
	sluice_pktoptions_begin(sk, seg->payload);
	if (sluice_route(sk) || sluice_port_inherit(sk, listener)) {
		discard(sk);
		return NULL;
	}
	sluice_count(sluice_sk_net(sk), SLUICE_CNT_passive_opens);
	sluice_route_describe(sk, &path);
	sluice_conn_accept(&child->conn, &h->core, &path, sluice_now());
	child->saved_syn = h->saved_syn;
	h->saved_syn = NULL;
	sluice_pktoptions_take_syn(sk, h->pktoptions);
	h->pktoptions = NULL;
	sluice_flow_replace(&h->flow, &child->flow);
	return sk;
}

bool sluice_child_create(struct sluice_half_open_sock *h, struct sluice_segment *seg)
{
	struct sock *sk = make(h, seg);

	if (!sk)
		return false;
	sluice_conn_receive(sk, seg);
	/* Even if it was reset at once: accept() tells the application. */
	queue_for_accept(h->listener, sk);
	let_go(sk);
	return true;
}

bool sluice_child_create_early(struct sluice_half_open_sock *h, struct sluice_segment *syn,
			       const struct sluice_fastopen_cookie *grant)
{
	struct sock *sk = make(h, syn);

	if (!sk)
		return false;
	sluice_fastopen_enter(h->listener, sk);
	sluice_conn_accept_early(&sluice_sk(sk)->conn, syn, grant->length ? grant : NULL,
				 sluice_now());
	sluice_sock_settle(sk);
	queue_for_accept(h->listener, sk);
	let_go(sk);
	return true;
}
