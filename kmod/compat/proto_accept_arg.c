// SPDX-License-Identifier: GPL-2.0
/* accept() callbacks take one struct in place of flags and kern (6.10). */
#include <net/sock.h>

#ifdef PROBE
int probe_accept(struct socket *sock, struct socket *newsock, struct proto_accept_arg *arg);
#else
int probe_accept(struct socket *sock, struct socket *newsock, int flags, bool kern);
#endif

struct proto_ops probe = { .accept = probe_accept };
