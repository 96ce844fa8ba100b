// SPDX-License-Identifier: GPL-2.0
/* The list of flow labels moved from struct ipv6_pinfo to struct inet_sock (6.12.x). */
#include <linux/ipv6.h>
#include <net/inet_sock.h>

void probe(struct sock *sk);
void probe(struct sock *sk)
{
#ifdef PROBE
	RCU_INIT_POINTER(inet_sk(sk)->ipv6_fl_list, NULL);
#else
	RCU_INIT_POINTER(inet6_sk(sk)->ipv6_fl_list, NULL);
#endif
}
