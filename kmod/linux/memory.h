/* SPDX-License-Identifier: GPL-2.0 */
/* The protocol's share of memory: what all sockets together may buffer, and pressure. */
#ifndef SLUICE_LINUX_MEMORY_H
#define SLUICE_LINUX_MEMORY_H

#include <linux/percpu_counter.h>
#include <net/sock.h>

extern atomic_long_t sluice_memory_allocated;	/* pages */
DECLARE_PER_CPU(int, sluice_memory_reserve);
extern struct percpu_counter sluice_sockets_allocated;
extern unsigned long sluice_memory_pressure;
extern long sluice_memory_limits[3];		/* pages: no pressure below, pressure, none above */
extern int sluice_memory_least[1];		/* bytes each direction keeps under pressure */

void sluice_enter_memory_pressure(struct sock *sk);
void sluice_leave_memory_pressure(struct sock *sk);

/* In the initializer of struct proto (no comma after it). */
#define SLUICE_PROTO_MEMORY						\
	.memory_allocated = &sluice_memory_allocated,			\
	.per_cpu_fw_alloc = &sluice_memory_reserve,			\
	.sockets_allocated = &sluice_sockets_allocated,			\
	.memory_pressure = &sluice_memory_pressure,			\
	.sysctl_mem = sluice_memory_limits,				\
	.sysctl_wmem = sluice_memory_least,				\
	.sysctl_rmem = sluice_memory_least,				\
	.enter_memory_pressure = sluice_enter_memory_pressure,		\
	.leave_memory_pressure = sluice_leave_memory_pressure,

/*
 * Makes sure of `size` bytes for a stream socket, whatever the limits say; for
 * the little without which it would make no progress. Socket lock or spinlock.
 */
void sluice_memory_force(struct sock *sk, int size);

int sluice_memory_init(void);
void sluice_memory_exit(void);

#endif /* SLUICE_LINUX_MEMORY_H */
