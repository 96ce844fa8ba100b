// SPDX-License-Identifier: GPL-2.0
/* The table of parameters, made from kmod/core/config.def. */
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/stddef.h>
#include <linux/string.h>

#include "params.h"
#include "tcp_limits.h"
#include "tuning.h"

const struct sluice_param sluice_params[] = {
#define SLUICE_PARAM(field, def, low, high, unit_name, text) {		\
		.name = #field, .unit = unit_name, .help = text,	\
		.standard = def, .min = low, .max = high,		\
		.offset = offsetof(struct sluice_config, field),	\
	},
#include "config.def"
#undef SLUICE_PARAM
};

const unsigned int sluice_param_count = ARRAY_SIZE(sluice_params);

static u64 *value_of(const struct sluice_config *config, const struct sluice_param *p)
{
	return (u64 *)((char *)config + p->offset);
}

void sluice_params_defaults(struct sluice_config *config)
{
	unsigned int i;

	for (i = 0; i < sluice_param_count; i++)
		*value_of(config, &sluice_params[i]) = sluice_params[i].standard;
}

const struct sluice_param *sluice_param_find(const char *name)
{
	unsigned int i;

	for (i = 0; i < sluice_param_count; i++)
		if (!strcmp(sluice_params[i].name, name))
			return &sluice_params[i];
	return NULL;
}

static unsigned int number_of(const struct sluice_param *p)
{
	return p - sluice_params;
}

/* What the sysctls say this very moment. */
static void see_sysctls(struct sluice_net *sn)
{
	sluice_tcp_max_orphans_look();
	sluice_tuning_refresh(sn);
}

u64 sluice_param_read(struct sluice_net *sn, const struct sluice_param *p)
{
	see_sysctls(sn);
	return READ_ONCE(*value_of(&sn->config, p));
}

u64 sluice_param_standard(const struct sluice_net *sn, const struct sluice_param *p)
{
	return sluice_param_sysctl(p) ? sluice_tuning_told(sn, number_of(p)) : p->standard;
}

const char *sluice_param_sysctl(const struct sluice_param *p)
{
	return sluice_tuning_sysctl(number_of(p));
}

enum sluice_source sluice_param_source(const struct sluice_net *sn, const struct sluice_param *p)
{
	if (sluice_tuning_is_set(sn, number_of(p)))
		return SLUICE_SOURCE_SET;
	return sluice_param_sysctl(p) ? SLUICE_SOURCE_SYSCTL : SLUICE_SOURCE_DEFAULT;
}

/* Pairs of which one is the least and the other the greatest of a thing. */
static const struct {
	size_t least, greatest;
	const char *why;
} pairs[] = {
#define PAIR(low, high) {						\
		offsetof(struct sluice_config, low),			\
		offsetof(struct sluice_config, high),			\
		#low " would be above " #high,				\
	}
	PAIR(rto_min, rto_max),
	PAIR(rto_initial, rto_max),
	PAIR(delayed_ack_min, delayed_ack_max),
	PAIR(reordering, max_reordering),
#undef PAIR
};

static const char *conflict(const struct sluice_config *config, const struct sluice_param *p,
			    u64 value)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(pairs); i++) {
		u64 least = *(u64 *)((char *)config + pairs[i].least);
		u64 greatest = *(u64 *)((char *)config + pairs[i].greatest);

		if (p->offset == pairs[i].least && value > greatest)
			return pairs[i].why;
		if (p->offset == pairs[i].greatest && value < least)
			return pairs[i].why;
	}
	return NULL;
}

/* Connections take their TTL when they look for a route: they will. */
static void applied(struct sluice_net *sn, const struct sluice_param *p)
{
	if (number_of(p) == SLUICE_PARAM_ip_default_ttl)
		rt_genid_bump_ipv4(sn->net);
}

/* The lock: two that write at the same time could each be right alone. */
static int change(struct sluice_net *sn, const struct sluice_param *p, u64 value, bool overrides,
		  const char **why)
{
	spin_lock_bh(&sn->tuning_lock);
	*why = conflict(&sn->config, p, value);
	if (!*why) {
		__assign_bit(number_of(p), sn->overridden, overrides);
		WRITE_ONCE(*value_of(&sn->config, p), value);
	}
	spin_unlock_bh(&sn->tuning_lock);
	if (*why)
		return -EINVAL;
	applied(sn, p);
	return 0;
}

int sluice_param_write(struct sluice_net *sn, const struct sluice_param *p, u64 value,
		       const char **why)
{
	*why = "the value is out of range";
	if (value < p->min || value > p->max)
		return -ERANGE;
	see_sysctls(sn);
	return change(sn, p, value, true, why);
}

int sluice_param_reset(struct sluice_net *sn, const struct sluice_param *p, const char **why)
{
	see_sysctls(sn);
	return change(sn, p, sluice_param_standard(sn, p), false, why);
}
