// SPDX-License-Identifier: GPL-2.0
/* A namespace's keys of TCP Fast Open: which count, and how they are written. */
#include <linux/kernel.h>
#include <linux/random.h>
#include <linux/string.h>
#include <net/tcp.h>

#include "fastopen_key.h"
#include "net.h"

void sluice_fastopen_key_init(struct sluice_net *sn)
{
	seqlock_init(&sn->fastopen.lock);
	sn->fastopen.given.count = 0;
	get_random_bytes(&sn->fastopen.drawn, sizeof(sn->fastopen.drawn));
}

/* ---- whose count --------------------------------------------------------------------- */

static bool given(const struct sluice_net *sn, struct sluice_fastopen_keys *keys)
{
	unsigned int seq;

	do {
		seq = read_seqbegin(&sn->fastopen.lock);
		*keys = sn->fastopen.given;
	} while (read_seqretry(&sn->fastopen.lock, seq));
	return keys->count;
}

static bool of_sysctl(const struct sluice_net *sn, struct sluice_fastopen_keys *keys)
{
	const struct tcp_fastopen_context *context;
	unsigned int i;

	rcu_read_lock();
	context = rcu_dereference(sn->net->ipv4.tcp_fastopen_ctx);
	keys->count = context ? min_t(unsigned int, context->num, SLUICE_FASTOPEN_KEYS) : 0;
	for (i = 0; i < keys->count; i++)
		keys->key[i] = context->key[i];
	rcu_read_unlock();
	return keys->count;
}

static enum sluice_source find(const struct sluice_net *sn, struct sluice_fastopen_keys *keys)
{
	if (given(sn, keys))
		return SLUICE_SOURCE_SET;
	if (of_sysctl(sn, keys))
		return SLUICE_SOURCE_SYSCTL;
	keys->count = 1;
	keys->key[0] = sn->fastopen.drawn;
	return SLUICE_SOURCE_DEFAULT;
}

void sluice_fastopen_net_keys(const struct sluice_net *sn, struct sluice_fastopen_keys *keys)
{
	find(sn, keys);
}

enum sluice_source sluice_fastopen_key_source(const struct sluice_net *sn)
{
	struct sluice_fastopen_keys keys;
	enum sluice_source source = find(sn, &keys);

	memzero_explicit(&keys, sizeof(keys));
	return source;
}

/* ---- as text ------------------------------------------------------------------------- */

/* Four words of a key's bytes, least significant byte first. */
static int print(char *text, size_t size, const siphash_key_t *key)
{
	return snprintf(text, size, "%08x-%08x-%08x-%08x",
			lower_32_bits(key->key[0]), upper_32_bits(key->key[0]),
			lower_32_bits(key->key[1]), upper_32_bits(key->key[1]));
}

void sluice_fastopen_key_print(const struct sluice_net *sn, char text[SLUICE_FASTOPEN_KEY_TEXT])
{
	struct sluice_fastopen_keys keys;
	unsigned int i;
	int at = 0;

	find(sn, &keys);
	for (i = 0; i < keys.count; i++) {
		if (i)
			text[at++] = ',';
		at += print(text + at, SLUICE_FASTOPEN_KEY_TEXT - at, &keys.key[i]);
	}
	memzero_explicit(&keys, sizeof(keys));
}

/* What stands behind the key, or NULL: it is none. */
static const char *parse(const char *text, siphash_key_t *key)
{
	u32 word[4];
	int length = 0;

	if (sscanf(text, "%8x-%8x-%8x-%8x%n", &word[0], &word[1], &word[2], &word[3],
		   &length) != 4)
		return NULL;
	key->key[0] = (u64)word[1] << 32 | word[0];
	key->key[1] = (u64)word[3] << 32 | word[2];
	memzero_explicit(word, sizeof(word));
	return text + length;
}

/* Number of keys; 0: that is something else. */
static unsigned int parse_all(const char *text, struct sluice_fastopen_keys *keys)
{
	keys->count = 0;
	while (keys->count < SLUICE_FASTOPEN_KEYS) {
		text = parse(text, &keys->key[keys->count]);
		if (!text)
			return 0;
		keys->count++;
		if (!*text)
			return keys->count;
		if (*text++ != ',')
			return 0;
	}
	return 0;
}

static void give(struct sluice_net *sn, const struct sluice_fastopen_keys *keys)
{
	write_seqlock_bh(&sn->fastopen.lock);
	sn->fastopen.given = *keys;
	write_sequnlock_bh(&sn->fastopen.lock);
}

int sluice_fastopen_key_set(struct sluice_net *sn, const char *text)
{
	struct sluice_fastopen_keys keys = { };
	int error = parse_all(text, &keys) ? 0 : -EINVAL;

	if (!error)
		give(sn, &keys);
	memzero_explicit(&keys, sizeof(keys));
	return error;
}

void sluice_fastopen_key_follow(struct sluice_net *sn)
{
	static const struct sluice_fastopen_keys none;

	give(sn, &none);
}
