/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where kernels differ. Each difference has a probe in kmod/compat, whose
 * answer arrives in sluice_compat.h; it is turned into one name here, so that
 * no function body elsewhere holds an #if.
 */
#ifndef SLUICE_LINUX_COMPAT_H
#define SLUICE_LINUX_COMPAT_H

#include <linux/bpf-cgroup.h>
#include <linux/ipv6.h>
#include <linux/skbuff.h>
#include <linux/tcp.h>
#include <net/genetlink.h>
#include <net/inet_common.h>
#include <net/inet_sock.h>
#include <net/sock.h>

#include "sluice_compat.h"

#ifdef SLUICE_HAVE_GSO_H
#include <net/gso.h>		/* skb_gso_segment() */
#endif
#ifdef SLUICE_HAVE_PROTO_MEMORY_H
#include <net/proto_memory.h>	/* sk_under_memory_pressure() and its kin */
#endif
#ifdef SLUICE_HAVE_RPS_H
#include <net/rps.h>		/* sock_rps_record_flow() */
#endif
#ifdef SLUICE_HAVE_SKBUFF_REF_H
#include <linux/skbuff_ref.h>	/* skb_frag_ref(), skb_frag_unref() */
#endif

/*
 * SLUICE_ACCEPT_OPERATION(name, function): defines `name`, fit for
 * proto_ops.accept, that calls inet_accept() and after its success
 * void function(struct socket *child).
 */
#ifdef SLUICE_HAVE_PROTO_ACCEPT_ARG
#define SLUICE_ACCEPT_OPERATION(name, function)					\
int name(struct socket *sock, struct socket *child, struct proto_accept_arg *arg)	\
{										\
	int error = inet_accept(sock, child, arg);				\
										\
	if (!error)								\
		function(child);						\
	return error;								\
}
#define SLUICE_ACCEPT_DECLARATION(name)						\
int name(struct socket *sock, struct socket *child, struct proto_accept_arg *arg)
#else
#define SLUICE_ACCEPT_OPERATION(name, function)					\
int name(struct socket *sock, struct socket *child, int flags, bool kern)	\
{										\
	int error = inet_accept(sock, child, flags, kern);			\
										\
	if (!error)								\
		function(child);						\
	return error;								\
}
#define SLUICE_ACCEPT_DECLARATION(name)						\
int name(struct socket *sock, struct socket *child, int flags, bool kern)
#endif

/*
 * SLUICE_PROTO_ACCEPT(name, function): the same for proto.accept, with
 * struct sock *function(struct sock *listener, int flags, int *error, bool kern).
 */
#ifdef SLUICE_HAVE_PROTO_ACCEPT_ARG
#define SLUICE_PROTO_ACCEPT(name, function)					\
static struct sock *name(struct sock *sk, struct proto_accept_arg *arg)		\
{										\
	return function(sk, arg->flags, &arg->err, arg->kern);			\
}
#else
#define SLUICE_PROTO_ACCEPT(name, function)					\
static struct sock *name(struct sock *sk, int flags, int *error, bool kern)	\
{										\
	return function(sk, flags, error, kern);				\
}
#endif

/*
 * SLUICE_PROTO_IOCTL(name, function): defines `name`, fit for proto.ioctl,
 * that calls int function(struct sock *sk, int command, int *answer) for
 * commands that answer with an int.
 */
#ifdef SLUICE_HAVE_PROTO_IOCTL_KARG
#define SLUICE_PROTO_IOCTL(name, function)					\
static int name(struct sock *sk, int command, int *answer)			\
{										\
	return function(sk, command, answer);					\
}
#else
#define SLUICE_PROTO_IOCTL(name, function)					\
static int name(struct sock *sk, int command, unsigned long user)		\
{										\
	int answer = 0;								\
	int error = function(sk, command, &answer);				\
										\
	return error ? error : put_user(answer, (int __user *)user);		\
}
#endif

/*
 * SLUICE_REFUSE_CONNECTIONS(name, function): defines `name`, fit for
 * inet_connection_sock_af_ops.syn_recv_sock, that makes none, having called
 * void function(const struct sock *listener).
 */
#ifdef SLUICE_HAVE_SYN_RECV_SOCK_INIT
#define SLUICE_REFUSE_CONNECTIONS(name, function)				\
static struct sock *name(const struct sock *sk, struct sk_buff *skb,		\
			 struct request_sock *request, struct dst_entry *dst,	\
			 struct request_sock *hashed, bool *own,		\
			 void (*complete)(struct sock *child, const struct sock *sk))	\
{										\
	function(sk);								\
	return NULL;								\
}
#else
#define SLUICE_REFUSE_CONNECTIONS(name, function)				\
static struct sock *name(const struct sock *sk, struct sk_buff *skb,		\
			 struct request_sock *request, struct dst_entry *dst,	\
			 struct request_sock *hashed, bool *own)		\
{										\
	function(sk);								\
	return NULL;								\
}
#endif

/*
 * In an initializer of struct proto (no comma after it), for a socket type
 * whose member `member` is its struct ipv6_pinfo. Kernels without the offset
 * look at the object's end, so it must also be the last member.
 */
