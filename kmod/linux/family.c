// SPDX-License-Identifier: GPL-2.0
/*
 * The socket family AF_SLUICE. Inside, its sockets are AF_INET6 ones that
 * speak IPv4 too, so that everything the kernel does for those (cgroups'
 * programs, options of level IPPROTO_IPV6) does for these; only addresses
 * carry the family's own number.
 */
#define pr_fmt(fmt) "sluice: " fmt
#include <linux/bpf-cgroup.h>
#include <linux/module.h>
#include <linux/net.h>
#include <net/inet_common.h>
#include <net/ipv6.h>
#include <net/transp_v6.h>

#include "address.h"
#include "compat.h"
#include "control.h"
#include "family.h"
#include "listen.h"
#include "receive.h"
#include "sock.h"

int sluice_family = AF_SLUICE;
module_param_named(family, sluice_family, int, 0444);
MODULE_PARM_DESC(family, "number of the socket family (22)");

static int bind_operation(struct socket *sock, struct sockaddr *address, int length)
{
	struct sockaddr_in6 in6;
	int error = sluice_address_read(true, address, length, &in6);

	return error ? error : inet6_bind(sock, (struct sockaddr *)&in6, sizeof(in6));
}

static int name_operation(struct socket *sock, struct sockaddr *address, int peer)
{
	int length = inet6_getname(sock, address, peer);

	if (length > 0)
		address->sa_family = sluice_family;
	return length;
}

static const struct proto_ops operations = {
	.owner = THIS_MODULE,
	.release = inet6_release,
	.bind = bind_operation,
	.connect = inet_stream_connect,
	.socketpair = sock_no_socketpair,
	.accept = sluice_inet_accept,
	.getname = name_operation,
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

/* As inet6_create() does for its own. */
static void set_up(struct sock *sk, const struct net *net, bool real_tcp)
{
	struct inet_sock *inet = inet_sk(sk);

	sk->sk_family = AF_INET6;
	sk->sk_protocol = real_tcp ? SLUICE_PROTO_TCP : SLUICE_PROTO_STREAM;
	sk->sk_backlog_rcv = sluice_backlog_receive;
	sk->sk_txrehash = READ_ONCE(net->core.sysctl_txrehash);
	inet->pinet6 = &sluice_sk(sk)->inet6;
	inet->pinet6->hop_limit = -1;
	inet->pinet6->mcast_hops = IPV6_DEFAULT_MCASTHOPS;
	inet->pinet6->pmtudisc = IPV6_PMTUDISC_WANT;
	sluice_inet6_defaults(sk);
	sluice_inet6_set_reflects_flow(sk, net->ipv6.sysctl.flowlabel_reflect &
					   FLOWLABEL_REFLECT_ESTABLISHED);
	sluice_inet_defaults(sk);
	inet->uc_ttl = -1;
	inet->mc_ttl = 1;
	inet->pmtudisc = READ_ONCE(net->ipv4.sysctl_ip_no_pmtu_disc) ? IP_PMTUDISC_DONT :
								       IP_PMTUDISC_WANT;
	sluice_sk(sk)->sluice_family = 1;
}

static int create(struct net *net, struct socket *sock, int protocol, int kern)
{
	bool real_tcp = protocol == IPPROTO_TCP || protocol == SLUICE_PROTO_TCP;
	struct sock *sk;
	int error;

	if (sock->type != SOCK_STREAM)
		return -ESOCKTNOSUPPORT;
	if (protocol && protocol != SLUICE_PROTO_STREAM && !real_tcp)
		return -EPROTONOSUPPORT;
	sk = sk_alloc(net, AF_INET6, GFP_KERNEL, &sluice_prot, kern);
	if (!sk)
		return -ENOBUFS;
	sock->ops = &operations;
	sock_init_data(sock, sk);
	set_up(sk, net, real_tcp);
	error = sluice_sock_init(sk);
	if (!error && !kern)
		error = BPF_CGROUP_RUN_PROG_INET_SOCK(sk);
	if (error) {
		sk_common_release(sk);
		sock->sk = NULL;
	}
	return error;
}

static const struct net_proto_family family_operations = {
	.create = create,
	.owner = THIS_MODULE,
};

/* sock_register() takes a copy of the pointer, so the number may come late. */
static struct net_proto_family registered;

int sluice_family_refused(int error)
{
	if (error == -EEXIST || error == -EBUSY) {
		pr_err("socket family %d is taken; choose another with family=\n", sluice_family);
		return -EEXIST;
	}
	if (error)
		pr_err("socket family %d can't be registered (error %d); family= is 1 to %d\n",
		       sluice_family, error, AF_MAX - 1);
	return error == -ENOBUFS ? -EINVAL : error;
}

int sluice_family_init(void)
{
	registered = family_operations;
	registered.family = sluice_family;
	return sluice_family_refused(sluice_family > 0 ? sock_register(&registered) : -EINVAL);
}

void sluice_family_exit(void)
{
	sock_unregister(sluice_family);
}
