// SPDX-License-Identifier: GPL-2.0
/* The life of a socket: from creation to destruction, and what the core tells it. */
#include <net/inet_common.h>
#include <net/ipv6.h>
#include <net/tcp_states.h>
#include <net/transp_v6.h>
#include <net/xfrm.h>

#include "cc_registry.h"
#include "compat.h"
#include "fastopen.h"
#include "fastopen_cache.h"
#include "listen.h"
#include "memory.h"
#include "pktoptions.h"
#include "real_tcp.h"
#include "receive.h"
#include "sock.h"
#include "stand_in.h"
#include "transmit.h"
#include "tuning.h"
#include "tx_stamps.h"
#include "zerocopy.h"

/* ---- beginning ------------------------------------------------------------- */

static void destruct(struct sock *sk)
{
	sluice_sock_purge(sk);
	if (sk->sk_family == AF_INET6)
		inet6_sock_destruct(sk);
	else
		inet_sock_destruct(sk);
}

/* As for TCP: wake a writer when a third of the buffer is free. */
static void write_space(struct sock *sk)
{
	struct socket *sock = sk->sk_socket;
	struct socket_wq *wq;

	if (unlikely(READ_ONCE(sluice_sk(sk)->awaits_queue)))
		sluice_timer_drained(sluice_sk(sk));
	if (!sock || !sk_stream_is_writeable(sk))
		return;
	clear_bit(SOCK_NOSPACE, &sock->flags);
	rcu_read_lock();
	wq = rcu_dereference(sk->sk_wq);
	if (skwq_has_sleeper(wq))
		wake_up_interruptible_poll(&wq->wait, EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND);
	if (wq && wq->fasync_list && !(sk->sk_shutdown & SEND_SHUTDOWN))
		sock_wake_async(wq, SOCK_WAKE_SPACE, POLL_OUT);
	rcu_read_unlock();
}

/* The kernel's, as every new socket has it. */
static void (*default_error_report)(struct sock *sk);

static void error_report(struct sock *sk)
{
	if (unlikely(READ_ONCE(sluice_sk(sk)->tx_stamps)))
		sluice_tx_stamps_reported(sk);
	READ_ONCE(default_error_report)(sk);
}

void sluice_sock_init_parts(struct sluice_sock *s)
{
	s->flow.kind = SLUICE_FLOW_CONN;
	s->flow.hashed = false;
	s->port.port = NULL;
	s->port.reservation = NULL;
	sluice_sendbuf_init(&s->out);
	sluice_recvbuf_init(&s->in, READ_ONCE(sluice_sk_net(&s->inet.sk)->config.payload_share));
	INIT_LIST_HEAD(&s->ready);
	INIT_LIST_HEAD(&s->half_opens);
	INIT_LIST_HEAD(&s->owned);
	s->half_open_count = 0;
	s->cookie_sent = 0;
	s->stand_in = NULL;
	s->fastopen_keys = NULL;
	atomic_set(&s->early, 0);
	atomic_set(&s->early_resets, 0);
	s->early_of = NULL;
	s->fastopen = NULL;
	s->saved_syn = NULL;
	s->tx_stamps = NULL;
	s->path_mtu = 0;
	s->mtu_changed = s->drop_held = s->orphan = s->destroyed = 0;
	s->timer_missed = s->awaits_queue = s->queue_drained = false;
	s->icmp_mtu = 0;
	sluice_timer_init(s);
}

