/* SPDX-License-Identifier: GPL-2.0 */
/* The entrances: socket(AF_SLUICE, ...), and socket(AF_INET or AF_INET6, SOCK_STREAM, 253). */
#ifndef SLUICE_LINUX_FAMILY_H
#define SLUICE_LINUX_FAMILY_H

/* family.c */
int sluice_family_init(void);
void sluice_family_exit(void);
/*
 * Logs why the family's number can't be had, if `error` isn't 0; returns what
 * insmod is to fail with.
 */
int sluice_family_refused(int error);

/* inet.c */
int sluice_inet_init(void);
void sluice_inet_exit(void);

#endif /* SLUICE_LINUX_FAMILY_H */
