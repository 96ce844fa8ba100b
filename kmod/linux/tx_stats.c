// SPDX-License-Identifier: GPL-2.0
/* SCM_TIMESTAMPING_OPT_STATS: attributes of the same types and units as TCP's. */
#include <linux/errqueue.h>
#include <net/netlink.h>

#include "compat.h"
#include "sock.h"
#include "tcp_info.h"
#include "tx_stats.h"

#define ROOM 384	/* bytes: ten of 12, twelve of 8 and five of 8 are to fit */

struct sk_buff *sluice_tx_stats_alloc(gfp_t gfp)
{
	return alloc_skb(ROOM, gfp);
}

void sluice_tx_stats_collect(struct sock *sk, struct sluice_tx_stats *stats)
{
	struct sluice_info info;

	sluice_sock_info(sk, &info);
	sluice_tcp_info_from(sk, &info, &stats->info);
	stats->queued = info.unacked + info.unsent;
	stats->timeout_rehash = sluice_sk(sk)->timeout_rehash;
	stats->acked = false;
}

static void put_u64(struct sk_buff *room, int name, u64 value)
{
	nla_put_u64_64bit(room, name, value, TCP_NLA_PAD);
}

static void write_times(struct sk_buff *room, const struct tcp_info *info)
{
	put_u64(room, TCP_NLA_BUSY, info->tcpi_busy_time);
	put_u64(room, TCP_NLA_RWND_LIMITED, info->tcpi_rwnd_limited);
	put_u64(room, TCP_NLA_SNDBUF_LIMITED, info->tcpi_sndbuf_limited);
	nla_put_u32(room, TCP_NLA_MIN_RTT, info->tcpi_min_rtt);
	nla_put_u32(room, TCP_NLA_SRTT, info->tcpi_rtt);
}

static void write_rates(struct sk_buff *room, const struct tcp_info *info)
{
	put_u64(room, TCP_NLA_PACING_RATE, info->tcpi_pacing_rate);
	put_u64(room, TCP_NLA_DELIVERY_RATE, info->tcpi_delivery_rate);
	nla_put_u8(room, TCP_NLA_DELIVERY_RATE_APP_LMT, info->tcpi_delivery_rate_app_limited);
	nla_put_u32(room, TCP_NLA_SND_CWND, info->tcpi_snd_cwnd);
	nla_put_u32(room, TCP_NLA_SND_SSTHRESH, info->tcpi_snd_ssthresh);
	nla_put_u8(room, TCP_NLA_CA_STATE, info->tcpi_ca_state);
	nla_put_u32(room, TCP_NLA_REORDERING, info->tcpi_reordering);
}

static void write_counts(struct sk_buff *room, const struct tcp_info *info)
{
	put_u64(room, TCP_NLA_DATA_SEGS_OUT, info->tcpi_data_segs_out);
	put_u64(room, TCP_NLA_TOTAL_RETRANS, info->tcpi_total_retrans);
	put_u64(room, TCP_NLA_BYTES_SENT, info->tcpi_bytes_sent);
	put_u64(room, TCP_NLA_BYTES_RETRANS, info->tcpi_bytes_retrans);
	nla_put_u32(room, TCP_NLA_DELIVERED, info->tcpi_delivered);
	nla_put_u32(room, TCP_NLA_DELIVERED_CE, info->tcpi_delivered_ce);
	nla_put_u32(room, TCP_NLA_DSACK_DUPS, info->tcpi_dsack_dups);
	nla_put_u32(room, TCP_NLA_REORD_SEEN, info->tcpi_reord_seen);
	nla_put_u8(room, TCP_NLA_RECUR_RETRANS, info->tcpi_retransmits);
}

void sluice_tx_stats_write(struct sk_buff *room, const struct sluice_tx_stats *stats)
{
	skb_trim(room, 0);
	write_times(room, &stats->info);
	write_rates(room, &stats->info);
	write_counts(room, &stats->info);
	nla_put_u16(room, TCP_NLA_TIMEOUT_REHASH, stats->timeout_rehash);
	sluice_put_rehash(room, stats->timeout_rehash);
	nla_put_u32(room, TCP_NLA_SNDQ_SIZE, stats->queued);
	nla_put_u32(room, TCP_NLA_BYTES_NOTSENT, stats->info.tcpi_notsent_bytes);
	put_u64(room, TCP_NLA_EDT, stats->departure);
	if (stats->acked)
		nla_put_u8(room, TCP_NLA_TTL, stats->hop_limit);
}

bool sluice_tx_stats_missing(const struct sk_buff *report)
{
	const struct sock_exterr_skb *about = SKB_EXT_ERR(report);

	return about->ee.ee_origin == SO_EE_ORIGIN_TIMESTAMPING && !about->opt_stats && !report->len;
}

/* The report came without room; what it gets is paid for as the rest of it. */
static bool make_room(struct sk_buff *report, u32 size)
{
	int before = skb_end_offset(report), more;

	if (skb_tailroom(report) >= size)
		return true;
	if (pskb_expand_head(report, 0, size, GFP_ATOMIC | __GFP_NOWARN))
		return false;
	more = skb_end_offset(report) - before;
	report->truesize += more;
	atomic_add(more, &report->sk->sk_rmem_alloc);
	return true;
}

void sluice_tx_stats_attach(struct sk_buff *report, const struct sk_buff *room)
{
	if (!make_room(report, room->len))
		return;
	skb_put_data(report, room->data, room->len);
	SKB_EXT_ERR(report)->opt_stats = true;
}
