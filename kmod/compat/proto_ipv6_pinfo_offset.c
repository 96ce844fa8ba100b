// SPDX-License-Identifier: GPL-2.0
/* struct proto says where struct ipv6_pinfo is (6.5); it was the object's end before. */
#include <net/sock.h>

#ifdef PROBE
struct proto probe = { .ipv6_pinfo_offset = 8 };
#endif
