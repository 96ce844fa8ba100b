// SPDX-License-Identifier: GPL-2.0
/* IP_LOCAL_PORT_RANGE is kept as one number since 6.7, before as two. */
#include <net/inet_sock.h>

u32 probe(const struct sock *sk);
u32 probe(const struct sock *sk)
{
#ifdef PROBE
	return inet_sk(sk)->local_port_range << 0;
#else
	return inet_sk(sk)->local_port_range.hi;
#endif
}
