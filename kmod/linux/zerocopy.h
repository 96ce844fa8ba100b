/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Sending without copying. The send buffer then refers to the pages of who
 * sends: of a file or pipe (sendfile, splice), which nobody asks back, or of a
 * program's memory (MSG_ZEROCOPY, io_uring), which is told by a struct
 * ubuf_info when nothing refers to them any more, neither the send buffer nor
 * a packet. So the send buffer keeps which bytes are whose.
 */
#ifndef SLUICE_LINUX_ZEROCOPY_H
#define SLUICE_LINUX_ZEROCOPY_H

#include <linux/skbuff.h>

#include "sock.h"

/* What one sendmsg() does. */
enum sluice_send_way {
	SLUICE_SEND_COPIES,
	SLUICE_SEND_REFERS,	/* to pages that stay what they are */
	SLUICE_SEND_TELLS,	/* to pages whose owner is told */
};

struct sluice_zerocopy_send {
	enum sluice_send_way way;
	struct ubuf_info *owner;	/* SLUICE_SEND_TELLS, or a copy that is told all the same; else NULL */
	bool callers;			/* the caller of sendmsg() gave the owner, and keeps it */
};

/*
 * What msg asks for, of `size` bytes. splices: it refers to pages of a file or
 * pipe. Socket lock held. 0, or -ENOBUFS: no memory to tell the program by, or
 * too much of its memory is pinned.
 */
int sluice_zerocopy_begin(struct sock *sk, struct msghdr *msg, size_t size, bool splices,
			  struct sluice_zerocopy_send *send);
/* sluice_sendbuf_append() in the way that this sendmsg() has. */
int sluice_zerocopy_append(struct sock *sk, struct sluice_zerocopy_send *send,
			   struct iov_iter *from, u32 limit);
/* sendmsg() is over. sent: it took some bytes. */
void sluice_zerocopy_end(struct sluice_zerocopy_send *send, bool sent);

/*
 * An skb belongs to one owner at most: how many of the bytes [position,
 * position + length) may go together. Whole segments of mss bytes, or 0: the
 * first segment is of two owners, it must be copied.
 */
u32 sluice_zerocopy_limit(const struct sluice_sock *s, u32 position, u32 length, u32 mss);
/* skb refers to these bytes, which sluice_zerocopy_limit() let go together. */
void sluice_zerocopy_own(const struct sluice_sock *s, struct sk_buff *skb, u32 position,
			 u32 length);
/* Everything before `position` was acknowledged. */
void sluice_zerocopy_release(struct sluice_sock *s, u32 position);
void sluice_zerocopy_purge(struct sluice_sock *s);

/* A new socket can do all this. */
void sluice_zerocopy_begin_socket(struct socket *sock);
/* SO_ZEROCOPY, where the kernel leaves it to the family. */
int sluice_zerocopy_set(struct sock *sk, sockptr_t value, unsigned int length);

#endif /* SLUICE_LINUX_ZEROCOPY_H */
