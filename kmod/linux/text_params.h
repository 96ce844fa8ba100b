/* SPDX-License-Identifier: GPL-2.0 */
/* Parameters whose value is a text; `sluice get` lists them behind the numbers (params.h). */
#ifndef SLUICE_LINUX_TEXT_PARAMS_H
#define SLUICE_LINUX_TEXT_PARAMS_H

#include <linux/netlink.h>

#include "net.h"
#include "sluice.h"

#define SLUICE_TEXT_PARAM_MAX 80	/* bytes of a value, its end included */

struct sluice_text_param {
	const char *name;
	const char *sysctl;	/* that it follows while nobody sets it */
	const char *help;
	bool secret;		/* in no list, and read with CAP_NET_ADMIN in the namespace alone */
	enum sluice_source (*source)(const struct sluice_net *sn);
	void (*read)(const struct sluice_net *sn, char text[SLUICE_TEXT_PARAM_MAX]);
	/* 0, or a negative errno; then *why says so, in a string that lives on. */
	int (*write)(struct sluice_net *sn, const char *text, const char **why);
	int (*reset)(struct sluice_net *sn, const char **why);
};

/* All in process context, and may sleep. */
extern const struct sluice_text_param sluice_text_params[];
extern const unsigned int sluice_text_param_count;

/* NULL: no such parameter. */
const struct sluice_text_param *sluice_text_param_find(const char *name);

#endif /* SLUICE_LINUX_TEXT_PARAMS_H */
