// SPDX-License-Identifier: GPL-2.0
/* Whose pages the send buffer refers to (MSG_ZEROCOPY, MSG_SPLICE_PAGES). */
#include <linux/list.h>
#include <linux/slab.h>
#include <linux/socket.h>

#include "compat.h"
#include "zerocopy.h"

/* Bytes [begin, end) of the stream; in the stream's order, never overlapping. */
struct sluice_owned {
	struct list_head list;
	u32 begin, end;
	struct ubuf_info *owner;	/* a reference is held */
};

static struct sluice_owned *newest(const struct sluice_sock *s)
{
	return list_empty(&s->owned) ? NULL :
				       list_last_entry(&s->owned, struct sluice_owned, list);
}

/* ---- one sendmsg() ---------------------------------------------------------------- */

static bool by_reference(const struct sock *sk)
{
	return sk->sk_route_caps & NETIF_F_SG;
}

/* The owner is told of that, too. */
static void copies_instead(struct sluice_zerocopy_send *send)
{
	send->way = SLUICE_SEND_COPIES;
	if (!send->callers)
		uarg_to_msgzc(send->owner)->zerocopy = 0;
}

int sluice_zerocopy_begin(struct sock *sk, struct msghdr *msg, size_t size, bool splices,
			  struct sluice_zerocopy_send *send)
{
	struct sluice_owned *last;

	*send = (struct sluice_zerocopy_send){ .way = SLUICE_SEND_COPIES };
	if (splices) {
		if (by_reference(sk))
			send->way = SLUICE_SEND_REFERS;
		return 0;
	}
	if (likely(!(msg->msg_flags & MSG_ZEROCOPY)) || !size)
		return 0;
	if (msg->msg_ubuf) {
		send->owner = msg->msg_ubuf;
		send->callers = true;
	} else if (sock_flag(sk, SOCK_ZEROCOPY)) {
		last = newest(sluice_sk(sk));
		send->owner = msg_zerocopy_realloc(sk, size, last ? last->owner : NULL);
		if (!send->owner)
			return -ENOBUFS;
	} else {
		return 0;
	}
	if (by_reference(sk))
		send->way = SLUICE_SEND_TELLS;
	else
		copies_instead(send);
	return 0;
}

/* The entry that the next bytes of this owner go into; NULL: no memory. */
static struct sluice_owned *entry_for(struct sock *sk, const struct sluice_zerocopy_send *send)
{
	struct sluice_sock *s = sluice_sk(sk);
	struct sluice_owned *last = newest(s);

	if (last && last->owner == send->owner && last->end == s->out.end)
		return last;
	last = sock_kmalloc(sk, sizeof(*last), sk->sk_allocation | __GFP_NOWARN);
	if (!last)
		return NULL;
	last->begin = last->end = s->out.end;
	last->owner = send->owner;
	net_zcopy_get(last->owner);
	list_add_tail(&last->list, &s->owned);
	return last;
}

static void drop(struct sock *sk, struct sluice_owned *owned)
{
	list_del(&owned->list);
	net_zcopy_put(owned->owner);
	sock_kfree_s(sk, owned, sizeof(*owned));
}

static int append_owned(struct sock *sk, struct sluice_owned *owned, struct iov_iter *from,
			u32 limit)
{
	int taken = sluice_sendbuf_append_pages(&sluice_sk(sk)->out, sk, from, limit);

	if (taken > 0)
		owned->end += taken;
	else if (owned->begin == owned->end)
		drop(sk, owned);
	return taken;
}

int sluice_zerocopy_append(struct sock *sk, struct sluice_zerocopy_send *send,
			   struct iov_iter *from, u32 limit)
{
	struct sluice_sendbuf *b = &sluice_sk(sk)->out;
	struct sluice_owned *owned;

	if (send->way == SLUICE_SEND_REFERS)
		return sluice_sendbuf_append_pages(b, sk, from, limit);
	owned = entry_for(sk, send);
	if (likely(owned))
		return append_owned(sk, owned, from, limit);
	copies_instead(send);
	return sluice_sendbuf_append(b, sk, from, limit);
}

void sluice_zerocopy_end(struct sluice_zerocopy_send *send, bool sent)
{
	if (likely(!send->owner) || send->callers)
		return;
	if (sent)
		net_zcopy_put(send->owner);
	else
		net_zcopy_put_abort(send->owner, true);
}

/* ---- transmission ------------------------------------------------------------------- */

/* Mostly it is the newest bytes that go. */
#define for_each_overlapping(owned, s, position, length)			\
	list_for_each_entry_reverse(owned, &(s)->owned, list)			\
		if ((s32)((owned)->end - (position)) <= 0)			\
			break;							\
		else if ((s32)((position) + (length) - (owned)->begin) > 0)

u32 sluice_zerocopy_limit(const struct sluice_sock *s, u32 position, u32 length, u32 mss)
{
	const struct sluice_owned *owned, *later = NULL;
	u32 limit = length;

	for_each_overlapping(owned, s, position, length) {
		if (later && later->owner != owned->owner)
			limit = rounddown(later->begin - position, mss);
		later = owned;
	}
	return limit;
}

void sluice_zerocopy_own(const struct sluice_sock *s, struct sk_buff *skb, u32 position,
			 u32 length)
{
	const struct sluice_owned *owned;

	for_each_overlapping(owned, s, position, length) {
		skb_zcopy_set(skb, owned->owner, NULL);
		return;
	}
}

/* ---- the end -------------------------------------------------------------------------- */

void sluice_zerocopy_release(struct sluice_sock *s, u32 position)
{
	struct sluice_owned *owned, *next;

	list_for_each_entry_safe(owned, next, &s->owned, list) {
		if ((s32)(owned->end - position) > 0)
			return;
		drop(&s->inet.sk, owned);
	}
}

void sluice_zerocopy_purge(struct sluice_sock *s)
{
	struct sluice_owned *owned, *next;

	list_for_each_entry_safe(owned, next, &s->owned, list)
		drop(&s->inet.sk, owned);
}

/* ---- SO_ZEROCOPY ------------------------------------------------------------------------ */

void sluice_zerocopy_begin_socket(struct socket *sock)
{
	sluice_sees_to_sol_socket(sock);
	set_bit(SOCK_SUPPORT_ZC, &sock->flags);
}

int sluice_zerocopy_set(struct sock *sk, sockptr_t value, unsigned int length)
{
	int on;

	if (length < sizeof(on))
		return -EINVAL;
	if (copy_from_sockptr(&on, value, sizeof(on)))
		return -EFAULT;
	if (on < 0 || on > 1)
		return -EINVAL;
	lock_sock(sk);
	sock_valbool_flag(sk, SOCK_ZEROCOPY, on);
	release_sock(sk);
	return 0;
}
