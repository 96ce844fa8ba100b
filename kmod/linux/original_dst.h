/* SPDX-License-Identifier: GPL-2.0 */
/*
 * SO_ORIGINAL_DST and IP6T_SO_ORIGINAL_DST: where a connection of real TCP was
 * going before NAT sent it here. Conntrack answers that itself, but only when
 * sk_protocol is TCP, which ours never is.
 */
#ifndef SLUICE_LINUX_ORIGINAL_DST_H
#define SLUICE_LINUX_ORIGINAL_DST_H

#include <net/sock.h>

/*
 * getsockopt() of a real-TCP socket, at level SOL_IP or SOL_IPV6. Writes a
 * struct sockaddr_in or sockaddr_in6 and leaves *length. 0, -ENOPROTOOPT (no
 * conntrack is loaded), -EINVAL (no room), -ENOENT (not tracked), -EFAULT.
 */
int sluice_original_dst_v4(struct sock *sk, char __user *value, int __user *length);
int sluice_original_dst_v6(struct sock *sk, char __user *value, int __user *length);

#endif /* SLUICE_LINUX_ORIGINAL_DST_H */
