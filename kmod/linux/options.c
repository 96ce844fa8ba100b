// SPDX-License-Identifier: GPL-2.0
/*
 * Socket options. Level SOL_SOCKET is the kernel's own, levels IPPROTO_IP and
 * IPPROTO_IPV6 go to IP; level IPPROTO_TCP has TCP's numbers, and here every
 * one of them has its row. Documentation/options.md has those of all levels.
 */
#include <linux/netfilter_ipv4.h>
#include <linux/netfilter_ipv6/ip6_tables.h>
#include <linux/tcp.h>
#include <net/ip.h>
#include <net/ipv6.h>
#include <net/tcp_states.h>

#include "cc_registry.h"
#include "compat.h"
#include "fastopen.h"
#include "original_dst.h"
#include "saved_syn.h"
#include "sock.h"
#include "stand_in.h"
#include "tcp_info.h"
#include "transmit.h"
#include "tuning.h"
#include "zerocopy.h"

/* Newer than the headers of some kernels this is built for. */
#define TCP_OPTION_IS_MPTCP 43

struct row {
	int name;
	int refused;		/* errno for both directions; 0: not refused */
	/* int value in [min, max], times `scale`, to and from the core */
	enum sluice_option option;
	u32 scale;		/* 0: not the core's */
	int min, max;
	/* anything else */
	int (*set)(struct sock *sk, int value);
	int (*get)(struct sock *sk);
};

static int zero(struct sock *sk)
{
	return 0;
}

static int set_core(struct sock *sk, enum sluice_option option, u64 value)
{
	int error = sluice_conn_set_option(&sluice_sk(sk)->conn, option, value, sluice_now());

	sluice_sock_settle(sk);
	return error;
}

static int set_maxseg(struct sock *sk, int value)
{
	/* 88: what IP and TCP headers leave of the least IPv4 datagram, as Linux TCP */
	if (value && (value < 88 || value > 32767))
		return -EINVAL;
	return set_core(sk, SLUICE_OPTION_MAXSEG, value);
}

static int get_maxseg(struct sock *sk)
{
	const struct sluice_conn *c = &sluice_sk(sk)->conn;
	u64 wished = sluice_conn_option(c, SLUICE_OPTION_MAXSEG);

	if (wished && (sk->sk_state == TCP_CLOSE || sk->sk_state == TCP_LISTEN))
		return wished;
	return sluice_conn_mss(c);
}

#define LINGER2_MAX 120		/* seconds, Linux's TCP_FIN_TIMEOUT_MAX */

static int set_linger2(struct sock *sk, int value)
{
	u64 life = value < 0 ? ~0ull : (u64)min(value, LINGER2_MAX) * USEC_PER_SEC;

	return set_core(sk, SLUICE_OPTION_LINGER2, life);
}

static int get_linger2(struct sock *sk)
{
	u64 life = sluice_conn_option(&sluice_sk(sk)->conn, SLUICE_OPTION_LINGER2);

	if (life == ~0ull)
		return -1;
	if (!life)
		life = READ_ONCE(sluice_sk_net(sk)->config.fin_timeout);
	return div_u64(life, USEC_PER_SEC);
}

static int set_window_clamp(struct sock *sk, int value)
{
	if (!value)
		return sk->sk_state == TCP_CLOSE ? set_core(sk, SLUICE_OPTION_WINDOW_CLAMP, 0) :
						   -EINVAL;
	return set_core(sk, SLUICE_OPTION_WINDOW_CLAMP,
			max_t(u32, value, SOCK_MIN_RCVBUF / 2));
}

static int get_window_clamp(struct sock *sk)
{
	return sluice_conn_option(&sluice_sk(sk)->conn, SLUICE_OPTION_WINDOW_CLAMP);
}

static int set_notsent_lowat(struct sock *sk, int value)
{
	WRITE_ONCE(sluice_sk(sk)->notsent_lowat, value);
	sk->sk_write_space(sk);
	return 0;
}

static int get_notsent_lowat(struct sock *sk)
{
	return sluice_sk(sk)->notsent_lowat;
}

