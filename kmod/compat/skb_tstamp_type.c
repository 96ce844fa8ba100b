// SPDX-License-Identifier: GPL-2.0
/* An skb's departure time names its clock (6.11); it was monotonic or not before. */
#include <linux/skbuff.h>

void probe(struct sk_buff *skb, ktime_t departure);
void probe(struct sk_buff *skb, ktime_t departure)
{
#ifdef PROBE
	skb_set_delivery_time(skb, departure, SKB_CLOCK_MONOTONIC);
#else
	skb_set_delivery_time(skb, departure, true);
	skb->mono_delivery_time = true;
#endif
}
