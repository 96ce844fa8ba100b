// SPDX-License-Identifier: GPL-2.0
/*
 * The route of a connection (RFC 9293 3.9.1.1): found once, kept in the
 * socket, found again when the routing tables change; and what of it the core
 * needs to know, path MTU (RFC 1191, RFC 8201) and offload limits.
 */
#include <net/ip6_route.h>
#include <net/ipv6.h>
#include <net/route.h>

#include "compat.h"
#include "transmit.h"
#include "tuning.h"

#define TCP_HEADER 20

/* header_extra: as in struct sluice_sock, for this route. */
static void keep(struct sock *sk, struct dst_entry *dst, u16 header_extra)
{
	struct sluice_sock *s = sluice_sk(sk);

	sk->sk_gso_type = s->v4_wire ? SKB_GSO_TCPV4 : SKB_GSO_TCPV6;
	sk_setup_caps(sk, dst);
	if (dst_mtu(dst) != s->path_mtu || header_extra != s->header_extra)
		s->mtu_changed = 1;
	s->header_extra = header_extra;
}

/* IP takes the sysctl's by itself; another is put where it finds it with each packet. */
static void lend_ttl(struct sock *sk, const struct dst_entry *dst)
{
	const struct sluice_net *sn = sluice_sk_net(sk);
	int ttl = -1;

	if (sluice_own_ttl(sk) >= 0)
		return;
	if (sluice_tuning_is_set(sn, SLUICE_PARAM_ip_default_ttl) &&
	    !dst_metric_raw(dst, RTAX_HOPLIMIT))
		ttl = READ_ONCE(sn->config.ip_default_ttl);
	sluice_sk(sk)->lent_ttl = max(ttl, 0);
	WRITE_ONCE(inet_sk(sk)->uc_ttl, ttl);
}

static int route_v4(struct sock *sk)
{
	struct inet_sock *inet = inet_sk(sk);
	struct ip_options_rcu *options = rcu_dereference_protected(inet->inet_opt,
								   lockdep_sock_is_held(sk));
	__be32 to = options && options->opt.srr ? options->opt.faddr : inet->inet_daddr;
	struct flowi4 *fl = &inet->cork.fl.u.ip4;
	struct rtable *rt;

	flowi4_init_output(fl, sk->sk_bound_dev_if, READ_ONCE(sk->sk_mark), ip_sock_rt_tos(sk),
			   ip_sock_rt_scope(sk), sluice_ip_protocol(sluice_is_real_tcp(sk)),
			   inet_sk_flowi_flags(sk), to, inet->inet_saddr, inet->inet_dport,
			   inet->inet_sport, sk->sk_uid);
	security_sk_classify_flow(sk, flowi4_to_flowi_common(fl));
	rt = ip_route_output_flow(sock_net(sk), fl, sk);
	if (IS_ERR(rt))
		return PTR_ERR(rt);
	keep(sk, &rt->dst, options ? options->opt.optlen : 0);
	lend_ttl(sk, &rt->dst);
	return 0;
}

/* What ip6_xmit() wants with every packet; it is made once a route. */
static void describe_flow_v6(struct sock *sk, struct flowi6 *fl)
{
	struct ipv6_pinfo *np = inet6_sk(sk);

	memset(fl, 0, sizeof(*fl));
	fl->flowi6_proto = sluice_ip_protocol(sluice_is_real_tcp(sk));
	fl->daddr = sk->sk_v6_daddr;
	fl->saddr = np->saddr;
	fl->flowlabel = np->flow_label;
	fl->flowi6_oif = sk->sk_bound_dev_if;
	fl->flowi6_mark = sk->sk_mark;
	fl->fl6_sport = inet_sk(sk)->inet_sport;
	fl->fl6_dport = inet_sk(sk)->inet_dport;
	fl->flowi6_uid = sk->sk_uid;
	security_sk_classify_flow(sk, flowi6_to_flowi_common(fl));
}

static int route_v6(struct sock *sk)
{
	struct flowi6 *fl = &inet_sk(sk)->cork.fl.u.ip6;
	struct ipv6_pinfo *np = inet6_sk(sk);
	struct in6_addr *final, final_buffer;
	struct ipv6_txoptions *options;
	struct dst_entry *dst;
	u16 header_extra;

	describe_flow_v6(sk, fl);
	rcu_read_lock();
	options = rcu_dereference(np->opt);
	header_extra = options ? options->opt_flen + options->opt_nflen : 0;
	final = fl6_update_dst(fl, options, &final_buffer);
	rcu_read_unlock();
	dst = ip6_dst_lookup_flow(sock_net(sk), sk, fl, final);
	if (IS_ERR(dst))
		return PTR_ERR(dst);
	fl->daddr = sk->sk_v6_daddr;	/* after a routing header's first hop was looked up */
	np->dst_cookie = rt6_get_cookie(container_of(dst, struct rt6_info, dst));
	keep(sk, dst, header_extra);
	return 0;
}

