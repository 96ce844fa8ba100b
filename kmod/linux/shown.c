// SPDX-License-Identifier: GPL-2.0
/* Sockets of real TCP shown to rules of netfilter, by skb->sk. */
#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/netfilter.h>
#include <linux/netfilter_ipv4.h>
#include <linux/netfilter_ipv6.h>
#include <linux/notifier.h>
#include <net/icmp.h>
#include <net/inet_timewait_sock.h>
#include <net/ip.h>
#include <net/ipv6.h>
#include <net/lwtunnel.h>
#include <net/netfilter/nf_conntrack.h>
#include <net/netfilter/nf_socket.h>

#include "compat.h"
#include "demux.h"
#include "listen.h"
#include "net.h"
#include "real_tcp.h"
#include "shown.h"
#include "stand_in.h"
#include "time_wait.h"

/* Is there who asks for a packet's socket where kernel TCP hasn't looked for it yet? */
static bool sought;

/* ---- whose packet? --------------------------------------------------------------- */

/* As nf_socket sees a packet: a segment, or the segment that an ICMP error quotes. */
struct packet {
	struct sluice_flow_key key;
	int ifindex;
	bool icmp;
};

static bool read_ports(const struct sk_buff *skb, unsigned int offset, __be16 *source,
		       __be16 *destination)
{
	__be16 buffer[2];
	const __be16 *ports = skb_header_pointer(skb, offset, sizeof(buffer), buffer);

	if (!ports)
		return false;
	*source = ports[0];
	*destination = ports[1];
	return true;
}

static bool read_icmp_v4(const struct sk_buff *skb, unsigned int offset, struct packet *p)
{
	const struct icmphdr *icmp;
	const struct iphdr *quoted;
	struct icmphdr icmp_buffer;
	struct iphdr quoted_buffer;

	icmp = skb_header_pointer(skb, offset, sizeof(icmp_buffer), &icmp_buffer);
	if (!icmp || !icmp_is_err(icmp->type))
		return false;
	offset += sizeof(*icmp);
	quoted = skb_header_pointer(skb, offset, sizeof(quoted_buffer), &quoted_buffer);
	if (!quoted || quoted->protocol != IPPROTO_TCP ||
	    !read_ports(skb, offset + quoted->ihl * 4, &p->key.local_port, &p->key.remote_port))
		return false;
	p->icmp = true;
	ipv6_addr_set_v4mapped(quoted->saddr, &p->key.local);
	ipv6_addr_set_v4mapped(quoted->daddr, &p->key.remote);
	return true;
}

static bool read_v4(const struct sk_buff *skb, struct packet *p)
{
	const struct iphdr *ip = ip_hdr(skb);
	unsigned int offset = ip_hdrlen(skb);

	if (ip_is_fragment(ip))
		return false;
	if (ip->protocol == IPPROTO_ICMP)
		return read_icmp_v4(skb, offset, p);
	if (ip->protocol != IPPROTO_TCP ||
	    !read_ports(skb, offset, &p->key.remote_port, &p->key.local_port))
		return false;
	ipv6_addr_set_v4mapped(ip->daddr, &p->key.local);
	ipv6_addr_set_v4mapped(ip->saddr, &p->key.remote);
	return true;
}

/* Where the header behind those of IPv6 is, and whose it is; negative: there is none. */
static int skip_headers(const struct sk_buff *skb, unsigned int offset, u8 *protocol)
{
	__be16 fragment;
	int at = ipv6_skip_exthdr(skb, offset, protocol, &fragment);

	return at >= 0 && fragment ? -EINVAL : at;
}

