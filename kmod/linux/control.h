/* SPDX-License-Identifier: GPL-2.0 */
/* The two netlink interfaces: generic netlink (control.c) and sock_diag (diag.c). */
#ifndef SLUICE_LINUX_CONTROL_H
#define SLUICE_LINUX_CONTROL_H

#include "demux.h"

/* module.c: the number under which the family is registered. */
extern int sluice_family;

int sluice_control_init(void);
void sluice_control_exit(void);

int sluice_diag_init(void);
void sluice_diag_exit(void);

struct sluice_diag_id;

/* diag.c: the connection of the namespace that `id` names, with a reference; NULL: none. */
struct sock *sluice_diag_find(const struct net *net, const struct sluice_diag_id *id);

#endif /* SLUICE_LINUX_CONTROL_H */
