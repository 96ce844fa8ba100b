/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The ports that bind() and connect() choose from: those that `sluice set
 * ip_local_port_range` names, else those of net.ipv4.ip_local_port_range; of
 * these the ones that the socket's IP_LOCAL_PORT_RANGE leaves.
 */
#ifndef SLUICE_LINUX_PORT_RANGE_H
#define SLUICE_LINUX_PORT_RANGE_H

#include <net/sock.h>

#include "net.h"
#include "sluice.h"

#define SLUICE_PORT_RANGE_TEXT 12	/* "65535 65535", its end included */

/* Both ends belong to it. Any context. */
void sluice_port_range_of(const struct sock *sk, int *low, int *high);

/* ---- the namespace's; process context ---------------------------------------------- */

enum sluice_source sluice_port_range_source(const struct sluice_net *sn);
void sluice_port_range_print(const struct sluice_net *sn, char text[SLUICE_PORT_RANGE_TEXT]);
/* "LOW HIGH"; 0, or -EINVAL for what the sysctl wouldn't take. */
int sluice_port_range_set(struct sluice_net *sn, const char *text);
/* The sysctl counts again. */
void sluice_port_range_follow(struct sluice_net *sn);

#endif /* SLUICE_LINUX_PORT_RANGE_H */
