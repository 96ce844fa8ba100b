// SPDX-License-Identifier: GPL-2.0
/*
 * The active open (RFC 9293 3.9.1.1, 3.10.1): where to, from where, by which
 * port; then the core sends the SYN. Waiting is inet_stream_connect()'s.
 */
#include <net/inet_hashtables.h>
#include <net/ip6_route.h>
#include <net/ipv6.h>
#include <net/l3mdev.h>
#include <net/route.h>
#include <net/tcp_states.h>
#include <net/transp_v6.h>

#include "address.h"
#include "compat.h"
#include "control.h"
#include "fastopen.h"
#include "real_tcp.h"
#include "sock.h"
#include "time_wait.h"
#include "transmit.h"
#include "tuning.h"

/* ---- where to: fills in the remote address, and which IP version ------------- */

static int aim_v4(struct sock *sk, __be32 address, __be16 port)
{
	sluice_sk(sk)->v4_wire = 1;
	sk_daddr_set(sk, address);
	inet_sk(sk)->inet_dport = port;
	return 0;
}

/* A link-local address needs an interface, and no other than the one the socket is bound to. */
static int bind_to_scope(struct sock *sk, u32 scope_id)
{
	if (scope_id) {
		if (!sk_dev_equal_l3scope(sk, scope_id))
			return -EINVAL;
		sk->sk_bound_dev_if = scope_id;
	}
	return sk->sk_bound_dev_if ? 0 : -EINVAL;
}

static int take_flow_label(struct sock *sk, __be32 flowinfo)
{
	struct ip6_flowlabel *label;

	inet6_sk(sk)->flow_label = 0;
	if (!sluice_inet6_sends_flow(sk))
		return 0;
	inet6_sk(sk)->flow_label = flowinfo & IPV6_FLOWINFO_MASK;
	if (!(flowinfo & IPV6_FLOWLABEL_MASK))
		return 0;
	label = fl6_sock_lookup(sk, flowinfo & IPV6_FLOWLABEL_MASK);
	if (IS_ERR(label))
		return -EINVAL;
	fl6_sock_release(label);
	return 0;
}

static int aim_v6(struct sock *sk, const struct sockaddr_in6 *to)
{
	struct in6_addr address = to->sin6_addr;
	int type, error;

	if (ipv6_addr_any(&address)) {	/* "this host", by the version that is bound */
		if (ipv6_addr_v4mapped(&sk->sk_v6_rcv_saddr))
			ipv6_addr_set_v4mapped(htonl(INADDR_LOOPBACK), &address);
		else
			address = in6addr_loopback;
	}
	type = ipv6_addr_type(&address);
	if (type & IPV6_ADDR_MULTICAST)
		return -ENETUNREACH;
	if (type == IPV6_ADDR_MAPPED)
		return ipv6_only_sock(sk) ? -ENETUNREACH :
		       aim_v4(sk, address.s6_addr32[3], to->sin6_port);
	error = type & IPV6_ADDR_LINKLOCAL ? bind_to_scope(sk, to->sin6_scope_id) : 0;
	if (!error)
		error = take_flow_label(sk, to->sin6_flowinfo);
	if (error)
		return error;
	sluice_sk(sk)->v4_wire = 0;
	sk->sk_v6_daddr = address;
	inet_sk(sk)->inet_dport = to->sin6_port;
	return 0;
}

static int aim(struct sock *sk, const struct sockaddr *address, int length)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)address;
	struct sockaddr_in6 in6;
	int error;

	if (sk->sk_family == AF_INET) {
		if (length < (int)sizeof(*in))
			return -EINVAL;
		if (in->sin_family != AF_INET)
			return -EAFNOSUPPORT;
		return aim_v4(sk, in->sin_addr.s_addr, in->sin_port);
	}
	error = sluice_address_read(sluice_sk(sk)->sluice_family, address, length, &in6);
	return error ? error : aim_v6(sk, &in6);
}

/* ---- from where: the route tells, unless bind() did --------------------------- */

static int leave_from_v4(struct sock *sk)
{
	struct inet_sock *inet = inet_sk(sk);
	const struct flowi4 *fl = &inet->cork.fl.u.ip4;
	const struct rtable *rt = container_of(__sk_dst_get(sk), struct rtable, dst);

	if (rt->rt_flags & (RTCF_MULTICAST | RTCF_BROADCAST))
		return -ENETUNREACH;
	if (!inet->inet_saddr)
		inet->inet_saddr = fl->saddr;
	sk_rcv_saddr_set(sk, inet->inet_saddr);
	if (!inet->inet_daddr)
		sk_daddr_set(sk, fl->daddr);
	if (sk->sk_family == AF_INET6)
		inet6_sk(sk)->saddr = sk->sk_v6_rcv_saddr;
	return 0;
}

