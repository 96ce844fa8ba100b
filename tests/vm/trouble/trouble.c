// SPDX-License-Identifier: GPL-2.0
/*
 * A module that misbehaves as its parameter says, so that tests/vm/selftest can
 * see each kind of kernel trouble reported. "none" is healthy; "stuck" can't be
 * unloaded.
 */
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/refcount.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

static char *kind = "none";
module_param(kind, charp, 0444);

static void use_after_free(void)
{
	volatile char *memory = kmalloc(64, GFP_KERNEL);

	if (!memory)
		return;
	kfree((void *)memory);
	memory[8] = 1;
}

static void leak(void)
{
	/* The pointer is gone when this returns; kmemleak waits until it is old. */
	void *memory = kmalloc(512, GFP_KERNEL);

	OPTIMIZER_HIDE_VAR(memory);
}

static void sleep_in_atomic(void)
{
	static DEFINE_SPINLOCK(lock);

	spin_lock(&lock);
	msleep(20);
	spin_unlock(&lock);
}

static void lock_both_ways(void)
{
	static DEFINE_SPINLOCK(one);
	static DEFINE_SPINLOCK(other);

	spin_lock(&one);
	spin_lock(&other);
	spin_unlock(&other);
	spin_unlock(&one);
	spin_lock(&other);
	spin_lock(&one);
	spin_unlock(&one);
	spin_unlock(&other);
}

static void drop_too_often(void)
{
	static refcount_t count = REFCOUNT_INIT(1);

	refcount_dec_and_test(&count) ? (void)0 : (void)1;
	refcount_dec_and_test(&count) ? (void)0 : (void)1;
}

/* Deaf to everything, the watchdog of this CPU included. */
static void spin(void)
{
	pr_alert("trouble: spinning\n");
	local_irq_disable();
	for (;;)
		cpu_relax();
}

static const struct {
	const char *name;
	void (*act)(void);
} troubles[] = {
	{ "use-after-free", use_after_free },
	{ "leak", leak },
	{ "sleep-in-atomic", sleep_in_atomic },
	{ "lock-both-ways", lock_both_ways },
	{ "drop-too-often", drop_too_often },
	{ "spin", spin },
};

static int __init trouble_init(void)
{
	size_t i;

	if (!strcmp(kind, "warning"))
		WARN_ON(1);
	if (!strcmp(kind, "oops"))
		*(volatile int *)8 = 1;
	if (!strcmp(kind, "breakpoint"))
		asm volatile("int3");
	if (!strcmp(kind, "refuse"))
		return -EEXIST;
	if (!strcmp(kind, "stuck"))
		__module_get(THIS_MODULE);
	for (i = 0; i < ARRAY_SIZE(troubles); i++) {
		if (!strcmp(kind, troubles[i].name))
			troubles[i].act();
	}
	return 0;
}

static void __exit trouble_exit(void)
{
}

module_init(trouble_init);
module_exit(trouble_exit);
MODULE_DESCRIPTION("Misbehaves on purpose");
MODULE_LICENSE("GPL");
