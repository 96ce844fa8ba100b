// SPDX-License-Identifier: GPL-2.0
/* Memory of all sockets together, and of the core's objects inside of one. */
#define pr_fmt(fmt) "sluice: " fmt
#include <linux/mm.h>
#include <linux/module.h>
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

/* "least,pressure,most": in rising order, and none of them nothing. */
static int set_limits(const char *text, const struct kernel_param *param)
{
	long given[ARRAY_SIZE(sluice_memory_limits)];
	unsigned int i;
	char rest;

	if (sscanf(text, "%ld,%ld,%ld %c", &given[0], &given[1], &given[2], &rest) != 3 ||
	    given[0] <= 0 || given[1] < given[0] || given[2] < given[1]) {
		pr_err("mem= takes three rising numbers of pages\n");
		return -EINVAL;
	}
	for (i = 0; i < ARRAY_SIZE(given); i++)
		WRITE_ONCE(sluice_memory_limits[i], given[i]);
	return 0;
}

static int get_limits(char *buffer, const struct kernel_param *param)
{
	return sysfs_emit(buffer, "%ld,%ld,%ld\n", sluice_memory_limits[0],
			  sluice_memory_limits[1], sluice_memory_limits[2]);
}

static const struct kernel_param_ops limits_ops = { .set = set_limits, .get = get_limits };
module_param_cb(mem, &limits_ops, NULL, 0644);
MODULE_PARM_DESC(mem, "pages of all sockets: no pressure below, pressure above, none above (as tcp_mem)");

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
static void default_limits(void)
{
	unsigned long limit = max(nr_free_buffer_pages() / 16, 128ul);

	sluice_memory_limits[0] = limit / 4 * 3;
	sluice_memory_limits[1] = limit;
	sluice_memory_limits[2] = sluice_memory_limits[0] * 2;
}

int sluice_memory_init(void)
{
	if (!sluice_memory_limits[0])
		default_limits();
	return percpu_counter_init(&sluice_sockets_allocated, 0, GFP_KERNEL);
}

void sluice_memory_exit(void)
{
	percpu_counter_destroy(&sluice_sockets_allocated);
}

/* Pairs with poll_writable(): it may have met the send buffer that seemed full. */
static void wake_writer(struct sock *sk)
{
	smp_mb();
	if (sk->sk_socket && test_bit(SOCK_NOSPACE, &sk->sk_socket->flags))
		sk->sk_write_space(sk);
}

/*
 * Modules can't charge a control group. But __sk_mem_schedule() charges all
 * that there is to charge, limits or no limits, when it is asked for a stream
 * whose send buffer is full; so for a moment this one is.
 */
void sluice_memory_force(struct sock *sk, int size)
{
	int delta = size - sk->sk_forward_alloc, sndbuf = sk->sk_sndbuf;
	bool locked = sk->sk_userlocks & SOCK_SNDBUF_LOCK;

	if (delta <= 0)
		return;
	sk->sk_userlocks |= SOCK_SNDBUF_LOCK;	/* not to be made larger again */
	WRITE_ONCE(sk->sk_sndbuf, 0);
	WARN_ON_ONCE(!__sk_mem_schedule(sk, delta, SK_MEM_SEND));
	WRITE_ONCE(sk->sk_sndbuf, sndbuf);
	if (!locked)
		sk->sk_userlocks &= ~SOCK_SNDBUF_LOCK;
	wake_writer(sk);
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
