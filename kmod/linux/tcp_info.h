/* SPDX-License-Identifier: GPL-2.0 */
/* TCP_INFO: what a connection knows of itself, in the layout unmodified programs read. */
#ifndef SLUICE_LINUX_TCP_INFO_H
#define SLUICE_LINUX_TCP_INFO_H

#include <linux/tcp.h>
#include <net/sock.h>

/* Socket lock held. */
void sluice_tcp_info(struct sock *sk, struct tcp_info *info);

#endif /* SLUICE_LINUX_TCP_INFO_H */
