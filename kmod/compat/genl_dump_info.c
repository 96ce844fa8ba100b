// SPDX-License-Identifier: GPL-2.0
/* A generic netlink dump sees its request as struct genl_info (6.6). */
#include <net/genetlink.h>

struct nlattr **probe(struct netlink_callback *cb);
struct nlattr **probe(struct netlink_callback *cb)
{
#ifdef PROBE
	return genl_info_dump(cb)->attrs;
#else
	return genl_dumpit_info(cb)->attrs;
#endif
}
