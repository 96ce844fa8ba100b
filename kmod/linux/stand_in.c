// SPDX-License-Identifier: GPL-2.0
/* Listeners of ours in kernel TCP's table, for the rules of transparent proxies. */
#include <linux/mutex.h>
#include <linux/slab.h>
#include <net/inet_connection_sock.h>
#include <net/inet_hashtables.h>
#include <net/ipv6.h>
#include <net/tcp_states.h>

#include "compat.h"
#include "kernel_socket.h"
#include "sock.h"
#include "stand_in.h"

/* ---- its operations: kernel TCP's, but for a few ----------------------------- */

enum { V4, V6, FAMILIES };

static struct proto protos[FAMILIES];
static struct inet_connection_sock_af_ops af_ops[FAMILIES];
static const struct inet_connection_sock_af_ops *original_af_ops[FAMILIES];

static void count_refused(const struct sock *stand_in)
{
	sluice_count(sluice_net(sock_net(stand_in)), SLUICE_CNT_stand_in_syns);
}

/* Kernel TCP is about to make a request of the SYN, and drops it after this. */
static int refuse_request(struct sock *stand_in, struct sk_buff *syn)
{
	count_refused(stand_in);
	return 0;
}

/* Likewise a connection, of a request that a program made by hand. */
SLUICE_REFUSE_CONNECTIONS(refuse_connection, count_refused)

/* The operations don't change once they are there, whoever made them. */
static void prepare_operations(const struct sock *stand_in, int family)
{
	static DEFINE_MUTEX(mutex);

	mutex_lock(&mutex);
	if (!af_ops[family].conn_request) {
		protos[family] = *stand_in->sk_prot;
		protos[family].diag_destroy = NULL;	/* `ss -K` would take it from under us */
		original_af_ops[family] = inet_csk(stand_in)->icsk_af_ops;
		af_ops[family] = *original_af_ops[family];
		af_ops[family].syn_recv_sock = refuse_connection;
		af_ops[family].conn_request = refuse_request;
	}
	mutex_unlock(&mutex);
}

static int family_of(const struct sock *stand_in)
{
	return stand_in->sk_family == AF_INET ? V4 : V6;
}

static void set_operations(struct sock *stand_in)
{
	int family = family_of(stand_in);

	prepare_operations(stand_in, family);
	WRITE_ONCE(stand_in->sk_prot, &protos[family]);
	WRITE_ONCE(inet_csk(stand_in)->icsk_af_ops, &af_ops[family]);
}

/* Packets may hold it when this module is gone. */
static void restore_operations(struct sock *stand_in)
{
	WRITE_ONCE(stand_in->sk_prot, stand_in->sk_prot_creator);
	WRITE_ONCE(inet_csk(stand_in)->icsk_af_ops, original_af_ops[family_of(stand_in)]);
}

/* A request for a connection, which programs make by hand, copies the listener's operations. */
bool sluice_is_stand_in(const struct sock *sk)
{
	const struct proto *prot = sk ? READ_ONCE(sk->sk_prot) : NULL;

	return (prot == &protos[V4] || prot == &protos[V6]) && sk_fullsock(sk);
}

struct sock *sluice_stand_in_listener(const struct sock *stand_in)
{
	return rcu_dereference_sk_user_data(stand_in);
}

struct sock *sluice_listener_for(const struct sluice_flow_key *key, int ifindex,
				 struct sk_buff *skb, int header_length)
{
	struct sk_buff *seen = header_length ? skb : NULL;
	struct sock *sk;

	if (!sluice_is_stand_in(skb->sk))
		return sluice_listener_find(key, ifindex, seen, header_length);
	sk = sluice_stand_in_listener(skb->sk);
	return sk ? sluice_listener_among_equals(sk, key, seen, header_length) : NULL;
}

/* ---- life ---------------------------------------------------------------------- */

/* What rules and `ss` ask of it; but it is no file's, so rules see no owner. */
static void resemble(struct sock *stand_in, const struct sock *sk)
{
	stand_in->sk_bound_dev_if = sk->sk_bound_dev_if;
	stand_in->sk_mark = sk->sk_mark;
	stand_in->sk_ipv6only = sk->sk_ipv6only;
	stand_in->sk_uid = sk->sk_uid;
	stand_in->sk_max_ack_backlog = sk->sk_max_ack_backlog;
	sk_rcv_saddr_set(stand_in, sk->sk_rcv_saddr);
	inet_sk(stand_in)->inet_saddr = inet_sk(sk)->inet_saddr;
	if (sk->sk_family == AF_INET6) {
		stand_in->sk_v6_rcv_saddr = sk->sk_v6_rcv_saddr;
		inet6_sk(stand_in)->saddr = inet6_sk(sk)->saddr;
	}
	inet_sk(stand_in)->inet_num = inet_sk(sk)->inet_num;
	inet_sk(stand_in)->inet_sport = inet_sk(sk)->inet_sport;
	sluice_set_transparent(stand_in);
}

/* Closed, and on no port, as it is in no table of ports. */
static void bury(struct sluice_kernel_socket *k)
{
	struct sock *stand_in = k->socket->sk;

	WRITE_ONCE(stand_in->sk_state, TCP_CLOSE);
	inet_sk(stand_in)->inet_num = 0;
	restore_operations(stand_in);
	sluice_kernel_socket_free(k);
}

static int add(struct sock *sk)
{
	struct sluice_kernel_socket *k = kzalloc(sizeof(*k), GFP_KERNEL);
	struct sock *stand_in;
	int error;

	if (!k)
		return -ENOMEM;
	error = sluice_kernel_socket_init(k, sock_net(sk), sk->sk_family);
	if (error) {
		kfree(k);
		return error;
	}
	stand_in = k->socket->sk;
	set_operations(stand_in);
	resemble(stand_in, sk);
	__rcu_assign_sk_user_data_with_flags(stand_in, sk, SK_USER_DATA_NOCOPY);
	WRITE_ONCE(stand_in->sk_state, TCP_LISTEN);	/* no event of the socket's is traced */
	error = stand_in->sk_prot->hash(stand_in);
	if (error) {
		bury(k);
		return error;
	}
	sluice_sk(sk)->stand_in = k;
	return 0;
}

void sluice_stand_in_remove(struct sock *sk)
{
	struct sluice_kernel_socket *k = sluice_sk(sk)->stand_in;
	struct sock *stand_in;

	if (!k)
		return;
	sluice_sk(sk)->stand_in = NULL;
	stand_in = k->socket->sk;
	rcu_assign_sk_user_data(stand_in, NULL);
	stand_in->sk_prot->unhash(stand_in);
	bury(k);
}

int sluice_stand_in_update(struct sock *sk)
{
	bool needed = sluice_is_real_tcp(sk) && sk->sk_state == TCP_LISTEN &&
		      sluice_is_transparent(sk);

	if (needed && !sluice_sk(sk)->stand_in)
		return add(sk);
	if (!needed)
		sluice_stand_in_remove(sk);
	return 0;
}

void sluice_stand_in_follow(struct sock *sk)
{
	struct sluice_kernel_socket *k = sluice_sk(sk)->stand_in;

	if (k)
		WRITE_ONCE(k->socket->sk->sk_bound_dev_if, sk->sk_bound_dev_if);
}

void sluice_stand_in_follow_mark(struct sock *stand_in)
{
	const struct sock *sk = sluice_stand_in_listener(stand_in);

	if (sk)
		WRITE_ONCE(stand_in->sk_mark, READ_ONCE(sk->sk_mark));
}
