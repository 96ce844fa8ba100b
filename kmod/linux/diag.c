// SPDX-License-Identifier: GPL-2.0
/*
 * sock_diag for the Sluice family: a dump of connections, half-open ones,
 * TIME_WAIT and listeners, or one connection by its addresses. The messages
 * are described in include/sluice.h.
 */
#include <linux/module.h>
#include <linux/sock_diag.h>
#include <net/ipv6.h>
#include <net/netlink.h>
#include <net/sock.h>

#include "cc.h"
#include "compat.h"
#include "control.h"
#include "family.h"
#include "listen.h"
#include "sluice.h"
#include "sock.h"
#include "tcp_info.h"
#include "time_wait.h"

/* Room that one message needs at most; less left ends this part of a dump. */
#define MESSAGE_MAX (sizeof(struct sluice_diag_msg) + sizeof(struct sluice_info) + 256)

/* What one dump remembers between its parts. */
struct dump_state {
	struct sluice_flow_walk walk;
	bool flows_done;
	unsigned int bucket;		/* of the listener table */
	unsigned int skip;		/* listeners of it already told */
};

/* Who asks, and for what. */
struct question {
	struct sk_buff *skb;
	struct sk_buff *request;	/* its sender's portid and credentials */
	const struct nlmsghdr *nlh;
	u32 states;
	u16 ext;
	int flags;
};

/* ---- messages ---------------------------------------------------------------- */

static void put_id(struct sluice_diag_id *id, const struct sluice_flow_key *key, u32 ifindex)
{
	id->sport = key->local_port;
	id->dport = key->remote_port;
	id->ifindex = ifindex;
	memcpy(id->src, &key->local, sizeof(id->src));
	memcpy(id->dst, &key->remote, sizeof(id->dst));
	id->protocol = key->real_tcp ? SLUICE_PROTO_TCP : SLUICE_PROTO_STREAM;
}

static struct nlmsghdr *begin(struct question *q, struct sluice_diag_msg **msg)
{
	struct nlmsghdr *nlh = nlmsg_put(q->skb, NETLINK_CB(q->request).portid, q->nlh->nlmsg_seq,
					 SOCK_DIAG_BY_FAMILY, sizeof(**msg), q->flags);

	if (!nlh)
		return NULL;
	*msg = nlmsg_data(nlh);
	memset(*msg, 0, sizeof(**msg));
	(*msg)->family = sluice_family;
	return nlh;
}

static bool wants(const struct question *q, int attribute)
{
	return q->ext & (1 << (attribute - 1));
}

static int put_listener(struct question *q, const struct sock *sk)
{
	u32 queues[3] = {
		READ_ONCE(sk->sk_ack_backlog), READ_ONCE(sk->sk_max_ack_backlog),
		sluice_sk(sk)->half_open_count,
	};

	return nla_put(q->skb, SLUICE_DIAG_LISTEN, sizeof(queues), queues);
}

/* The socket lock is held. */
static int put_attributes(struct question *q, struct sock *sk, const struct sluice_info *info)
{
	const struct sluice_cc_ops *cc = sluice_conn_cc(&sluice_sk(sk)->conn);
	struct sk_buff *skb = q->skb;

	if (wants(q, SLUICE_DIAG_INFO) && nla_put(skb, SLUICE_DIAG_INFO, sizeof(*info), info))
		return -EMSGSIZE;
	if (wants(q, SLUICE_DIAG_CONG) && cc && nla_put_string(skb, SLUICE_DIAG_CONG, cc->name))
		return -EMSGSIZE;
	if (wants(q, SLUICE_DIAG_MEMINFO) && sock_diag_put_meminfo(sk, skb, SLUICE_DIAG_MEMINFO))
		return -EMSGSIZE;
	if (wants(q, SLUICE_DIAG_MARK) && netlink_net_capable(q->request, CAP_NET_ADMIN) &&
	    nla_put_u32(skb, SLUICE_DIAG_MARK, READ_ONCE(sk->sk_mark)))
		return -EMSGSIZE;
	if (wants(q, SLUICE_DIAG_LISTEN) && sk->sk_state == TCP_LISTEN && put_listener(q, sk))
		return -EMSGSIZE;
	if (wants(q, SLUICE_DIAG_V6ONLY) && sk->sk_family == AF_INET6 &&
	    nla_put_u8(skb, SLUICE_DIAG_V6ONLY, ipv6_only_sock(sk)))
		return -EMSGSIZE;
	if (wants(q, SLUICE_DIAG_SHUTDOWN) &&
	    nla_put_u8(skb, SLUICE_DIAG_SHUTDOWN, READ_ONCE(sk->sk_shutdown)))
		return -EMSGSIZE;
	return 0;
}

