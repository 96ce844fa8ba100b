// SPDX-License-Identifier: GPL-2.0
/* The urgent byte and its mark in the receive buffer (RFC 9293 3.8.5, RFC 6093). */
#include <net/sock.h>
#include <net/tcp_states.h>

#include "sock.h"
#include "urgent.h"

/* Of the next byte to be read. */
static u32 read_position(const struct sock *sk)
{
	const struct sluice_sock *s = sluice_sk(sk);

	return sluice_conn_rcv_nxt(&s->conn) - sluice_conn_fin_received(&s->conn) -
	       READ_ONCE(s->in.unread);
}

static bool is_inline(const struct sock *sk)
{
	return sock_flag(sk, SOCK_URGINLINE);
}

/* ---- coming in ------------------------------------------------------------ */

/*
 * A newer mark, and the reader stands at the older: its byte was out of band
 * and doesn't become part of the stream now (as TCP).
 */
static u32 drop_at_older_mark(struct sock *sk)
{
	struct sk_buff *skb = skb_peek(&sk->sk_receive_queue);

	if (!skb || is_inline(sk) || !sluice_urgent_at_mark(sk))
		return 0;
	sluice_recvbuf_consume(&sluice_sk(sk)->in, sk, skb, 1);
	return 1;
}

u32 sluice_host_urgent(struct sluice_conn *c, u32 position)
{
	struct sock *sk = sluice_conn_sk(c);
	struct sluice_urgent *u = &sluice_sk(sk)->in.urgent;
	u32 dropped = drop_at_older_mark(sk);

	sk_send_sigurg(sk);
	WRITE_ONCE(u->mark, position);
	WRITE_ONCE(u->state, SLUICE_URGENT_AWAITED);
	return dropped;
}

void sluice_urgent_look(struct sock *sk, const struct sk_buff *skb, u32 skip, u32 length,
			u32 position)
{
	struct sluice_urgent *u = &sluice_sk(sk)->in.urgent;
	u32 at = u->mark - position;

	if (at >= length || skb_copy_bits(skb, skip + at, &u->byte, 1))
		return;
	WRITE_ONCE(u->state, SLUICE_URGENT_HERE);
	if (!sock_flag(sk, SOCK_DEAD))
		sk->sk_data_ready(sk);	/* it may be beyond a gap, or less than SO_RCVLOWAT */
}

/* ---- being read ------------------------------------------------------------- */

u32 sluice_urgent_cut(const struct sock *sk, u32 position, u32 length, bool some, bool *leave_out)
{
	const struct sluice_urgent *u = &sluice_sk(sk)->in.urgent;
	u32 ahead = u->mark - position;

	*leave_out = false;
	if (ahead || u->state == SLUICE_URGENT_NONE)
		return u->state == SLUICE_URGENT_NONE ? length : min(ahead, length);
	if (some)
		return 0;
	*leave_out = !is_inline(sk);
	return *leave_out ? 0 : length;
}

bool sluice_urgent_enough(const struct sock *sk, u32 target)
{
	const struct sluice_recvbuf *in = &sluice_sk(sk)->in;
	u32 ahead = in->urgent.mark - read_position(sk), unread = in->unread;

	if (in->urgent.state == SLUICE_URGENT_NONE || (!ahead && is_inline(sk)))
		return unread >= target;
	return ahead ? unread >= min(ahead, target) : unread > target;
}

bool sluice_urgent_at_mark(const struct sock *sk)
{
	const struct sluice_urgent *u = &sluice_sk(sk)->in.urgent;

	return READ_ONCE(u->state) != SLUICE_URGENT_NONE && READ_ONCE(u->mark) == read_position(sk);
}

u32 sluice_urgent_readable(const struct sock *sk)
{
	const struct sluice_recvbuf *in = &sluice_sk(sk)->in;
	u32 ahead = in->urgent.mark - read_position(sk);

	if (in->urgent.state == SLUICE_URGENT_NONE || is_inline(sk))
		return in->unread;
	return min(ahead, in->unread);
}

/* As TCP: whoever asks where no byte is to be expected, asks in error. */
int sluice_urgent_receive(struct sock *sk, struct msghdr *msg, size_t length, int flags)
{
	struct sluice_urgent *u = &sluice_sk(sk)->in.urgent;

	if (is_inline(sk) || u->state == SLUICE_URGENT_NONE || u->state == SLUICE_URGENT_TAKEN)
		return -EINVAL;
	if (sk->sk_state == TCP_CLOSE && !sock_flag(sk, SOCK_DONE))
		return -ENOTCONN;
	if (u->state == SLUICE_URGENT_AWAITED)
		return sk->sk_state == TCP_CLOSE || (sk->sk_shutdown & RCV_SHUTDOWN) ? 0 : -EAGAIN;
	if (!(flags & MSG_PEEK))
		WRITE_ONCE(u->state, SLUICE_URGENT_TAKEN);
	msg->msg_flags |= MSG_OOB;
	if (!length) {
		msg->msg_flags |= MSG_TRUNC;
		return 0;
	}
	if (!(flags & MSG_TRUNC) && memcpy_to_msg(msg, &u->byte, 1))
		return -EFAULT;
	return 1;
}
