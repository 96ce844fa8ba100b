// SPDX-License-Identifier: GPL-2.0
/*
 * TCP Fast Open (RFC 7413) of clients: connect() and sendmsg() in one, or a
 * connect() that leaves its SYN to the first write, as Linux TCP has both.
 * Waiting and socket states are __inet_stream_connect()'s.
 */
#include <net/inet_common.h>
#include <net/sock.h>
#include <net/tcp_states.h>

#include "compat.h"
#include "fastopen.h"
#include "fastopen_cache.h"
#include "transmit.h"
#include "tuning.h"

/* What is known about the peer, and what a SYN to it may hold. */
struct terms {
	struct sluice_fastopen_cookie cookie;
	u16 mss;		/* 0: unknown */
	bool no_cookie;		/* data go without */
	bool data;		/* data may go */
};

/* ---- options ------------------------------------------------------------------------ */

int sluice_fastopen_set_connect(struct sock *sk, int on)
{
	if (on < 0 || on > 1)
		return -EINVAL;
	if (!(READ_ONCE(sluice_sk_net(sk)->config.fastopen) & SLUICE_FASTOPEN_CLIENT))
		return -EOPNOTSUPP;
	if (sk->sk_state != TCP_CLOSE)
		return -EINVAL;
	sluice_sk(sk)->fastopen_connect = on;
	return 0;
}

int sluice_fastopen_set_no_cookie(struct sock *sk, int on)
{
	if (on < 0 || on > 1 || (sk->sk_state != TCP_CLOSE && sk->sk_state != TCP_LISTEN))
		return -EINVAL;
	return sluice_conn_set_option(&sluice_sk(sk)->conn, SLUICE_OPTION_FASTOPEN_NO_COOKIE, on,
				      sluice_now());
}

/* ---- the SYN ------------------------------------------------------------------------ */

/* False: SYNs with data seem to vanish in this namespace, so not even a cookie is asked for. */
static bool find_terms(struct sock *sk, struct terms *terms)
{
	const struct sluice_net *sn = sluice_sk_net(sk);
	const struct sluice_sock *s = sluice_sk(sk);

	if (sluice_fastopen_paused(sn))
		return false;
	sluice_fastopen_recall(&s->flow.key, &terms->cookie, &terms->mss);
	terms->no_cookie = sluice_conn_option(&s->conn, SLUICE_OPTION_FASTOPEN_NO_COOKIE) ||
			   (READ_ONCE(sn->config.fastopen) & SLUICE_FASTOPEN_CLIENT_NO_COOKIE);
	terms->data = terms->no_cookie || terms->cookie.length;
	return true;
}

/* Takes up to `room` bytes from the application; what can't be copied goes without. */
static void fill(struct sock *sk, struct sluice_fastopen_request *request, u32 room)
{
	struct msghdr *msg = request->msg;

	while (room && msg_data_left(msg)) {
		int copied = sluice_sendbuf_append(&sluice_sk(sk)->out, sk, &msg->msg_iter,
						   min_t(size_t, room, msg_data_left(msg)));

		if (copied < 0)
			break;
		request->copied += copied;
		room -= copied;
	}
}

bool sluice_fastopen_connect(struct sock *sk, const struct sluice_path *path)
{
	struct sluice_sock *s = sluice_sk(sk);
	struct sluice_fastopen_request *request = s->fastopen;
	struct terms terms;

	if (likely(!request && !s->fastopen_connect))
		return false;
	if (!find_terms(sk, &terms))
		return false;
	if (!request && terms.data) {
		sluice_set_connect_deferred(sk, true);
		inet_sk_set_state(sk, TCP_SYN_SENT);
		return true;
	}
	if (request && terms.data) {
		fill(sk, request, sluice_fastopen_room(path, terms.mss));
		s->syn_data = request->copied > 0;
	}
	sluice_conn_connect_fast(&s->conn, path, request ? request->copied : 0,
				 terms.no_cookie ? NULL : &terms.cookie, sluice_now());
	return true;
}

/* ---- a connect() that was put off ------------------------------------------------------ */

void sluice_fastopen_forget(struct sock *sk)
{
	if (likely(!sluice_connect_deferred(sk)))
		return;
	sluice_set_connect_deferred(sk, false);
	/* The core never heard of it, unless the first write is waiting now. */
	if (sluice_conn_state(&sluice_sk(sk)->conn) != SLUICE_CLOSED)
		return;
	inet_sk_set_state(sk, TCP_CLOSE);
	sluice_sock_unhash(sk);
}

/* The route of then may be gone by now; the error is __inet_stream_connect()'s to tell. */
static void connect_now(struct sock *sk)
{
	int error = sluice_route(sk);
	struct sluice_path path;

	if (error) {
		sluice_fastopen_forget(sk);
		WRITE_ONCE(sk->sk_err, -error);
		return;
	}
	sluice_route_describe(sk, &path);
	if (!sluice_fastopen_connect(sk, &path))
		sluice_conn_connect(&sluice_sk(sk)->conn, &path, sluice_now());
}

/* ---- sendmsg() -------------------------------------------------------------------------- */

static bool disconnects(const struct msghdr *msg)
{
	const struct sockaddr *address = msg->msg_name;

	return address && msg->msg_namelen >= (int)sizeof(address->sa_family) &&
	       address->sa_family == AF_UNSPEC;
}

int sluice_fastopen_send(struct sock *sk, struct msghdr *msg, int *copied)
{
	struct sluice_fastopen_request request = { .msg = msg };
	struct sluice_sock *s = sluice_sk(sk);
	int error;

	sluice_tuning_refresh(sluice_sk_net(sk));
	if (!(READ_ONCE(sluice_sk_net(sk)->config.fastopen) & SLUICE_FASTOPEN_CLIENT) ||
	    disconnects(msg))
		return -EOPNOTSUPP;
	if (s->fastopen)
		return -EALREADY;
	s->fastopen = &request;
	if (sluice_connect_deferred(sk))
		connect_now(sk);
	error = __inet_stream_connect(sk->sk_socket, msg->msg_name, msg->msg_namelen,
				      msg->msg_flags & MSG_DONTWAIT ? O_NONBLOCK : 0, 1);
	/* Else the connection ended meanwhile, and took along what was copied. */
	if (s->fastopen == &request) {
		*copied = request.copied;
		s->fastopen = NULL;
		sluice_set_connect_deferred(sk, false);
	}
	return error;
}