int sluice_sock_init(struct sock *sk)
{
	struct sluice_sock *s = sluice_sk(sk);
	struct sluice_net *sn = sluice_sk_net(sk);
	int error = sluice_is_real_tcp(sk) ? sluice_real_tcp_enter(sock_net(sk)) : 0;

	if (error) {
		s->destroyed = 1;	/* nothing to take down */
		return error;
	}
	sk->sk_destruct = destruct;
	sk->sk_write_space = write_space;
	WRITE_ONCE(default_error_report, sk->sk_error_report);
	sk->sk_error_report = error_report;
	sluice_tuning_refresh(sn);
	sk->sk_sndbuf = READ_ONCE(sn->config.wmem_default);
	sk->sk_rcvbuf = READ_ONCE(sn->config.rmem_default);
	sluice_zerocopy_begin_socket(sk->sk_socket);
	sock_set_flag(sk, SOCK_RCU_FREE);	/* the demultiplexer takes no reference */
	sock_set_flag(sk, SOCK_USE_WRITE_QUEUE);	/* sock_wfree() wakes nobody */
	s->v4_wire = sk->sk_family == AF_INET;
	s->max_pacing_rate = ~0ul;
	sluice_sock_init_parts(s);
	sluice_conn_init(&s->conn, &sn->config, sluice_cc_get_default(sn));
	sk_sockets_allocated_inc(sk);
	return 0;
}

/* ---- end -------------------------------------------------------------------- */

void sluice_sock_purge(struct sock *sk)
{
	sluice_sendbuf_purge(&sluice_sk(sk)->out, sk);
	sluice_zerocopy_purge(sluice_sk(sk));
	sluice_recvbuf_purge(&sluice_sk(sk)->in, sk);
}

void sluice_sock_unhash(struct sock *sk)
{
	struct sluice_sock *s = sluice_sk(sk);

	sluice_flow_remove(&s->flow);
	if (!(sk->sk_userlocks & SOCK_BINDPORT_LOCK))
		sluice_port_put(&s->port);
}

/* proto.destroy: everything but the memory itself; may come twice. */
static void release_parts(struct sock *sk)
{
	struct sluice_sock *s = sluice_sk(sk);
	const struct sluice_cc_ops *cc = sluice_conn_cc(&s->conn);

	if (s->destroyed)
		return;
	s->destroyed = 1;
	WARN_ON_ONCE(s->flow.hashed);
	sluice_timer_stop(s);
	sluice_conn_destroy(&s->conn);
	sluice_cc_put(cc);
	sluice_port_put(&s->port);
	sluice_sock_purge(sk);
	sluice_pktoptions_purge(sk);
	kfree_sensitive(s->fastopen_keys);
	kfree(s->saved_syn);
	sluice_tx_stamps_purge(s);
	if (s->orphan)
		atomic_dec(&sluice_sk_net(sk)->orphans);
	sk_sockets_allocated_dec(sk);
}

void sluice_sock_destroy(struct sock *sk)
{
	release_parts(sk);
	sk_stream_kill_queues(sk);
	xfrm_sk_free_policy(sk);
	sock_put(sk);
}

/* Output that nobody waits for shall not keep memory that all lack (as TCP). */
static bool out_of_memory(const struct sock *sk)
{
	return sk->sk_wmem_queued > SOCK_MIN_SNDBUF &&
	       sk_memory_allocated(sk) > sk_prot_mem_limits(sk, 2);
}

void sluice_sock_orphan(struct sock *sk)
{
	struct sluice_sock *s = sluice_sk(sk);
	struct sluice_net *sn = sluice_sk_net(sk);

	sluice_tuning_glance(sn);
	sock_orphan(sk);
	s->orphan = 1;
	if (atomic_inc_return(&sn->orphans) <= READ_ONCE(sn->config.max_orphans) &&
	    !out_of_memory(sk))
		return;
	if (sk->sk_state == TCP_CLOSE)
		return;
	sluice_count(sn, SLUICE_CNT_orphans_killed);
	sluice_conn_abort(&s->conn, sluice_now());
}