static int set_inq(struct sock *sk, int value)
{
	if (value < 0 || value > 1)
		return -EINVAL;
	sluice_sk(sk)->inq_cmsg = value;
	return 0;
}

static int get_inq(struct sock *sk)
{
	return sluice_sk(sk)->inq_cmsg;
}

/* Linux has given them up, too, but for what it says of them. */
static int set_thin_linear(struct sock *sk, int value)
{
	if (value < 0 || value > 1)
		return -EINVAL;
	sluice_sk(sk)->thin_linear = value;
	return 0;
}

static int get_thin_linear(struct sock *sk)
{
	return sluice_sk(sk)->thin_linear;
}

static int set_save_syn(struct sock *sk, int value)
{
	if (value < SLUICE_SAVE_SYN_NOT || value > SLUICE_SAVE_SYN_FROM_LINK)
		return -EINVAL;
	sluice_sk(sk)->save_syn = value;
	return 0;
}

static int get_save_syn(struct sock *sk)
{
	return sluice_sk(sk)->save_syn;
}

static int set_thin_dupack(struct sock *sk, int value)
{
	return value < 0 || value > 1 ? -EINVAL : 0;
}

/* What the next segment's timestamp would be; only repair, which there isn't, sets it. */
static int set_timestamp(struct sock *sk, int value)
{
	return -EPERM;
}

static int get_timestamp(struct sock *sk)
{
	return sluice_conn_timestamp(&sluice_sk(sk)->conn, sluice_now());
}

/* Seconds stand for the SYN-ACK timeouts (1 s, 2 s, 4 s ...) that cover them, as in TCP. */
#define DEFER_PERIOD_MAX 120

static int set_defer_accept(struct sock *sk, int seconds)
{
	int period = 1, covered = 0, timeouts = 0;

	while (covered < seconds && timeouts < 255) {
		covered += period;
		period = min(period * 2, DEFER_PERIOD_MAX);
		timeouts++;
	}
	return set_core(sk, SLUICE_OPTION_DEFER_ACCEPT, timeouts);
}

static int get_defer_accept(struct sock *sk)
{
	u64 timeouts = sluice_conn_option(&sluice_sk(sk)->conn, SLUICE_OPTION_DEFER_ACCEPT);
	int period = 1, covered = 0;

	while (timeouts--) {
		covered += period;
		period = min(period * 2, DEFER_PERIOD_MAX);
	}
	return covered;
}

static int get_fastopen(struct sock *sk)
{
	return sluice_conn_option(&sluice_sk(sk)->conn, SLUICE_OPTION_FASTOPEN);
}

static int get_fastopen_connect(struct sock *sk)
{
	return sluice_sk(sk)->fastopen_connect;
}

static int get_fastopen_no_cookie(struct sock *sk)
{
	return sluice_conn_option(&sluice_sk(sk)->conn, SLUICE_OPTION_FASTOPEN_NO_COOKIE);
}

#define CORE(n, o, s, lo, hi) { .name = n, .option = o, .scale = s, .min = lo, .max = hi }
#define REFUSED(n, error) { .name = n, .refused = error }
#define SPECIAL(n, s, g) { .name = n, .set = s, .get = g }

