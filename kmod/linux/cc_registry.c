// SPDX-License-Identifier: GPL-2.0
/*
 * The registry of congestion-control algorithms (what they do: cc.h, RFC 5681).
 * Built-in ones are always there; others come and go with their modules.
 */
#include <linux/capability.h>
#include <linux/ctype.h>
#include <linux/kmod.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/rculist.h>
#include <linux/slab.h>

#include <net/tcp.h>

#include "cc_registry.h"

/* One algorithm that a module brought. Readers hold RCU, writers the mutex. */
struct registered {
	struct list_head list;
	const struct sluice_cc_ops *ops;
	struct rcu_head rcu;
};

static LIST_HEAD(registered_list);
static DEFINE_MUTEX(registered_mutex);

static const struct sluice_cc_ops *find_builtin(const char *name)
{
	const struct sluice_cc_ops *const *builtin;

	for (builtin = sluice_cc_builtin; *builtin; builtin++)
		if (!strcmp((*builtin)->name, name))
			return *builtin;
	return NULL;
}

static const struct registered *find_registered(const char *name)
{
	const struct registered *r;

	list_for_each_entry_rcu(r, &registered_list, list, lockdep_is_held(&registered_mutex))
		if (!strcmp(r->ops->name, name))
			return r;
	return NULL;
}

const struct sluice_cc_ops *sluice_cc_get(const char *name)
{
	const struct sluice_cc_ops *ops = find_builtin(name);
	const struct registered *r;

	if (ops)
		return ops;
	rcu_read_lock();
	r = find_registered(name);
	if (r && try_module_get(r->ops->owner))
		ops = r->ops;
	rcu_read_unlock();
	return ops;
}

const struct sluice_cc_ops *sluice_cc_get_or_load(const char *name)
{
	const struct sluice_cc_ops *ops = sluice_cc_get(name);

	if (ops || !capable(CAP_NET_ADMIN))
		return ops;
	request_module("sluice-cc-%s", name);
	return sluice_cc_get(name);
}

/* What net.ipv4.tcp_congestion_control names, with a reference; NULL: we have none of that name. */
static const struct sluice_cc_ops *get_by_sysctl(const struct sluice_net *sn)
{
	const struct tcp_congestion_ops *tcp;
	const struct sluice_cc_ops *ops = NULL;

	rcu_read_lock();
	tcp = rcu_dereference(sn->net->ipv4.tcp_congestion_control);
	if (tcp)
		ops = sluice_cc_get(tcp->name);
	rcu_read_unlock();
	return ops;
}

/* What `sluice set` named, with a reference; NULL: nothing, or its module is leaving. */
static const struct sluice_cc_ops *get_set(const struct sluice_net *sn)
{
	const struct sluice_cc_ops *ops;

	rcu_read_lock();
	ops = rcu_dereference(sn->default_cc);
	if (ops && !try_module_get(ops->owner))
		ops = NULL;
	rcu_read_unlock();
	return ops;
}

const struct sluice_cc_ops *sluice_cc_get_default(const struct sluice_net *sn)
{
	const struct sluice_cc_ops *ops = get_set(sn);

	return ops ?: get_by_sysctl(sn) ?: sluice_cc_builtin[0];
}

enum sluice_source sluice_cc_default_source(const struct sluice_net *sn)
{
	const struct sluice_cc_ops *ops;

	if (rcu_access_pointer(sn->default_cc))
		return SLUICE_SOURCE_SET;
	ops = get_by_sysctl(sn);
	sluice_cc_put(ops);
	return ops ? SLUICE_SOURCE_SYSCTL : SLUICE_SOURCE_DEFAULT;
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

static void replace_default(struct sluice_net *sn, const struct sluice_cc_ops *ops)
{
	const struct sluice_cc_ops *old;

	old = unrcu_pointer(xchg(&sn->default_cc, RCU_INITIALIZER(ops)));
	sluice_cc_put(old);
}

int sluice_cc_set_default(struct sluice_net *sn, const char *name)
{
	const struct sluice_cc_ops *ops = sluice_cc_get_or_load(name);

	if (!ops)
		return -ENOENT;
	replace_default(sn, ops);
	return 0;
}

void sluice_cc_drop_default(struct sluice_net *sn)
{
	replace_default(sn, NULL);
}

/* The `index`th algorithm; RCU read side. NULL: past the last. */
static const struct sluice_cc_ops *at_index(unsigned int index)
{
	const struct sluice_cc_ops *const *builtin;
	const struct registered *r;

	for (builtin = sluice_cc_builtin; *builtin; builtin++)
		if (!index--)
			return *builtin;
	list_for_each_entry_rcu(r, &registered_list, list)
		if (!index--)
			return r->ops;
	return NULL;
}

bool sluice_cc_name(unsigned int index, char name[SLUICE_CC_NAME_MAX])
{
	const struct sluice_cc_ops *ops;

	rcu_read_lock();
	ops = at_index(index);
	if (ops)
		strscpy(name, ops->name, SLUICE_CC_NAME_MAX);
	rcu_read_unlock();
	return ops;
}

/* Names go into command lines, netlink strings and modprobe. */
static bool name_is_sound(const struct sluice_cc_ops *ops)
{
	size_t length = strnlen(ops->name, sizeof(ops->name));
	size_t i;

	if (!length || length == sizeof(ops->name))
		return false;
	for (i = 0; i < length; i++)
		if (!isalnum(ops->name[i]) && ops->name[i] != '_' && ops->name[i] != '-')
			return false;
	return true;
}

static int add(struct registered *r)
{
	int error = 0;

	mutex_lock(&registered_mutex);
	if (find_builtin(r->ops->name) || find_registered(r->ops->name))
		error = -EEXIST;
	else
		list_add_tail_rcu(&r->list, &registered_list);
	mutex_unlock(&registered_mutex);
	return error;
}

int sluice_register_cc(const struct sluice_cc_ops *ops)
{
	struct registered *r;
	int error;

	if (!name_is_sound(ops) || !ops->init || !ops->acked || !ops->loss)
		return -EINVAL;
	r = kzalloc(sizeof(*r), GFP_KERNEL);
	if (!r)
		return -ENOMEM;
	r->ops = ops;
	error = add(r);
	if (error)
		kfree(r);
	return error;
}
EXPORT_SYMBOL_GPL(sluice_register_cc);

void sluice_unregister_cc(const struct sluice_cc_ops *ops)
{
	struct registered *r;

	mutex_lock(&registered_mutex);
	list_for_each_entry(r, &registered_list, list) {
		if (r->ops == ops) {
			list_del_rcu(&r->list);
			kfree_rcu(r, rcu);
			break;
		}
	}
	mutex_unlock(&registered_mutex);
	/* Readers that still see it fail in try_module_get(), but they do look at it. */
	synchronize_rcu();
}
EXPORT_SYMBOL_GPL(sluice_unregister_cc);
