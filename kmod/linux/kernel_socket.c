// SPDX-License-Identifier: GPL-2.0
/* The life of kernel TCP's sockets that stand for ours. */
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "kernel_socket.h"

int sluice_kernel_socket_init(struct sluice_kernel_socket *k, struct net *net, int family)
{
	return sock_create_kern(net, family, SOCK_STREAM, IPPROTO_TCP, &k->socket);
}

static LLIST_HEAD(gone);

static void free_gone(struct work_struct *work)
{
	struct sluice_kernel_socket *k, *next;

	llist_for_each_entry_safe(k, next, llist_del_all(&gone), gone) {
		sock_release(k->socket);
		kfree(k);
	}
}

static DECLARE_WORK(free_work, free_gone);

/*
 * Closing takes the socket's lock: not here, where that of one of ours is held,
 * or a spinlock. Who flushes waits for what was freed before, whoever was first.
 */
void sluice_kernel_socket_free(struct sluice_kernel_socket *k)
{
	if (!k)
		return;
	llist_add(&k->gone, &gone);
	schedule_work(&free_work);
}

void sluice_kernel_sockets_flush(void)
{
	flush_work(&free_work);
}
