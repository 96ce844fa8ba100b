// SPDX-License-Identifier: GPL-2.0
/* SEND (RFC 9293 3.9.1.2): bytes from the application into the send buffer. */
#include <net/sock.h>
#include <net/tcp_states.h>

#include "compat.h"
#include "sock.h"

/* So many new bytes are reported to the core at once: one transmission's worth. */
#define REPORT_BYTES (64 * 1024)

static void report(struct sock *sk, u32 *pending, bool more)
{
	u32 bytes = *pending;

	*pending = 0;
	if (bytes)
		sluice_conn_written(&sluice_sk(sk)->conn, bytes, more, sluice_now());
}

/* The buffer is full: what is there must be able to leave. */
static int wait_for_room(struct sock *sk, u32 *pending, long *timeout)
{
	set_bit(SOCK_NOSPACE, &sk->sk_socket->flags);
	report(sk, pending, false);
	/* On loopback the peer may have acknowledged it all by now. */
	if (sk_stream_is_writeable(sk) && !sk->sk_err) {
		clear_bit(SOCK_NOSPACE, &sk->sk_socket->flags);
		return 0;
	}
	return sk_stream_wait_memory(sk, timeout);
}

/* The buffer has room, but the host has no memory: sk_stream_wait_memory() naps. */
static int wait_for_memory(struct sock *sk, u32 *pending, long *timeout)
{
	report(sk, pending, false);
	return sk_stream_wait_memory(sk, timeout);
}

/* SO_MAX_PACING_RATE has no hook; it is looked at here. */
static void tell_pacing_rate(struct sock *sk)
{
	struct sluice_sock *s = sluice_sk(sk);
	unsigned long rate = READ_ONCE(sk->sk_max_pacing_rate);

	if (likely(rate == s->max_pacing_rate))
		return;
	s->max_pacing_rate = rate;
	sluice_conn_set_option(&s->conn, SLUICE_OPTION_MAX_PACING_RATE, rate, sluice_now());
}

static int check_open(struct sock *sk, int flags, long *timeout)
{
	if (flags & (MSG_OOB | MSG_FASTOPEN))
		return -EOPNOTSUPP;
	if (likely(sk->sk_state == TCP_ESTABLISHED || sk->sk_state == TCP_CLOSE_WAIT))
		return 0;
	return sk_stream_wait_connect(sk, timeout);
}

static int send_locked(struct sock *sk, struct msghdr *msg)
{
	struct sluice_sock *s = sluice_sk(sk);
	int flags = msg->msg_flags, copied = 0, result;
	long timeout = sock_sndtimeo(sk, flags & MSG_DONTWAIT);
	u32 pending = 0;

	result = check_open(sk, flags, &timeout);
	if (result)
		return sk_stream_error(sk, flags, result);
	sk_clear_bit(SOCKWQ_ASYNC_NOSPACE, sk);
	tell_pacing_rate(sk);

	while (msg_data_left(msg)) {
		if (unlikely(sk->sk_err || (sk->sk_shutdown & SEND_SHUTDOWN))) {
			result = -EPIPE;
			break;
		}
		if (unlikely(!sk_stream_memory_free(sk))) {
			result = wait_for_room(sk, &pending, &timeout);
			if (result)
				break;
			continue;
		}
		result = sluice_sendbuf_append(&s->out, sk, &msg->msg_iter,
					       min_t(size_t, msg_data_left(msg), INT_MAX));
		if (unlikely(result == -ENOMEM)) {
			result = wait_for_memory(sk, &pending, &timeout);
			if (result)
				break;
			continue;
		}
		if (result < 0)
			break;
		copied += result;
		pending += result;
		if (pending >= REPORT_BYTES)
			report(sk, &pending, msg_data_left(msg) || (flags & MSG_MORE));
	}
	report(sk, &pending, flags & MSG_MORE);
	return copied || !msg_data_left(msg) ? copied : sk_stream_error(sk, flags, result);
}

int sluice_sendmsg(struct socket *sock, struct msghdr *msg, size_t size)
{
	struct sock *sk = sock->sk;
	int result;

	lock_sock(sk);
	result = send_locked(sk, msg);
	release_sock(sk);
	return result;
}