static const struct row rows[] = {
	CORE(TCP_NODELAY, SLUICE_OPTION_NODELAY, 1, INT_MIN, INT_MAX),
	SPECIAL(TCP_MAXSEG, set_maxseg, get_maxseg),
	CORE(TCP_CORK, SLUICE_OPTION_CORK, 1, INT_MIN, INT_MAX),
	CORE(TCP_KEEPIDLE, SLUICE_OPTION_KEEPIDLE, USEC_PER_SEC, 1, 32767),
	CORE(TCP_KEEPINTVL, SLUICE_OPTION_KEEPINTVL, USEC_PER_SEC, 1, 32767),
	CORE(TCP_KEEPCNT, SLUICE_OPTION_KEEPCNT, 1, 1, 127),
	CORE(TCP_SYNCNT, SLUICE_OPTION_SYNCNT, 1, 1, 127),
	SPECIAL(TCP_LINGER2, set_linger2, get_linger2),
	SPECIAL(TCP_DEFER_ACCEPT, set_defer_accept, get_defer_accept),
	SPECIAL(TCP_WINDOW_CLAMP, set_window_clamp, get_window_clamp),
	CORE(TCP_QUICKACK, SLUICE_OPTION_QUICKACK, 1, INT_MIN, INT_MAX),
	REFUSED(TCP_MD5SIG, ENOPROTOOPT),
	SPECIAL(TCP_THIN_LINEAR_TIMEOUTS, set_thin_linear, get_thin_linear),
	SPECIAL(TCP_THIN_DUPACK, set_thin_dupack, zero),
	CORE(TCP_USER_TIMEOUT, SLUICE_OPTION_USER_TIMEOUT, USEC_PER_MSEC, 0, INT_MAX),
	REFUSED(TCP_REPAIR, EPERM),
	REFUSED(TCP_REPAIR_QUEUE, EPERM),
	REFUSED(TCP_QUEUE_SEQ, EPERM),
	REFUSED(TCP_REPAIR_OPTIONS, EPERM),
	REFUSED(TCP_REPAIR_WINDOW, EPERM),
	SPECIAL(TCP_TIMESTAMP, set_timestamp, get_timestamp),
	SPECIAL(TCP_FASTOPEN, sluice_fastopen_set_queue, get_fastopen),
	SPECIAL(TCP_FASTOPEN_CONNECT, sluice_fastopen_set_connect, get_fastopen_connect),
	SPECIAL(TCP_FASTOPEN_NO_COOKIE, sluice_fastopen_set_no_cookie, get_fastopen_no_cookie),
	SPECIAL(TCP_NOTSENT_LOWAT, set_notsent_lowat, get_notsent_lowat),
	SPECIAL(TCP_SAVE_SYN, set_save_syn, get_save_syn),
	REFUSED(TCP_ULP, ENOPROTOOPT),
	REFUSED(TCP_MD5SIG_EXT, ENOPROTOOPT),
	REFUSED(TCP_ZEROCOPY_RECEIVE, ENOPROTOOPT),
	SPECIAL(TCP_INQ, set_inq, get_inq),
	REFUSED(TCP_TX_DELAY, ENOPROTOOPT),
	SPECIAL(TCP_OPTION_IS_MPTCP, NULL, zero),
};

static const struct row *find(int name)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].name == name)
			return &rows[i];
	return NULL;
}

/* ---- set ------------------------------------------------------------------ */

static int set_int(struct sock *sk, const struct row *row, int value)
{
	if (!row->scale)
		return row->set ? row->set(sk, value) : -ENOPROTOOPT;
	if (value < row->min || value > row->max)
		return -EINVAL;
	if (row->min == INT_MIN)	/* a switch */
		value = !!value;
	return set_core(sk, row->option, (u64)value * row->scale);
}

static int set_congestion(struct sock *sk, sockptr_t value, unsigned int length)
{
	struct sluice_conn *c = &sluice_sk(sk)->conn;
	const struct sluice_cc_ops *cc, *old;
	char name[SLUICE_CC_NAME_MAX];
	long copied;

	if (length < 1)
		return -EINVAL;
	copied = strncpy_from_sockptr(name, value,
				      min_t(unsigned int, sizeof(name) - 1, length));
	if (copied < 0)
		return -EFAULT;
	name[copied] = '\0';
	cc = sluice_cc_get_or_load(name);
	if (!cc)
		return -ENOENT;
	lock_sock(sk);
	old = sluice_conn_cc(c);
	sluice_conn_set_cc(c, cc, sluice_now());
	release_sock(sk);
	sluice_cc_put(old);
	return 0;
}

static int set_fastopen_key(struct sock *sk, sockptr_t value, unsigned int length)
{
	int error;

	lock_sock(sk);
	error = sluice_fastopen_set_keys(sk, value, length);
	release_sock(sk);
	return error;
}