int sluice_route(struct sock *sk)
{
	return sluice_sk(sk)->v4_wire ? route_v4(sk) : route_v6(sk);
}

struct dst_entry *sluice_route_check(struct sock *sk)
{
	u32 cookie = sluice_sk(sk)->v4_wire ? 0 : inet6_sk(sk)->dst_cookie;
	struct dst_entry *dst = __sk_dst_check(sk, cookie);
	int error;

	if (likely(dst))
		return dst;
	error = sluice_route(sk);
	if (error) {
		WRITE_ONCE(sk->sk_err_soft, -error);
		sk->sk_route_caps = 0;
		return NULL;
	}
	return __sk_dst_get(sk);
}

void sluice_host_doubt_path(struct sluice_conn *c, bool route)
{
	struct sock *sk = sluice_conn_sk(c);

	if (sk_rethink_txhash(sk))
		sluice_sk(sk)->timeout_rehash++;
	if (route)
		__dst_negative_advice(sk);
}

/* IPV6_MTU_DISCOVER may say not to; and less than IPv6's least no link has (RFC 8201 4). */
static bool heeds_too_big(const struct sock *sk, u32 mtu)
{
	return sluice_sk(sk)->v4_wire || (ip6_sk_accept_pmtu(sk) && mtu >= IPV6_MIN_MTU);
}

void sluice_route_lower_mtu(struct sock *sk, u32 mtu)
{
	struct dst_entry *dst = sluice_route_check(sk);
	struct sluice_sock *s = sluice_sk(sk);

	if (!dst || mtu >= s->path_mtu || !heeds_too_big(sk, mtu))
		return;
	dst->ops->update_pmtu(dst, sk, NULL, mtu, true);
	dst = sluice_route_check(sk);
	if (dst && dst_mtu(dst) < s->path_mtu)
		s->mtu_changed = 1;
}

u16 sluice_route_payload(const struct sluice_sock *s, u32 mtu)
{
	u32 headers = (s->v4_wire ? sizeof(struct iphdr) : sizeof(struct ipv6hdr)) +
		      s->header_extra + TCP_HEADER;

	return min(mtu > headers ? mtu - headers : 0, 65535u - headers);
}

/* Payload of one transmission at most: one segment where nothing cuts them. */
static u32 gso_payload(struct sock *sk, u16 max_payload)
{
	u64 by_segments = (u64)sk->sk_gso_max_segs * max_payload;
	u32 headers = sizeof(struct ipv6hdr) + SLUICE_HEADER_MAX;
	/* Of the device's limit sk_setup_caps() has left room for usual headers already. */
	u32 by_size = min(sk->sk_gso_max_size, U16_MAX - headers) - sluice_sk(sk)->header_extra;

	if (!sk_can_gso(sk))
		return max_payload;
	return max_t(u32, min_t(u64, by_segments, by_size), max_payload);
}

static u16 advertised_mss(const struct sluice_sock *s, const struct dst_entry *dst)
{
	u32 most = min_t(u32, dst_metric_advmss(dst), U16_MAX);

	return most > s->header_extra ? most - s->header_extra : 0;
}

void sluice_route_describe(struct sock *sk, struct sluice_path *path)
{
	struct sluice_sock *s = sluice_sk(sk);
	struct dst_entry *dst = __sk_dst_get(sk);
	u32 mtu = dst_mtu(dst);

	*path = (struct sluice_path) {
		.local_port = inet_sk(sk)->inet_num,
		.remote_port = ntohs(inet_sk(sk)->inet_dport),
		.max_payload = sluice_route_payload(s, mtu),
		.advertise_mss = advertised_mss(s, dst),
	};
	memcpy(path->local, &sk->sk_v6_rcv_saddr, sizeof(path->local));
	memcpy(path->remote, &sk->sk_v6_daddr, sizeof(path->remote));
	path->gso_max = gso_payload(sk, path->max_payload);
	s->path_mtu = mtu;
	s->mtu_changed = false;
}
