// SPDX-License-Identifier: GPL-2.0
/* RECEIVE (RFC 9293 3.9.1.3): readable bytes to the application. */
#include <net/inet_common.h>
#include <net/sock.h>
#include <net/tcp_states.h>
#include <linux/tcp.h>

#include "compat.h"
#include "sock.h"
#include "stamps.h"
#include "tuning.h"
#include "tx_stamps.h"

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

/* Has the reader come to the urgent mark? */
static bool at_mark(const struct sock *sk)
{
	return unlikely(sluice_sk(sk)->in.urgent.state != SLUICE_URGENT_NONE) &&
	       sluice_urgent_at_mark(sk);
}

/* Could a read have `target` bytes? */
static bool enough(const struct sock *sk, u32 target)
{
	const struct sluice_recvbuf *in = &sluice_sk(sk)->in;

	if (likely(in->urgent.state == SLUICE_URGENT_NONE))
		return in->unread >= target;
	return sluice_urgent_enough(sk, target);
}

/*
 * Copies from the head of the queue, as much as there is before a mark; -EFAULT
 * when nothing could be. some: the reader has bytes. *pending counts what is
 * taken, an urgent byte that is left out too. stamps: NULL, or to be kept.
 */
static int take(struct sock *sk, struct msghdr *msg, size_t length, int flags, bool some,
		u32 *pending, struct sluice_stamps *stamps)
{
	struct sluice_sock *s = sluice_sk(sk);
	struct sk_buff *skb;
	int copied = 0;

	while (length && (skb = skb_peek(&sk->sk_receive_queue))) {
		const struct sluice_skb_cb *cb = sluice_skb_cb(skb);
		u32 bytes = min_t(size_t, length, cb->length);
		bool leave_out = false;

		if (unlikely(s->in.urgent.state != SLUICE_URGENT_NONE)) {
			bytes = sluice_urgent_cut(sk, cb->position, bytes, some || copied,
						  &leave_out);
			if (!bytes && !leave_out)
				break;
		}
		if (!(flags & MSG_TRUNC) && skb_copy_datagram_msg(skb, cb->skip, msg, bytes))
			return copied ? copied : -EFAULT;
		if (unlikely(stamps))
			sluice_stamps_note(stamps, skb);
		sluice_recvbuf_consume(&s->in, sk, skb, bytes + leave_out);
		*pending += bytes + leave_out;
		copied += bytes;
		length -= bytes;
	}
	return copied;
}

/* The same, `ahead` bytes further on (SO_PEEK_OFF), leaving everything where it is. */
static int peek(struct sock *sk, struct msghdr *msg, size_t length, u32 ahead, int flags,
		struct sluice_stamps *stamps)
{
	const struct sluice_recvbuf *in = &sluice_sk(sk)->in;
	struct sk_buff *skb;
	int copied = 0;

	skb_queue_walk(&sk->sk_receive_queue, skb) {
		const struct sluice_skb_cb *cb = sluice_skb_cb(skb);
		u32 skip = min(ahead, cb->length);
		u32 whole = min_t(size_t, length, cb->length - skip), bytes = whole;
		bool leave_out = false;

		ahead -= skip;
		if (!whole)
			continue;
		if (unlikely(in->urgent.state != SLUICE_URGENT_NONE)) {
			bytes = sluice_urgent_cut(sk, cb->position + skip, whole, copied,
						  &leave_out);
			if (leave_out)
				bytes = whole = min_t(size_t, length, cb->length - skip - 1);
		}
		if (!(flags & MSG_TRUNC) &&
		    skb_copy_datagram_msg(skb, cb->skip + skip + leave_out, msg, bytes))
			return copied ? copied : -EFAULT;
		if (unlikely(stamps))
			sluice_stamps_note(stamps, skb);
		copied += bytes;
		length -= bytes;
		if (!length || bytes < whole)
			break;
	}
	return copied;
}

static void tell_core(struct sock *sk, u32 *pending)
{
	u32 bytes = *pending;

	*pending = 0;
	if (!bytes)
		return;
	sluice_tuning_glance(sluice_sk_net(sk));
	sluice_conn_read(&sluice_sk(sk)->conn, bytes, sluice_now());
}

static int peek_locked(struct sock *sk, struct msghdr *msg, size_t length, int flags,
		       struct sluice_stamps *stamps)
{
	int target = sock_rcvlowat(sk, flags & MSG_WAITALL, length), stop;
	long timeout = sock_rcvtimeo(sk, flags & MSG_DONTWAIT);
	u32 ahead = max(sk_peek_offset(sk, flags), 0);
	int copied;

	while (!enough(sk, ahead + target)) {
		stop = why_stop(sk, enough(sk, ahead + 1), timeout);
		if (stop < 0)
			return stop;
		if (stop)
			break;
		sk_wait_data(sk, &timeout, skb_peek_tail(&sk->sk_receive_queue));
	}
	copied = peek(sk, msg, length, ahead, flags, stamps);
	if (copied > 0)
		sk_peek_offset_fwd(sk, copied);
	return copied;
}

static int receive_locked(struct sock *sk, struct msghdr *msg, size_t length, int flags,
			  struct sluice_stamps *stamps)
{
	int target = sock_rcvlowat(sk, flags & MSG_WAITALL, length), copied = 0, result;
	long timeout = sock_rcvtimeo(sk, flags & MSG_DONTWAIT);
	u32 pending = 0;

	for (;;) {
		if (!copied && at_mark(sk) && signal_pending(current)) {	/* SIGURG, maybe */
			result = timeout ? sock_intr_errno(timeout) : -EAGAIN;
			break;
		}
		result = take(sk, msg, length - copied, flags, copied, &pending, stamps);
		if (result < 0)
			break;
		copied += result;
		/* To take nothing waits for something, all the same. */
		if ((copied == length && (length || enough(sk, 1))) ||
		    (copied >= target && !READ_ONCE(sk->sk_backlog.tail)))
			break;
		if (copied && at_mark(sk))
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
	if (copied > 0)
		sk_peek_offset_bwd(sk, copied);
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
	struct sluice_stamps stamps = {}, *wanted = NULL;
	bool inq = sluice_sk(sk)->inq_cmsg;
	int result;
	u32 unread;

	if (unlikely(flags & MSG_ERRQUEUE))
		return sluice_tx_stamps_recv(sk, msg, size);
	if (unlikely(sluice_stamps_wanted(sk)))
		wanted = &stamps;
	lock_sock(sk);
	if (sk->sk_state == TCP_LISTEN)
		result = -ENOTCONN;
	else if (flags & MSG_OOB)
		result = sluice_urgent_receive(sk, msg, size, flags);
	else if (flags & MSG_PEEK)
		result = peek_locked(sk, msg, min_t(size_t, size, INT_MAX), flags, wanted);
	else
		result = receive_locked(sk, msg, min_t(size_t, size, INT_MAX), flags, wanted);
	unread = sluice_sk(sk)->in.unread;
	release_sock(sk);
	if (unlikely(wanted) && result >= 0)
		sluice_stamps_put(sk, msg, wanted);
	if (inq && result >= 0)
		put_inq(sk, msg, unread);
	return result;
}
