/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The keys of a namespace that cookies of TCP Fast Open are made by (RFC 7413
 * 4.1.2), for listeners without TCP_FASTOPEN_KEY: those of `sluice set
 * fastopen_key`, else those of net.ipv4.tcp_fastopen_key; and while that has
 * none, one that was drawn for the namespace when it began. They are secrets:
 * who knows them can have data taken in the name of any address.
 */
#ifndef SLUICE_LINUX_FASTOPEN_KEY_H
#define SLUICE_LINUX_FASTOPEN_KEY_H

#include <linux/seqlock.h>
#include <linux/siphash.h>

#include "sluice.h"

#define SLUICE_FASTOPEN_KEY_LENGTH 16
#define SLUICE_FASTOPEN_KEYS 2		/* new cookies are made by the first */

/* As the sysctl has them: 35 characters each, and a comma between two. */
#define SLUICE_FASTOPEN_KEY_TEXT (SLUICE_FASTOPEN_KEYS * 36)

struct sluice_fastopen_keys {
	siphash_key_t key[SLUICE_FASTOPEN_KEYS];
	unsigned int count;
};

struct sluice_fastopen_secrets {
	siphash_key_t drawn;
	seqlock_t lock;				/* for: */
	struct sluice_fastopen_keys given;	/* by `sluice set`; count 0: none */
};

struct sluice_net;

/* A new namespace's. */
void sluice_fastopen_key_init(struct sluice_net *sn);
/* What counts now. Any context. */
void sluice_fastopen_net_keys(const struct sluice_net *sn, struct sluice_fastopen_keys *keys);

/* ---- as a parameter; process context ------------------------------------------------ */

enum sluice_source sluice_fastopen_key_source(const struct sluice_net *sn);
void sluice_fastopen_key_print(const struct sluice_net *sn, char text[SLUICE_FASTOPEN_KEY_TEXT]);
/* 0, or -EINVAL: that is no key. */
int sluice_fastopen_key_set(struct sluice_net *sn, const char *text);
/* The sysctl counts again. */
void sluice_fastopen_key_follow(struct sluice_net *sn);

#endif /* SLUICE_LINUX_FASTOPEN_KEY_H */