static void tell_path_mtu(struct sluice_sock *s)
{
	struct sock *sk = &s->inet.sk;
	sluice_usec now = sluice_now();
	u32 icmp_mtu = xchg(&s->icmp_mtu, 0);
	struct sluice_path path;

	s->mtu_changed = 0;
	if (sk->sk_state == TCP_CLOSE)
		return;
	if (icmp_mtu)
		sluice_route_lower_mtu(sk, icmp_mtu);
	if (!sluice_route_check(sk))
		return;
	sluice_route_describe(sk, &path);
	sluice_conn_set_option(&s->conn, SLUICE_OPTION_SEGMENT_MAX, path.gso_max, now);
	sluice_conn_path_mtu(&s->conn, path.max_payload, now);
}

void sluice_sock_pacing_rate_changed(struct sock *sk)
{
	struct sluice_sock *s = sluice_sk(sk);

	s->max_pacing_rate = READ_ONCE(sk->sk_max_pacing_rate);
	sluice_conn_set_option(&s->conn, SLUICE_OPTION_MAX_PACING_RATE, s->max_pacing_rate,
			       sluice_now());
}

void sluice_sock_settle(struct sock *sk)
{
	struct sluice_sock *s = sluice_sk(sk);

	if (unlikely(s->mtu_changed || READ_ONCE(s->icmp_mtu)))
		tell_path_mtu(s);
	if (unlikely(s->drop_held)) {
		s->drop_held = 0;
		sluice_conn_drop_held(&s->conn);
	}
	if (unlikely(sk->sk_state == TCP_CLOSE && sock_flag(sk, SOCK_DEAD) && !s->destroyed))
		sluice_sock_destroy(sk);
}

/* Nobody will have it any more; the program may wait for its memory. */
static void drop_output(struct sock *sk)
{
	struct sluice_sendbuf *out = &sluice_sk(sk)->out;

	sluice_sendbuf_release(out, sk, sluice_sendbuf_length(out));
	sluice_zerocopy_purge(sluice_sk(sk));
}

/* ---- what the core tells ------------------------------------------------------ */

void sluice_host_state(struct sluice_conn *c, enum sluice_state from, enum sluice_state to)
{
	struct sock *sk = sluice_conn_sk(c);

	inet_sk_set_state(sk, to);
	if (unlikely(sluice_open_early(sk)))
		sluice_fastopen_leave(sk, to == SLUICE_CLOSED && sk->sk_err == ECONNRESET);
	if (to == SLUICE_CLOSED) {
		drop_output(sk);
		sluice_sock_unhash(sk);
	} else if (to == SLUICE_FIN_WAIT_2 && !sock_flag(sk, SOCK_DEAD)) {
		sk->sk_state_change(sk);	/* close() may be lingering */
	}
}

void sluice_host_fail(struct sluice_conn *c, int error)
{
	struct sock *sk = sluice_conn_sk(c);

	/* Why nothing was answered is worth more than that nothing was. */
	if (error == ETIMEDOUT && sk->sk_err_soft)
		error = sk->sk_err_soft;
	WRITE_ONCE(sk->sk_err, error);	/* reported with CLOSED */
}

void sluice_host_soft_error(struct sluice_conn *c, int error)
{
	WRITE_ONCE(sluice_conn_sk(c)->sk_err_soft, error);
}

static void tell_connected(struct sock *sk)
{
	struct sluice_sock *s = sluice_sk(sk);

	if (unlikely(s->syn_data) && s->out.base)	/* some are acknowledged */
		sluice_fastopen_worked(sluice_sk_net(sk));
	s->syn_data = 0;
	sk->sk_state_change(sk);
	sk_wake_async(sk, SOCK_WAKE_IO, POLL_OUT);
}

static void tell_fin(struct sock *sk)
{
	sk->sk_state_change(sk);
	if (sk->sk_shutdown == SHUTDOWN_MASK || sk->sk_state == TCP_CLOSE)
		sk_wake_async(sk, SOCK_WAKE_WAITD, POLL_HUP);
	else
		sk_wake_async(sk, SOCK_WAKE_WAITD, POLL_IN);
}

