/* SPDX-License-Identifier: GPL-2.0 */
/* The parameters of a namespace by name (kmod/core/config.def), for those who ask and change. */
#ifndef SLUICE_LINUX_PARAMS_H
#define SLUICE_LINUX_PARAMS_H

#include "net.h"
#include "sluice.h"

struct sluice_param {
	const char *name;
	const char *unit;		/* "us", "bytes" ... */
	const char *help;
	u64 standard, min, max;
	size_t offset;			/* of the u64 in struct sluice_config */
};

extern const struct sluice_param sluice_params[];
extern const unsigned int sluice_param_count;

/* What is built in. */
void sluice_params_defaults(struct sluice_config *config);
/* NULL: no such parameter. */
const struct sluice_param *sluice_param_find(const char *name);
/* Process context, may sleep. */
u64 sluice_param_read(struct sluice_net *sn, const struct sluice_param *p);
/* What it is when nobody sets it: what its sysctl says now, or what is built in. */
u64 sluice_param_standard(const struct sluice_net *sn, const struct sluice_param *p);
enum sluice_source sluice_param_source(const struct sluice_net *sn, const struct sluice_param *p);
/* The name of the sysctl that it follows while nobody sets it, or NULL. */
const char *sluice_param_sysctl(const struct sluice_param *p);
/*
 * Sets it, or gives it back to its sysctl or the built-in default. 0; -ERANGE,
 * or -EINVAL: it doesn't go with another parameter's value. Then *why says so,
 * in a string that lives on. Process context.
 */
int sluice_param_write(struct sluice_net *sn, const struct sluice_param *p, u64 value,
		       const char **why);
int sluice_param_reset(struct sluice_net *sn, const struct sluice_param *p, const char **why);

#endif /* SLUICE_LINUX_PARAMS_H */
