/* SPDX-License-Identifier: GPL-2.0 */
/*
 * When bytes went out, for the program that asks: the sending half of
 * SO_TIMESTAMPING, told by the error queue (MSG_ERRQUEUE). As in TCP each send
 * has one mark, its last byte, and the packet that carries it is the one whose
 * times are taken; where a packet carries several marks, the last counts. Sends
 * that wait to go in one segment share a mark.
 *
 * All need the socket lock but sluice_tx_stamps_recv() and what says otherwise.
 */
#ifndef SLUICE_LINUX_TX_STAMPS_H
#define SLUICE_LINUX_TX_STAMPS_H

#include <linux/skbuff.h>
#include <linux/socket.h>

#include "sock.h"

/*
 * The byte before stream position `end` is the last of a send, which began at
 * `begin`; of what stands before `end`, the last `unsent` bytes wait to be sent.
 * tsflags: SOF_TIMESTAMPING_*. Without memory there is no mark.
 */
void sluice_tx_stamps_mark(struct sock *sk, u32 tsflags, u32 begin, u32 end, u32 unsent);
/* skb, whose headers are there, carries the bytes [position, position + length). */
void sluice_tx_stamps_apply(struct sluice_sock *s, struct sk_buff *skb, u32 position, u32 length);
/*
 * For the reports' statistics: `length` bytes of that transmission go, of which
 * the core doesn't know yet.
 */
void sluice_tx_stamps_describe(struct sluice_sock *s, const struct sluice_transmission *t,
			       u32 length);
/* What stands before the send buffer's oldest byte is acknowledged. */
void sluice_tx_stamps_acked(struct sluice_sock *s);
/* Frees all marks. */
void sluice_tx_stamps_purge(struct sluice_sock *s);
/* The stream is over, and the next one begins at position 0. */
void sluice_tx_stamps_restart(struct sock *sk);
/* recvmsg(MSG_ERRQUEUE): bytes, or a negative errno. */
int sluice_tx_stamps_recv(struct sock *sk, struct msghdr *msg, size_t size);
/* A segment came with this TTL or hop limit. */
void sluice_tx_stamps_heard(struct sluice_sock *s, u8 hop_limit);
/* A report may have come; in any context, without the lock. */
void sluice_tx_stamps_reported(struct sock *sk);

#endif /* SLUICE_LINUX_TX_STAMPS_H */
