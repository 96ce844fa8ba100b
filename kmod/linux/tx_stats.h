/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a report of SO_TIMESTAMPING tells of the connection, for the program
 * that asks by SOF_TIMESTAMPING_OPT_STATS: netlink attributes (TCP_NLA_*), in
 * the control message SCM_TIMESTAMPING_OPT_STATS.
 *
 * The kernel puts them together for its own TCP alone. A device may report at
 * any time and from any context, where the connection can't be looked at: so
 * they are put together under the socket lock, when a packet goes and when an
 * acknowledgment comes, and a report gets those that are there.
 */
#ifndef SLUICE_LINUX_TX_STATS_H
#define SLUICE_LINUX_TX_STATS_H

#include <linux/net_tstamp.h>
#include <linux/skbuff.h>
#include <linux/tcp.h>
#include <net/sock.h>

struct sluice_tx_stats {
	struct tcp_info info;
	u32 queued;		/* bytes that are sent and not acknowledged, or not sent yet */
	u64 departure;		/* CLOCK_MONOTONIC, ns; of the last packet */
	u16 timeout_rehash;	/* as struct sluice_sock has it */
	bool acked;		/* an acknowledgment came, ... */
	u8 hop_limit;		/* ... whose TTL or hop limit was that */
};

/* Does the socket want them? As in TCP they take the place of the packet. */
static inline bool sluice_tx_stats_wanted(const struct sock *sk)
{
	const u32 both = SOF_TIMESTAMPING_OPT_STATS | SOF_TIMESTAMPING_OPT_TSONLY;

	return (READ_ONCE(sk->sk_tsflags) & both) == both;
}

/* Room for them; or NULL. */
struct sk_buff *sluice_tx_stats_alloc(gfp_t gfp);
/* What the connection knows now; departure and hop_limit are the caller's. Socket lock held. */
void sluice_tx_stats_collect(struct sock *sk, struct sluice_tx_stats *stats);
/* Writes the attributes into the room, in place of what is there. */
void sluice_tx_stats_write(struct sk_buff *room, const struct sluice_tx_stats *stats);
/* Has the report yet to get them? */
bool sluice_tx_stats_missing(const struct sk_buff *report);
/* Puts what was written into a report in the error queue. That queue's lock held, interrupts off. */
void sluice_tx_stats_attach(struct sk_buff *report, const struct sk_buff *room);

#endif /* SLUICE_LINUX_TX_STATS_H */
