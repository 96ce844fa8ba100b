/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What Sluice keeps of each network namespace: its defaults (config.def), its
 * counters (counters.def), and the limits on objects that no socket owns.
 */
#ifndef SLUICE_LINUX_NET_H
#define SLUICE_LINUX_NET_H

#include <linux/atomic.h>
#include <linux/bitmap.h>
#include <linux/percpu.h>
#include <linux/spinlock.h>
#include <net/inet_timewait_sock.h>
#include <net/net_namespace.h>
#include <net/netns/generic.h>

#include "cc.h"
#include "fastopen_key.h"
#include "host.h"

struct sluice_counters {
	u64 value[SLUICE_CNT_MAX];
};

/* Room for a bit for each row of config.def. */
#define SLUICE_PARAM_BITS 128

struct sluice_net {
	struct sluice_config config;	/* first: the core counts by its address */
	unsigned long glanced;		/* jiffies when config was last compared with the sysctls */
	DECLARE_BITMAP(overridden, SLUICE_PARAM_BITS);	/* by `sluice set`, not to follow a sysctl */
	spinlock_t tuning_lock;		/* who writes config and overridden */
	struct net *net;
	struct sluice_counters __percpu *counters;
	const struct sluice_cc_ops __rcu *default_cc;	/* cc_registry.c; NULL: the first built-in */
	atomic_t time_waits;		/* TIME_WAIT objects, at most config.max_time_wait */
	atomic_t orphans;		/* connections without a socket, at most config.max_orphans */
	unsigned long challenge_since;	/* jiffies; begin of the second that is counted */
	atomic_t challenges_left;	/* challenge ACKs in it yet (RFC 5961 section 7) */
	u32 port_range;			/* port_range.c; 0: the sysctl's */
	struct sluice_fastopen_secrets fastopen;	/* fastopen_key.c */
	sluice_usec fastopen_lost_at;	/* fastopen_cache.c: a SYN with data seemed to vanish, */
	atomic_t fastopen_losses;	/* so often since one was last taken */
	bool real_tcp_hooked;		/* real_tcp.c */
	bool fragments_whole;		/* likewise: nf_defrag_ipv6 is on */
	bool shown, shown_early;	/* shown.c: on local input; before routing, too */
	struct inet_timewait_sock transparent_time_wait;	/* likewise: stands for every one */
};

extern unsigned int sluice_net_id;

static inline struct sluice_net *sluice_net(const struct net *net)
{
	return net_generic(net, sluice_net_id);
}

static inline struct sluice_net *sluice_net_of_config(const struct sluice_config *config)
{
	return container_of(config, struct sluice_net, config);
}

/* Any context. */
static inline void sluice_count(const struct sluice_net *sn, enum sluice_counter counter)
{
	this_cpu_inc(sn->counters->value[counter]);
}

int sluice_net_init(void);
/* Also purges TIME_WAIT and half-open objects of every namespace. */
void sluice_net_exit(void);

#endif /* SLUICE_LINUX_NET_H */
