// SPDX-License-Identifier: GPL-2.0
/*
 * Half-open connections: from a SYN to the ACK of its SYN-ACK (RFC 9293
 * 3.10.7.2, 3.10.7.4, 3.8.3). The listener's lock guards them.
 */
#include <linux/slab.h>
#include <net/ipv6.h>
#include <net/tcp_states.h>

#include "compat.h"
#include "fastopen.h"
#include "listen.h"
#include "pktoptions.h"
#include "reply.h"
#include "saved_syn.h"
#include "sock.h"
#include "transmit.h"
#include "tuning.h"

static struct kmem_cache *cache;

int sluice_half_open_cache_init(void)
{
	cache = KMEM_CACHE(sluice_half_open_sock, SLAB_ACCOUNT);
	return cache ? 0 : -ENOMEM;
}

void sluice_half_open_cache_exit(void)
{
	rcu_barrier();	/* free_rcu() */
	kmem_cache_destroy(cache);
}

static void free_rcu(struct rcu_head *head)
{
	struct sluice_half_open_sock *h = container_of(head, struct sluice_half_open_sock, rcu);

	kfree(h->saved_syn);
	kfree_skb(h->pktoptions);
	kmem_cache_free(cache, h);
}

static const struct sluice_config *config_of(const struct sluice_half_open_sock *h)
{
	return &sluice_net(h->flow.key.net)->config;
}

/* ---- deadline --------------------------------------------------------------- */

static void arm(struct sluice_half_open_sock *h, sluice_usec now)
{
	u64 wait = h->core.deadline > now ? h->core.deadline - now : 0;

	mod_timer(&h->timer, jiffies + 1 + usecs_to_jiffies(min_t(u64, wait, U32_MAX)));
}

static void deadline_passed(struct sluice_half_open_sock *h)
{
	struct sluice_reply reply = { .header_length = 0 };
	sluice_usec now = sluice_now();

	sluice_tuning_glance(sluice_net(h->flow.key.net));
	if (h->core.deadline <= now &&
	    sluice_half_open_time(&h->core, config_of(h), &reply, now) == SLUICE_HALF_OPEN_DROP) {
		sluice_half_open_remove(h);
		return;
	}
	arm(h, now);
	if (reply.header_length)
		sluice_reply_send(h->flow.key.net, h->listener, &h->flow.key, &h->origin, &reply);
}

static void went_off(struct timer_list *timer)
{
	struct sluice_half_open_sock *h = from_timer(h, timer, timer);
	struct sock *sk;

	/* Both are freed a grace period after h left its listener. */
	rcu_read_lock();
	sk = h->listener;
	bh_lock_sock_nested(sk);
	if (!h->flow.hashed)
		;
	else if (sock_owned_by_user(sk))
		mod_timer(&h->timer, jiffies + HZ / 20);
	else
		deadline_passed(h);
	bh_unlock_sock(sk);
	rcu_read_unlock();
}

/* ---- life ------------------------------------------------------------------- */

void sluice_half_open_remove(struct sluice_half_open_sock *h)
{
	struct sock *sk = h->listener;

	sluice_flow_remove(&h->flow);	/* nothing to do when its child has the place */
	/* Where the lock is only owned, the timer may be going off, and be set after this. */
	timer_shutdown(&h->timer);
	list_del(&h->list);
	sluice_sk(sk)->half_open_count--;
	call_rcu(&h->rcu, free_rcu);
	sock_put(sk);
}

static struct sluice_half_open_sock *create(struct sock *sk, const struct sluice_flow_key *key,
					    const struct sluice_origin *origin)
{
	struct sluice_half_open_sock *h = kmem_cache_zalloc(cache, GFP_ATOMIC | __GFP_NOWARN);

	if (!h)
		return NULL;
	h->flow.key = *key;
	h->flow.kind = SLUICE_FLOW_HALF_OPEN;
	h->listener = sk;
	h->origin = *origin;
	h->origin.any_source = sluice_is_transparent(sk);
	h->v4_wire = ipv6_addr_v4mapped(&key->remote);
	timer_setup(&h->timer, went_off, 0);
	if (sluice_flow_insert(&h->flow)) {
		kmem_cache_free(cache, h);
		return NULL;
	}
	sock_hold(sk);
	list_add_tail(&h->list, &sluice_sk(sk)->half_opens);
	sluice_sk(sk)->half_open_count++;
	return h;
}

