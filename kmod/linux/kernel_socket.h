/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Sockets of kernel TCP's that stand for ours where its tables are asked. They
 * carry no data, and nobody else knows them.
 */
#ifndef SLUICE_LINUX_KERNEL_SOCKET_H
#define SLUICE_LINUX_KERNEL_SOCKET_H

#include <linux/llist.h>
#include <linux/net.h>
#include <net/sock.h>

struct sluice_kernel_socket {
	struct socket *socket;
	struct llist_node gone;		/* waits to be freed */
};

/* One of that family. Sleeps. 0, or what socket() gave. */
int sluice_kernel_socket_init(struct sluice_kernel_socket *k, struct net *net, int family);
/*
 * A worker releases it, and frees `k`, where the object begins that kmalloc()
 * gave. Any context. NULL is none.
 */
void sluice_kernel_socket_free(struct sluice_kernel_socket *k);
/* Waits until those are freed. Process context. */
void sluice_kernel_sockets_flush(void);

#endif /* SLUICE_LINUX_KERNEL_SOCKET_H */
