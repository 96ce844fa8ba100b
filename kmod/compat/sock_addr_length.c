// SPDX-License-Identifier: GPL-2.0
/* Programs of cgroups may change the length of the address that they are shown (6.7). */
#include <linux/bpf-cgroup.h>
#include <net/sock.h>

int probe(struct sock *sk, struct sockaddr *address, int length);
int probe(struct sock *sk, struct sockaddr *address, int length)
{
#ifdef PROBE
	return BPF_CGROUP_RUN_PROG_INET4_CONNECT(sk, address, &length) ?:
	       BPF_CGROUP_RUN_PROG_INET6_CONNECT(sk, address, &length);
#else
	return BPF_CGROUP_RUN_PROG_INET4_CONNECT(sk, address) ?:
	       BPF_CGROUP_RUN_PROG_INET6_CONNECT(sk, address);
#endif
}
