// SPDX-License-Identifier: GPL-2.0
/* sock_rps_record_flow() moved from net/sock.h to a header of its own (6.10). */
#include <net/sock.h>
#ifdef PROBE
#include <net/rps.h>
#endif

void probe(struct sock *sk);
void probe(struct sock *sk)
{
	sock_rps_record_flow(sk);
}