static bool read_icmp_v6(const struct sk_buff *skb, unsigned int offset, struct packet *p)
{
	const struct icmp6hdr *icmp;
	const struct ipv6hdr *quoted;
	struct icmp6hdr icmp_buffer;
	struct ipv6hdr quoted_buffer;
	u8 protocol;
	int ports;

	icmp = skb_header_pointer(skb, offset, sizeof(icmp_buffer), &icmp_buffer);
	if (!icmp || icmp->icmp6_type & ICMPV6_INFOMSG_MASK)
		return false;
	offset += sizeof(*icmp);
	quoted = skb_header_pointer(skb, offset, sizeof(quoted_buffer), &quoted_buffer);
	if (!quoted)
		return false;
	protocol = quoted->nexthdr;
	ports = skip_headers(skb, offset + sizeof(*quoted), &protocol);
	if (ports < 0 || protocol != IPPROTO_TCP ||
	    !read_ports(skb, ports, &p->key.local_port, &p->key.remote_port))
		return false;
	p->icmp = true;
	p->key.local = quoted->saddr;
	p->key.remote = quoted->daddr;
	return true;
}

static bool read_v6(const struct sk_buff *skb, struct packet *p)
{
	const struct ipv6hdr *ip = ipv6_hdr(skb);
	u8 protocol = ip->nexthdr;
	int offset = skip_headers(skb, sizeof(*ip), &protocol);

	if (offset < 0)
		return false;
	if (protocol == IPPROTO_ICMPV6)
		return read_icmp_v6(skb, offset, p);
	if (protocol != IPPROTO_TCP ||
	    !read_ports(skb, offset, &p->key.remote_port, &p->key.local_port))
		return false;
	p->key.local = ip->daddr;
	p->key.remote = ip->saddr;
	return true;
}

static bool read(const struct sk_buff *skb, const struct nf_hook_state *state, struct packet *p)
{
	*p = (struct packet) {
		.key = { .real_tcp = true, .net = state->net },
		.ifindex = state->pf == NFPROTO_IPV4 ? inet_iif(skb) : inet6_iif(skb),
	};
	if (!(state->pf == NFPROTO_IPV4 ? read_v4(skb, p) : read_v6(skb, p)))
		return false;
	p->key.scope = sluice_flow_scope(&p->key.local, &p->key.remote, p->ifindex);
	return true;
}

/*
 * A reply to what NAT gave another source is for that other address yet: here
 * is who sent it. False: it is no such.
 */
static bool undo_source_nat(const struct sk_buff *skb, u8 family, struct packet *p)
{
#if IS_ENABLED(CONFIG_NF_CONNTRACK)
	const struct nf_conntrack_tuple *original;
	enum ip_conntrack_info info;
	const struct nf_conn *ct = nf_ct_get(skb, &info);

	if (!ct || info != (p->icmp ? IP_CT_RELATED_REPLY : IP_CT_ESTABLISHED_REPLY) ||
	    !(ct->status & IPS_SRC_NAT_DONE))
		return false;
	original = &ct->tuplehash[IP_CT_DIR_ORIGINAL].tuple;
	if (family == NFPROTO_IPV4)
		ipv6_addr_set_v4mapped(original->src.u3.ip, &p->key.local);
	else
		p->key.local = original->src.u3.in6;
	p->key.local_port = original->src.u.tcp.port;
	return true;
#else
	return false;
#endif
}

/* ---- showing ------------------------------------------------------------------------ */

/* A TIME_WAIT has no socket, but may be transparent: of that one, all a rule can see. */
static struct sock *socket_of_time_wait(const struct sluice_flow *flow)
{
	const struct sluice_time_wait_sock *tw =
		container_of(flow, struct sluice_time_wait_sock, flow);

	return tw->transparent ? (struct sock *)&sluice_net(flow->key.net)->transparent_time_wait :
				 NULL;
}

static struct sock *socket_of(struct sluice_flow *flow)
{
	switch (flow->kind) {
	case SLUICE_FLOW_CONN:
		return &container_of(flow, struct sluice_sock, flow)->inet.sk;
	case SLUICE_FLOW_HALF_OPEN:
		return container_of(flow, struct sluice_half_open_sock, flow)->listener;
	case SLUICE_FLOW_TIME_WAIT:
		return socket_of_time_wait(flow);
	}
	return NULL;
}

