// SPDX-License-Identifier: GPL-2.0
/*
 * TCP Fast Open (RFC 7413) of listeners: cookies by the keys of the socket or of
 * its namespace, and the limit of children that are open before their
 * handshake is over (5.1). Cookies are made as Linux makes them, so that servers
 * with the same tcp_fastopen_key accept each other's, whichever stack they run.
 */
#include <linux/slab.h>
#include <net/ipv6.h>
#include <net/tcp_states.h>

#include "compat.h"
#include "fastopen.h"

/* ---- keys ------------------------------------------------------------------------- */

static u64 read_word(const u8 *bytes)
{
	__le64 word;

	memcpy(&word, bytes, sizeof(word));
	return le64_to_cpu(word);
}

static void write_word(u8 *bytes, u64 value)
{
	__le64 word = cpu_to_le64(value);

	memcpy(bytes, &word, sizeof(word));
}

int sluice_fastopen_set_keys(struct sock *sk, sockptr_t value, unsigned int length)
{
	u8 bytes[SLUICE_FASTOPEN_KEYS * SLUICE_FASTOPEN_KEY_LENGTH];
	struct sluice_sock *s = sluice_sk(sk);
	unsigned int i;

	if (length != SLUICE_FASTOPEN_KEY_LENGTH && length != sizeof(bytes))
		return -EINVAL;
	if (copy_from_sockptr(bytes, value, length))
		return -EFAULT;
	if (!s->fastopen_keys) {
		s->fastopen_keys = kmalloc(sizeof(*s->fastopen_keys), GFP_KERNEL);
		if (!s->fastopen_keys)
			return -ENOMEM;
	}
	s->fastopen_keys->count = length / SLUICE_FASTOPEN_KEY_LENGTH;
	for (i = 0; i < length / 8; i++)
		s->fastopen_keys->key[i / 2].key[i % 2] = read_word(bytes + i * 8);
	memzero_explicit(bytes, sizeof(bytes));
	return 0;
}

int sluice_fastopen_get_keys(struct sock *sk,
			     u8 out[SLUICE_FASTOPEN_KEYS * SLUICE_FASTOPEN_KEY_LENGTH])
{
	const struct sluice_fastopen_keys *keys = sluice_sk(sk)->fastopen_keys;
	unsigned int i;

	for (i = 0; keys && i < keys->count * 2; i++)
		write_word(out + i * 8, keys->key[i / 2].key[i % 2]);
	return i * 8;
}

static bool find_key(const struct sock *sk, unsigned int which, siphash_key_t *key)
{
	const struct sluice_fastopen_keys *keys = sluice_sk(sk)->fastopen_keys;
	struct sluice_fastopen_keys shared;

	if (!keys) {
		sluice_fastopen_net_keys(sluice_sk_net(sk), &shared);
		keys = &shared;
	}
	if (which >= keys->count)
		return false;
	*key = keys->key[which];
	return true;
}

void sluice_host_fastopen_cookie(const struct sluice_conn *listener, const struct sluice_path *path,
				 unsigned int which, struct sluice_fastopen_cookie *cookie)
{
	const struct in6_addr *remote = (const struct in6_addr *)path->remote;
	const struct in6_addr *local = (const struct in6_addr *)path->local;
	struct in6_addr pair[2] __aligned(SIPHASH_ALIGNMENT);	/* as they stand in the SYN */
	size_t length = sizeof(pair);
	siphash_key_t key;

	cookie->length = 0;
	if (!find_key(sluice_conn_sk(listener), which, &key))
		return;
	if (ipv6_addr_v4mapped(remote)) {
		pair[0].s6_addr32[0] = remote->s6_addr32[3];
		pair[0].s6_addr32[1] = local->s6_addr32[3];
		length = 2 * sizeof(__be32);
	} else {
		pair[0] = *remote;
		pair[1] = *local;
	}
	write_word(cookie->bytes, siphash(pair, length, &key));
	cookie->length = sizeof(u64);
}

/* ---- the limit ---------------------------------------------------------------------- */

static u32 allowed(const struct sock *sk, u32 length)
{
	return min_t(u64, length, READ_ONCE(sluice_sk_net(sk)->config.somaxconn));
}

int sluice_fastopen_set_queue(struct sock *sk, int length)
{
	if (length < 0 || (sk->sk_state != TCP_CLOSE && sk->sk_state != TCP_LISTEN))
		return -EINVAL;
	return sluice_conn_set_option(&sluice_sk(sk)->conn, SLUICE_OPTION_FASTOPEN,
				      allowed(sk, length), sluice_now());
}

void sluice_fastopen_listen(struct sock *sk, int backlog)
{
	u64 bits = READ_ONCE(sluice_sk_net(sk)->config.fastopen);
	struct sluice_conn *c = &sluice_sk(sk)->conn;

	if ((bits & SLUICE_FASTOPEN_SERVER) && (bits & SLUICE_FASTOPEN_EVERY_LISTENER) &&
	    !sluice_conn_option(c, SLUICE_OPTION_FASTOPEN))
		sluice_conn_set_option(c, SLUICE_OPTION_FASTOPEN, allowed(sk, backlog),
				       sluice_now());
}

/*
 * Who can send a SYN with another's address can have it answered by a reset,
 * too: connections that ended so count for a while (5.1).
 */
#define RESET_COUNTS_JIFFIES (60 * HZ)

static void forget_resets(struct sluice_sock *listener)
{
	unsigned long end = READ_ONCE(listener->early_reset_at) + RESET_COUNTS_JIFFIES;

	if (atomic_read(&listener->early_resets) && time_after(jiffies, end))
		atomic_sub(atomic_xchg(&listener->early_resets, 0), &listener->early);
}

bool sluice_fastopen_admits(struct sock *listener)
{
	struct sluice_sock *s = sluice_sk(listener);
	u32 limit = sluice_conn_option(&s->conn, SLUICE_OPTION_FASTOPEN) ?:
		    READ_ONCE(listener->sk_max_ack_backlog);	/* all do, by now */

	forget_resets(s);
	if (atomic_read(&s->early) < limit)
		return true;
	sluice_count(sluice_sk_net(listener), SLUICE_CNT_fastopen_overflows);
	return false;
}

void sluice_fastopen_enter(struct sock *listener, struct sock *child)
{
	sock_hold(listener);
	atomic_inc(&sluice_sk(listener)->early);
	WRITE_ONCE(sluice_sk(child)->early_of, listener);
}

void sluice_fastopen_leave(struct sock *child, bool reset)
{
	struct sock *sk = sluice_sk(child)->early_of;
	struct sluice_sock *listener = sluice_sk(sk);

	WRITE_ONCE(sluice_sk(child)->early_of, NULL);
	if (reset) {
		WRITE_ONCE(listener->early_reset_at, jiffies);
		atomic_inc(&listener->early_resets);
	} else {
		atomic_dec(&listener->early);
	}
	sock_put(sk);
}
