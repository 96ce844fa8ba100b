// SPDX-License-Identifier: GPL-2.0
/* sendmsg(MSG_SPLICE_PAGES) took the place of sendpage() (6.5). */
#include <net/sock.h>

#ifdef PROBE
ssize_t probe(struct sk_buff *skb, struct iov_iter *from, ssize_t length);
ssize_t probe(struct sk_buff *skb, struct iov_iter *from, ssize_t length)
{
	return skb_splice_from_iter(skb, from, length, GFP_KERNEL);
}
#else
ssize_t probe_sendpage(struct socket *sock, struct page *page, int offset, size_t size, int flags);

struct proto_ops probe = { .sendpage = probe_sendpage };
#endif