/* NULL: none. Listeners only where kernel TCP's would be looked for, too, and found. */
static struct sock *find(struct sk_buff *skb, const struct packet *p)
{
	struct sluice_flow *flow = sluice_flow_find(&p->key);

	if (flow)
		return socket_of(flow);
	if (!READ_ONCE(sought) || sluice_real_tcp_is_kernels(skb, &p->key, p->ifindex))
		return NULL;
	return sluice_listener_find(&p->key, p->ifindex, NULL, 0);
}

/* sk: NULL to show nothing. */
static void show(struct sk_buff *skb, struct sock *sk)
{
	if (!sk || !refcount_inc_not_zero(&sk->sk_refcnt))
		return;
	skb_orphan(skb);
	skb->sk = sk;
	skb->destructor = sock_edemux;
}

static unsigned int show_early(void *unused, struct sk_buff *skb,
			       const struct nf_hook_state *state)
{
	struct packet p;

	if (!skb->sk && skb->pkt_type == PACKET_HOST && read(skb, state, &p))
		show(skb, find(skb, &p));
	return NF_ACCEPT;
}

/* Once conntrack knows what it is. */
static unsigned int show_translated(void *unused, struct sk_buff *skb,
				    const struct nf_hook_state *state)
{
	struct packet p;

	if (!skb->sk && skb->pkt_type == PACKET_HOST && skb_nfct(skb) && read(skb, state, &p) &&
	    undo_source_nat(skb, state->pf, &p))
		show(skb, find(skb, &p));
	return NF_ACCEPT;
}

static unsigned int take_back(void *unused, struct sk_buff *skb,
			      const struct nf_hook_state *state)
{
	sluice_shown_take_back(skb);
	return NF_ACCEPT;
}

/* ---- local input ---------------------------------------------------------------------- */

typedef int (*okfn)(struct net *net, struct sock *sk, struct sk_buff *skb);

/* What comes behind its hooks for each family. */
static okfn v4_goes_on, v6_goes_on;

/*
 * A verdict from user space may end the hooks early, or ours be missed while
 * others come and go; so it is only behind them all that what is ours is taken.
 */
static int take_v4(struct net *net, struct sock *sk, struct sk_buff *skb)
{
	return sluice_real_tcp_take_v4(net, skb) ? 0 : READ_ONCE(v4_goes_on)(net, sk, skb);
}

static int take_v6(struct net *net, struct sock *sk, struct sk_buff *skb)
{
	return sluice_real_tcp_take_v6(net, skb) ? 0 : READ_ONCE(v6_goes_on)(net, sk, skb);
}

bool sluice_shown_takes_behind(const struct nf_hook_state *state)
{
	return state->okfn == take_v4 || state->okfn == take_v6;
}

/* A segment route may take it through these hooks to somewhere else. */
static bool goes_elsewhere(const struct sk_buff *skb)
{
	const struct dst_entry *dst = skb_dst(skb);

	return dst && lwtunnel_input_redirect(dst->lwtstate);
}

/* False: this is not where a family's packets usually go on. */
static bool take_behind(const struct sk_buff *skb, struct nf_hook_state *state)
{
	bool v4 = state->pf == NFPROTO_IPV4;
	okfn *goes_on = v4 ? &v4_goes_on : &v6_goes_on;

	if (goes_elsewhere(skb))
		return false;
	if (!READ_ONCE(*goes_on))
		cmpxchg(goes_on, NULL, state->okfn);
	if (READ_ONCE(*goes_on) != state->okfn)
		return false;
	state->okfn = v4 ? take_v4 : take_v6;
	return true;
}

static const struct nf_hook_entries *hooks_of_input(const struct nf_hook_state *state)
{
	return state->pf == NFPROTO_IPV4 ?
		rcu_dereference(state->net->nf.hooks_ipv4[NF_INET_LOCAL_IN]) :
		rcu_dereference(state->net->nf.hooks_ipv6[NF_INET_LOCAL_IN]);
}