static void leave_from_v6(struct sock *sk)
{
	struct ipv6_pinfo *np = inet6_sk(sk);

	if (ipv6_addr_any(&sk->sk_v6_rcv_saddr))
		sk->sk_v6_rcv_saddr = inet_sk(sk)->cork.fl.u.ip6.saddr;
	np->saddr = sk->sk_v6_rcv_saddr;
	inet_sk(sk)->inet_rcv_saddr = LOOPBACK4_IPV6;
}

static int find_source(struct sock *sk)
{
	int error = sluice_route(sk);

	if (error)
		return error;
	if (sluice_sk(sk)->v4_wire)
		return leave_from_v4(sk);
	leave_from_v6(sk);
	return 0;
}

/* ---- by which port ------------------------------------------------------------- */

static void fill_key(struct sock *sk, u16 port, struct sluice_flow_key *key)
{
	key->local = sk->sk_v6_rcv_saddr;
	key->remote = sk->sk_v6_daddr;
	key->local_port = htons(port);
	key->remote_port = inet_sk(sk)->inet_dport;
	key->scope = sluice_sk(sk)->v4_wire ? 0 :
		     sluice_flow_scope(&key->local, &key->remote, sk->sk_bound_dev_if);
	key->real_tcp = sluice_is_real_tcp(sk);
	key->net = sock_net(sk);
}

/* Enters the connection in the demultiplexer; -EEXIST: that pair is in use. */
static int enter(struct sock *sk, u16 port, bool bound)
{
	struct sluice_sock *s = sluice_sk(sk);
	int error;

	fill_key(sk, port, &s->flow.key);
	/* A port that connect() chose is ours alone. */
	if (bound && s->flow.key.real_tcp &&
	    sluice_real_tcp_taken(sock_net(sk), &s->flow.key, sk->sk_bound_dev_if))
		return -EEXIST;
	local_bh_disable();
	error = sluice_flow_insert(&s->flow);
	if (error == -EEXIST && sluice_time_wait_yields(&s->flow.key, bound))
		error = sluice_flow_insert(&s->flow);
	local_bh_enable();
	return error;
}

static int enter_any(struct sock *sk, u16 port)
{
	return enter(sk, port, false);
}

static int find_port(struct sock *sk)
{
	int error;

	if (!inet_sk(sk)->inet_num)
		return sluice_port_connect(sk, get_random_u32(), enter_any);
	error = enter(sk, inet_sk(sk)->inet_num, true);
	return error == -EEXIST ? -EADDRNOTAVAIL : error;
}

/* ---- all of it ------------------------------------------------------------------- */

static void give_up(struct sock *sk)
{
	bool had_port = sk->sk_userlocks & SOCK_BINDPORT_LOCK;

	sluice_sock_unhash(sk);
	if (!had_port && !sluice_sk(sk)->port.port)
		inet_sk(sk)->inet_num = 0;
	if (!(sk->sk_userlocks & SOCK_BINDADDR_LOCK))
		inet_reset_saddr(sk);
	inet_sk(sk)->inet_dport = 0;
	sk->sk_route_caps = 0;
	sk_dst_reset(sk);
}

/* They know AF_INET6, and may rewrite what they are shown. */
static int ask_cgroup_v6(struct sock *sk, struct sockaddr *address, int length)
{
	sa_family_t family;
	int error;

	if (length < SIN6_LEN_RFC2133)
		return -EINVAL;
	family = address->sa_family;
	if (sluice_sk(sk)->sluice_family && family == sluice_family)
		address->sa_family = AF_INET6;
	error = sluice_ask_cgroup_v6(sk, address, length);
	address->sa_family = family;
	return error;
}

int sluice_pre_connect(struct sock *sk, struct sockaddr *address, int length)
{
	if (sk->sk_family == AF_INET6)
		return ask_cgroup_v6(sk, address, length);
	if (length < (int)sizeof(struct sockaddr_in))
		return -EINVAL;
	return sluice_ask_cgroup_v4(sk, address, length);
}

int sluice_connect(struct sock *sk, struct sockaddr *address, int length)
{
	struct inet_sock *inet = inet_sk(sk);
	struct sluice_path path;
	int error;

	error = aim(sk, address, length);
	if (error)
		return error;
	error = find_source(sk);
	if (!error)
		error = find_port(sk);
	if (error)
		goto fail;
	inet->inet_sport = htons(inet->inet_num);
	atomic_set(&inet->inet_id, get_random_u16());
	sk_set_txhash(sk);
	error = sluice_route(sk);	/* rules and policies may ask for ports */
	if (error)
		goto fail;
	sluice_route_describe(sk, &path);
	sluice_tuning_refresh(sluice_sk_net(sk));
	if (!sluice_fastopen_connect(sk, &path))
		sluice_conn_connect(&sluice_sk(sk)->conn, &path, sluice_now());
	return 0;
fail:
	give_up(sk);
	return error;
}
