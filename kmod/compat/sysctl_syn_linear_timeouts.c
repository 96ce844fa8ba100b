// SPDX-License-Identifier: GPL-2.0
/* net.ipv4.tcp_syn_linear_timeouts came with 6.5. */
#include <net/net_namespace.h>

int probe(const struct net *net);
int probe(const struct net *net)
{
#ifdef PROBE
	return net->ipv4.sysctl_tcp_syn_linear_timeouts;
#else
	return net->ipv4.sysctl_tcp_syn_retries;
#endif
}