#ifdef SLUICE_HAVE_PROTO_IPV6_PINFO_OFFSET
#define SLUICE_PROTO_IPV6_PINFO(type, member)					\
	.ipv6_pinfo_offset = offsetof(type, member),
#else
#define SLUICE_PROTO_IPV6_PINFO(type, member)
#endif

/*
 * The switches of setsockopt(IPPROTO_IP and IPPROTO_IPV6) that a transport
 * looks at, and one that it sets. sluice_inet_defaults() and
 * sluice_inet6_defaults() set what inet_create() and inet6_create() give a new
 * socket. Of a deferred connect() __inet_stream_connect() wants to know that
 * its SYN is still to come.
 */
#ifdef SLUICE_HAVE_INET_FLAGS
static inline bool sluice_inet_recverr(const struct sock *sk)
{
	return inet_test_bit(RECVERR, sk);
}

static inline void sluice_inet_defaults(struct sock *sk)
{
	inet_set_bit(MC_LOOP, sk);
}

static inline bool sluice_connect_deferred(const struct sock *sk)
{
	return inet_test_bit(DEFER_CONNECT, sk);
}

static inline void sluice_set_connect_deferred(struct sock *sk, bool deferred)
{
	inet_assign_bit(DEFER_CONNECT, sk, deferred);
}

static inline bool sluice_is_transparent(const struct sock *sk)
{
	return inet_test_bit(TRANSPARENT, sk);
}

static inline void sluice_set_transparent(struct sock *sk)
{
	inet_set_bit(TRANSPARENT, sk);
}
#else
static inline bool sluice_inet_recverr(const struct sock *sk)
{
	return inet_sk(sk)->recverr;
}

static inline void sluice_inet_defaults(struct sock *sk)
{
	inet_sk(sk)->mc_loop = 1;
}

static inline bool sluice_connect_deferred(const struct sock *sk)
{
	return inet_sk(sk)->defer_connect;
}

static inline void sluice_set_connect_deferred(struct sock *sk, bool deferred)
{
	inet_sk(sk)->defer_connect = deferred;
}

static inline bool sluice_is_transparent(const struct sock *sk)
{
	return inet_sk(sk)->transparent;
}

static inline void sluice_set_transparent(struct sock *sk)
{
	inet_sk(sk)->transparent = 1;
}
#endif

#ifdef SLUICE_HAVE_INET6_FLAGS
static inline bool sluice_inet6_recverr(const struct sock *sk)
{
	return inet6_test_bit(RECVERR6, sk);
}

/* IPV6_FLOWINFO_SEND: sin6_flowinfo of connect() is the flow label. */
static inline bool sluice_inet6_sends_flow(const struct sock *sk)
{
	return inet6_test_bit(SNDFLOW, sk);
}

/* IPV6_FLOWLABEL_MGR's reflection: answer with the peer's flow label. */
static inline bool sluice_inet6_reflects_flow(const struct sock *sk)
{
	return inet6_test_bit(REPFLOW, sk);
}

static inline void sluice_inet6_set_reflects_flow(struct sock *sk, bool reflects)
{
	inet6_assign_bit(REPFLOW, sk, reflects);
}

static inline void sluice_inet6_defaults(struct sock *sk)
{
	inet6_set_bit(MC6_LOOP, sk);
	inet6_set_bit(MC6_ALL, sk);
}
#else
static inline bool sluice_inet6_recverr(const struct sock *sk)
{
	return inet6_sk(sk)->recverr;
}

static inline bool sluice_inet6_sends_flow(const struct sock *sk)
{
	return inet6_sk(sk)->sndflow;
}

static inline bool sluice_inet6_reflects_flow(const struct sock *sk)
{
	return inet6_sk(sk)->repflow;
}

static inline void sluice_inet6_set_reflects_flow(struct sock *sk, bool reflects)
{
	inet6_sk(sk)->repflow = reflects;
}

static inline void sluice_inet6_defaults(struct sock *sk)
{
	inet6_sk(sk)->mc_loop = 1;
	inet6_sk(sk)->mc_all = 1;
}
#endif

/* A copied socket has none of the original's flow labels. */
#ifdef SLUICE_HAVE_IPV6_FL_LIST_INET
static inline void sluice_inet6_forget_labels(struct sock *sk)
{
	RCU_INIT_POINTER(inet_sk(sk)->ipv6_fl_list, NULL);
}
#else
static inline void sluice_inet6_forget_labels(struct sock *sk)
{
	RCU_INIT_POINTER(inet6_sk(sk)->ipv6_fl_list, NULL);
}
#endif

/* Programs of cgroups that refuse or redirect a connect(); 0 or a negative errno. */
#ifdef SLUICE_HAVE_SOCK_ADDR_LENGTH
static inline int sluice_ask_cgroup_v4(struct sock *sk, struct sockaddr *address, int length)
{
	return BPF_CGROUP_RUN_PROG_INET4_CONNECT(sk, address, &length);
}

