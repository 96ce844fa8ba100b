/* SPDX-License-Identifier: GPL-2.0 */
/*
 * TCP_SAVE_SYN and TCP_SAVED_SYN: the headers of the SYN that began a
 * connection, for servers that want to know more of their clients. Not of
 * connections that a SYN cookie brought: nobody has their SYN any more.
 */
#ifndef SLUICE_LINUX_SAVED_SYN_H
#define SLUICE_LINUX_SAVED_SYN_H

#include <linux/skbuff.h>
#include <net/sock.h>

enum sluice_save_syn {			/* the values of TCP_SAVE_SYN */
	SLUICE_SAVE_SYN_NOT,
	SLUICE_SAVE_SYN_FROM_IP,
	SLUICE_SAVE_SYN_FROM_LINK,
};

struct sluice_saved_syn {
	u32 length;
	u8 bytes[];
};

/*
 * A copy of the headers before and of `header_length` bytes at skb->data, the
 * segment; NULL: not to be saved, or no memory. Any context.
 */
struct sluice_saved_syn *sluice_saved_syn_make(const struct sk_buff *skb,
					       unsigned int header_length,
					       enum sluice_save_syn what);
/* getsockopt(TCP_SAVED_SYN): once. 0, -EINVAL when *length is too little, -EFAULT */
int sluice_saved_syn_take(struct sock *sk, char __user *value, int __user *length);

#endif /* SLUICE_LINUX_SAVED_SYN_H */
