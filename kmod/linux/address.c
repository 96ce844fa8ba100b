// SPDX-License-Identifier: GPL-2.0
/* Addresses from user space. */
#include <linux/build_bug.h>
#include <linux/errno.h>
#include <linux/string.h>
#include <net/ipv6.h>

#include "address.h"
#include "control.h"
#include "sluice.h"

static_assert(sizeof(struct sockaddr_sluice) == sizeof(struct sockaddr_in6));
static_assert(offsetof(struct sockaddr_sluice, ssl_addr) ==
	      offsetof(struct sockaddr_in6, sin6_addr));
static_assert(offsetof(struct sockaddr_sluice, ssl_scope_id) ==
	      offsetof(struct sockaddr_in6, sin6_scope_id));

int sluice_address_read(bool sluice, const struct sockaddr *address, int length,
			struct sockaddr_in6 *out)
{
	if (length < SIN6_LEN_RFC2133)
		return -EINVAL;
	if (address->sa_family != (sluice ? sluice_family : AF_INET6))
		return -EAFNOSUPPORT;
	memset(out, 0, sizeof(*out));
	memcpy(out, address, min_t(size_t, length, sizeof(*out)));
	out->sin6_family = AF_INET6;
	return 0;
}
