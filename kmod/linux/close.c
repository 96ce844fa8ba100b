// SPDX-License-Identifier: GPL-2.0
/*
 * The application is done: close, shutdown, disconnect (RFC 9293 3.9.1.4,
 * 3.9.1.5; SO_LINGER as Linux has it).
 */
#include <net/inet_common.h>
#include <net/ip.h>
#include <net/tcp_states.h>

#include "compat.h"
#include "fastopen.h"
#include "listen.h"
#include "sock.h"
#include "tcp_limits.h"
#include "tx_stamps.h"

/* SO_LINGER of zero: RST, and what is unsent is dropped. */
static bool aborts(const struct sock *sk)
{
	return sock_flag(sk, SOCK_LINGER) && !sk->sk_lingertime;
}

static void end_connection(struct sock *sk, long timeout)
{
	struct sluice_sock *s = sluice_sk(sk);
	bool unread = s->in.unread != 0;

	sluice_fastopen_forget(sk);
	sluice_recvbuf_purge(&s->in, sk);
	if (!unread && aborts(sk) && sk->sk_state != TCP_CLOSE) {
		sluice_count(sluice_sk_net(sk), SLUICE_CNT_zero_linger_resets);
		sluice_conn_abort(&s->conn, sluice_now());
		return;
	}
	sluice_conn_close(&s->conn, unread, sluice_now());
	sk_stream_wait_close(sk, timeout);
}

void sluice_close(struct sock *sk, long timeout)
{
	sluice_tcp_max_orphans_look();
	lock_sock(sk);
	WRITE_ONCE(sk->sk_shutdown, SHUTDOWN_MASK);
	if (sk->sk_state == TCP_LISTEN)
		sluice_listen_stop(sk);
	else
		end_connection(sk, timeout);

	sock_hold(sk);
	local_bh_disable();
	sluice_sock_orphan(sk);
	sluice_sock_settle(sk);
	local_bh_enable();
	release_sock(sk);	/* the backlog may bring the end, too */
	sock_put(sk);
}

void sluice_shutdown(struct sock *sk, int how)
{
	if (!(how & SEND_SHUTDOWN))
		return;
	sluice_conn_shutdown(&sluice_sk(sk)->conn, sluice_now());
	sluice_sock_settle(sk);
}

/* A new transmission control block with the options of the old one. */
static int renew_conn(struct sluice_conn *c)
{
	struct sluice_conn *copy = kmalloc(sizeof(*copy), GFP_KERNEL);

	if (!copy)
		return -ENOMEM;
	sluice_conn_inherit(copy, c);
	sluice_conn_destroy(c);
	sluice_conn_inherit(c, copy);
	kfree(copy);
	return 0;
}

static void end_abruptly(struct sock *sk)
{
	bool fresh = sk->sk_state == TCP_CLOSE;

	if (sk->sk_state == TCP_LISTEN) {
		sluice_listen_stop(sk);
		sluice_sock_unhash(sk);
		return;
	}
	sluice_fastopen_forget(sk);
	sluice_conn_abort(&sluice_sk(sk)->conn, sluice_now());
	if (!fresh)
		WRITE_ONCE(sk->sk_err, ECONNRESET);
}

int sluice_disconnect(struct sock *sk, int flags)
{
	struct sluice_sock *s = sluice_sk(sk);
	int error;

	end_abruptly(sk);
	error = renew_conn(&s->conn);
	if (error)
		return error;
	sluice_sock_purge(sk);
	sluice_tx_stamps_restart(sk);
	sluice_timer_stop(s);
	s->timer_due = 0;
	s->fastopen = NULL;
	s->syn_data = 0;
	inet_sk(sk)->inet_dport = 0;
	if (!(sk->sk_userlocks & SOCK_BINDADDR_LOCK))
		inet_reset_saddr(sk);
	if (!s->port.port) {
		inet_sk(sk)->inet_num = 0;
		inet_sk(sk)->inet_sport = 0;
	}
	WRITE_ONCE(sk->sk_shutdown, 0);
	sock_reset_flag(sk, SOCK_DONE);
	WRITE_ONCE(sk->sk_err_soft, 0);
	sk_dst_reset(sk);
	s->path_mtu = 0;
	sk_error_report(sk);
	return 0;
}
