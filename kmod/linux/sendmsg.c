// SPDX-License-Identifier: GPL-2.0
/* SEND (RFC 9293 3.9.1.2): bytes from the application into the send buffer. */
#include <net/sock.h>
#include <net/tcp_states.h>

#include "compat.h"
#include "fastopen.h"
#include "sock.h"
#include "tuning.h"
#include "tx_stamps.h"
#include "zerocopy.h"

/* So many new bytes are reported to the core at once: one transmission's worth. */
#define REPORT_BYTES (64 * 1024)

/* more: hold a partial segment. flags: of the call; MSG_OOB makes the last byte urgent. */
static void report(struct sock *sk, u32 *pending, bool more, int flags)
{
	u32 bytes = *pending;

	*pending = 0;
	if (!bytes)
		return;
	if (unlikely(flags & MSG_OOB))
		sluice_conn_written_urgent(&sluice_sk(sk)->conn, bytes, sluice_now());
	else
		sluice_conn_written(&sluice_sk(sk)->conn, bytes, more, sluice_now());
}

/* The buffer is full: what is there must be able to leave. */
static int wait_for_room(struct sock *sk, u32 *pending, int flags, long *timeout)
{
	set_bit(SOCK_NOSPACE, &sk->sk_socket->flags);
	report(sk, pending, false, flags);
	/* On loopback the peer may have acknowledged it all by now. */
	if (sk_stream_is_writeable(sk) && !sk->sk_err) {
		clear_bit(SOCK_NOSPACE, &sk->sk_socket->flags);
		return 0;
	}
	return sk_stream_wait_memory(sk, timeout);
}

/* The buffer has room, but the host has no memory: sk_stream_wait_memory() naps. */
static int wait_for_memory(struct sock *sk, u32 *pending, int flags, long *timeout)
{
	report(sk, pending, false, flags);
	return sk_stream_wait_memory(sk, timeout);
}

/* *copied: bytes that went with the SYN. Negative: nothing more goes now. */
static int check_open(struct sock *sk, struct msghdr *msg, long *timeout, int *copied)
{
	int error;

	if (unlikely((msg->msg_flags & MSG_FASTOPEN) || sluice_connect_deferred(sk))) {
		error = sluice_fastopen_send(sk, msg, copied);
		if (error) {
			if (error != -EINPROGRESS)
				*copied = 0;
			return error;
		}
	}
	if (likely(sk->sk_state == TCP_ESTABLISHED || sk->sk_state == TCP_CLOSE_WAIT))
		return 0;
	if (sk->sk_state == TCP_SYN_RECV && sluice_open_early(sk))
		return 0;
	return sk_stream_wait_connect(sk, timeout);
}

static int append(struct sock *sk, struct sluice_zerocopy_send *zerocopy, struct msghdr *msg)
{
	u32 limit = min_t(size_t, msg_data_left(msg), INT_MAX);

	if (unlikely(zerocopy->way != SLUICE_SEND_COPIES))
		return sluice_zerocopy_append(sk, zerocopy, &msg->msg_iter, limit);
	return sluice_sendbuf_append(&sluice_sk(sk)->out, sk, &msg->msg_iter, limit);
}

/* splices: the message refers to pages, which need not be copied. */
static int send_locked(struct sock *sk, struct msghdr *msg, bool splices)
{
	struct sluice_sock *s = sluice_sk(sk);
	int flags = msg->msg_flags, copied = 0, result;
	long timeout = sock_sndtimeo(sk, flags & MSG_DONTWAIT);
	struct sluice_zerocopy_send zerocopy;
	struct sockcm_cookie cookie;
	u32 pending = 0, begin;

	result = check_open(sk, msg, &timeout, &copied);
	if (result)
		return copied ? copied : sk_stream_error(sk, flags, result);
	sockcm_init(&cookie, sk);
	if (unlikely(msg->msg_controllen) && sock_cmsg_send(sk, msg, &cookie))
		return copied ? copied : -EINVAL;
	result = sluice_zerocopy_begin(sk, msg, msg_data_left(msg), splices, &zerocopy);
	if (unlikely(result))
		return copied ? copied : result;
	begin = s->out.end;
	sk_clear_bit(SOCKWQ_ASYNC_NOSPACE, sk);
	sluice_sock_see_pacing_rate(sk);
	sluice_tuning_glance(sluice_sk_net(sk));

	while (msg_data_left(msg)) {
		if (unlikely(sk->sk_err || (sk->sk_shutdown & SEND_SHUTDOWN))) {
			result = -EPIPE;
			break;
		}
		if (unlikely(!sk_stream_memory_free(sk))) {
			result = wait_for_room(sk, &pending, flags, &timeout);
			if (result)
				break;
			continue;
		}
		result = append(sk, &zerocopy, msg);
		if (unlikely(result == -ENOMEM)) {
			result = wait_for_memory(sk, &pending, flags, &timeout);
			if (result)
				break;
			continue;
		}
		if (result < 0)
			break;
		copied += result;
		pending += result;
		if (pending >= REPORT_BYTES && msg_data_left(msg) && !(flags & MSG_OOB))
			report(sk, &pending, true, flags);
	}
	/* Before its last byte goes. */
	if (unlikely(cookie.tsflags) && s->out.end != begin &&
	    (pending || sluice_conn_unsent(&s->conn)))
		sluice_tx_stamps_mark(sk, cookie.tsflags, begin, s->out.end,
				      pending + sluice_conn_unsent(&s->conn));
	report(sk, &pending, flags & MSG_MORE, flags);
	sluice_zerocopy_end(&zerocopy, copied);
	return copied || !msg_data_left(msg) ? copied : sk_stream_error(sk, flags, result);
}

int sluice_sendmsg(struct socket *sock, struct msghdr *msg, size_t size)
{
	struct sock *sk = sock->sk;
	int result;

	lock_sock(sk);
	result = send_locked(sk, msg, sluice_msg_splices(msg));
	release_sock(sk);
	return result;
}

ssize_t sluice_sendpage(struct socket *sock, struct page *page, int offset, size_t size,
			int flags)
{
	struct bio_vec where = { .bv_page = page, .bv_offset = offset, .bv_len = size };
	struct msghdr msg = { .msg_flags = sluice_sendpage_flags(flags) };
	struct sock *sk = sock->sk;
	int result;

	iov_iter_bvec(&msg.msg_iter, WRITE, &where, 1, size);
	lock_sock(sk);
	result = send_locked(sk, &msg, true);
	release_sock(sk);
	return result;
}
