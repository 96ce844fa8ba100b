// SPDX-License-Identifier: GPL-2.0
/* struct proto's ioctl() gives its answer in kernel memory (6.5). */
#include <net/sock.h>

#ifdef PROBE
int probe_ioctl(struct sock *sk, int command, int *answer);
#else
int probe_ioctl(struct sock *sk, int command, unsigned long user_pointer);
#endif

struct proto probe = { .ioctl = probe_ioctl };
