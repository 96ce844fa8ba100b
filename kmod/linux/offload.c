// SPDX-License-Identifier: GPL-2.0
/*
 * Segmentation and receive offload for IP protocol 253: the wire format is
 * TCP's, so what the kernel does for IP protocol 6 is right for it too.
 */
#include <net/protocol.h>

#include "compat.h"
#include "receive.h"
#include "sluice.h"

/* Copies: the kernel looks at their addresses when one is taken away. */
static struct net_offload offload_v4, offload_v6;

static bool copy(struct net_offload *to, const struct net_offload __rcu **table)
{
	const struct net_offload *tcp;

	rcu_read_lock();
	tcp = rcu_dereference(table[IPPROTO_TCP]);
	if (tcp)
		*to = *tcp;
	rcu_read_unlock();
	return tcp;
}

int sluice_offload_init(void)
{
	int error;

	if (!copy(&offload_v4, inet_offloads) || !copy(&offload_v6, inet6_offloads))
		return -EPROTONOSUPPORT;
	error = inet_add_offload(&offload_v4, SLUICE_PROTO_STREAM);
	if (error)
		return error;
	error = inet6_add_offload(&offload_v6, SLUICE_PROTO_STREAM);
	if (error)
		inet_del_offload(&offload_v4, SLUICE_PROTO_STREAM);
	return error;
}

void sluice_offload_exit(void)
{
	inet6_del_offload(&offload_v6, SLUICE_PROTO_STREAM);
	inet_del_offload(&offload_v4, SLUICE_PROTO_STREAM);
}
