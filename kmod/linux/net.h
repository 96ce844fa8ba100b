/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What Sluice keeps of each network namespace: its defaults (config.def), its
 * counters (counters.def), and the limits on objects that no socket owns.
 */
#ifndef SLUICE_LINUX_NET_H
#define SLUICE_LINUX_NET_H

#include <linux/atomic.h>
#include <linux/percpu.h>
#include <net/net_namespace.h>
#include <net/netns/generic.h>

#include "cc.h"
#include "host.h"

struct sluice_counters {
	u64 value[SLUICE_CNT_MAX];
};

struct sluice_net {
	struct sluice_config config;	/* first: the core counts by its address */
	struct net *net;
	struct sluice_counters __percpu *counters;
	const struct sluice_cc_ops __rcu *default_cc;	/* cc_registry.c; NULL: the first built-in */
	atomic_t time_waits;		/* TIME_WAIT objects, at most config.max_time_wait */
	atomic_t orphans;		/* connections without a socket, at most config.max_orphans */
	unsigned long challenge_since;	/* jiffies; begin of the second that is counted */
	atomic_t challenges;		/* challenge ACKs in it (RFC 5961 section 7) */
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
