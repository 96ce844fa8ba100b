// SPDX-License-Identifier: GPL-2.0
/* Readiness: poll, and the ioctls that tell queue lengths. */
#include <asm/ioctls.h>
#include <linux/sockios.h>
#include <net/sock.h>
#include <net/tcp_states.h>

#include "compat.h"
#include "fastopen.h"
#include "sock.h"
#include "tuning.h"

/* An urgent byte that is next isn't for a read, unless it is in line. */
static bool enough_to_read(struct sock *sk)
{
	const struct sluice_recvbuf *in = &sluice_sk(sk)->in;
	u32 unread = READ_ONCE(in->unread);

	if (unlikely(READ_ONCE(in->urgent.state) != SLUICE_URGENT_NONE) && unread &&
	    !sock_flag(sk, SOCK_URGINLINE) && sluice_urgent_at_mark(sk))
		unread--;
	return unread >= sock_rcvlowat(sk, 0, INT_MAX) || (unread && sluice_recvbuf_cramped(sk));
}

static __poll_t poll_writable(struct sock *sk)
{
	if (sk->sk_shutdown & SEND_SHUTDOWN)
		return EPOLLOUT | EPOLLWRNORM;
	if (sk_stream_is_writeable(sk))
		return EPOLLOUT | EPOLLWRNORM;
	sk_set_bit(SOCKWQ_ASYNC_NOSPACE, sk);
	set_bit(SOCK_NOSPACE, &sk->sk_socket->flags);
	/* It may have become writable between the look and the bit. */
	smp_mb__after_atomic();
	return sk_stream_is_writeable(sk) ? EPOLLOUT | EPOLLWRNORM : 0;
}

__poll_t sluice_poll(struct file *file, struct socket *sock, poll_table *wait)
{
	struct sock *sk = sock->sk;
	__poll_t mask = 0;
	int state;
	u8 shutdown;

	sock_poll_wait(file, sock, wait);
	state = inet_sk_state_load(sk);
	if (state == TCP_LISTEN)
		return READ_ONCE(sk->sk_ack_backlog) ? EPOLLIN | EPOLLRDNORM : 0;

	shutdown = READ_ONCE(sk->sk_shutdown);
	if (shutdown == SHUTDOWN_MASK || state == TCP_CLOSE)
		mask |= EPOLLHUP;
	if (shutdown & RCV_SHUTDOWN)
		mask |= EPOLLIN | EPOLLRDNORM | EPOLLRDHUP;
	if (state != TCP_SYN_SENT && (state != TCP_SYN_RECV || sluice_open_early(sk))) {
		if (enough_to_read(sk))
			mask |= EPOLLIN | EPOLLRDNORM;
		if (unlikely(READ_ONCE(sluice_sk(sk)->in.urgent.state) == SLUICE_URGENT_HERE))
			mask |= EPOLLPRI;
		sluice_tuning_glance(sluice_sk_net(sk));
		mask |= poll_writable(sk);
	} else if (state == TCP_SYN_SENT && sluice_connect_deferred(sk)) {
		mask |= EPOLLOUT | EPOLLWRNORM;	/* a write is what it waits for */
	}
	/* Pairs with the order in which the core's news are told: error, then wake. */
	smp_rmb();
	if (READ_ONCE(sk->sk_err) || !skb_queue_empty_lockless(&sk->sk_error_queue))
		mask |= EPOLLERR;
	return mask;
}

int sluice_ioctl(struct sock *sk, int command, int *answer)
{
	struct sluice_sock *s = sluice_sk(sk);
	int error = 0;

	lock_sock(sk);
	if (sk->sk_state == TCP_LISTEN && command != SIOCATMARK)
		error = -EINVAL;
	else if (command == SIOCINQ)
		*answer = sluice_urgent_readable(sk);
	else if (command == SIOCOUTQ)
		*answer = sluice_conn_unacked(&s->conn);
	else if (command == SIOCOUTQNSD)
		*answer = sluice_conn_unsent(&s->conn) + sluice_conn_fin_unsent(&s->conn);
	else if (command == SIOCATMARK)
		*answer = sluice_urgent_at_mark(sk);
	else
		error = -ENOIOCTLCMD;
	release_sock(sk);
	return error;
}