static void describe_listener(struct sock *sk, struct sluice_diag_msg *msg)
{
	msg->rqueue = READ_ONCE(sk->sk_ack_backlog);
	msg->wqueue = READ_ONCE(sk->sk_max_ack_backlog);
	msg->id.protocol = sk->sk_protocol;
	msg->id.sport = inet_sk(sk)->inet_sport;
	if (sk->sk_family == AF_INET)
		ipv6_addr_set_v4mapped(sk->sk_rcv_saddr, (struct in6_addr *)msg->id.src);
	else
		memcpy(msg->id.src, &sk->sk_v6_rcv_saddr, sizeof(msg->id.src));
	msg->id.ifindex = READ_ONCE(sk->sk_bound_dev_if);
}

static void describe_connection(struct sock *sk, const struct sluice_info *info,
				struct sluice_diag_msg *msg)
{
	put_id(&msg->id, &sluice_sk(sk)->flow.key, READ_ONCE(sk->sk_bound_dev_if));
	msg->rqueue = info->unread;
	msg->wqueue = sluice_conn_unacked(&sluice_sk(sk)->conn);
	msg->timer = info->timer;
	msg->retrans = info->retransmits ?: info->probes;
	msg->expires = min_t(u64, div_u64(info->timer_in, USEC_PER_MSEC), U32_MAX);
}

static bool asked_for(const struct question *q, u8 state)
{
	return q->states & (1u << state);
}

static void describe_owner(struct question *q, struct sock *sk, struct sluice_diag_msg *msg)
{
	u32 cookie[2];

	sock_diag_save_cookie(sk, cookie);
	msg->cookie = (u64)cookie[1] << 32 | cookie[0];
	msg->uid = from_kuid_munged(sk_user_ns(NETLINK_CB(q->request).sk), sock_i_uid(sk));
	msg->inode = sock_i_ino(sk);
}

/* The socket lock is held. */
static int describe_socket(struct question *q, struct sock *sk, struct sluice_diag_msg *msg)
{
	struct sluice_info info;

	sluice_sock_info(sk, &info);
	msg->state = sk->sk_state;
	describe_owner(q, sk, msg);
	if (msg->state == TCP_LISTEN)
		describe_listener(sk, msg);
	else
		describe_connection(sk, &info, msg);
	return put_attributes(q, sk, &info);
}

/*
 * Sleeps; needs a reference on sk, whose state may have become one that
 * wasn't asked for. 0, or -EMSGSIZE with nothing written.
 */
static int put_socket(struct question *q, struct sock *sk)
{
	struct sluice_diag_msg *msg;
	struct nlmsghdr *nlh;
	bool still_wanted;
	int error = 0;

	nlh = begin(q, &msg);
	if (!nlh)
		return -EMSGSIZE;
	lock_sock(sk);
	still_wanted = asked_for(q, sk->sk_state);
	if (still_wanted)
		error = describe_socket(q, sk, msg);
	release_sock(sk);
	if (error || !still_wanted)
		nlmsg_cancel(q->skb, nlh);
	else
		nlmsg_end(q->skb, nlh);
	return error;
}

/* Half-open and TIME_WAIT: no socket, nothing but addresses and a timer. */
static int put_small(struct question *q, const struct sluice_flow *flow, u8 state, u8 timer,
		     u8 retrans, u64 deadline)
{
	sluice_usec now = sluice_now();
	struct sluice_diag_msg *msg;
	struct nlmsghdr *nlh = begin(q, &msg);

	if (!nlh)
		return -EMSGSIZE;
	put_id(&msg->id, &flow->key, flow->key.scope);
	msg->state = state;
	msg->timer = timer;
	msg->retrans = retrans;
	if (deadline > now)
		msg->expires = min_t(u64, div_u64(deadline - now, USEC_PER_MSEC), U32_MAX);
	nlmsg_end(q->skb, nlh);
	return 0;
}

/* ---- dump ---------------------------------------------------------------------- */

static struct sock *connection_of(struct sluice_flow *flow)
{
	return (struct sock *)container_of(flow, struct sluice_sock, flow);
}

/* RCU is held, and is left while a socket is locked. */
static int dump_connection(struct question *q, struct dump_state *s, struct sluice_flow *flow)
{
	struct sock *sk = connection_of(flow);
	int error;

	if (!asked_for(q, READ_ONCE(sk->sk_state)) || !refcount_inc_not_zero(&sk->sk_refcnt))
		return 0;
	sluice_flow_walk_pause(&s->walk);
	error = put_socket(q, sk);
	sock_put(sk);
	sluice_flow_walk_resume(&s->walk);
	return error;
}