static int set_tcp(struct sock *sk, int name, sockptr_t value, unsigned int length)
{
	const struct row *row = find(name);
	int number, error;

	if (name == TCP_CONGESTION)
		return set_congestion(sk, value, length);
	if (name == TCP_FASTOPEN_KEY)
		return set_fastopen_key(sk, value, length);
	if (length < sizeof(number))
		return -EINVAL;
	if (copy_from_sockptr(&number, value, sizeof(number)))
		return -EFAULT;
	if (!row)
		return -ENOPROTOOPT;
	if (row->refused)
		return -row->refused;
	lock_sock(sk);
	error = set_int(sk, row, number);
	release_sock(sk);
	return error;
}

/* As TCP's sockets, these don't join multicast groups. IP sees to what is too short. */
static bool joins_group(const struct sock *sk, int level, int name, unsigned int length)
{
	if (level == IPPROTO_IP)
		return name == IP_ADD_MEMBERSHIP || name == IP_DROP_MEMBERSHIP;
	return level == IPPROTO_IPV6 && sk->sk_family == AF_INET6 &&
	       (name == IPV6_ADD_MEMBERSHIP || name == IPV6_DROP_MEMBERSHIP) &&
	       length >= sizeof(struct ipv6_mreq);
}

static int refuse_group(int level, sockptr_t value)
{
	struct ipv6_mreq request;

	if (level == IPPROTO_IP)
		return -EPROTO;
	return copy_from_sockptr(&request, value, sizeof(request)) ? -EFAULT : -EPROTO;
}

/* Of IPV6_FLOWLABEL_MGR: the kernel has it for its own TCP alone. */
static int set_flow_reflection(struct sock *sk, const struct in6_flowlabel_req *request)
{
	bool reflects = sluice_inet6_reflects_flow(sk);

	if (request->flr_action == IPV6_FL_A_GET) {
		if (sock_net(sk)->ipv6.sysctl.flowlabel_consistency)
			return -EPERM;
		sluice_inet6_set_reflects_flow(sk, true);
		return 0;
	}
	if (!reflects)
		return -ESRCH;
	inet6_sk(sk)->flow_label = 0;
	if (!sluice_sk(sk)->v4_wire)
		inet_sk(sk)->cork.fl.u.ip6.flowlabel = 0;
	sluice_inet6_set_reflects_flow(sk, false);
	return 0;
}

static bool is_of_reflection(const struct in6_flowlabel_req *request)
{
	return (request->flr_flags & IPV6_FL_F_REFLECT) &&
	       (request->flr_action == IPV6_FL_A_GET || request->flr_action == IPV6_FL_A_PUT);
}

static int set_flow_label(struct sock *sk, sockptr_t value, unsigned int length)
{
	struct in6_flowlabel_req request;
	int error;

	if (length < sizeof(request) || copy_from_sockptr(&request, value, sizeof(request)) ||
	    !is_of_reflection(&request))
		return ipv6_setsockopt(sk, IPPROTO_IPV6, IPV6_FLOWLABEL_MGR, value, length);
	lock_sock(sk);
	error = set_flow_reflection(sk, &request);
	release_sock(sk);
	return error;
}

/* Do they change what stands before each segment, and with it the room for payload? */
static bool changes_headers(int level, int name)
{
	if (level == IPPROTO_IP)
		return name == IP_OPTIONS;
	return name == IPV6_HOPOPTS || name == IPV6_RTHDRDSTOPTS || name == IPV6_RTHDR ||
	       name == IPV6_DSTOPTS || name == IPV6_2292PKTOPTIONS;
}

static bool changes_transparency(int level, int name)
{
	return (level == IPPROTO_IP && name == IP_TRANSPARENT) ||
	       (level == IPPROTO_IPV6 && name == IPV6_TRANSPARENT);
}

static void find_route_again(struct sock *sk)
{
	sk_dst_reset(sk);
	if (sk->sk_state != TCP_CLOSE && sk->sk_state != TCP_LISTEN)
		sluice_route_check(sk);
}

