/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which congestion-control algorithms there are, by name, and the default of
 * each namespace. Whoever stores a pointer to an algorithm holds a reference
 * on the module that brought it: each connection, and each namespace.
 */
#ifndef SLUICE_LINUX_CC_REGISTRY_H
#define SLUICE_LINUX_CC_REGISTRY_H

#include "cc.h"
#include "cc_module.h"
#include "net.h"
#include "sluice.h"

/* With a reference, or NULL: none of that name. Any context. */
const struct sluice_cc_ops *sluice_cc_get(const char *name);
/*
 * The same, and asks modprobe for the module "sluice-cc-NAME" when there is none
 * and the caller is privileged (CAP_NET_ADMIN). Sleeps: not under a socket lock.
 */
const struct sluice_cc_ops *sluice_cc_get_or_load(const char *name);
/*
 * The namespace's default, with a reference; never NULL: what was set, else
 * what net.ipv4.tcp_congestion_control names, else the first. Any context.
 */
const struct sluice_cc_ops *sluice_cc_get_default(const struct sluice_net *sn);
/* Which of the three. */
enum sluice_source sluice_cc_default_source(const struct sluice_net *sn);
/* One more reference for somebody who got a copy of the pointer from a holder. */
void sluice_cc_hold(const struct sluice_cc_ops *ops);
/* NULL is fine. */
void sluice_cc_put(const struct sluice_cc_ops *ops);

/* 0, or -ENOENT: none of that name. Process context. */
int sluice_cc_set_default(struct sluice_net *sn, const char *name);
/* Forgets what was set: taken back, or the namespace ends. */
void sluice_cc_drop_default(struct sluice_net *sn);
/* Copies the name of algorithm `index`, built-in ones first; false: past the last. */
bool sluice_cc_name(unsigned int index, char name[SLUICE_CC_NAME_MAX]);

#endif /* SLUICE_LINUX_CC_REGISTRY_H */
