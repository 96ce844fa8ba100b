/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a connection knows of itself: TCP_INFO in the layout that unmodified
 * programs read, and SLUICE_INFO.
 */
#ifndef SLUICE_LINUX_TCP_INFO_H
#define SLUICE_LINUX_TCP_INFO_H

#include <linux/tcp.h>
#include <net/sock.h>

struct sluice_info;

/* Socket lock held. */
void sluice_tcp_info(struct sock *sk, struct tcp_info *info);
/* Of a connection of which sluice_sock_info() has been asked already. Likewise. */
void sluice_tcp_info_from(struct sock *sk, const struct sluice_info *from, struct tcp_info *info);
/* SLUICE_INFO and sock_diag: the core's view, with the socket's state and the route's MTU. Likewise. */
void sluice_sock_info(struct sock *sk, struct sluice_info *info);

#endif /* SLUICE_LINUX_TCP_INFO_H */