/* Of a level that it doesn't have IP knows what to say, too. */
static int set_ip(struct sock *sk, int level, int name, sockptr_t value, unsigned int length)
{
	int error = sk->sk_family == AF_INET ? ip_setsockopt(sk, level, name, value, length) :
					       ipv6_setsockopt(sk, level, name, value, length);

	if (error || (!changes_headers(level, name) && !changes_transparency(level, name)))
		return error;
	lock_sock(sk);
	if (changes_headers(level, name))
		find_route_again(sk);
	else
		error = sluice_stand_in_update(sk);
	release_sock(sk);	/* and the core hears of it */
	return error;
}

/* Without one of its own, the socket may be lent the namespace's. */
static int set_ttl(struct sock *sk, sockptr_t value, unsigned int length)
{
	int error = ip_setsockopt(sk, IPPROTO_IP, IP_TTL, value, length);

	if (error)
		return error;
	lock_sock(sk);
	sluice_sk(sk)->lent_ttl = 0;
	if (sluice_own_ttl(sk) < 0)
		find_route_again(sk);
	release_sock(sk);
	return 0;
}

/* By filters segments can be cut: the kernel's TCP lets the administrator alone have one. */
static int attach_filter(struct socket *sock, sockptr_t value, unsigned int length)
{
	int number;

	if (length < sizeof(number))
		return -EINVAL;
	if (copy_from_sockptr(&number, value, sizeof(number)))
		return -EFAULT;
	if (!ns_capable(sock_net(sock->sk)->user_ns, CAP_NET_ADMIN))
		return -EPERM;
	return sock_setsockopt(sock, SOL_SOCKET, SO_ATTACH_FILTER, value, length);
}

static int set_socket(struct socket *sock, int name, sockptr_t value, unsigned int length)
{
	if (name == SO_ZEROCOPY)
		return sluice_zerocopy_set(sock->sk, value, length);
	if (name == SO_ATTACH_FILTER)
		return attach_filter(sock, value, length);
	return sock_setsockopt(sock, SOL_SOCKET, name, value, length);
}

int sluice_setsockopt(struct socket *sock, int level, int name, sockptr_t value,
		      unsigned int length)
{
	struct sock *sk = sock->sk;

	if (level == IPPROTO_TCP) {
		sluice_tuning_glance(sluice_sk_net(sk));
		return set_tcp(sk, name, value, length);
	}
	if (level == SOL_SOCKET)
		return set_socket(sock, name, value, length);
	if (joins_group(sk, level, name, length))
		return refuse_group(level, value);
	if (level == IPPROTO_IP && name == IP_TTL)
		return set_ttl(sk, value, length);
	if (level == IPPROTO_IPV6 && name == IPV6_FLOWLABEL_MGR && sk->sk_family == AF_INET6)
		return set_flow_label(sk, value, length);
	return set_ip(sk, level, name, value, length);
}

int sluice_set_rcvlowat(struct sock *sk, int value)
{
	bool fixed = sk->sk_userlocks & SOCK_RCVBUF_LOCK;
	u64 room = fixed ? sk->sk_rcvbuf : READ_ONCE(sluice_sk_net(sk)->config.rmem_max);

	value = min_t(u64, value, room / 2);
	WRITE_ONCE(sk->sk_rcvlowat, value ?: 1);
	if (sluice_sk(sk)->in.unread >= value)
		sk->sk_data_ready(sk);
	/* What takes up memory is more than payload. */
	if (!fixed && value * 2 > sk->sk_rcvbuf)
		WRITE_ONCE(sk->sk_rcvbuf, value * 2);
	return 0;
}

void sluice_keepalive(struct sock *sk, int on)
{
	sluice_tuning_refresh(sluice_sk_net(sk));
	set_core(sk, SLUICE_OPTION_KEEPALIVE, !!on);
}

/* ---- get ------------------------------------------------------------------ */

/* Writes as much of the answer as the caller has room for, and says how much. */
static int give(char __user *value, int __user *length, const void *answer, int size)
{
	int room;

	if (get_user(room, length))
		return -EFAULT;
	if (room < 0)
		return -EINVAL;
	room = min(room, size);
	if (put_user(room, length) || copy_to_user(value, answer, room))
		return -EFAULT;
	return 0;
}

