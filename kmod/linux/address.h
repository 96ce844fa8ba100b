/* SPDX-License-Identifier: GPL-2.0 */
/* Addresses from user space: struct sockaddr_sluice, whose layout is sockaddr_in6's. */
#ifndef SLUICE_LINUX_ADDRESS_H
#define SLUICE_LINUX_ADDRESS_H

#include <linux/in6.h>
#include <linux/socket.h>

/*
 * Reads `length` bytes at `address` as a struct sockaddr_sluice (or, when not
 * `sluice_family`, sockaddr_in6) into sockaddr_in6 form. As RFC 2553 allowed,
 * the scope id may be missing: then it is 0. 0, -EINVAL (too short),
 * -EAFNOSUPPORT.
 */
int sluice_address_read(bool sluice_family, const struct sockaddr *address, int length,
			struct sockaddr_in6 *out);

#endif /* SLUICE_LINUX_ADDRESS_H */
