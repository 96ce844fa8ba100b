// SPDX-License-Identifier: GPL-2.0
/* The table of parameters, made from kmod/core/config.def. */
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/stddef.h>
#include <linux/string.h>

#include "params.h"

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

u64 sluice_param_read(const struct sluice_config *config, const struct sluice_param *p)
{
	return READ_ONCE(*value_of(config, p));
}

int sluice_param_write(struct sluice_config *config, const struct sluice_param *p, u64 value)
{
	if (value < p->min || value > p->max)
		return -ERANGE;
	WRITE_ONCE(*value_of(config, p), value);
	return 0;
}
