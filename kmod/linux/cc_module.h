/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For modules that bring a congestion-control algorithm of their own: fill a
 * struct sluice_cc_ops (cc.h says what each function is asked), with owner =
 * THIS_MODULE, and register it from the module's init function:
 *
 *	static const struct sluice_cc_ops mine = { .name = "mine", .owner = THIS_MODULE, ... };
 *	int init(void)  { return sluice_register_cc(&mine); }
 *	void exit(void) { sluice_unregister_cc(&mine); }
 *
 * The algorithm can then be chosen by TCP_CONGESTION and `sluice set`. While a
 * connection or a namespace's default uses it, its module can't be unloaded.
 */
#ifndef SLUICE_LINUX_CC_MODULE_H
#define SLUICE_LINUX_CC_MODULE_H

#include "cc.h"

/*
 * Process context; `ops` stays valid until unregistered. 0, -EINVAL (no or an
 * odd name, or a function missing that isn't optional), -EEXIST (name taken),
 * -ENOMEM.
 */
int sluice_register_cc(const struct sluice_cc_ops *ops);
/* Only from the module's exit function, when nothing can use it any more. Sleeps. */
void sluice_unregister_cc(const struct sluice_cc_ops *ops);

#endif /* SLUICE_LINUX_CC_MODULE_H */
