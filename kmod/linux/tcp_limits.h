/* SPDX-License-Identifier: GPL-2.0 */
/* Limits that the administrator gave kernel TCP for the whole machine. */
#ifndef SLUICE_LINUX_TCP_LIMITS_H
#define SLUICE_LINUX_TCP_LIMITS_H

#define SLUICE_NO_ORPHANS_LIMIT (-1)

/* net.ipv4.tcp_mem as it stands, three numbers of pages; NULL: no memory to ask. Process context. */
const long *sluice_tcp_mem(void);

/* Takes a look at net.ipv4.tcp_max_orphans, once in a jiffy at most. Process context, may sleep. */
void sluice_tcp_max_orphans_look(void);
/* What it was then, or SLUICE_NO_ORPHANS_LIMIT: nobody knows. Any context. */
long sluice_tcp_max_orphans(void);

int sluice_tcp_limits_init(void);
void sluice_tcp_limits_exit(void);

#endif /* SLUICE_LINUX_TCP_LIMITS_H */
