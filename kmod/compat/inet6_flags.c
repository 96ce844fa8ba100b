// SPDX-License-Identifier: GPL-2.0
/* struct ipv6_pinfo's bitfields became atomic bits of struct inet_sock (6.7). */
#include <linux/ipv6.h>

bool probe(struct sock *sk);
bool probe(struct sock *sk)
{
#ifdef PROBE
	return inet6_test_bit(RECVERR6, sk) && inet6_test_bit(SNDFLOW, sk) &&
	       inet6_test_bit(REPFLOW, sk) && inet6_test_bit(MC6_LOOP, sk) &&
	       inet6_test_bit(MC6_ALL, sk);
#else
	struct ipv6_pinfo *np = inet6_sk(sk);

	return np->recverr && np->sndflow && np->repflow && np->mc_loop && np->mc_all;
#endif
}
