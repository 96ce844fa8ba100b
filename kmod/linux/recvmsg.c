// SPDX-License-Identifier: GPL-2.0
/* RECEIVE (RFC 9293 3.9.1.3): readable bytes to the application. */
#include <net/inet_common.h>
#include <net/sock.h>
#include <net/tcp_states.h>
#include <linux/tcp.h>

#include "compat.h"
#include "sock.h"

/*
 * Nothing (more) is readable. 0: wait for it; 1: return what there is;
 * negative: an errno.
 */
static int why_stop(struct sock *sk, bool have_some, long timeout)
{
	if (have_some)
		return sk->sk_err || sk->sk_state == TCP_CLOSE ||
		       (sk->sk_shutdown & RCV_SHUTDOWN) || !timeout || signal_pending(current);
	if (sock_flag(sk, SOCK_DONE))
		return 1;
	if (sk->sk_err)
		return sock_error(sk);
	if (sk->sk_shutdown & RCV_SHUTDOWN)
		return 1;
	if (sk->sk_state == TCP_CLOSE)
		return -ENOTCONN;
	if (!timeout)
		return -EAGAIN;
	return signal_pending(current) ? sock_intr_errno(timeout) : 0;
}

/* Copies from the head of the queue, as much as there is; -EFAULT when nothing could be. */
static int take(struct sock *sk, struct msghdr *msg, size_t length, int flags)
{
	struct sluice_sock *s = sluice_sk(sk);
	struct sk_buff *skb;
	int copied = 0;

	while (length && (skb = skb_peek(&sk->sk_receive_queue))) {
		const struct sluice_skb_cb *cb = sluice_skb_cb(skb);
		u32 bytes = min_t(size_t, length, cb->length);

		if (!(flags & MSG_TRUNC) && skb_copy_datagram_msg(skb, cb->skip, msg, bytes))
			return copied ? copied : -EFAULT;
		sluice_recvbuf_consume(&s->in, sk, skb, bytes);
		copied += bytes;
		length -= bytes;
	}
	return copied;
}

/* The same, leaving everything where it is. */
static int peek(struct sock *sk, struct msghdr *msg, size_t length, int flags)
{
	struct sk_buff *skb;
	int copied = 0;

	skb_queue_walk(&sk->sk_receive_queue, skb) {
		const struct sluice_skb_cb *cb = sluice_skb_cb(skb);
		u32 bytes = min_t(size_t, length, cb->length);

		if (!(flags & MSG_TRUNC) && skb_copy_datagram_msg(skb, cb->skip, msg, bytes))
			return copied ? copied : -EFAULT;
		copied += bytes;
		length -= bytes;
		if (!length)
			break;
	}
	return copied;
}

static void tell_core(struct sock *sk, u32 *pending)
{
	u32 bytes = *pending;

	*pending = 0;
	if (bytes)
		sluice_conn_read(&sluice_sk(sk)->conn, bytes, sluice_now());
}

static int peek_locked(struct sock *sk, struct msghdr *msg, size_t length, int flags)
{
	int target = sock_rcvlowat(sk, flags & MSG_WAITALL, length), stop;
	long timeout = sock_rcvtimeo(sk, flags & MSG_DONTWAIT);

	while (sluice_sk(sk)->in.unread < target) {
		stop = why_stop(sk, sluice_sk(sk)->in.unread, timeout);
		if (stop < 0)
			return stop;
		if (stop)
			break;
		sk_wait_data(sk, &timeout, skb_peek_tail(&sk->sk_receive_queue));
	}
	return peek(sk, msg, length, flags);
}

static int receive_locked(struct sock *sk, struct msghdr *msg, size_t length, int flags)
{
	int target = sock_rcvlowat(sk, flags & MSG_WAITALL, length), copied = 0, result;
	long timeout = sock_rcvtimeo(sk, flags & MSG_DONTWAIT);
	u32 pending = 0;

	for (;;) {
		result = take(sk, msg, length - copied, flags);
		if (result < 0)
			break;
		copied += result;
		pending += result;
		if (copied == length || (copied >= target && !READ_ONCE(sk->sk_backlog.tail)))
			break;
		result = why_stop(sk, copied, timeout);
		if (result)
			break;
		if (copied >= target) {	/* more may be in the backlog */
			release_sock(sk);
			lock_sock(sk);
			if (skb_queue_empty(&sk->sk_receive_queue))
				break;
			continue;
		}
		tell_core(sk, &pending);	/* the window must open before we sleep */
		sk_wait_data(sk, &timeout, NULL);
	}
	tell_core(sk, &pending);
	return copied || result > 0 ? copied : result;
}

/* TCP_INQ: how much more there is to read. */
static void put_inq(struct sock *sk, struct msghdr *msg, u32 unread)
{
	int answer = unread;

	/* A reader who sees 0 may stop asking; the end is one more thing to be read. */
	if (!answer && sock_flag(sk, SOCK_DONE))
		answer = 1;
	put_cmsg(msg, SOL_TCP, TCP_CM_INQ, sizeof(answer), &answer);
}

int sluice_recvmsg(struct socket *sock, struct msghdr *msg, size_t size, int flags)
{
	struct sock *sk = sock->sk;
	bool inq = sluice_sk(sk)->inq_cmsg;
	int result, length = 0;
	u32 unread;

	if (unlikely(flags & MSG_ERRQUEUE))
		return inet_recv_error(sk, msg, size, &length);
	lock_sock(sk);
	if (sk->sk_state == TCP_LISTEN)
		result = -ENOTCONN;
	else if (flags & MSG_OOB)
		result = -EINVAL;	/* never any: urgent data stays in line (RFC 6093) */
	else if (flags & MSG_PEEK)
		result = peek_locked(sk, msg, min_t(size_t, size, INT_MAX), flags);
	else
		result = receive_locked(sk, msg, min_t(size_t, size, INT_MAX), flags);
	unread = sluice_sk(sk)->in.unread;
	release_sock(sk);
	if (inq && result >= 0)
		put_inq(sk, msg, unread);
	return result;
}
