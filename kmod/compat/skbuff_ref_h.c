// SPDX-License-Identifier: GPL-2.0
/* skb_frag_ref() moved from linux/skbuff.h to a header of its own (6.10). */
#include <linux/skbuff.h>
#ifdef PROBE
#include <linux/skbuff_ref.h>
#endif

void probe(struct sk_buff *skb);
void probe(struct sk_buff *skb)
{
	skb_frag_ref(skb, 0);
}