/* A flow that no socket stands behind; RCU is held, so what it says may be a moment old. */
static int put_flow(struct question *q, struct sluice_flow *flow)
{
	struct sluice_half_open_sock *half_open;
	struct sluice_time_wait_sock *time_wait;

	if (flow->kind == SLUICE_FLOW_HALF_OPEN) {
		if (!asked_for(q, TCP_SYN_RECV))
			return 0;
		half_open = container_of(flow, struct sluice_half_open_sock, flow);
		return put_small(q, flow, TCP_SYN_RECV, SLUICE_TIMER_RETRANSMIT,
				 READ_ONCE(half_open->core.retries),
				 READ_ONCE(half_open->core.deadline));
	}
	if (!asked_for(q, TCP_TIME_WAIT))
		return 0;
	time_wait = container_of(flow, struct sluice_time_wait_sock, flow);
	return put_small(q, flow, TCP_TIME_WAIT, SLUICE_TIMER_TIME_WAIT, 0,
			 READ_ONCE(time_wait->core.deadline));
}

static int dump_flow(struct question *q, struct dump_state *s, struct sluice_flow *flow)
{
	return flow->kind == SLUICE_FLOW_CONN ? dump_connection(q, s, flow) : put_flow(q, flow);
}

/* Others' flows may be many: lets other work and RCU have their turn now and then. */
static void breathe(struct dump_state *s, unsigned int passed)
{
	if (passed % 256)
		return;
	sluice_flow_walk_pause(&s->walk);
	cond_resched();
	sluice_flow_walk_resume(&s->walk);
}

/*
 * True: all flows were told. The room is asked for first, for a flow that the
 * walk has given out can't be put back.
 */
static bool dump_flows(struct question *q, struct dump_state *s, const struct net *net)
{
	struct sluice_flow *flow = NULL;
	unsigned int passed = 0;

	sluice_flow_walk_resume(&s->walk);
	while (skb_tailroom(q->skb) >= MESSAGE_MAX) {
		flow = sluice_flow_walk_next(&s->walk);
		if (!flow)
			break;
		if (flow->key.net == net && dump_flow(q, s, flow))
			break;
		breathe(s, ++passed);
	}
	sluice_flow_walk_pause(&s->walk);
	return !flow && skb_tailroom(q->skb) >= MESSAGE_MAX;
}

/* The `index`th listener of a bucket with a reference, or NULL. */
static struct sock *listener_at(unsigned int bucket, unsigned int index)
{
	struct sock *sk;

	rcu_read_lock();
	sluice_for_each_listener_rcu(sk, bucket) {
		if (index--)
			continue;
		if (!refcount_inc_not_zero(&sk->sk_refcnt))
			sk = NULL;
		break;
	}
	rcu_read_unlock();
	return sk;
}

static void dump_listeners(struct question *q, struct dump_state *s, const struct net *net)
{
	struct sock *sk;
	int error;

	for (; s->bucket < SLUICE_LISTENER_BUCKETS; s->bucket++, s->skip = 0) {
		while ((sk = listener_at(s->bucket, s->skip))) {
			error = net_eq(sock_net(sk), net) ? put_socket(q, sk) : 0;
			sock_put(sk);
			if (error)
				return;
			s->skip++;
		}
	}
}

static int diag_dump(struct sk_buff *skb, struct netlink_callback *cb)
{
	const struct sluice_diag_req *request = nlmsg_data(cb->nlh);
	struct dump_state *s = (struct dump_state *)cb->args[0];
	const struct net *net = sock_net(cb->skb->sk);
	struct question q = {
		.skb = skb, .request = cb->skb, .nlh = cb->nlh,
		.states = request->states, .ext = request->ext, .flags = NLM_F_MULTI,
	};

	if (!s->flows_done)
		s->flows_done = dump_flows(&q, s, net);
	if (s->flows_done && asked_for(&q, TCP_LISTEN))
		dump_listeners(&q, s, net);
	return skb->len;
}

static int diag_start(struct netlink_callback *cb)
{
	struct dump_state *s = kzalloc(sizeof(*s), GFP_KERNEL);

	if (!s)
		return -ENOMEM;
	sluice_flow_walk_begin(&s->walk);
	sluice_flow_walk_pause(&s->walk);
	cb->args[0] = (long)s;
	return 0;
}

static int diag_done(struct netlink_callback *cb)
{
	struct dump_state *s = (struct dump_state *)cb->args[0];

	if (s) {
		sluice_flow_walk_resume(&s->walk);
		sluice_flow_walk_end(&s->walk);
		kfree(s);
	}
	return 0;
}

