// SPDX-License-Identifier: GPL-2.0
/*
 * Local ports. A port in use is an object that lists its users: bound
 * sockets, their connections, and TIME_WAITs. Readers of the users' settings
 * (reuse, state) look without those sockets' locks, as a race between bind()
 * and setsockopt() has no right answer anyhow.
 */
#include <linux/hash.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <net/ip.h>
#include <net/ipv6.h>

#include "compat.h"
#include "port_range.h"
#include "ports.h"
#include "reserve.h"
#include "sock.h"

struct sluice_port {
	struct hlist_node node;
	const struct net *net;
	u16 number;
	bool real_tcp;		/* the native wire has ports of its own */
	bool bound;		/* by bind(): connect() doesn't choose it */
	struct hlist_head users;
	struct hlist_head reservations;	/* real TCP's, against kernel TCP */
};

#define PORT_BUCKETS 1024

static struct port_bucket {
	struct hlist_head head;
	spinlock_t lock;	/* guards the ports in it, and their users */
} buckets[PORT_BUCKETS];

int sluice_ports_init(void)
{
	unsigned int i;

	for (i = 0; i < PORT_BUCKETS; i++) {
		INIT_HLIST_HEAD(&buckets[i].head);
		spin_lock_init(&buckets[i].lock);
	}
	return 0;
}

void sluice_ports_exit(void)
{
	unsigned int i;

	for (i = 0; i < PORT_BUCKETS; i++)
		WARN_ON(!hlist_empty(&buckets[i].head));
}

static struct port_bucket *bucket_of(const struct net *net, u16 number)
{
	return &buckets[(number ^ net_hash_mix(net)) % PORT_BUCKETS];
}

static struct sluice_port *find(struct port_bucket *bucket, const struct sock *sk, u16 number)
{
	struct sluice_port *port;

	hlist_for_each_entry(port, &bucket->head, node)
		if (port->number == number && net_eq(port->net, sock_net(sk)) &&
		    port->real_tcp == sluice_is_real_tcp(sk))
			return port;
	return NULL;
}

static struct sluice_port *create(struct port_bucket *bucket, const struct sock *sk, u16 number)
{
	struct sluice_port *port = kmalloc(sizeof(*port), GFP_ATOMIC | __GFP_NOWARN);

	if (!port)
		return NULL;
	port->net = sock_net(sk);
	port->number = number;
	port->real_tcp = sluice_is_real_tcp(sk);
	port->bound = false;
	INIT_HLIST_HEAD(&port->users);
	INIT_HLIST_HEAD(&port->reservations);
	hlist_add_head(&port->node, &bucket->head);
	return port;
}

static void destroy_unused(struct sluice_port *port)
{
	if (!hlist_empty(&port->users))
		return;
	hlist_del(&port->node);
	kfree(port);
}

static void attach(struct sluice_port *port, struct sluice_port_user *user,
		   struct sluice_reservation *reservation)
{
	user->port = port;
	user->reservation = reservation;
	hlist_add_head(&user->node, &port->users);
}

static void attach_sock(struct sluice_port *port, struct sock *sk,
			struct sluice_reservation *reservation)
{
	sluice_sk(sk)->port.sk = sk;
	attach(port, &sluice_sk(sk)->port, reservation);
	inet_sk(sk)->inet_num = port->number;
}

/* One more user of a port that `of` uses. */
static void attach_beside(struct sluice_port_user *of, struct sluice_port_user *user)
{
	if (of->reservation)
		of->reservation->users++;
	attach(of->port, user, of->reservation);
}

/* The port stays, even without a user. */
static void leave(struct sluice_port_user *user)
{
	hlist_del(&user->node);
	if (user->reservation)
		sluice_reservation_put(user->reservation);
	user->port = NULL;
	user->reservation = NULL;
}

static void detach(struct sluice_port_user *user)
{
	struct sluice_port *port = user->port;

	leave(user);
	destroy_unused(port);
}

/* ---- conflicts ----------------------------------------------------------- */

void sluice_port_address(const struct sock *sk, struct in6_addr *address)
{
	if (sk->sk_family == AF_INET6)
		*address = sk->sk_v6_rcv_saddr;
	else if (sk->sk_rcv_saddr)
		ipv6_addr_set_v4mapped(sk->sk_rcv_saddr, address);
	else
		ipv6_addr_set_v4mapped(htonl(INADDR_ANY), address);
}

/* Does a socket with this address take part in IPv4, IPv6, or both? */
#define TAKES_V4 1
#define TAKES_V6 2

static int versions(const struct in6_addr *address, bool only_v6)
{
	if (ipv6_addr_v4mapped(address))
		return TAKES_V4;
	return ipv6_addr_any(address) && !only_v6 ? TAKES_V4 | TAKES_V6 : TAKES_V6;
}

static bool is_any(const struct in6_addr *address)
{
	return ipv6_addr_any(address) ||
	       (ipv6_addr_v4mapped(address) && !address->s6_addr32[3]);
}

