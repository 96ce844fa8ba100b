// SPDX-License-Identifier: GPL-2.0
/* skb_gso_segment() moved from linux/netdevice.h to a header of its own (6.5). */
#include <linux/netdevice.h>
#ifdef PROBE
#include <net/gso.h>
#endif

struct sk_buff *probe(struct sk_buff *skb);
struct sk_buff *probe(struct sk_buff *skb)
{
	return skb_gso_segment(skb, 0);
}