static inline int sluice_ask_cgroup_v6(struct sock *sk, struct sockaddr *address, int length)
{
	return BPF_CGROUP_RUN_PROG_INET6_CONNECT(sk, address, &length);
}
#else
static inline int sluice_ask_cgroup_v4(struct sock *sk, struct sockaddr *address, int length)
{
	return BPF_CGROUP_RUN_PROG_INET4_CONNECT(sk, address);
}

static inline int sluice_ask_cgroup_v6(struct sock *sk, struct sockaddr *address, int length)
{
	return BPF_CGROUP_RUN_PROG_INET6_CONNECT(sk, address);
}
#endif

/* In struct tcp_info, where it has a place for it. */
#ifdef SLUICE_HAVE_TCP_INFO_RCV_WND
static inline void sluice_tcp_info_rcv_wnd(struct tcp_info *info, u32 window)
{
	info->tcpi_rcv_wnd = window;
}
#else
static inline void sluice_tcp_info_rcv_wnd(struct tcp_info *info, u32 window)
{
}
#endif

/* The attributes of a generic netlink dump request; NULL entries for absent ones. */
#ifdef SLUICE_HAVE_GENL_DUMP_INFO
static inline struct nlattr **sluice_dump_attributes(struct netlink_callback *cb)
{
	return genl_info_dump(cb)->attrs;
}
#else
static inline struct nlattr **sluice_dump_attributes(struct netlink_callback *cb)
{
	return genl_dumpit_info(cb)->attrs;
}
#endif

/*
 * Pages reach a socket by sendmsg(MSG_SPLICE_PAGES), or where kernels know
 * nothing of that by sendpage(), which SLUICE_SENDPAGE makes an operation.
 */
#ifdef SLUICE_HAVE_SKB_SPLICE_FROM_ITER
#define SLUICE_SENDPAGE
static inline bool sluice_msg_splices(const struct msghdr *msg)
{
	return msg->msg_flags & MSG_SPLICE_PAGES;
}

static inline int sluice_sendpage_flags(int flags)
{
	return flags;
}
#else
#define SLUICE_SENDPAGE .sendpage = sluice_sendpage,
static inline bool sluice_msg_splices(const struct msghdr *msg)
{
	return false;
}

/* More pages of the same splice follow. */
static inline int sluice_sendpage_flags(int flags)
{
	return flags & MSG_SENDPAGE_NOTLAST ? flags | MSG_MORE : flags;
}
#endif

/* May a family see to options of level SOL_SOCKET itself? Else SO_ZEROCOPY is the kernel's TCP's alone. */
#ifdef SLUICE_HAVE_SOCK_CUSTOM_SOCKOPT
static inline void sluice_sees_to_sol_socket(struct socket *sock)
{
	set_bit(SOCK_CUSTOM_SOCKOPT, &sock->flags);
}
#else
static inline void sluice_sees_to_sol_socket(struct socket *sock)
{
}
#endif

/* IP_LOCAL_PORT_RANGE: the higher port in the upper half, 0 for none. */
#ifdef SLUICE_HAVE_INET_PORT_RANGE
static inline u32 sluice_own_port_range(const struct sock *sk)
{
	return READ_ONCE(inet_sk(sk)->local_port_range);
}
#else
static inline u32 sluice_own_port_range(const struct sock *sk)
{
	return (u32)inet_sk(sk)->local_port_range.hi << 16 | inet_sk(sk)->local_port_range.lo;
}
#endif

/* What struct tcp_info tells of timeouts, where it has room for that. */
#ifdef SLUICE_HAVE_TCP_INFO_TOTAL_RTO
static inline void sluice_tcp_info_timeouts(struct tcp_info *info, u16 timeouts, u16 rows, u32 ms)
{
	info->tcpi_total_rto = timeouts;
	info->tcpi_total_rto_recoveries = rows;
	info->tcpi_total_rto_time = ms;
}
#else
static inline void sluice_tcp_info_timeouts(struct tcp_info *info, u16 timeouts, u16 rows, u32 ms)
{
}
#endif

/* How often a connection chose another hash: in SCM_TIMESTAMPING_OPT_STATS, in struct tcp_info. */
#ifdef SLUICE_HAVE_TCP_NLA_REHASH
#define sluice_put_rehash(room, count) nla_put_u32(room, TCP_NLA_REHASH, count)
#define sluice_tcp_info_rehash(info, count) ((info)->tcpi_rehash = (count))
#else
#define sluice_put_rehash(room, count) do { } while (0)
#define sluice_tcp_info_rehash(info, count) do { } while (0)
#endif

/* Rows of sysctl.def on kernels that have them. */
#ifdef SLUICE_HAVE_SYSCTL_RTO_MIN
#define SLUICE_IF_RTO_MIN(...) __VA_ARGS__
#else
#define SLUICE_IF_RTO_MIN(...)
#endif
#ifdef SLUICE_HAVE_SYSCTL_SYN_LINEAR_TIMEOUTS
#define SLUICE_IF_SYN_LINEAR_TIMEOUTS(...) __VA_ARGS__
#else
#define SLUICE_IF_SYN_LINEAR_TIMEOUTS(...)
#endif

#endif /* SLUICE_LINUX_COMPAT_H */