static bool addresses_overlap(const struct in6_addr *a, bool a_only_v6,
			      const struct in6_addr *b, bool b_only_v6)
{
	if (!(versions(a, a_only_v6) & versions(b, b_only_v6)))
		return false;
	return is_any(a) || is_any(b) || ipv6_addr_equal(a, b);
}

/* May sk share its port with `other`, whose address overlaps? */
static bool may_share(const struct sock *sk, const struct sluice_port_user *other, bool ephemeral)
{
	const struct sock *sk2 = other->sk;
	bool reuse = sk2 ? sk2->sk_reuse : other->reuse;

	if (sk->sk_reuse && reuse && (!sk2 || sk2->sk_state != TCP_LISTEN) && !ephemeral)
		return true;
	if (!sk->sk_reuseport)
		return false;
	return sk2 ? sk2->sk_reuseport && uid_eq(sk->sk_uid, sk2->sk_uid) : other->reuseport;
}

static bool conflicts(const struct sock *sk, const struct sluice_port_user *other, bool ephemeral)
{
	const struct sock *sk2 = other->sk;
	struct in6_addr mine, theirs;
	int device = sk2 ? sk2->sk_bound_dev_if : other->device;

	if (sk2 == sk)
		return false;
	if (sk->sk_bound_dev_if && device && sk->sk_bound_dev_if != device)
		return false;
	sluice_port_address(sk, &mine);
	if (sk2)
		sluice_port_address(sk2, &theirs);
	else
		theirs = other->address;
	return addresses_overlap(&mine, ipv6_only_sock(sk),
				 &theirs, sk2 && ipv6_only_sock(sk2)) &&
	       !may_share(sk, other, ephemeral);
}

static bool any_conflict(const struct sock *sk, const struct sluice_port *port, bool ephemeral)
{
	const struct sluice_port_user *other;

	hlist_for_each_entry(other, &port->users, node)
		if (conflicts(sk, other, ephemeral))
			return true;
	return false;
}

/* ---- claiming a port ----------------------------------------------------- */

enum purpose {
	TO_BIND,
	TO_BIND_ANY,		/* an ephemeral port */
	TO_CONNECT,		/* an ephemeral port that other connections may share */
};

static bool in_the_way(const struct sluice_port *port, const struct sock *sk,
		       enum purpose purpose)
{
	return purpose == TO_CONNECT ? port->bound :
				       any_conflict(sk, port, purpose == TO_BIND_ANY);
}

/* -EAGAIN: kernel TCP is to be asked, and that takes a spare. */
static int become_user(struct sluice_port *port, struct sock *sk,
		       struct sluice_reservation **spare)
{
	struct sluice_reservation *r = NULL;

	if (port->real_tcp) {
		r = sluice_reservation_take(&port->reservations, sk, port->number, spare);
		if (IS_ERR(r))
			return PTR_ERR(r);
	}
	attach_sock(port, sk, r);
	return 0;
}

/* The port's lock is held; a socket that has the port yet is to listen. */
static int use(struct sluice_port *port, struct sock *sk, struct sluice_reservation **spare)
{
	struct sluice_port_user *user = &sluice_sk(sk)->port;
	bool fresh = !user->port;
	int error = fresh ? become_user(port, sk, spare) : 0;

	if (error || !user->reservation || sk->sk_state != TCP_LISTEN)
		return error;
	error = sluice_reservation_listen(&port->reservations, user->reservation, port->number);
	if (error && fresh)
		leave(user);
	return error;
}

static int try_to_claim(struct sock *sk, u16 number, enum purpose purpose,
			struct sluice_reservation **spare)
{
	struct port_bucket *bucket = bucket_of(sock_net(sk), number);
	struct sluice_port *port;
	int error;

	spin_lock_bh(&bucket->lock);
	port = find(bucket, sk, number);
	if (port && in_the_way(port, sk, purpose)) {
		error = -EADDRINUSE;
	} else if (!port && !(port = create(bucket, sk, number))) {
		error = -ENOMEM;
	} else {
		error = use(port, sk, spare);
		if (!error && purpose != TO_CONNECT)
			port->bound = true;
		destroy_unused(port);
	}
	spin_unlock_bh(&bucket->lock);
	return error;
}

/* 0, -EADDRINUSE, or what is worth giving up for. *spare is the caller's to free. */
static int claim(struct sock *sk, u16 number, enum purpose purpose,
		 struct sluice_reservation **spare)
{
	int error;

	while ((error = try_to_claim(sk, number, purpose, spare)) == -EAGAIN) {
		*spare = sluice_reservation_create(sk);
		if (IS_ERR(*spare)) {
			error = PTR_ERR(*spare);
			*spare = NULL;
			break;
		}
	}
	return error;
}

/* ---- bind and listen ----------------------------------------------------- */

static u32 range_of(struct sock *sk, int *low)
{
	int high;

	sluice_port_range_of(sk, low, &high);
	return high - *low + 1;
}