static void describe_path(const struct sluice_flow_key *key, const struct dst_entry *dst,
			  struct sluice_path *path)
{
	*path = (struct sluice_path) {
		.local_port = ntohs(key->local_port),
		.remote_port = ntohs(key->remote_port),
		.advertise_mss = min_t(u32, dst_metric_advmss(dst), U16_MAX),
	};
	memcpy(path->local, &key->local, sizeof(path->local));
	memcpy(path->remote, &key->remote, sizeof(path->remote));
}

/* Receive buffer of the connection to be, in payload bytes. */
static u32 space_of(const struct sock *sk)
{
	return ((u64)READ_ONCE(sk->sk_rcvbuf) * sluice_sk(sk)->in.density) >> 8;
}

/* A SYN is looked at only when there would be room for the connection. */
static bool accepts(const struct sock *sk)
{
	if (!sk_acceptq_is_full(sk))
		return true;
	sluice_count(sluice_sk_net(sk), SLUICE_CNT_listen_overflows);
	return false;
}

/* NULL: no memory, which is counted. */
static struct sluice_half_open_sock *create_counted(struct sock *sk,
						    const struct sluice_flow_key *key,
						    const struct sluice_origin *origin)
{
	struct sluice_half_open_sock *h = create(sk, key, origin);

	if (!h)
		sluice_count(sluice_sk_net(sk), SLUICE_CNT_accept_no_memory);
	return h;
}

enum answer { REMEMBER, COOKIE, NONE };

/*
 * As Linux counts: one more than the backlog. Without cookies the last quarter
 * of max_syn_backlog is for peers that are known to be alive, and none is known.
 */
static bool half_opens_are_full(const struct sock *sk, bool cookies)
{
	u64 most = READ_ONCE(sluice_sk_net(sk)->config.max_syn_backlog);
	u32 count = sluice_sk(sk)->half_open_count;

	return count > READ_ONCE(sk->sk_max_ack_backlog) ||
	       (cookies ? count >= most : count > most - (most >> 2));
}

/*
 * A cookie's sequence number can't be chosen, so it is none above `isn_after`;
 * and who was connected a moment ago is no stranger, whom the limits are for.
 */
static enum answer choose_answer(struct sock *sk, u32 isn_after)
{
	struct sluice_net *sn = sluice_sk_net(sk);
	u64 cookies = READ_ONCE(sn->config.syncookies);

	if (isn_after || (cookies != 2 && !half_opens_are_full(sk, cookies)))
		return REMEMBER;
	if (cookies)
		return COOKIE;
	sluice_count(sn, SLUICE_CNT_half_open_overflows);
	return NONE;
}

/*
 * Begins h. True: its SYN may open the connection at once, and nothing was
 * sent; else there is a SYN-ACK to be.
 */
static bool begin(struct sluice_half_open_sock *h, const struct sluice_path *path,
		  const struct sluice_segment *syn, u32 isn_after,
		  struct sluice_fastopen_cookie *grant, struct sluice_reply *syn_ack)
{
	const struct sluice_conn *c = &sluice_sk(h->listener)->conn;
	bool early = sluice_fastopen_judge(c, config_of(h), path, syn, grant);

	if ((early || grant->length) && !sluice_fastopen_admits(h->listener)) {
		early = false;
		grant->length = 0;
	}
	sluice_half_open_init(&h->core, c, config_of(h), path, syn, space_of(h->listener),
			      isn_after, grant, early ? NULL : syn_ack, sluice_now());
	return early;
}

static void open_early(struct sluice_half_open_sock *h, struct sluice_segment *syn,
		       const struct sluice_fastopen_cookie *grant)
{
	if (!sluice_child_create_early(h, syn, grant))
		sluice_count(sluice_net(h->flow.key.net), SLUICE_CNT_accept_no_memory);
	sluice_half_open_remove(h);
}

