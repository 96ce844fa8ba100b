// SPDX-License-Identifier: GPL-2.0
/* Insertion and removal of the module. */
#include <linux/module.h>
#include <linux/net.h>
#include <linux/random.h>
#include <linux/siphash.h>
#include <linux/slab.h>

#include "host.h"

void *sluice_host_resize(struct sluice_conn *c, void *old, size_t old_size, size_t size)
{
	if (!size) {
		kfree(old);
		return NULL;
	}
	return krealloc(old, size, GFP_ATOMIC | __GFP_NOWARN);
}

u32 sluice_host_random(void)
{
	return get_random_u32();
}

u64 sluice_host_keyed_hash(const void *data, size_t length)
{
	static siphash_key_t key __aligned(SIPHASH_ALIGNMENT);

	net_get_random_once(&key, sizeof(key));
	return siphash(data, length, &key);
}

static int __init sluice_init(void)
{
	return 0;
}

static void __exit sluice_exit(void)
{
}

module_init(sluice_init);
module_exit(sluice_exit);
MODULE_DESCRIPTION("Sluice, a loadable TCP");
MODULE_LICENSE("GPL");
