// SPDX-License-Identifier: GPL-2.0
/*
 * The parameters that are texts: the algorithm of new connections, the limits
 * of memory, the ports to choose from, the keys of TCP Fast Open.
 */
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include <net/net_namespace.h>

#include "cc_registry.h"
#include "fastopen_key.h"
#include "memory.h"
#include "port_range.h"
#include "text_params.h"

static_assert(SLUICE_MEMORY_TEXT <= SLUICE_TEXT_PARAM_MAX);
static_assert(SLUICE_CC_NAME_MAX <= SLUICE_TEXT_PARAM_MAX);
static_assert(SLUICE_PORT_RANGE_TEXT <= SLUICE_TEXT_PARAM_MAX);
static_assert(SLUICE_FASTOPEN_KEY_TEXT <= SLUICE_TEXT_PARAM_MAX);

/* ---- congestion_control ---------------------------------------------------------- */

static void cc_read(const struct sluice_net *sn, char text[SLUICE_TEXT_PARAM_MAX])
{
	const struct sluice_cc_ops *ops = sluice_cc_get_default(sn);

	strscpy(text, ops->name, SLUICE_TEXT_PARAM_MAX);
	sluice_cc_put(ops);
}

static int cc_write(struct sluice_net *sn, const char *text, const char **why)
{
	*why = "no such congestion-control algorithm";
	return strlen(text) < SLUICE_CC_NAME_MAX ? sluice_cc_set_default(sn, text) : -EINVAL;
}

static int cc_reset(struct sluice_net *sn, const char **why)
{
	sluice_cc_drop_default(sn);
	return 0;
}

/* ---- mem ------------------------------------------------------------------------- */

static enum sluice_source mem_source(const struct sluice_net *sn)
{
	return sluice_memory_source();
}

static void mem_read(const struct sluice_net *sn, char text[SLUICE_TEXT_PARAM_MAX])
{
	sluice_memory_print(text, ' ');
}

/* As tcp_mem, it is for who rules the whole machine. */
static int may_change_mem(const struct sluice_net *sn, const char **why)
{
	*why = "of the whole machine, so it can be changed in the first network namespace alone";
	return net_eq(sn->net, &init_net) ? 0 : -EPERM;
}

static int mem_write(struct sluice_net *sn, const char *text, const char **why)
{
	int error = may_change_mem(sn, why);

	if (error)
		return error;
	*why = "three rising numbers of pages are wanted";
	return sluice_memory_set(text);
}

static int mem_reset(struct sluice_net *sn, const char **why)
{
	int error = may_change_mem(sn, why);

	if (!error)
		sluice_memory_follow_tcp();
	return error;
}

/* ---- ip_local_port_range --------------------------------------------------------- */

static int range_write(struct sluice_net *sn, const char *text, const char **why)
{
	*why = "two ports are wanted, the lower first, none below ip_unprivileged_port_start";
	return sluice_port_range_set(sn, text);
}

static int range_reset(struct sluice_net *sn, const char **why)
{
	sluice_port_range_follow(sn);
	return 0;
}

/* ---- fastopen_key ---------------------------------------------------------------- */

static int key_write(struct sluice_net *sn, const char *text, const char **why)
{
	*why = "a key of four hexadecimal numbers is wanted, 1-2-3-4, or two with a comma between";
	return sluice_fastopen_key_set(sn, text);
}

static int key_reset(struct sluice_net *sn, const char **why)
{
	sluice_fastopen_key_follow(sn);
	return 0;
}

/* ---- all of them --------------------------------------------------------------------- */

const struct sluice_text_param sluice_text_params[] = {
	{
		.name = "congestion_control",
		.sysctl = "net.ipv4.tcp_congestion_control",
		.help = "algorithm of new connections (sluice cc lists them)",
		.source = sluice_cc_default_source, .read = cc_read, .write = cc_write,
		.reset = cc_reset,
	}, {
		.name = "mem",
		.sysctl = "net.ipv4.tcp_mem",
		.help = "pages of all sockets of the machine: no pressure below, pressure above, none above",
		.source = mem_source, .read = mem_read, .write = mem_write, .reset = mem_reset,
	}, {
		.name = "ip_local_port_range",
		.sysctl = "net.ipv4.ip_local_port_range",
		.help = "ports that bind() and connect() choose from",
		.source = sluice_port_range_source, .read = sluice_port_range_print,
		.write = range_write, .reset = range_reset,
	}, {
		.name = "fastopen_key",
		.sysctl = "net.ipv4.tcp_fastopen_key",
		.help = "secret that cookies are made by, and an older one that still counts (RFC 7413)",
		.secret = true,
		.source = sluice_fastopen_key_source, .read = sluice_fastopen_key_print,
		.write = key_write, .reset = key_reset,
	},
};

const unsigned int sluice_text_param_count = ARRAY_SIZE(sluice_text_params);

const struct sluice_text_param *sluice_text_param_find(const char *name)
{
	unsigned int i;

	for (i = 0; i < sluice_text_param_count; i++)
		if (!strcmp(sluice_text_params[i].name, name))
			return &sluice_text_params[i];
	return NULL;
}
