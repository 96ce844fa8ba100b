/* SPDX-License-Identifier: GPL-2.0 */
/* The protocol's share of memory: what all sockets together may buffer, and pressure. */
#ifndef SLUICE_LINUX_MEMORY_H
#define SLUICE_LINUX_MEMORY_H

#include <linux/percpu_counter.h>
#include <net/sock.h>

#include "sluice.h"

extern atomic_long_t sluice_memory_allocated;	/* pages */
DECLARE_PER_CPU(int, sluice_memory_reserve);
extern struct percpu_counter sluice_sockets_allocated;
extern unsigned long sluice_memory_pressure;
extern int sluice_memory_least[1];		/* bytes each direction keeps under pressure */

void sluice_enter_memory_pressure(struct sock *sk);
void sluice_leave_memory_pressure(struct sock *sk);

/* In the initializer of struct proto (no comma after it). */
#define SLUICE_PROTO_MEMORY						\
	.memory_allocated = &sluice_memory_allocated,			\
	.per_cpu_fw_alloc = &sluice_memory_reserve,			\
	.sockets_allocated = &sluice_sockets_allocated,			\
	.memory_pressure = &sluice_memory_pressure,			\
	.sysctl_wmem = sluice_memory_least,				\
	.sysctl_rmem = sluice_memory_least,				\
	.enter_memory_pressure = sluice_enter_memory_pressure,		\
	.leave_memory_pressure = sluice_leave_memory_pressure,

/*
 * Makes sure of `size` bytes for a stream socket, whatever the limits say; for
 * the little without which it would make no progress. Socket lock or spinlock.
 */
void sluice_memory_force(struct sock *sk, int size);

/*
 * What all sockets of the machine may have together, in pages: below the first
 * there is no pressure, above the second there is, above the third nothing is
 * given. They are net.ipv4.tcp_mem's, until others are given. Process context.
 */
#define SLUICE_MEMORY_TEXT 64
/* Three numbers as text. -EINVAL: other than three, not rising, or not positive. */
int sluice_memory_set(const char *text);
void sluice_memory_limit(const long limits[3]);
void sluice_memory_follow_tcp(void);
enum sluice_source sluice_memory_source(void);
void sluice_memory_print(char text[SLUICE_MEMORY_TEXT], char between);

int sluice_memory_init(void);
void sluice_memory_exit(void);

#endif /* SLUICE_LINUX_MEMORY_H */