/* Are there hooks beside this one and the one that takes what is ours? */
static bool somebody_looks(const struct nf_hook_entries *entries)
{
	return entries && entries->num_hook_entries > 2;
}

static bool demultiplexes_early(const struct net *net)
{
	return READ_ONCE(net->ipv4.sysctl_ip_early_demux) &&
	       READ_ONCE(net->ipv4.sysctl_tcp_early_demux);
}

/* NULL: none, or what skb->sk is already. */
static struct sock *find_for_input(struct sk_buff *skb, const struct nf_hook_state *state)
{
	bool everything = READ_ONCE(sought);
	struct sluice_flow *flow;
	struct packet p;

	if (!(everything || demultiplexes_early(state->net)) || !read(skb, state, &p) ||
	    (p.icmp && !everything))
		return NULL;
	if (!skb->sk)
		return find(skb, &p);
	if (!sluice_is_stand_in(skb->sk))
		return NULL;
	/* Rules gave it to a listener, but what is of a connection is that connection's. */
	flow = sluice_flow_find(&p.key);
	if (flow && flow->kind == SLUICE_FLOW_CONN)
		return socket_of(flow);
	sluice_stand_in_follow_mark(skb->sk);
	return NULL;
}

static unsigned int show_to_input(void *unused, struct sk_buff *skb,
				  const struct nf_hook_state *state);

/* Just removed, it is no more among them; but all are behind it, who was the first. */
static noinline unsigned int show_to_others(struct sk_buff *skb, const struct nf_hook_state *state,
					    const struct nf_hook_entries *entries)
{
	struct nf_hook_state later = *state;

	if (!take_behind(skb, &later))
		return NF_ACCEPT;
	show(skb, find_for_input(skb, state));
	if (sluice_pass_hooks(skb, &later, entries, sluice_hooks_behind(entries, show_to_input, 0)))
		later.okfn(later.net, later.sk, skb);
	return NF_STOLEN;
}

static unsigned int show_to_input(void *unused, struct sk_buff *skb,
				  const struct nf_hook_state *state)
{
	const struct nf_hook_entries *entries = hooks_of_input(state);

	sluice_shown_take_back(skb);	/* where a verdict has ended the hooks before routing early */
	return somebody_looks(entries) ? show_to_others(skb, state, entries) : NF_ACCEPT;
}

#define HOOK(function, family, where, when) \
	{ .hook = function, .pf = family, .hooknum = where, .priority = when }

/* Behind what puts fragments together; the second behind conntrack. */
static const struct nf_hook_ops early_hooks[] = {
	HOOK(show_early, NFPROTO_IPV4, NF_INET_PRE_ROUTING, NF_IP_PRI_CONNTRACK_DEFRAG + 1),
	HOOK(show_early, NFPROTO_IPV6, NF_INET_PRE_ROUTING, NF_IP6_PRI_CONNTRACK_DEFRAG + 1),
	HOOK(show_translated, NFPROTO_IPV4, NF_INET_PRE_ROUTING, NF_IP_PRI_CONNTRACK + 1),
	HOOK(show_translated, NFPROTO_IPV6, NF_INET_PRE_ROUTING, NF_IP6_PRI_CONNTRACK + 1),
	HOOK(take_back, NFPROTO_IPV4, NF_INET_PRE_ROUTING, INT_MAX),
	HOOK(take_back, NFPROTO_IPV6, NF_INET_PRE_ROUTING, INT_MAX),
};

static const struct nf_hook_ops input_hooks[] = {
	HOOK(show_to_input, NFPROTO_IPV4, NF_INET_LOCAL_IN, INT_MIN),
	HOOK(show_to_input, NFPROTO_IPV6, NF_INET_LOCAL_IN, INT_MIN),
};

/* ---- namespaces, and the module that seeks sockets ------------------------------------- */

static DEFINE_MUTEX(hook_mutex);	/* guards `sought` and each namespace's early_hooks */

