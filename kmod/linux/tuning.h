/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where a namespace's parameters get their values: the built-in default
 * (config.def), the sysctl that a parameter follows (sysctl.def), or `sluice
 * set`. The sysctls' values are copied into struct sluice_config, which the
 * core reads: right then wherever something is opened or asked about, and before
 * the first use in a jiffy everywhere else. So a change of a sysctl
 * is seen by what happens after it, at the latest a jiffy later on a
 * connection that is busy.
 */
#ifndef SLUICE_LINUX_TUNING_H
#define SLUICE_LINUX_TUNING_H

#include <linux/jiffies.h>

#include "net.h"

enum sluice_param_number {
#define SLUICE_PARAM(name, def, min, max, unit, help) SLUICE_PARAM_##name,
#include "config.def"
#undef SLUICE_PARAM
	SLUICE_PARAM_COUNT
};

/* A new namespace's; sn->net is set. */
void sluice_tuning_init(struct sluice_net *sn);
/* Copies what the sysctls say now. Any context but hard interrupts. */
void sluice_tuning_refresh(struct sluice_net *sn);

/* The same, when that wasn't done in this jiffy: for where every instruction counts. */
static inline void sluice_tuning_glance(struct sluice_net *sn)
{
	if (unlikely(READ_ONCE(sn->glanced) != jiffies))
		sluice_tuning_refresh(sn);
}

static inline bool sluice_tuning_is_set(const struct sluice_net *sn, unsigned int number)
{
	return test_bit(number, sn->overridden);
}

/* "net.ipv4.tcp_..." that the parameter follows, or NULL. */
const char *sluice_tuning_sysctl(unsigned int number);
/* What a parameter with a sysctl is while nobody overrides it. */
u64 sluice_tuning_told(const struct sluice_net *sn, unsigned int number);

#endif /* SLUICE_LINUX_TUNING_H */