/* ---- one of them -------------------------------------------------------------------- */

/* Of the native wire, when the id leaves that open. */
static void key_of(struct sluice_flow_key *key, const struct net *net,
		   const struct sluice_diag_id *id)
{
	memset(key, 0, sizeof(*key));
	memcpy(&key->local, id->src, sizeof(key->local));
	memcpy(&key->remote, id->dst, sizeof(key->remote));
	key->local_port = id->sport;
	key->remote_port = id->dport;
	key->scope = sluice_flow_scope(&key->local, &key->remote, id->ifindex);
	key->real_tcp = id->protocol == SLUICE_PROTO_TCP;
	key->net = net;
}

/* RCU read side. */
static struct sluice_flow *find_flow(const struct net *net, const struct sluice_diag_id *id)
{
	struct sluice_flow_key key;
	struct sluice_flow *flow;

	key_of(&key, net, id);
	flow = sluice_flow_find(&key);
	if (flow || id->protocol)
		return flow;
	key.real_tcp = true;
	return sluice_flow_find(&key);
}

struct sock *sluice_diag_find(const struct net *net, const struct sluice_diag_id *id)
{
	struct sluice_flow *flow;
	struct sock *sk = NULL;

	rcu_read_lock();
	flow = find_flow(net, id);
	if (flow && flow->kind == SLUICE_FLOW_CONN) {
		sk = connection_of(flow);
		if (!refcount_inc_not_zero(&sk->sk_refcnt))
			sk = NULL;
	}
	rcu_read_unlock();
	return sk;
}

/* The listener that a SYN to this address and port would reach, with a reference. */
static struct sock *find_listener(const struct net *net, const struct sluice_diag_id *id)
{
	struct sluice_flow_key key;
	struct sock *sk;

	key_of(&key, net, id);
	rcu_read_lock();
	sk = sluice_listener_find(&key, id->ifindex, NULL, 0);
	if (!sk && !id->protocol) {
		key.real_tcp = true;
		sk = sluice_listener_find(&key, id->ifindex, NULL, 0);
	}
	if (sk && !refcount_inc_not_zero(&sk->sk_refcnt))
		sk = NULL;
	rcu_read_unlock();
	return sk;
}

/* Half-open or in TIME_WAIT. -ENOENT: neither. */
static int put_small_of(struct question *q, const struct net *net,
			const struct sluice_diag_id *id)
{
	struct sluice_flow *flow;
	int error = -ENOENT;

	rcu_read_lock();
	flow = find_flow(net, id);
	if (flow && flow->kind != SLUICE_FLOW_CONN)
		error = put_flow(q, flow);
	rcu_read_unlock();
	return error;
}

static int put_one(struct question *q, const struct net *net, const struct sluice_diag_id *id)
{
	struct sock *sk = id->dport ? sluice_diag_find(net, id) : find_listener(net, id);
	int error;

	if (!sk)
		return put_small_of(q, net, id);
	error = put_socket(q, sk);
	sock_put(sk);
	return error;
}

static int diag_one(struct sk_buff *request_skb, const struct nlmsghdr *nlh,
		    const struct sluice_diag_req *request)
{
	struct question q = {
		.request = request_skb, .nlh = nlh, .ext = request->ext, .states = ~0u,
	};
	struct net *net = sock_net(request_skb->sk);
	int error;

	q.skb = nlmsg_new(MESSAGE_MAX, GFP_KERNEL);
	if (!q.skb)
		return -ENOMEM;
	error = put_one(&q, net, &request->id);
	if (error) {
		nlmsg_free(q.skb);
		return error;
	}
	return nlmsg_unicast(net->diag_nlsk, q.skb, NETLINK_CB(request_skb).portid);
}

static int diag_request(struct sk_buff *skb, struct nlmsghdr *nlh)
{
	struct netlink_dump_control control = {
		.start = diag_start, .dump = diag_dump, .done = diag_done, .module = THIS_MODULE,
	};

	if (nlmsg_len(nlh) < (int)sizeof(struct sluice_diag_req))
		return -EINVAL;
	if (nlh->nlmsg_flags & NLM_F_DUMP)
		return netlink_dump_start(sock_net(skb->sk)->diag_nlsk, skb, nlh, &control);
	return diag_one(skb, nlh, nlmsg_data(nlh));
}

static struct sock_diag_handler diag_handler = {
	.owner = THIS_MODULE,
	.dump = diag_request,
};

int __init sluice_diag_init(void)
{
	diag_handler.family = sluice_family;
	return sluice_family_refused(sock_diag_register(&diag_handler));
}

void sluice_diag_exit(void)
{
	sock_diag_unregister(&diag_handler);
}