static int get_int(struct sock *sk, const struct row *row, int *answer)
{
	if (!row->scale && !row->get)
		return -ENOPROTOOPT;
	lock_sock(sk);
	if (row->scale)
		*answer = div_u64(sluice_conn_option(&sluice_sk(sk)->conn, row->option),
				  row->scale);
	else
		*answer = row->get(sk);
	release_sock(sk);
	return 0;
}

static int get_congestion(struct sock *sk, char __user *value, int __user *length)
{
	char name[SLUICE_CC_NAME_MAX];

	lock_sock(sk);
	memcpy(name, sluice_conn_cc(&sluice_sk(sk)->conn)->name, sizeof(name));
	release_sock(sk);
	return give(value, length, name, sizeof(name));
}

static int get_fastopen_key(struct sock *sk, char __user *value, int __user *length)
{
	u8 keys[SLUICE_FASTOPEN_KEYS * SLUICE_FASTOPEN_KEY_LENGTH];
	int size;

	lock_sock(sk);
	size = sluice_fastopen_get_keys(sk, keys);
	release_sock(sk);
	return give(value, length, keys, size);
}

static int get_tcp_info(struct sock *sk, char __user *value, int __user *length)
{
	struct tcp_info info;

	lock_sock(sk);
	sluice_tcp_info(sk, &info);
	release_sock(sk);
	return give(value, length, &info, sizeof(info));
}

static int get_tcp(struct sock *sk, int name, char __user *value, int __user *length)
{
	const struct row *row = find(name);
	int answer, error;

	if (name == TCP_CONGESTION)
		return get_congestion(sk, value, length);
	if (name == TCP_INFO)
		return get_tcp_info(sk, value, length);
	if (name == TCP_FASTOPEN_KEY)
		return get_fastopen_key(sk, value, length);
	if (name == TCP_SAVED_SYN)
		return sluice_saved_syn_take(sk, value, length);
	if (name == TCP_CC_INFO)	/* no algorithm has more to tell */
		return give(value, length, NULL, 0);
	if (!row)
		return -ENOPROTOOPT;
	if (row->refused)
		return -row->refused;
	error = get_int(sk, row, &answer);
	return error ? error : give(value, length, &answer, sizeof(answer));
}

static int get_sluice(struct sock *sk, int name, char __user *value, int __user *length)
{
	struct sluice_info info;

	if (name != SLUICE_INFO)
		return -ENOPROTOOPT;
	lock_sock(sk);
	sluice_sock_info(sk, &info);
	release_sock(sk);
	return give(value, length, &info, sizeof(info));
}

static int get_ip(struct sock *sk, int level, int name, char __user *value, int __user *length)
{
	bool inet6 = sk->sk_family == AF_INET6, real_tcp = sluice_is_real_tcp(sk);
	int ttl;

	if (real_tcp && level == IPPROTO_IP && name == SO_ORIGINAL_DST)
		return sluice_original_dst_v4(sk, value, length);
	if (real_tcp && inet6 && level == IPPROTO_IPV6 && name == IP6T_SO_ORIGINAL_DST)
		return sluice_original_dst_v6(sk, value, length);
	if (level == IPPROTO_IP && name == IP_TTL && sluice_own_ttl(sk) < 0 &&
	    sluice_tuning_is_set(sluice_sk_net(sk), SLUICE_PARAM_ip_default_ttl)) {
		ttl = READ_ONCE(sluice_sk_net(sk)->config.ip_default_ttl);
		return give(value, length, &ttl, sizeof(ttl));
	}
	return inet6 ? ipv6_getsockopt(sk, level, name, value, length) :
		       ip_getsockopt(sk, level, name, value, length);
}

int sluice_getsockopt(struct socket *sock, int level, int name, char __user *value,
		      int __user *length)
{
	struct sock *sk = sock->sk;

	if (level == IPPROTO_TCP) {
		sluice_tuning_refresh(sluice_sk_net(sk));
		return get_tcp(sk, name, value, length);
	}
	if (level == SOL_SLUICE)
		return get_sluice(sk, name, value, length);
	return get_ip(sk, level, name, value, length);
}
