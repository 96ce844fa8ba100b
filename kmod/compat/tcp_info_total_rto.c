// SPDX-License-Identifier: GPL-2.0
/* struct tcp_info tells of retransmission timeouts (6.7). */
#include <linux/tcp.h>

#ifdef PROBE
__u32 probe(const struct tcp_info *info);
__u32 probe(const struct tcp_info *info)
{
	return info->tcpi_total_rto + info->tcpi_total_rto_recoveries + info->tcpi_total_rto_time;
}
#endif
