/* SPDX-License-Identifier: GPL-2.0 */
/*
 * When bytes came in, for the program that asks: SO_TIMESTAMP, SO_TIMESTAMPNS
 * and the receiving half of SO_TIMESTAMPING. As in TCP a read tells of the last
 * segment that it has taken bytes of.
 */
#ifndef SLUICE_LINUX_STAMPS_H
#define SLUICE_LINUX_STAMPS_H

#include <linux/skbuff.h>
#include <linux/socket.h>
#include <net/sock.h>

struct sluice_stamps {
	ktime_t software;		/* 0: none */
	ktime_t hardware;
};

/* Did the program ask for times of what it reads? */
static inline bool sluice_stamps_wanted(const struct sock *sk)
{
	return sock_flag(sk, SOCK_RCVTSTAMP) || READ_ONCE(sk->sk_tsflags);
}

/* A read takes bytes of skb. */
static inline void sluice_stamps_note(struct sluice_stamps *stamps, struct sk_buff *skb)
{
	if (skb->tstamp)
		stamps->software = skb->tstamp;
	if (skb_hwtstamps(skb)->hwtstamp)
		stamps->hardware = skb_hwtstamps(skb)->hwtstamp;
}

/* `to` now ends with the payload of `from`. */
static inline void sluice_stamps_join(struct sk_buff *to, struct sk_buff *from)
{
	to->tstamp = from->tstamp;
	skb_hwtstamps(to)->hwtstamp = skb_hwtstamps(from)->hwtstamp;
}

/* Puts the control messages that were asked for. */
void sluice_stamps_put(const struct sock *sk, struct msghdr *msg,
		       const struct sluice_stamps *stamps);

#endif /* SLUICE_LINUX_STAMPS_H */