static void begin_time_wait(struct net *net)
{
	struct inet_timewait_sock *tw = &sluice_net(net)->transparent_time_wait;

	tw->tw_family = AF_INET6;
	tw->tw_state = TCP_TIME_WAIT;
	tw->tw_prot = &sluice_prot;
	tw->tw_rcv_saddr = htonl(INADDR_LOOPBACK);	/* no wildcard */
	tw->tw_v6_rcv_saddr = in6addr_loopback;
	tw->tw_transparent = 1;
	write_pnet(&tw->tw_net, net);
	refcount_set(&tw->tw_refcnt, 1);	/* never the last */
}

/* hook_mutex held. */
static int show_where_sought(struct net *net)
{
	struct sluice_net *sn = sluice_net(net);
	int error;

	if (!sought || sn->shown_early)
		return 0;
	error = nf_register_net_hooks(net, early_hooks, ARRAY_SIZE(early_hooks));
	sn->shown_early = !error;
	return error;
}

int sluice_shown_enter(struct net *net)
{
	int error;

	begin_time_wait(net);
	error = nf_register_net_hooks(net, input_hooks, ARRAY_SIZE(input_hooks));
	if (error)
		return error;
	mutex_lock(&hook_mutex);
	sluice_net(net)->shown = true;
	error = show_where_sought(net);
	if (error)
		sluice_net(net)->shown = false;
	mutex_unlock(&hook_mutex);
	if (error)
		nf_unregister_net_hooks(net, input_hooks, ARRAY_SIZE(input_hooks));
	return error;
}

void sluice_shown_leave(struct net *net)
{
	struct sluice_net *sn = sluice_net(net);
	bool early, input;

	mutex_lock(&hook_mutex);
	early = sn->shown_early;
	input = sn->shown;
	sn->shown = sn->shown_early = false;
	mutex_unlock(&hook_mutex);
	if (early)
		nf_unregister_net_hooks(net, early_hooks, ARRAY_SIZE(early_hooks));
	if (input)
		nf_unregister_net_hooks(net, input_hooks, ARRAY_SIZE(input_hooks));
}

/*
 * Of `socket` and its like of iptables the look-up is in modules of its own, so
 * without them no packet needs to be looked up for them. A namespace for which
 * there is no memory now isn't served, which is said.
 */
static void begin_to_seek(void)
{
	struct net *net;

	down_read(&net_rwsem);
	mutex_lock(&hook_mutex);
	WRITE_ONCE(sought, true);
	for_each_net(net)
		if (sluice_net(net)->shown && show_where_sought(net))
			pr_warn("sluice: no memory to show sockets to rules\n");
	mutex_unlock(&hook_mutex);
	up_read(&net_rwsem);
}

static bool seeks(const struct module *module)
{
	return !strcmp(module->name, "nf_socket_ipv4") || !strcmp(module->name, "nf_socket_ipv6");
}

/* MODULE_STATE_LIVE, too: it may have come before this was told, and not have been there to ask. */
static int module_comes(struct notifier_block *block, unsigned long event, void *data)
{
	if ((event == MODULE_STATE_COMING || event == MODULE_STATE_LIVE) && seeks(data))
		begin_to_seek();
	return NOTIFY_DONE;
}

static struct notifier_block modules = { .notifier_call = module_comes };

/* Is one of them there already? */
static bool is_sought(void)
{
	bool v4 = symbol_get(nf_sk_lookup_slow_v4), v6 = symbol_get(nf_sk_lookup_slow_v6);

	if (v4)
		symbol_put(nf_sk_lookup_slow_v4);
	if (v6)
		symbol_put(nf_sk_lookup_slow_v6);
	return v4 || v6;
}

int sluice_shown_init(void)
{
	int error = register_module_notifier(&modules);

	if (!error && is_sought())
		begin_to_seek();
	return error;
}

void sluice_shown_exit(void)
{
	unregister_module_notifier(&modules);
}
