// SPDX-License-Identifier: GPL-2.0
/* Asks conntrack where a connection was going. Its symbol is borrowed: nothing here loads it. */
#include <linux/in6.h>
#include <linux/module.h>
#include <linux/netfilter.h>
#include <linux/uaccess.h>
#include <net/inet_sock.h>
#include <net/ipv6.h>

#include "original_dst.h"

#if IS_ENABLED(CONFIG_NF_CONNTRACK)
#include <net/netfilter/nf_conntrack.h>
#include <net/netfilter/nf_conntrack_core.h>
#include <net/netfilter/nf_conntrack_zones.h>

/* Replaces the tuple of what this end sends by that of what the other end sent first. */
static int take_original(const struct nf_conntrack_tuple_hash *found,
			 struct nf_conntrack_tuple *tuple)
{
	struct nf_conn *ct;

	if (!found)
		return -ENOENT;
	ct = nf_ct_tuplehash_to_ctrack(found);
	*tuple = ct->tuplehash[IP_CT_DIR_ORIGINAL].tuple;
	nf_conntrack_put(&ct->ct_general);
	return 0;
}

static int look_up(struct sock *sk, struct nf_conntrack_tuple *tuple, bool fits)
{
	struct nf_conntrack_tuple_hash *(*find)(struct net *net,
						const struct nf_conntrack_zone *zone,
						const struct nf_conntrack_tuple *tuple) =
		symbol_get(nf_conntrack_find_get);
	int error = -EINVAL;

	if (!find)
		return -ENOPROTOOPT;
	if (fits)
		error = take_original(find(sock_net(sk), &nf_ct_zone_dflt, tuple), tuple);
	symbol_put(nf_conntrack_find_get);
	return error;
}

/* Fills in a tuple of which the family is there; the answer to the user takes @size. */
static int find_original(struct sock *sk, struct nf_conntrack_tuple *tuple, int size,
			 int __user *length)
{
	const struct inet_sock *inet = inet_sk(sk);
	int room;

	if (get_user(room, length))
		return -EFAULT;
	tuple->dst.protonum = IPPROTO_TCP;
	lock_sock(sk);
	if (tuple->src.l3num == NFPROTO_IPV4) {
		tuple->src.u3.ip = inet->inet_rcv_saddr;
		tuple->dst.u3.ip = inet->inet_daddr;
	} else {
		tuple->src.u3.in6 = sk->sk_v6_rcv_saddr;
		tuple->dst.u3.in6 = sk->sk_v6_daddr;
	}
	tuple->src.u.tcp.port = inet->inet_sport;
	tuple->dst.u.tcp.port = inet->inet_dport;
	release_sock(sk);
	return look_up(sk, tuple, room >= size);
}

int sluice_original_dst_v4(struct sock *sk, char __user *value, int __user *length)
{
	struct nf_conntrack_tuple tuple = { .src.l3num = NFPROTO_IPV4 };
	struct sockaddr_in answer = { .sin_family = AF_INET };
	int error = find_original(sk, &tuple, sizeof(answer), length);

	if (error)
		return error;
	answer.sin_addr.s_addr = tuple.dst.u3.ip;
	answer.sin_port = tuple.dst.u.tcp.port;
	return copy_to_user(value, &answer, sizeof(answer)) ? -EFAULT : 0;
}

int sluice_original_dst_v6(struct sock *sk, char __user *value, int __user *length)
{
	struct nf_conntrack_tuple tuple = { .src.l3num = NFPROTO_IPV6 };
	struct sockaddr_in6 answer = { .sin6_family = AF_INET6 };
	int error = find_original(sk, &tuple, sizeof(answer), length);

	if (error)
		return error;
	answer.sin6_addr = tuple.dst.u3.in6;
	answer.sin6_port = tuple.dst.u.tcp.port;
	answer.sin6_flowinfo = READ_ONCE(inet6_sk(sk)->flow_label) & IPV6_FLOWINFO_MASK;
	answer.sin6_scope_id = ipv6_iface_scope_id(&answer.sin6_addr,
						   READ_ONCE(sk->sk_bound_dev_if));
	return copy_to_user(value, &answer, sizeof(answer)) ? -EFAULT : 0;
}
#else
int sluice_original_dst_v4(struct sock *sk, char __user *value, int __user *length)
{
	return -ENOPROTOOPT;
}

int sluice_original_dst_v6(struct sock *sk, char __user *value, int __user *length)
{
	return -ENOPROTOOPT;
}
#endif
