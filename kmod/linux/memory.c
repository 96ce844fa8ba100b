// SPDX-License-Identifier: GPL-2.0
/* Memory of all sockets together, and of the core's objects inside of one. */
#define pr_fmt(fmt) "sluice: " fmt
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/swap.h>

#include "compat.h"
#include "memory.h"
#include "sock.h"
#include "tcp_limits.h"

atomic_long_t sluice_memory_allocated;
DEFINE_PER_CPU(int, sluice_memory_reserve);
struct percpu_counter sluice_sockets_allocated;
unsigned long sluice_memory_pressure;
int sluice_memory_least[1] = { 4096 };

/* ---- limits --------------------------------------------------------------------- */

/* Limits of Sluice's own, or without any memory of TCP's to point at. */
static long own_limits[3];
static const long *tcp_limits;	/* NULL: unknown */
static bool given;		/* own_limits: by mem= or `sluice set mem`, not to follow TCP's */
static DEFINE_MUTEX(limits_lock);

/* Where sk_prot_mem_limits() looks: so TCP's count as they are at each moment. */
static void look_at(const long *limits)
{
	WRITE_ONCE(sluice_prot.sysctl_mem, (long *)limits);
}

void sluice_memory_limit(const long limits[3])
{
	unsigned int i;

	mutex_lock(&limits_lock);
	for (i = 0; i < ARRAY_SIZE(own_limits); i++)
		WRITE_ONCE(own_limits[i], limits[i]);
	given = true;
	look_at(own_limits);
	mutex_unlock(&limits_lock);
}

/* TCP's own default share: 3/64, 1/16 and 3/32 of the memory for buffers. */
static void default_limits(void)
{
	unsigned long limit = max(nr_free_buffer_pages() / 16, 128ul);

	own_limits[0] = limit / 4 * 3;
	own_limits[1] = limit;
	own_limits[2] = own_limits[0] * 2;
}

void sluice_memory_follow_tcp(void)
{
	mutex_lock(&limits_lock);
	given = false;
	if (!tcp_limits)
		default_limits();
	look_at(tcp_limits ?: own_limits);
	mutex_unlock(&limits_lock);
}

/* Rising, and none of them nothing; with commas as mem= has them, or blanks as tcp_mem. */
int sluice_memory_set(const char *text)
{
	long limits[ARRAY_SIZE(own_limits)];
	char blanks[SLUICE_MEMORY_TEXT], rest;

	if (strscpy(blanks, text, sizeof(blanks)) < 0)
		return -EINVAL;
	strreplace(blanks, ',', ' ');
	if (sscanf(blanks, "%ld %ld %ld %c", &limits[0], &limits[1], &limits[2], &rest) != 3 ||
	    limits[0] <= 0 || limits[1] < limits[0] || limits[2] < limits[1])
		return -EINVAL;
	sluice_memory_limit(limits);
	return 0;
}

enum sluice_source sluice_memory_source(void)
{
	if (READ_ONCE(given))
		return SLUICE_SOURCE_SET;
	return tcp_limits ? SLUICE_SOURCE_SYSCTL : SLUICE_SOURCE_DEFAULT;
}

void sluice_memory_print(char text[SLUICE_MEMORY_TEXT], char between)
{
	const long *limits = READ_ONCE(sluice_prot.sysctl_mem);

	snprintf(text, SLUICE_MEMORY_TEXT, "%ld%c%ld%c%ld", READ_ONCE(limits[0]), between,
		 READ_ONCE(limits[1]), between, READ_ONCE(limits[2]));
}

static int set_limits(const char *text, const struct kernel_param *param)
{
	int error = sluice_memory_set(text);

	if (error)
		pr_err("mem= takes three rising numbers of pages\n");
	return error;
}

static int get_limits(char *buffer, const struct kernel_param *param)
{
	char text[SLUICE_MEMORY_TEXT];

	sluice_memory_print(text, ',');
	return sysfs_emit(buffer, "%s\n", text);
}

static const struct kernel_param_ops limits_ops = { .set = set_limits, .get = get_limits };
module_param_cb(mem, &limits_ops, NULL, 0644);
MODULE_PARM_DESC(mem, "pages of all sockets: no pressure below, pressure above, none above (those of tcp_mem)");

/* ---- pressure ------------------------------------------------------------------- */

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

int sluice_memory_init(void)
{
	tcp_limits = sluice_tcp_mem();
	if (!given)
		sluice_memory_follow_tcp();
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
