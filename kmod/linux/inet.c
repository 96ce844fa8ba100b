// SPDX-License-Identifier: GPL-2.0
/* The entrance by socket(AF_INET or AF_INET6, SOCK_STREAM, 253 or 257), with ordinary addresses. */
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
	.accept = sluice_inet_accept,
	.getname = inet_getname,
	.poll = sluice_poll,
	.ioctl = inet_ioctl,
	.gettstamp = sock_gettstamp,
	.listen = sluice_listen,
	.shutdown = inet_shutdown,
	.setsockopt = sluice_setsockopt,
	.getsockopt = sluice_getsockopt,
	.sendmsg = sluice_sendmsg,
	SLUICE_SENDPAGE
	.recvmsg = sluice_recvmsg,
	.set_rcvlowat = sluice_set_rcvlowat,
	.set_peek_off = sk_set_peek_off,
	.mmap = sock_no_mmap,
};

static const struct proto_ops operations_v6 = {
	.family = PF_INET6,
	.owner = THIS_MODULE,
	.release = inet6_release,
	.bind = inet6_bind,
	.connect = inet_stream_connect,
	.socketpair = sock_no_socketpair,
	.accept = sluice_inet_accept,
	.getname = inet6_getname,
	.poll = sluice_poll,
	.ioctl = inet6_ioctl,
	.gettstamp = sock_gettstamp,
	.listen = sluice_listen,
	.shutdown = inet_shutdown,
	.setsockopt = sluice_setsockopt,
	.getsockopt = sluice_getsockopt,
	.sendmsg = sluice_sendmsg,
	SLUICE_SENDPAGE
	.recvmsg = sluice_recvmsg,
	.set_rcvlowat = sluice_set_rcvlowat,
	.set_peek_off = sk_set_peek_off,
	.mmap = sock_no_mmap,
};

#define ENTRANCE(number, operations) {				\
		.type = SOCK_STREAM,				\
		.protocol = number,				\
		.prot = &sluice_prot,				\
		.ops = operations,				\
	}

static struct inet_protosw entrances_v4[] = {
	ENTRANCE(SLUICE_PROTO_STREAM, &operations_v4),
	ENTRANCE(SLUICE_PROTO_TCP, &operations_v4),
};

static struct inet_protosw entrances_v6[] = {
	ENTRANCE(SLUICE_PROTO_STREAM, &operations_v6),
	ENTRANCE(SLUICE_PROTO_TCP, &operations_v6),
};

static void close_entrances(unsigned int open_v6)
{
	unsigned int i;

	for (i = 0; i < open_v6; i++)
		inet6_unregister_protosw(&entrances_v6[i]);
	for (i = 0; i < ARRAY_SIZE(entrances_v4); i++)
		inet_unregister_protosw(&entrances_v4[i]);
}

int sluice_inet_init(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(entrances_v4); i++)
		inet_register_protosw(&entrances_v4[i]);
	for (i = 0; i < ARRAY_SIZE(entrances_v6); i++) {
		int error = inet6_register_protosw(&entrances_v6[i]);

		if (error) {
			close_entrances(i);
			return error;
		}
	}
	return 0;
}

void sluice_inet_exit(void)
{
	close_entrances(ARRAY_SIZE(entrances_v6));
}
