// SPDX-License-Identifier: GPL-2.0
/* struct inet_sock's bitfields became atomic bits (6.6). */
#include <net/inet_sock.h>

bool probe(struct sock *sk);
bool probe(struct sock *sk)
{
#ifdef PROBE
	return inet_test_bit(RECVERR, sk) && inet_test_bit(MC_LOOP, sk) &&
	       inet_test_bit(MC_ALL, sk) && inet_test_bit(DEFER_CONNECT, sk);
#else
	struct inet_sock *inet = inet_sk(sk);

	return inet->recverr && inet->mc_loop && inet->mc_all && inet->defer_connect;
#endif
}
