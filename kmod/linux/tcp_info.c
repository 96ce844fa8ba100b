// SPDX-License-Identifier: GPL-2.0
/* TCP_INFO from struct sluice_info. Segments are counted in full ones, times in microseconds. */
#include <net/inet_ecn.h>
#include <net/tcp_states.h>

#include "compat.h"
#include "sock.h"
#include "tcp_info.h"

static u8 ca_state(u8 recovery)
{
	static const u8 states[] = {
		[SLUICE_REC_OPEN] = TCP_CA_Open,
		[SLUICE_REC_DISORDER] = TCP_CA_Disorder,
		[SLUICE_REC_CWR] = TCP_CA_CWR,
		[SLUICE_REC_RECOVERY] = TCP_CA_Recovery,
		[SLUICE_REC_LOSS] = TCP_CA_Loss,
	};

	return recovery < ARRAY_SIZE(states) ? states[recovery] : TCP_CA_Open;
}

static u8 options(u8 ours)
{
	return (ours & SLUICE_OPT_TIMESTAMPS ? TCPI_OPT_TIMESTAMPS : 0) |
	       (ours & SLUICE_OPT_SACK ? TCPI_OPT_SACK : 0) |
	       (ours & SLUICE_OPT_WSCALE ? TCPI_OPT_WSCALE : 0) |
	       (ours & SLUICE_OPT_ECN ? TCPI_OPT_ECN : 0) |
	       (ours & SLUICE_OPT_ECN_SEEN ? TCPI_OPT_ECN_SEEN : 0) |
	       (ours & SLUICE_OPT_SYN_DATA ? TCPI_OPT_SYN_DATA : 0);
}

static void fill_windows(const struct sluice_info *from, struct tcp_info *info)
{
	u32 mss = max(from->snd_mss, 1u);

	info->tcpi_snd_mss = from->snd_mss;
	info->tcpi_rcv_mss = from->rcv_mss;
	info->tcpi_advmss = from->advmss;
	info->tcpi_unacked = from->unacked_segs;
	info->tcpi_sacked = from->sacked_segs;
	info->tcpi_lost = from->lost_segs;
	info->tcpi_retrans = from->retrans_out_segs;
	info->tcpi_snd_cwnd = from->cwnd / mss;
	info->tcpi_snd_ssthresh = from->ssthresh == U32_MAX ? INT_MAX : from->ssthresh / mss;
	info->tcpi_snd_wnd = from->snd_wnd;
	sluice_tcp_info_rcv_wnd(info, from->rcv_wnd);
	info->tcpi_rcv_space = from->rcv_space;
	info->tcpi_reordering = from->reordering;
	info->tcpi_snd_wscale = from->snd_wscale;
	info->tcpi_rcv_wscale = from->rcv_wscale;
}

static void fill_times(const struct sluice_info *from, struct tcp_info *info)
{
	info->tcpi_rto = from->rto;
	info->tcpi_ato = from->ato;
	info->tcpi_rtt = from->rtt;
	info->tcpi_rttvar = from->rttvar;
	info->tcpi_rcv_rtt = from->rcv_rtt;
	info->tcpi_min_rtt = from->min_rtt ? from->min_rtt : U32_MAX;
	info->tcpi_last_data_sent = from->last_data_sent;
	info->tcpi_last_data_recv = from->last_data_recv;
	info->tcpi_last_ack_recv = from->last_ack_recv;
	info->tcpi_busy_time = from->busy_time;
	info->tcpi_rwnd_limited = from->rwnd_limited;
	info->tcpi_sndbuf_limited = from->sndbuf_limited;
}

/* Segments that arrived, and as TCP counts it the SYN. */
static u32 delivered(const struct sluice_info *from)
{
	u64 sent = from->data_segs_out - min(from->retrans_segs, from->data_segs_out);
	u32 missing = from->unacked_segs - from->sacked_segs;

	if (from->state == TCP_SYN_SENT || from->state == TCP_SYN_RECV)
		return 0;
	return sent + 1 - min_t(u64, missing, sent);
}

