/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Congestion-control algorithms by name: those built into the core and those
 * that other modules bring (struct sluice_cc_ops, kmod/core/cc.h). Whoever
 * holds an algorithm holds its module.
 */
#ifndef SLUICE_LINUX_CC_REGISTRY_H
#define SLUICE_LINUX_CC_REGISTRY_H

#include "cc.h"
#include "net.h"

/*
 * For modules: ops->owner is THIS_MODULE, name, init, acked and loss are set.
 * 0, -EINVAL (something missing), -EEXIST (the name is taken), -ENOSPC.
 */
int sluice_register_cc(const struct sluice_cc_ops *ops);
/* From module exit: nobody holds it any more. */
void sluice_unregister_cc(const struct sluice_cc_ops *ops);

/* Any context. NULL: no such algorithm, or its module is going. */
const struct sluice_cc_ops *sluice_cc_get(const char *name);
/* One more holder of what the caller holds already. */
void sluice_cc_hold(const struct sluice_cc_ops *ops);
void sluice_cc_put(const struct sluice_cc_ops *ops);
/* The namespace's default, held. Never NULL. */
const struct sluice_cc_ops *sluice_cc_get_default(struct sluice_net *sn);
/* 0 or -ENOENT. */
int sluice_cc_set_default(struct sluice_net *sn, const char *name);
/* The namespace goes: its default is given back. */
void sluice_cc_drop_default(struct sluice_net *sn);
/* Copies the name of algorithm `index`; false: past the last. */
bool sluice_cc_name(unsigned int index, char name[SLUICE_CC_NAME_MAX]);

#endif /* SLUICE_LINUX_CC_REGISTRY_H */
