/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What clients know of TCP Fast Open (RFC 7413 4.1.3): a bounded cache of the
 * cookies and MSS that peers offered, and for each namespace a pause after SYNs
 * with data seemed to vanish on the path (4.1.3.1). Any context.
 */
#ifndef SLUICE_LINUX_FASTOPEN_CACHE_H
#define SLUICE_LINUX_FASTOPEN_CACHE_H

#include "demux.h"
#include "host.h"
#include "net.h"

/* Of a flow's pair of addresses; the ports don't count. Unknown: length 0, mss 0. */
void sluice_fastopen_recall(const struct sluice_flow_key *flow,
			    struct sluice_fastopen_cookie *cookie, u16 *mss);
/* A cookie of length 0, or an mss of 0, leaves what was known. */
void sluice_fastopen_remember(const struct sluice_flow_key *flow,
			      const struct sluice_fastopen_cookie *cookie, u16 mss);
/* The namespace ends. */
void sluice_fastopen_forget_net(const struct net *net);

/* Is it no time for Fast Open in this namespace? */
bool sluice_fastopen_paused(const struct sluice_net *sn);
/* The peer took data from a SYN: the next pause is a short one again. */
void sluice_fastopen_worked(struct sluice_net *sn);

#endif /* SLUICE_LINUX_FASTOPEN_CACHE_H */
