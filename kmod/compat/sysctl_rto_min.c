// SPDX-License-Identifier: GPL-2.0
/* net.ipv4.tcp_rto_min_us came with 6.11. */
#include <net/net_namespace.h>

int probe(const struct net *net);
int probe(const struct net *net)
{
#ifdef PROBE
	return net->ipv4.sysctl_tcp_rto_min_us;
#else
	return net->ipv4.sysctl_tcp_retries2;
#endif
}
