// SPDX-License-Identifier: GPL-2.0
/* The headers of a SYN, kept for whoever accepts its connection. */
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "saved_syn.h"
#include "sock.h"

struct sluice_saved_syn *sluice_saved_syn_make(const struct sk_buff *skb,
					       unsigned int header_length,
					       enum sluice_save_syn what)
{
	struct sluice_saved_syn *saved;
	const u8 *begin;
	u32 length;

	if (likely(what == SLUICE_SAVE_SYN_NOT))
		return NULL;
	begin = skb_network_header(skb);
	if (what == SLUICE_SAVE_SYN_FROM_LINK && skb_mac_header_was_set(skb))
		begin = skb_mac_header(skb);
	length = skb->data + header_length - begin;
	saved = kmalloc(struct_size(saved, bytes, length), GFP_ATOMIC | __GFP_NOWARN);
	if (!saved)
		return NULL;
	saved->length = length;
	memcpy(saved->bytes, begin, length);
	return saved;
}

int sluice_saved_syn_take(struct sock *sk, char __user *value, int __user *length)
{
	struct sluice_saved_syn *saved;
	int room, size = 0, error = 0;

	if (get_user(room, length))
		return -EFAULT;
	if (room < 0)
		return -EINVAL;
	lock_sock(sk);
	saved = sluice_sk(sk)->saved_syn;
	if (saved) {
		size = saved->length;
		if (room < size)
			error = -EINVAL;	/* but told how much it is */
		else
			sluice_sk(sk)->saved_syn = NULL;
	}
	release_sock(sk);
	if (put_user(size, length))
		error = -EFAULT;
	if (saved && !error && copy_to_user(value, saved->bytes, size))
		error = -EFAULT;
	if (saved && room >= size)
		kfree(saved);
	return error;
}
