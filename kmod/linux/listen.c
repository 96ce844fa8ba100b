// SPDX-License-Identifier: GPL-2.0
/*
 * The passive open as the application sees it (RFC 9293 3.9.1.1, 3.10.1):
 * listen, the accept queue, accept. The queue is guarded by the listener's lock.
 */
#include <net/ipv6.h>
#include <net/tcp_states.h>

#include "compat.h"
#include "fastopen.h"
#include "listen.h"
#include "sock.h"
#include "stand_in.h"
#include "tuning.h"
#include "zerocopy.h"

/* sock_diag tells a listener's address from here. */
static void note_address(struct sock *sk)
{
	struct sluice_flow_key *key = &sluice_sk(sk)->flow.key;

	memset(key, 0, sizeof(*key));
	if (sk->sk_family == AF_INET6)
		key->local = sk->sk_v6_rcv_saddr;
	else
		ipv6_addr_set_v4mapped(sk->sk_rcv_saddr, &key->local);
	key->local_port = htons(inet_sk(sk)->inet_num);
	key->real_tcp = sluice_is_real_tcp(sk);
	key->net = sock_net(sk);
}

static int begin(struct sock *sk)
{
	int error;

	sk->sk_ack_backlog = 0;
	/* Others that reuse the address and listen are in the way only from now on. */
	inet_sk_set_state(sk, TCP_LISTEN);
	error = sk->sk_prot->get_port(sk, inet_sk(sk)->inet_num);
	if (error) {
		inet_sk_set_state(sk, TCP_CLOSE);
		return error;
	}
	inet_sk(sk)->inet_sport = htons(inet_sk(sk)->inet_num);
	sk_dst_reset(sk);
	note_address(sk);
	error = sluice_listener_insert(sk);
	if (error)
		goto not_inserted;
	error = sluice_stand_in_update(sk);
	if (error)
		goto no_stand_in;
	return 0;

no_stand_in:
	sluice_listener_remove(sk);
not_inserted:
	sluice_port_unlisten(sk);
	inet_sk_set_state(sk, TCP_CLOSE);
	return error;
}

int sluice_listen(struct socket *sock, int backlog)
{
	struct sock *sk = sock->sk;
	int error = 0;

	lock_sock(sk);
	if (sock->state != SS_UNCONNECTED ||
	    (sk->sk_state != TCP_CLOSE && sk->sk_state != TCP_LISTEN)) {
		error = -EINVAL;
		goto out;
	}
	sluice_tuning_refresh(sluice_sk_net(sk));
	WRITE_ONCE(sk->sk_max_ack_backlog,
		   min_t(u64, (unsigned int)backlog,
			 READ_ONCE(sluice_sk_net(sk)->config.somaxconn)));
	if (sk->sk_state != TCP_LISTEN) {
		sluice_fastopen_listen(sk, backlog);
		error = begin(sk);
	}
out:
	release_sock(sk);
	return error;
}

/* A connection that nobody accepted (3.10.5: ABORT). */
static void forget_child(struct sluice_sock *child)
{
	struct sock *sk = &child->inet.sk;

	sock_hold(sk);
	/* Netlink finds it in the demultiplexer, and may own it. */
	lock_sock_nested(sk, SINGLE_DEPTH_NESTING);
	local_bh_disable();
	sluice_sock_orphan(sk);
	sluice_conn_abort(&child->conn, sluice_now());
	sluice_sock_settle(sk);
	local_bh_enable();
	release_sock(sk);
	sock_put(sk);
}

void sluice_listen_stop(struct sock *sk)
{
	struct sluice_sock *s = sluice_sk(sk), *child, *next_child;
	struct sluice_half_open_sock *h, *next;

	sluice_stand_in_remove(sk);
	sluice_listener_remove(sk);
	sluice_port_unlisten(sk);
	inet_sk_set_state(sk, TCP_CLOSE);
	list_for_each_entry_safe(h, next, &s->half_opens, list)
		sluice_half_open_remove(h);
	list_for_each_entry_safe(child, next_child, &s->ready, ready) {
		list_del_init(&child->ready);
		sk_acceptq_removed(sk);
		forget_child(child);
	}
}

static int wait_for_child(struct sock *sk, long timeout)
{
	struct sluice_sock *s = sluice_sk(sk);
	DEFINE_WAIT_FUNC(wait, woken_wake_function);
	int error = 0;

	add_wait_queue_exclusive(sk_sleep(sk), &wait);
	while (list_empty(&s->ready)) {
		if (sk->sk_state != TCP_LISTEN)
			error = -EINVAL;
		else if (signal_pending(current))
			error = sock_intr_errno(timeout);
		else if (!timeout)
			error = -EAGAIN;
		if (error)
			break;
		release_sock(sk);
		timeout = wait_woken(&wait, TASK_INTERRUPTIBLE, timeout);
		lock_sock(sk);
	}
	remove_wait_queue(sk_sleep(sk), &wait);
	return error;
}

struct sock *sluice_accept(struct sock *sk, int flags, int *error, bool kern)
{
	struct sluice_sock *s = sluice_sk(sk), *child = NULL;

	lock_sock(sk);
	*error = sk->sk_state == TCP_LISTEN ? 0 : -EINVAL;
	if (!*error && list_empty(&s->ready))
		*error = wait_for_child(sk, sock_rcvtimeo(sk, flags & O_NONBLOCK));
	if (!*error) {
		child = list_first_entry(&s->ready, struct sluice_sock, ready);
		list_del_init(&child->ready);
		sk_acceptq_removed(sk);
	}
	release_sock(sk);
	return child ? &child->inet.sk : NULL;
}

SLUICE_ACCEPT_OPERATION(sluice_inet_accept, sluice_zerocopy_begin_socket)
