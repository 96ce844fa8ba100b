// SPDX-License-Identifier: GPL-2.0
/* TCP Fast Open: what clients remember of their peers (RFC 7413 4.1.3). */
#include <linux/jiffies.h>
#include <linux/spinlock.h>

#include "compat.h"
#include "fastopen_cache.h"
#include "sock.h"

/* A pair of addresses has its place in one set; the oldest there makes room. */
#define SETS 256
#define WAYS 4

struct entry {
	struct sluice_flow_key key;	/* without ports; net NULL: free */
	struct sluice_fastopen_cookie cookie;
	u16 mss;
	unsigned long used;		/* jiffies */
};

static struct entry entries[SETS][WAYS];
static DEFINE_SPINLOCK(lock);

/* ---- cookies --------------------------------------------------------------------------- */

static struct sluice_flow_key without_ports(const struct sluice_flow_key *flow)
{
	struct sluice_flow_key key = *flow;

	key.local_port = key.remote_port = 0;
	return key;
}

static struct entry *set_of(const struct sluice_flow_key *key)
{
	return entries[sluice_host_keyed_hash(key, sizeof(*key)) % SETS];
}

static struct entry *find(struct entry *set, const struct sluice_flow_key *key)
{
	unsigned int i;

	for (i = 0; i < WAYS; i++)
		if (!memcmp(&set[i].key, key, sizeof(*key)))
			return &set[i];
	return NULL;
}

static struct entry *make_room(struct entry *set)
{
	struct entry *oldest = set;
	unsigned int i;

	for (i = 0; i < WAYS; i++) {
		if (!set[i].key.net)
			return &set[i];
		if (time_before(set[i].used, oldest->used))
			oldest = &set[i];
	}
	return oldest;
}

void sluice_fastopen_recall(const struct sluice_flow_key *flow,
			    struct sluice_fastopen_cookie *cookie, u16 *mss)
{
	struct sluice_flow_key key = without_ports(flow);
	struct entry *set = set_of(&key), *e;

	cookie->length = 0;
	*mss = 0;
	spin_lock_bh(&lock);
	e = find(set, &key);
	if (e) {
		*cookie = e->cookie;
		*mss = e->mss;
		e->used = jiffies;
	}
	spin_unlock_bh(&lock);
}

void sluice_fastopen_remember(const struct sluice_flow_key *flow,
			      const struct sluice_fastopen_cookie *cookie, u16 mss)
{
	struct sluice_flow_key key = without_ports(flow);
	struct entry *set = set_of(&key), *e;

	spin_lock_bh(&lock);
	e = find(set, &key);
	if (!e) {
		e = make_room(set);
		*e = (struct entry) { .key = key };
	}
	if (cookie->length)
		e->cookie = *cookie;
	if (mss)
		e->mss = mss;
	e->used = jiffies;
	spin_unlock_bh(&lock);
}

void sluice_fastopen_forget_net(const struct net *net)
{
	unsigned int i, k;

	spin_lock_bh(&lock);
	for (i = 0; i < SETS; i++)
		for (k = 0; k < WAYS; k++)
			if (entries[i][k].key.net == net)
				entries[i][k] = (struct entry) { .mss = 0 };
	spin_unlock_bh(&lock);
}

void sluice_host_fastopen_learned(struct sluice_conn *c,
				  const struct sluice_fastopen_cookie *cookie, u16 mss)
{
	sluice_fastopen_remember(&sluice_sock_of(c)->flow.key, cookie, mss);
}

/* ---- the pause ---------------------------------------------------------------------------- */

#define DOUBLINGS_MAX 6

bool sluice_fastopen_paused(const struct sluice_net *sn)
{
	u64 pause = READ_ONCE(sn->config.fastopen_blackhole);
	int times = atomic_read(&sn->fastopen_losses);

	if (!pause || !times)
		return false;
	smp_rmb();	/* pairs with sluice_host_fastopen_lost() */
	pause <<= min(times - 1, DOUBLINGS_MAX);
	return sluice_now() - READ_ONCE(sn->fastopen_lost_at) < pause;
}

void sluice_fastopen_worked(struct sluice_net *sn)
{
	if (atomic_read(&sn->fastopen_losses))
		atomic_set(&sn->fastopen_losses, 0);
}

void sluice_host_fastopen_lost(struct sluice_conn *c)
{
	struct sluice_net *sn = sluice_sk_net(sluice_conn_sk(c));

	if (!READ_ONCE(sn->config.fastopen_blackhole))
		return;
	WRITE_ONCE(sn->fastopen_lost_at, sluice_now());
	smp_mb__before_atomic();	/* who sees the count sees the time */
	atomic_inc(&sn->fastopen_losses);
}
