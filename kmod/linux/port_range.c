// SPDX-License-Identifier: GPL-2.0
/* The ports to choose from, of a namespace and of a socket in it. */
#include <linux/kernel.h>
#include <net/ip.h>

#include "compat.h"
#include "port_range.h"

/* As the kernel keeps a socket's: two ports in one word, 0 for none. */
static u32 packed(u32 low, u32 high)
{
	return high << 16 | low;
}

static void unpack(u32 range, int *low, int *high)
{
	*low = range & 0xffff;
	*high = range >> 16;
}

static void range_of_net(const struct sluice_net *sn, int *low, int *high)
{
	u32 given = READ_ONCE(sn->port_range);

	if (given)
		unpack(given, low, high);
	else
		inet_get_local_port_range(sn->net, low, high);
}

void sluice_port_range_of(const struct sock *sk, int *low, int *high)
{
	int own_low, own_high, least, most;

	range_of_net(sluice_net(sock_net(sk)), low, high);
	least = *low;
	most = *high;
	unpack(sluice_own_port_range(sk), &own_low, &own_high);
	if (own_low >= least && own_low <= most)
		*low = own_low;
	if (own_high >= *low && own_high <= most)
		*high = own_high;
}

enum sluice_source sluice_port_range_source(const struct sluice_net *sn)
{
	return READ_ONCE(sn->port_range) ? SLUICE_SOURCE_SET : SLUICE_SOURCE_SYSCTL;
}

void sluice_port_range_print(const struct sluice_net *sn, char text[SLUICE_PORT_RANGE_TEXT])
{
	int low, high;

	range_of_net(sn, &low, &high);
	snprintf(text, SLUICE_PORT_RANGE_TEXT, "%d %d", low, high);
}

int sluice_port_range_set(struct sluice_net *sn, const char *text)
{
	unsigned long low, high;
	char rest;

	if (sscanf(text, "%lu %lu %c", &low, &high, &rest) != 2 || low < 1 || high > U16_MAX ||
	    low > high || inet_port_requires_bind_service(sn->net, low))
		return -EINVAL;
	WRITE_ONCE(sn->port_range, packed(low, high));
	return 0;
}

void sluice_port_range_follow(struct sluice_net *sn)
{
	WRITE_ONCE(sn->port_range, 0);
}
