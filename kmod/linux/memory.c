// SPDX-License-Identifier: GPL-2.0
/* Memory of all sockets together, and of the core's objects inside of one. */
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/swap.h>

#include "compat.h"
#include "memory.h"
#include "sock.h"

atomic_long_t sluice_memory_allocated;
DEFINE_PER_CPU(int, sluice_memory_reserve);
struct percpu_counter sluice_sockets_allocated;
unsigned long sluice_memory_pressure;
long sluice_memory_limits[3];
int sluice_memory_least[1] = { 4096 };

void sluice_enter_memory_pressure(struct sock *sk)
{
	if (!READ_ONCE(sluice_memory_pressure) && !xchg(&sluice_memory_pressure, jiffies | 1))
		sluice_count(sluice_sk_net(sk), SLUICE_CNT_memory_pressure);
}

void sluice_leave_memory_pressure(struct sock *sk)
{
	if (READ_ONCE(sluice_memory_pressure))
		WRITE_ONCE(sluice_memory_pressure, 0);
}

/* TCP's own share: 3/64, 1/16 and 3/32 of the memory for buffers. */
int sluice_memory_init(void)
{
	unsigned long limit = max(nr_free_buffer_pages() / 16, 128ul);

	sluice_memory_limits[0] = limit / 4 * 3;
	sluice_memory_limits[1] = limit;
	sluice_memory_limits[2] = sluice_memory_limits[0] * 2;
	return percpu_counter_init(&sluice_sockets_allocated, 0, GFP_KERNEL);
}

void sluice_memory_exit(void)
{
	percpu_counter_destroy(&sluice_sockets_allocated);
}

/* The scoreboard and its like: charged like what they describe, the send buffer. */
void *sluice_host_resize(struct sluice_conn *c, void *old, size_t old_size, size_t size)
{
	struct sock *sk = sluice_conn_sk(c);
	void *memory = NULL;

	if (size && !sk_wmem_schedule(sk, size))
		return NULL;
	if (size)
		memory = krealloc(old, size, GFP_ATOMIC | __GFP_NOWARN);
	else
		kfree(old);
	if (size && !memory)
		return NULL;
	if (size)
		sk_mem_charge(sk, size);
	if (old_size)
		sk_mem_uncharge(sk, old_size);
	return memory;
}
