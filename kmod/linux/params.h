/* SPDX-License-Identifier: GPL-2.0 */
/* The parameters of a namespace by name (kmod/core/config.def). */
#ifndef SLUICE_LINUX_PARAMS_H
#define SLUICE_LINUX_PARAMS_H

#include "net.h"

struct sluice_param {
	const char *name;
	const char *unit;		/* "us", "bytes" ... */
	const char *help;
	u64 standard, min, max;
	size_t offset;			/* of the u64 in struct sluice_config */
};

extern const struct sluice_param sluice_params[];
extern const unsigned int sluice_param_count;

/* What every namespace begins with. */
void sluice_params_defaults(struct sluice_config *config);
/* NULL: no such parameter. */
const struct sluice_param *sluice_param_find(const char *name);
u64 sluice_param_read(const struct sluice_config *config, const struct sluice_param *p);
/*
 * 0; -ERANGE, or -EINVAL: it doesn't go with another parameter's value. Then
 * *why says so, in a string that lives on. Process context.
 */
int sluice_param_write(struct sluice_config *config, const struct sluice_param *p, u64 value,
		       const char **why);

#endif /* SLUICE_LINUX_PARAMS_H */
