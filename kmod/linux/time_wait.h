/* SPDX-License-Identifier: GPL-2.0 */
/*
 * TIME_WAIT (RFC 9293 3.6, 3.10.7.4): what remains of a connection for 2MSL,
 * as a small object without a socket.
 */
#ifndef SLUICE_LINUX_TIME_WAIT_H
#define SLUICE_LINUX_TIME_WAIT_H

#include <linux/skbuff.h>
#include <linux/timer.h>

#include "demux.h"
#include "host.h"
#include "ports.h"

/* Guarded by `lock`; freed after a grace period. In use while flow.hashed. */
struct sluice_time_wait_sock {
	struct sluice_flow flow;
	struct sluice_time_wait core;
	struct sluice_port_user port;
	spinlock_t lock;
	struct timer_list timer;
	struct rcu_head rcu;
	u8 v4_wire : 1;
};

int sluice_time_wait_init(void);
void sluice_time_wait_exit(void);
/* Removes all of one namespace, or of every one for NULL. Process context. */
void sluice_time_wait_purge(const struct net *net);

/*
 * A segment for it. True: it was a new SYN, the TIME_WAIT is gone, and a
 * listener may have the segment, its ISN above *isn_after.
 */
bool sluice_time_wait_receive(struct sluice_time_wait_sock *tw, struct sk_buff *skb,
			      const struct sluice_segment *seg, u32 *isn_after);

#endif /* SLUICE_LINUX_TIME_WAIT_H */