static void fill_counts(const struct sluice_info *from, struct tcp_info *info)
{
	info->tcpi_retransmits = from->retransmits;
	info->tcpi_probes = from->probes;
	info->tcpi_backoff = from->backoff;
	info->tcpi_total_retrans = from->retrans_segs;
	info->tcpi_bytes_sent = from->bytes_sent;
	info->tcpi_bytes_retrans = from->bytes_retrans;
	info->tcpi_bytes_acked = from->bytes_acked;
	info->tcpi_bytes_received = from->bytes_received;
	info->tcpi_segs_out = from->segs_out;
	info->tcpi_segs_in = from->segs_in;
	info->tcpi_data_segs_out = from->data_segs_out;
	info->tcpi_data_segs_in = from->data_segs_in;
	info->tcpi_notsent_bytes = from->unsent;
	info->tcpi_delivered = delivered(from);
	info->tcpi_delivered_ce = DIV_ROUND_UP_ULL(from->delivered_ce, max(from->snd_mss, 1u));
	info->tcpi_delivery_rate = from->delivery_rate;
	info->tcpi_delivery_rate_app_limited = !!from->rate_app_limited;
	info->tcpi_rcv_ooopack = from->out_of_order;
	sluice_tcp_info_timeouts(info, from->timeouts, from->timeout_rows,
				 div_u64(from->timeout_time, USEC_PER_MSEC));
	info->tcpi_dsack_dups = from->dsack_dups;
	info->tcpi_reord_seen = from->reord_seen;
}

void sluice_sock_info(struct sock *sk, struct sluice_info *info)
{
	const struct dst_entry *dst = __sk_dst_get(sk);

	sluice_conn_info(&sluice_sk(sk)->conn, info, sluice_now());
	info->state = sk->sk_state;
	/* The core knows what fits behind its headers, users mean the packet. */
	info->pmtu = dst ? dst_mtu(dst) : 0;
}

/* Payload bytes that a window may promise when nothing is unread. */
static u32 receive_room(struct sock *sk)
{
	struct sluice_conn *c = &sluice_sk(sk)->conn;
	u32 clamp = sluice_conn_option(c, SLUICE_OPTION_WINDOW_CLAMP), full;

	sluice_host_receive_space(c, &full);
	return clamp ? min(full, clamp) : full;
}

static void begin(struct sock *sk, struct tcp_info *info)
{
	memset(info, 0, sizeof(*info));
	info->tcpi_state = sk->sk_state;
	info->tcpi_max_pacing_rate = READ_ONCE(sk->sk_max_pacing_rate);
}

static void tell_of_listener(struct sock *sk, struct tcp_info *info)
{
	begin(sk, info);
	info->tcpi_unacked = READ_ONCE(sk->sk_ack_backlog);	/* where TCP tells it, too */
	info->tcpi_sacked = READ_ONCE(sk->sk_max_ack_backlog);
	info->tcpi_pacing_rate = ~0ull;
	info->tcpi_reordering = READ_ONCE(sluice_sk_net(sk)->config.reordering);
	info->tcpi_snd_cwnd = READ_ONCE(sluice_sk_net(sk)->config.initial_window);
}

void sluice_tcp_info_from(struct sock *sk, const struct sluice_info *from, struct tcp_info *info)
{
	begin(sk, info);
	info->tcpi_ca_state = ca_state(from->recovery);
	info->tcpi_options = options(from->options);
	info->tcpi_pmtu = from->pmtu;
	info->tcpi_pacing_rate = from->pacing_rate ? from->pacing_rate : ~0ull;
	info->tcpi_fastopen_client_fail = from->fastopen_failure;
	info->tcpi_rcv_ssthresh = receive_room(sk);
	sluice_tcp_info_rehash(info, sluice_sk(sk)->timeout_rehash);
	fill_windows(from, info);
	fill_times(from, info);
	fill_counts(from, info);
}

void sluice_tcp_info(struct sock *sk, struct tcp_info *info)
{
	struct sluice_info from;

	if (sk->sk_state == TCP_LISTEN) {
		tell_of_listener(sk, info);
		return;
	}
	sluice_sock_info(sk, &from);
	sluice_tcp_info_from(sk, &from, info);
}
