// SPDX-License-Identifier: GPL-2.0
/* A socket's family may see to options of level SOL_SOCKET, not MPTCP alone (6.6). */
#include <linux/net.h>

#ifdef PROBE
int probe = SOCK_CUSTOM_SOCKOPT;
#else
int probe = SOCK_SUPPORT_ZC;
#endif
