// SPDX-License-Identifier: GPL-2.0
/*
 * The registry of congestion-control algorithms. Built-in ones are always
 * there; others come and go with their modules.
 */
#include <linux/module.h>
#include <linux/spinlock.h>
#include <linux/string.h>

#include "cc_registry.h"

#define REGISTERED_MAX 32

/* Guards `registered` and every namespace's default_cc. */
static DEFINE_SPINLOCK(registry_lock);
static const struct sluice_cc_ops *registered[REGISTERED_MAX];

static unsigned int builtin_count(void)
{
	unsigned int n = 0;

	while (sluice_cc_builtin[n])
		n++;
	return n;
}

/* By position: built-in ones first. NULL past the last; registry_lock held. */
static const struct sluice_cc_ops *at_index(unsigned int index)
{
	unsigned int builtin = builtin_count(), i;

	if (index < builtin)
		return sluice_cc_builtin[index];
	index -= builtin;
	for (i = 0; i < REGISTERED_MAX; i++)
		if (registered[i] && !index--)
			return registered[i];
	return NULL;
}

static const struct sluice_cc_ops *find(const char *name)
{
	const struct sluice_cc_ops *ops;
	unsigned int i;

	for (i = 0; (ops = at_index(i)); i++)
		if (!strncmp(ops->name, name, SLUICE_CC_NAME_MAX))
			return ops;
	return NULL;
}

int sluice_register_cc(const struct sluice_cc_ops *ops)
{
	int error = -ENOSPC;
	unsigned int i;

	if (!ops->name[0] || strnlen(ops->name, SLUICE_CC_NAME_MAX) == SLUICE_CC_NAME_MAX ||
	    !ops->init || !ops->acked || !ops->loss)
		return -EINVAL;
	spin_lock_bh(&registry_lock);
	if (find(ops->name))
		error = -EEXIST;
	for (i = 0; error == -ENOSPC && i < REGISTERED_MAX; i++) {
		if (!registered[i]) {
			registered[i] = ops;
			error = 0;
		}
	}
	spin_unlock_bh(&registry_lock);
	return error;
}
EXPORT_SYMBOL_GPL(sluice_register_cc);

void sluice_unregister_cc(const struct sluice_cc_ops *ops)
{
	unsigned int i;

	spin_lock_bh(&registry_lock);
	for (i = 0; i < REGISTERED_MAX; i++)
		if (registered[i] == ops)
			registered[i] = NULL;
	spin_unlock_bh(&registry_lock);
}
EXPORT_SYMBOL_GPL(sluice_unregister_cc);

const struct sluice_cc_ops *sluice_cc_get(const char *name)
{
	const struct sluice_cc_ops *ops;

	spin_lock_bh(&registry_lock);
	ops = find(name);
	if (ops && !try_module_get(ops->owner))
		ops = NULL;
	spin_unlock_bh(&registry_lock);
	return ops;
}

void sluice_cc_hold(const struct sluice_cc_ops *ops)
{
	__module_get(ops->owner);
}

void sluice_cc_put(const struct sluice_cc_ops *ops)
{
	if (ops)
		module_put(ops->owner);
}

const struct sluice_cc_ops *sluice_cc_get_default(struct sluice_net *sn)
{
	const struct sluice_cc_ops *ops;

	spin_lock_bh(&registry_lock);
	ops = rcu_dereference_protected(sn->default_cc, lockdep_is_held(&registry_lock));
	if (!ops)
		ops = sluice_cc_builtin[0];
	__module_get(ops->owner);
	spin_unlock_bh(&registry_lock);
	return ops;
}

static void replace_default(struct sluice_net *sn, const struct sluice_cc_ops *ops)
{
	const struct sluice_cc_ops *old;

	spin_lock_bh(&registry_lock);
	old = rcu_replace_pointer(sn->default_cc, ops, lockdep_is_held(&registry_lock));
	spin_unlock_bh(&registry_lock);
	sluice_cc_put(old);
}

int sluice_cc_set_default(struct sluice_net *sn, const char *name)
{
	const struct sluice_cc_ops *ops = sluice_cc_get(name);

	if (!ops)
		return -ENOENT;
	replace_default(sn, ops);
	return 0;
}

void sluice_cc_drop_default(struct sluice_net *sn)
{
	replace_default(sn, NULL);
}

bool sluice_cc_name(unsigned int index, char name[SLUICE_CC_NAME_MAX])
{
	const struct sluice_cc_ops *ops;

	spin_lock_bh(&registry_lock);
	ops = at_index(index);
	if (ops)
		strscpy(name, ops->name, SLUICE_CC_NAME_MAX);
	spin_unlock_bh(&registry_lock);
	return ops;
}
