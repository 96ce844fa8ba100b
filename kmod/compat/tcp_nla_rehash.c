// SPDX-License-Identifier: GPL-2.0
/* SCM_TIMESTAMPING_OPT_STATS tells how often the path's hash was changed (6.2). */
#include <linux/tcp.h>

#ifdef PROBE
int probe = TCP_NLA_REHASH;
#endif
