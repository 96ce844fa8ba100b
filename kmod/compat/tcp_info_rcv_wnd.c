// SPDX-License-Identifier: GPL-2.0
/* struct tcp_info tells the window that is advertised (6.2). */
#include <linux/tcp.h>

#ifdef PROBE
__u32 probe(const struct tcp_info *info);
__u32 probe(const struct tcp_info *info)
{
	return info->tcpi_rcv_wnd;
}
#endif