/* The n-th number to try: begins at offset, odd distances from `low` first (see connect). */
static u16 candidate(int low, u32 range, u32 offset, u32 n, bool odd_first)
{
	u32 half = DIV_ROUND_UP(range, 2);
	u32 parity = (n >= half) ^ odd_first;

	return low + min(((offset + n) % half) * 2 + parity, range - 1);
}

static int claim_ephemeral(struct sock *sk, struct sluice_reservation **spare)
{
	int low;
	u32 range = range_of(sk, &low), offset = get_random_u32(), n;

	for (n = 0; n < range + 1; n++) {
		u16 number = candidate(low, range, offset, n, true);
		int error;

		if (inet_is_local_reserved_port(sock_net(sk), number))
			continue;
		error = claim(sk, number, TO_BIND_ANY, spare);
		if (error != -EADDRINUSE)
			return error;
	}
	return -EADDRINUSE;
}

int sluice_port_get(struct sock *sk, unsigned short number)
{
	struct sluice_reservation *spare = NULL;
	int error;

	error = number ? claim(sk, number, TO_BIND, &spare) : claim_ephemeral(sk, &spare);
	sluice_reservation_free(spare);
	return error;
}

void sluice_port_give_back(struct sock *sk)
{
	sluice_port_put(&sluice_sk(sk)->port);
	inet_sk(sk)->inet_num = 0;
}

void sluice_port_unlisten(struct sock *sk)
{
	struct sluice_port_user *user = &sluice_sk(sk)->port;
	struct port_bucket *bucket;

	if (!user->reservation)
		return;
	bucket = bucket_of(user->port->net, user->port->number);
	spin_lock_bh(&bucket->lock);
	sluice_reservation_unlisten(user->reservation);
	spin_unlock_bh(&bucket->lock);
}

/* ---- connect ------------------------------------------------------------- */

/*
 * Many connections to different places may share a port, as long as nobody
 * bound it. The lock is dropped around `try`: meanwhile sk is a user already.
 */
static int connect_from(struct sock *sk, u16 number, struct sluice_reservation **spare,
			int (*try)(struct sock *sk, u16 port))
{
	int error = claim(sk, number, TO_CONNECT, spare);

	if (error)
		return error == -EADDRINUSE ? -EEXIST : error;
	error = try(sk, number);
	if (error) {
		sluice_port_put(&sluice_sk(sk)->port);
		inet_sk(sk)->inet_num = 0;
	}
	return error;
}

/* Even distances first: bind() begins with the odd ones, so that they meet late. */
static int find_to_connect(struct sock *sk, u32 offset, struct sluice_reservation **spare,
			   int (*try)(struct sock *sk, u16 port))
{
	int low;
	u32 range = range_of(sk, &low), n;

	for (n = 0; n < range + 1; n++) {
		u16 number = candidate(low, range, offset, n, false);
		int error;

		if (inet_is_local_reserved_port(sock_net(sk), number))
			continue;
		error = connect_from(sk, number, spare, try);
		if (error != -EEXIST)
			return error;
	}
	return -EADDRNOTAVAIL;
}

int sluice_port_connect(struct sock *sk, u32 offset, int (*try)(struct sock *sk, u16 port))
{
	struct sluice_reservation *spare = NULL;
	int error = find_to_connect(sk, offset, &spare, try);

	sluice_reservation_free(spare);
	return error;
}

/* ---- the rest of a port's life --------------------------------------------- */

int sluice_port_inherit(struct sock *child, const struct sock *listener)
{
	struct sluice_port *port = sluice_sk(listener)->port.port;
	struct port_bucket *bucket;

	sluice_sk(child)->port.port = NULL;
	if (!port)
		return -ENOENT;
	if (inet_sk(child)->inet_num != port->number)
		return 0;
	bucket = bucket_of(sock_net(child), port->number);
	spin_lock_bh(&bucket->lock);
	sluice_sk(child)->port.sk = child;
	attach_beside(&sluice_sk(listener)->port, &sluice_sk(child)->port);
	spin_unlock_bh(&bucket->lock);
	return 0;
}

void sluice_port_hand_over(struct sock *sk, struct sluice_port_user *to)
{
	struct sluice_port_user *from = &sluice_sk(sk)->port;
	struct port_bucket *bucket;

	to->port = NULL;
	to->reservation = NULL;
	to->sk = NULL;
	to->device = sk->sk_bound_dev_if;
	to->reuse = sk->sk_reuse;
	to->reuseport = sk->sk_reuseport;
	sluice_port_address(sk, &to->address);
	if (!from->port)
		return;
	bucket = bucket_of(from->port->net, from->port->number);
	spin_lock_bh(&bucket->lock);
	attach_beside(from, to);
	spin_unlock_bh(&bucket->lock);
}

void sluice_port_put(struct sluice_port_user *user)
{
	struct sluice_port *port = user->port;
	struct port_bucket *bucket;

	if (!port)
		return;
	/* While there is a user, the port doesn't change its name. */
	bucket = bucket_of(port->net, port->number);
	spin_lock_bh(&bucket->lock);
	detach(user);
	spin_unlock_bh(&bucket->lock);
}
