/* SPDX-License-Identifier: GPL-2.0 */
/* Routes and packets of a connection. */
#ifndef SLUICE_LINUX_TRANSMIT_H
#define SLUICE_LINUX_TRANSMIT_H

#include <linux/skbuff.h>
#include <linux/tcp.h>
#include <net/ip.h>
#include <net/ip6_checksum.h>
#include <net/ipv6.h>

#include "sock.h"

/* Room that is left before a segment for whatever headers come. */
#define SLUICE_HEADROOM L1_CACHE_ALIGN(128 + MAX_HEADER)

/*
 * A route to the addresses and ports that the socket has, stored in it with
 * what the device can do. Lock held. 0 or a negative errno.
 */
int sluice_route(struct sock *sk);
/* The route in use, found again when it went stale; NULL: there is none. Lock held. */
struct dst_entry *sluice_route_check(struct sock *sk);
/*
 * A router said that packets above `mtu` bytes don't pass: the route, and
 * mtu_changed when it heeds that. Lock held.
 */
void sluice_route_lower_mtu(struct sock *sk, u32 mtu);
/* What the core wants to know of the connection's path; the socket has a route. */
void sluice_route_describe(struct sock *sk, struct sluice_path *path);
/* Payload and header of TCP's kind that a packet of `mtu` bytes has room for, less 20. */
u16 sluice_route_payload(const struct sluice_sock *s, u32 mtu);

/*
 * Puts `length` header bytes in front of skb's data and lets the device (or
 * the software behind it) do the checksum, with pseudo-header protocol 6.
 */
static inline void sluice_push_header(struct sk_buff *skb, const u8 *header, unsigned int length,
				      const struct in6_addr *local, const struct in6_addr *remote,
				      bool v4)
{
	struct tcphdr *th = skb_push(skb, length);

	memcpy(th, header, length);
	skb_reset_transport_header(skb);
	skb->ip_summed = CHECKSUM_PARTIAL;
	skb->csum_start = skb_transport_header(skb) - skb->head;
	skb->csum_offset = offsetof(struct tcphdr, check);
	if (v4)
		th->check = ~csum_tcpudp_magic(local->s6_addr32[3], remote->s6_addr32[3],
					       skb->len, IPPROTO_TCP, 0);
	else
		th->check = ~csum_ipv6_magic(local, remote, skb->len, IPPROTO_TCP, 0);
}

#endif /* SLUICE_LINUX_TRANSMIT_H */
