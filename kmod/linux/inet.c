// SPDX-License-Identifier: GPL-2.0
/* The entrance by socket(AF_INET or AF_INET6, SOCK_STREAM, 253), with ordinary addresses. */
#include <linux/module.h>
#include <net/inet_common.h>
#include <net/ipv6.h>
#include <net/protocol.h>
#include <net/transp_v6.h>

#include "compat.h"
#include "family.h"
#include "listen.h"
#include "sock.h"

static const struct proto_ops operations_v4 = {
	.family = PF_INET,
	.owner = THIS_MODULE,
	.release = inet_release,
	.bind = inet_bind,
	.connect = inet_stream_connect,
	.socketpair = sock_no_socketpair,
	.accept = inet_accept,
	.getname = inet_getname,
	.poll = sluice_poll,
	.ioctl = inet_ioctl,
	.gettstamp = sock_gettstamp,
	.listen = sluice_listen,
	.shutdown = inet_shutdown,
	.setsockopt = sluice_setsockopt,
	.getsockopt = sluice_getsockopt,
	.sendmsg = sluice_sendmsg,
	.recvmsg = sluice_recvmsg,
	.mmap = sock_no_mmap,
};

static const struct proto_ops operations_v6 = {
	.family = PF_INET6,
	.owner = THIS_MODULE,
	.release = inet6_release,
	.bind = inet6_bind,
	.connect = inet_stream_connect,
	.socketpair = sock_no_socketpair,
	.accept = inet_accept,
	.getname = inet6_getname,
	.poll = sluice_poll,
	.ioctl = inet6_ioctl,
	.gettstamp = sock_gettstamp,
	.listen = sluice_listen,
	.shutdown = inet_shutdown,
	.setsockopt = sluice_setsockopt,
	.getsockopt = sluice_getsockopt,
	.sendmsg = sluice_sendmsg,
	.recvmsg = sluice_recvmsg,
	.mmap = sock_no_mmap,
};

static struct inet_protosw entrance_v4 = {
	.type = SOCK_STREAM,
	.protocol = SLUICE_PROTO_STREAM,
	.prot = &sluice_prot,
	.ops = &operations_v4,
};

static struct inet_protosw entrance_v6 = {
	.type = SOCK_STREAM,
	.protocol = SLUICE_PROTO_STREAM,
	.prot = &sluice_prot,
	.ops = &operations_v6,
};

int sluice_inet_init(void)
{
	int error;

	inet_register_protosw(&entrance_v4);
	error = inet6_register_protosw(&entrance_v6);
	if (error)
		inet_unregister_protosw(&entrance_v4);
	return error;
}

void sluice_inet_exit(void)
{
	inet6_unregister_protosw(&entrance_v6);
	inet_unregister_protosw(&entrance_v4);
}
