// SPDX-License-Identifier: GPL-2.0
/* Namespaces: defaults, counters, limits. */
#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/random.h>

#include "cc_registry.h"
#include "fastopen_cache.h"
#include "kernel_socket.h"
#include "net.h"
#include "real_tcp.h"
#include "shown.h"
#include "time_wait.h"
#include "tuning.h"

/* As Linux numbers it in tcp_challenge_ack_limit. */
#define SLUICE_CHALLENGES_UNLIMITED INT_MAX

unsigned int sluice_net_id;

static int __net_init net_enter(struct net *net)
{
	struct sluice_net *sn = sluice_net(net);

	sn->counters = alloc_percpu(struct sluice_counters);
	if (!sn->counters)
		return -ENOMEM;
	sn->net = net;
	sluice_tuning_init(sn);
	sn->challenge_since = jiffies - HZ;
	sluice_fastopen_key_init(sn);
	return 0;
}

/* A grace period passes between this and what follows. */
static void __net_exit net_about_to_leave(struct net *net)
{
	sluice_shown_leave(net);
}

/* Sockets hold their namespace, so only TIME_WAITs can be left. */
static void __net_exit net_leave(struct net *net)
{
	sluice_time_wait_purge(net);
	sluice_fastopen_forget_net(net);
	sluice_real_tcp_leave(net);
	sluice_kernel_sockets_flush();
}

static void __net_exit net_leave_batch(struct list_head *nets)
{
	struct net *net;

	/* Softirqs may still count for a TIME_WAIT that was just removed. */
	synchronize_rcu();
	list_for_each_entry(net, nets, exit_list)
		sluice_real_tcp_left(net);
	synchronize_rcu();
	list_for_each_entry(net, nets, exit_list) {
		WARN_ON(atomic_read(&sluice_net(net)->time_waits));
		WARN_ON(atomic_read(&sluice_net(net)->orphans));
		sluice_cc_drop_default(sluice_net(net));
		free_percpu(sluice_net(net)->counters);
	}
}

static struct pernet_operations operations = {
	.init = net_enter,
	.pre_exit = net_about_to_leave,
	.exit = net_leave,
	.exit_batch = net_leave_batch,
	.id = &sluice_net_id,
	.size = sizeof(struct sluice_net),
};

int sluice_net_init(void)
{
	return register_pernet_subsys(&operations);
}

void sluice_net_exit(void)
{
	unregister_pernet_subsys(&operations);
}

void sluice_host_count(const struct sluice_config *config, enum sluice_counter counter, u32 n)
{
	this_cpu_add(sluice_net_of_config(config)->counters->value[counter], n);
}

/*
 * How many are left of a second is a number that anybody could find out by having
 * them sent to himself, and then by what is missing whether a guess about another's
 * connection was right. So each second has another number, on average the limit.
 */
static void begin_challenges(struct sluice_net *sn, u32 limit)
{
	limit = min_t(u32, limit, INT_MAX / 2);	/* what it comes to at most is an int */
	atomic_set(&sn->challenges_left, (limit + 1) / 2 + reciprocal_scale(get_random_u32(), limit));
}

bool sluice_host_challenge_allowed(const struct sluice_config *config)
{
	struct sluice_net *sn = sluice_net_of_config(config);
	unsigned long since = READ_ONCE(sn->challenge_since);
	u32 limit = READ_ONCE(config->challenge_ack_limit);

	if (limit == SLUICE_CHALLENGES_UNLIMITED)
		return true;
	if (time_after_eq(jiffies, since + HZ) &&
	    cmpxchg(&sn->challenge_since, since, jiffies) == since)
		begin_challenges(sn, limit);
	return atomic_dec_if_positive(&sn->challenges_left) >= 0;
}
