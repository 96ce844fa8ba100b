/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Reservations: a local port that a real-TCP socket uses is held against the
 * kernel's TCP by one of its own sockets, bound and never connected, which
 * carries no data. Kernel TCP's rules then decide for both who is second:
 * addresses, devices, SO_REUSEADDR, and that only one of two may listen.
 * SO_REUSEPORT is never shared between the two stacks.
 *
 * All of a port's reservations are guarded by the port's lock.
 */
#ifndef SLUICE_LINUX_RESERVE_H
#define SLUICE_LINUX_RESERVE_H

#include <linux/in6.h>
#include <linux/list.h>
#include <net/sock.h>

#include "kernel_socket.h"

/* One address of a port. */
struct sluice_reservation {
	struct sluice_kernel_socket kernel;	/* first, as it is freed by this */
	struct hlist_node node;		/* of the port's reservations */
	struct in6_addr address;	/* IPv4 as v4-mapped, :: any */
	int device;			/* SO_BINDTODEVICE, 0 any */
	bool only_v6;
	bool reuse;			/* SO_REUSEADDR of all its users */
	unsigned int users, listeners;
};

/* One to be used later, for a socket like sk. Sleeps. ERR_PTR: what socket() gave. */
struct sluice_reservation *sluice_reservation_create(struct sock *sk);
/* One that has no user, or NULL: a worker frees it soon. */
void sluice_reservation_free(struct sluice_reservation *r);

/*
 * One more user for the reservation, among those of the port, of what sk is
 * bound to. When there is none yet, *spare becomes it (and *spare NULL).
 * ERR_PTR: -EADDRINUSE, kernel TCP uses it; -EAGAIN, there was no spare.
 */
struct sluice_reservation *sluice_reservation_take(struct hlist_head *reservations,
						   struct sock *sk, u16 number,
						   struct sluice_reservation **spare);
/* One of r's users listens from now on. 0, or -EADDRINUSE and nothing changed. */
int sluice_reservation_listen(struct hlist_head *reservations, struct sluice_reservation *r,
			      u16 number);
void sluice_reservation_unlisten(struct sluice_reservation *r);
/* One user less: after the last, kernel TCP may have the port at once. */
void sluice_reservation_put(struct sluice_reservation *r);

#endif /* SLUICE_LINUX_RESERVE_H */