void sluice_listen_segment(struct sock *sk, struct sluice_segment *seg,
			   const struct sluice_flow_key *key, u32 isn_after)
{
	const struct sluice_config *config = &sluice_sk_net(sk)->config;
	struct sluice_half_open_sock *h = NULL;
	struct sluice_fastopen_cookie grant;
	struct sluice_origin origin;
	enum answer answer = NONE;
	struct sluice_reply syn_ack;
	sluice_usec now = sluice_now();
	struct sluice_path path;
	struct dst_entry *dst;

	sluice_tuning_refresh(sluice_sk_net(sk));
	if (accepts(sk))
		answer = choose_answer(sk, isn_after);
	if (answer == NONE)
		return;
	sluice_origin_of(key->net, seg->payload, &origin);
	dst = sluice_reply_route(key->net, sk, key, &origin);
	if (!dst)
		return;
	if (answer == REMEMBER) {
		h = create_counted(sk, key, &origin);
		if (!h) {
			dst_release(dst);
			return;
		}
	}
	describe_path(key, dst, &path);
	if (h) {
		h->saved_syn = sluice_saved_syn_make(seg->payload, seg->header_length,
						     sluice_sk(sk)->save_syn);
		h->pktoptions = sluice_pktoptions_of_syn(sk, seg->payload);
	}
	if (h && begin(h, &path, seg, isn_after, &grant, &syn_ack)) {
		dst_release(dst);
		open_early(h, seg, &grant);
		return;
	}
	if (h) {
		arm(h, now);
	} else {
		WRITE_ONCE(sluice_sk(sk)->cookie_sent, now);
		sluice_cookie_answer(&sluice_sk(sk)->conn, config, &path, seg, space_of(sk),
				     &syn_ack, now);
	}
	sluice_reply_send_by(dst, key->net, sk, key, &origin, &syn_ack);
}

/* ---- SYN cookies -------------------------------------------------------------- */

bool sluice_listen_expects_cookies(const struct sock *sk)
{
	sluice_usec sent = READ_ONCE(sluice_sk(sk)->cookie_sent);

	return sent && sluice_now() - sent < SLUICE_COOKIE_LIFE;
}

bool sluice_listen_cookie(struct sock *sk, struct sluice_segment *seg,
			  const struct sluice_flow_key *key)
{
	struct sluice_half_open_sock *h;
	struct sluice_origin origin;
	struct sluice_half_open core;
	struct sluice_path path;
	struct dst_entry *dst;

	if (!sluice_listen_expects_cookies(sk))
		return false;
	sluice_origin_of(key->net, seg->payload, &origin);
	dst = sluice_reply_route(key->net, sk, key, &origin);
	if (!dst)
		return true;
	describe_path(key, dst, &path);
	dst_release(dst);
	if (!sluice_cookie_open(&core, &sluice_sk(sk)->conn, &sluice_sk_net(sk)->config, &path, seg,
				space_of(sk), sluice_now())) {
		sluice_count(sluice_sk_net(sk), SLUICE_CNT_cookies_failed);
		return false;
	}
	/* The client says so again, and the cookie is still good then. */
	if (!accepts(sk))
		return true;
	h = create_counted(sk, key, &origin);
	if (!h)
		return true;
	h->core = core;
	arm(h, sluice_now());
	sluice_count(sluice_sk_net(sk), SLUICE_CNT_cookies_received);
	sluice_half_open_receive(h, seg);
	return true;
}

/* ---- segments --------------------------------------------------------------- */

/* The client thinks it is connected, but there is no room: it will say so again. */
static void overflow(struct sluice_half_open_sock *h, struct sluice_segment *seg)
{
	struct sluice_net *sn = sluice_net(h->flow.key.net);
	struct sluice_reply reply;

	sluice_count(sn, SLUICE_CNT_listen_overflows);
	if (!READ_ONCE(sn->config.abort_on_overflow)) {
		h->core.acked_but_full = true;
		return;
	}
	sluice_reset_reply(seg, &reply);
	if (reply.header_length) {
		sluice_count(sn, SLUICE_CNT_segs_out);
		sluice_count(sn, SLUICE_CNT_resets_out);
		sluice_reply_send(h->flow.key.net, NULL, &h->flow.key, &h->origin, &reply);
	}
	sluice_half_open_remove(h);
}

static void established(struct sluice_half_open_sock *h, struct sluice_segment *seg)
{
	if (sk_acceptq_is_full(h->listener))
		overflow(h, seg);
	else if (sluice_child_create(h, seg))
		sluice_half_open_remove(h);
	else
		sluice_count(sluice_net(h->flow.key.net), SLUICE_CNT_accept_no_memory);
}

void sluice_half_open_receive(struct sluice_half_open_sock *h, struct sluice_segment *seg)
{
	struct sluice_reply reply = { .header_length = 0 };
	sluice_usec now = sluice_now(), deadline = h->core.deadline;

	switch (sluice_half_open_segment(&h->core, config_of(h), seg, &reply, now)) {
	case SLUICE_HALF_OPEN_ESTABLISHED:
		established(h, seg);
		return;
	case SLUICE_HALF_OPEN_DROP:
		sluice_half_open_remove(h);
		break;
	case SLUICE_HALF_OPEN_KEEP:
		if (h->core.deadline < deadline)
			arm(h, now);
		break;
	}
	if (reply.header_length)
		sluice_reply_send(h->flow.key.net, h->listener, &h->flow.key, &h->origin, &reply);
}
