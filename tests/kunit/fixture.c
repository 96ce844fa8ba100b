// SPDX-License-Identifier: GPL-2.0
/* Sockets, connections and a look at the wire, for all suites. */
#include <linux/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter_ipv4.h>
#include <linux/netfilter_ipv6.h>
#include <net/ipv6.h>
#include <net/tcp.h>

#include "control.h"
#include "fixture.h"
#include "sluice.h"

/* ---- sockets ---------------------------------------------------------------- */

static void release_socket(void *sock)
{
	sock_release(sock);
}

static struct socket *keep(struct kunit *test, struct socket *sock)
{
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, release_socket, sock), 0);
	return sock;
}

struct socket *fixture_socket_of(struct kunit *test, int family, int protocol)
{
	struct socket *sock;

	KUNIT_ASSERT_EQ(test, sock_create_kern(&init_net, family, SOCK_STREAM, protocol, &sock), 0);
	return keep(test, sock);
}

struct socket *fixture_socket(struct kunit *test, int family)
{
	return fixture_socket_of(test, family, family == sluice_family ? 0 : SLUICE_PROTO_STREAM);
}

void fixture_close(struct kunit *test, struct socket *sock)
{
	kunit_release_action(test, release_socket, sock);
}

struct in6_addr fixture_in6(struct kunit *test, const char *text)
{
	struct in6_addr address;
	__be32 v4;

	if (in4_pton(text, -1, (u8 *)&v4, -1, NULL))
		ipv6_addr_set_v4mapped(v4, &address);
	else
		KUNIT_ASSERT_EQ(test, in6_pton(text, -1, address.s6_addr, -1, NULL), 1);
	return address;
}

struct sockaddr_sluice fixture_address(struct kunit *test, const char *text, u16 port)
{
	return (struct sockaddr_sluice) {
		.ssl_family = sluice_family,
		.ssl_port = htons(port),
		.ssl_addr = fixture_in6(test, text),
	};
}

int fixture_bind(struct kunit *test, struct socket *sock, const char *text, u16 port)
{
	struct sockaddr_sluice address = fixture_address(test, text, port);

	return kernel_bind(sock, (struct sockaddr *)&address, sizeof(address));
}

struct socket *fixture_listener(struct kunit *test, const char *text, int backlog)
{
	struct socket *sock = fixture_socket(test, sluice_family);

	KUNIT_ASSERT_EQ(test, fixture_bind(test, sock, text, 0), 0);
	KUNIT_ASSERT_EQ(test, kernel_listen(sock, backlog), 0);
	return sock;
}

u16 fixture_port(const struct socket *sock)
{
	return inet_sk(sock->sk)->inet_num;
}

void fixture_connect(struct kunit *test, struct fixture_pair *pair, const char *text)
{
	struct sockaddr_sluice address;

	pair->listener = fixture_listener(test, text, 1);
	pair->client = fixture_socket(test, sluice_family);
	address = fixture_address(test, text, fixture_port(pair->listener));
	KUNIT_ASSERT_EQ(test, kernel_connect(pair->client, (struct sockaddr *)&address,
					     sizeof(address), 0), 0);
	KUNIT_ASSERT_EQ(test, kernel_accept(pair->listener, &pair->server, 0), 0);
	keep(test, pair->server);
}

int fixture_send(struct socket *sock, const void *bytes, size_t length)
{
	struct msghdr msg = { .msg_flags = MSG_DONTWAIT | MSG_NOSIGNAL };
	struct kvec part = { .iov_base = (void *)bytes, .iov_len = length };

	return kernel_sendmsg(sock, &msg, &part, 1, length);
}

int fixture_receive(struct socket *sock, void *bytes, size_t length, int flags)
{
	struct msghdr msg = { };
	struct kvec part = { .iov_base = bytes, .iov_len = length };

	return kernel_recvmsg(sock, &msg, &part, 1, length, flags);
}

/* ---- the namespace ---------------------------------------------------------- */

struct sluice_net *fixture_net(void)
{
	return sluice_net(&init_net);
}

struct parameters {
	struct sluice_config config;
	DECLARE_BITMAP(overridden, SLUICE_PARAM_BITS);
};

static void restore_parameters(void *data)
{
	struct parameters *before = data;

	fixture_net()->config = before->config;
	bitmap_copy(fixture_net()->overridden, before->overridden, SLUICE_PARAM_BITS);
}

void fixture_set(struct kunit *test, const char *name, u64 value)
{
	struct parameters *before = kunit_kmalloc(test, sizeof(*before), GFP_KERNEL);
	const struct sluice_param *p = sluice_param_find(name);
	const char *why;

	KUNIT_ASSERT_NOT_NULL(test, before);
	KUNIT_ASSERT_NOT_NULL(test, p);
	before->config = fixture_net()->config;
	bitmap_copy(before->overridden, fixture_net()->overridden, SLUICE_PARAM_BITS);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, restore_parameters, before), 0);
	KUNIT_ASSERT_EQ(test, sluice_param_write(fixture_net(), p, value, &why), 0);
}

u64 fixture_count(enum sluice_counter which)
{
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu_ptr(fixture_net()->counters, cpu)->value[which]);
	return sum;
}

/* ---- the wire --------------------------------------------------------------- */

static bool is_sluice(const struct sk_buff *skb, const struct nf_hook_state *state)
{
	return state->pf == NFPROTO_IPV4 ? ip_hdr(skb)->protocol == SLUICE_PROTO_STREAM :
					   ipv6_hdr(skb)->nexthdr == SLUICE_PROTO_STREAM;
}

static unsigned int look(void *priv, struct sk_buff *skb, const struct nf_hook_state *state)
{
	struct fixture_wire *wire = priv;

	if (!is_sluice(skb, state))
		return NF_ACCEPT;
	atomic_inc(&wire->sent);
	if (wire->pass(wire, skb, tcp_hdr(skb)))
		return NF_ACCEPT;
	atomic_inc(&wire->lost);
	/* As a router on the way loses it: the sender isn't told. */
	kfree_skb(skb);
	return NF_STOLEN;
}

struct sk_buff *fixture_packet(void)
{
	unsigned int size = sizeof(struct iphdr) + sizeof(struct tcphdr);
	struct sk_buff *skb = alloc_skb(size, GFP_KERNEL | __GFP_NOFAIL);

	skb->protocol = htons(ETH_P_IP);
	skb_put_zero(skb, size);
	skb_reset_network_header(skb);
	__skb_pull(skb, sizeof(struct iphdr));
	skb_reset_transport_header(skb);
	return skb;
}

static void remove_hooks(void *hooks)
{
	nf_unregister_net_hooks(&init_net, hooks, 2);
}

void fixture_wire(struct kunit *test, struct fixture_wire *wire)
{
	struct nf_hook_ops *hooks = kunit_kcalloc(test, 2, sizeof(*hooks), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, hooks);
	atomic_set(&wire->sent, 0);
	atomic_set(&wire->lost, 0);
	hooks[0] = (struct nf_hook_ops) {
		.hook = look, .priv = wire, .pf = NFPROTO_IPV4, .hooknum = NF_INET_LOCAL_OUT,
	};
	hooks[1] = hooks[0];
	hooks[1].pf = NFPROTO_IPV6;
	KUNIT_ASSERT_EQ(test, nf_register_net_hooks(&init_net, hooks, 2), 0);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, remove_hooks, hooks), 0);
}