/* Enough for SO_RCVLOWAT, or nothing more will come. */
static bool worth_waking(struct sock *sk)
{
	return sluice_sk(sk)->in.unread >= READ_ONCE(sk->sk_rcvlowat) ||
	       sock_flag(sk, SOCK_DONE) || sluice_recvbuf_cramped(sk);
}

static bool writer_waits(const struct sock *sk)
{
	smp_mb();	/* room is made before the bit is read; pairs with poll_writable() */
	return sk->sk_socket && test_bit(SOCK_NOSPACE, &sk->sk_socket->flags);
}

bool sluice_host_writer_waits(const struct sluice_conn *c)
{
	const struct sock *sk = sluice_conn_sk(c);

	return sk->sk_socket && test_bit(SOCK_NOSPACE, &sk->sk_socket->flags);
}

void sluice_host_wake(struct sluice_conn *c, unsigned int events)
{
	struct sock *sk = sluice_conn_sk(c);

	if (events & SLUICE_EV_FIN) {
		WRITE_ONCE(sk->sk_shutdown, sk->sk_shutdown | RCV_SHUTDOWN);
		sock_set_flag(sk, SOCK_DONE);
	}
	if (events & SLUICE_EV_CLOSED)
		WRITE_ONCE(sk->sk_shutdown, SHUTDOWN_MASK);
	if (sock_flag(sk, SOCK_DEAD))
		return;
	if (events & SLUICE_EV_CONNECTED)
		tell_connected(sk);
	if ((events & SLUICE_EV_READABLE) && worth_waking(sk))
		sk->sk_data_ready(sk);
	if ((events & SLUICE_EV_WRITABLE) && writer_waits(sk))
		sk->sk_write_space(sk);
	if (events & SLUICE_EV_FIN)
		tell_fin(sk);
	if (!(events & SLUICE_EV_CLOSED))
		return;
	if (sk->sk_err)
		sk_error_report(sk);
	else
		sk->sk_state_change(sk);
}

/* ---- the protocol as Linux sees it ---------------------------------------------- */

static void release_callback(struct sock *sk)
{
	struct sluice_sock *s = sluice_sk(sk);

	if (unlikely(s->timer_missed))
		sluice_timer_catch_up(s);
	if (unlikely(s->mtu_changed || s->icmp_mtu))
		sluice_sock_settle(sk);
}

/* TCP_NOTSENT_LOWAT: writable only while little is unsent; twice as little to be woken. */
static bool memory_free(const struct sock *sk, int wake)
{
	const struct sluice_sock *s = sluice_sk(sk);
	u32 limit = READ_ONCE(s->notsent_lowat) ?:
		    READ_ONCE(sluice_sk_net(sk)->config.notsent_lowat);

	if (likely(limit == U32_MAX))
		return true;
	return (u64)sluice_conn_unsent(&s->conn) << wake < limit;
}

SLUICE_PROTO_ACCEPT(accept_operation, sluice_accept)
SLUICE_PROTO_IOCTL(ioctl_operation, sluice_ioctl)

struct proto sluice_prot = {
	.name = "SLUICE",
	.owner = THIS_MODULE,
	.obj_size = sizeof(struct sluice_sock),
	SLUICE_PROTO_IPV6_PINFO(struct sluice_sock, inet6)
	.no_autobind = true,
	.init = sluice_sock_init,
	.destroy = release_parts,
	.close = sluice_close,
	.pre_connect = sluice_pre_connect,
	.connect = sluice_connect,
	.disconnect = sluice_disconnect,
	.accept = accept_operation,
	.shutdown = sluice_shutdown,
	.keepalive = sluice_keepalive,
	.ioctl = ioctl_operation,
	.unhash = sluice_sock_unhash,
	.rehash = sluice_stand_in_follow,
	.get_port = sluice_port_get,
	.put_port = sluice_port_give_back,
	.backlog_rcv = sluice_backlog_receive,
	.release_cb = release_callback,
	.stream_memory_free = memory_free,
	SLUICE_PROTO_MEMORY
};
