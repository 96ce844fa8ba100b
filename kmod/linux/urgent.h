/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Urgent data as users of Linux TCP know it (RFC 9293 3.8.5, RFC 6093): one
 * byte of the stream is marked. Reads stop at the mark, and unless the socket
 * has SO_OOBINLINE the byte is left out of them and can be had by MSG_OOB.
 * It stays in the receive buffer until a read passes it.
 */
#ifndef SLUICE_LINUX_URGENT_H
#define SLUICE_LINUX_URGENT_H

#include <linux/skbuff.h>
#include <net/sock.h>

enum sluice_urgent_state {
	SLUICE_URGENT_NONE,		/* no mark, or a read has passed it */
	SLUICE_URGENT_AWAITED,		/* the byte hasn't come */
	SLUICE_URGENT_HERE,		/* it can be had */
	SLUICE_URGENT_TAKEN,		/* it was had; the mark stands */
};

/* Part of the receive buffer. Written with the socket lock held; poll() reads without. */
struct sluice_urgent {
	u32 mark;			/* sequence number of the byte, unless NONE */
	u8 state;			/* enum sluice_urgent_state */
	u8 byte;			/* HERE and TAKEN */
};

/* All need the socket lock, unless they say otherwise. */

/* Payload [skip, skip + length) of skb, which stands at `position`, was kept: is the byte in it? */
void sluice_urgent_look(struct sock *sk, const struct sk_buff *skb, u32 skip, u32 length,
			u32 position);
/*
 * How many of `length` unread bytes at `position` a read may have at once.
 * some: it has bytes already. 0: it ends here, at the mark; or, with *leave_out,
 * the first of them is out of band and isn't for it.
 */
u32 sluice_urgent_cut(const struct sock *sk, u32 position, u32 length, bool some, bool *leave_out);
/* Could a read have `target` bytes now, or be stopped by the mark before it has? */
bool sluice_urgent_enough(const struct sock *sk, u32 target);
/* Is the mark the next thing to be read? Without the lock: as of late. */
bool sluice_urgent_at_mark(const struct sock *sk);
/* SIOCINQ: bytes that a read may have now. */
u32 sluice_urgent_readable(const struct sock *sk);
/* recv(MSG_OOB): 1 or 0 (length 0, or no byte will come), -EINVAL, -EAGAIN, -ENOTCONN, -EFAULT. */
int sluice_urgent_receive(struct sock *sk, struct msghdr *msg, size_t length, int flags);

#endif /* SLUICE_LINUX_URGENT_H */
