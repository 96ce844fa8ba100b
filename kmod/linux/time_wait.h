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
	u8 transparent : 1;		/* IP_TRANSPARENT */
};

int sluice_time_wait_init(void);
void sluice_time_wait_exit(void);
/* Removes all of one namespace. Process context. */
void sluice_time_wait_purge(const struct net *net);

/*
 * A segment for it, RCU read side; `listened`: somebody waits for a new SYN.
 * True: the TIME_WAIT is gone. When that is for a new SYN, the new
 * connection's ISN must be above *isn_after.
 */
bool sluice_time_wait_receive(struct sluice_time_wait_sock *tw,
			      const struct sluice_segment *seg, bool listened, u32 *isn_after);

/*
 * A SYN for it that somebody other than us may want. True: the TIME_WAIT would
 * have gone for it, and is gone. RCU read side.
 */
bool sluice_time_wait_cedes(struct sluice_time_wait_sock *tw, const struct sluice_segment *syn);

/*
 * connect() wants this pair. True: it was a TIME_WAIT that may go, and is gone.
 * Timestamps must keep its segments apart from the new connection's (RFC 6191);
 * unless bind() chose the port, it must be older than a second, and
 * `time_wait_reuse` allow it. BH disabled.
 */
bool sluice_time_wait_yields(const struct sluice_flow_key *key, bool bound);

#endif /* SLUICE_LINUX_TIME_WAIT_H */
