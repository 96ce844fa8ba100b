// SPDX-License-Identifier: GPL-2.0
/* sk_under_memory_pressure() moved from net/sock.h to a header of its own (6.10). */
#include <net/sock.h>
#ifdef PROBE
#include <net/proto_memory.h>
#endif

void probe(struct sock *sk);
void probe(struct sock *sk)
{
	(void)sk_under_memory_pressure(sk);
}
