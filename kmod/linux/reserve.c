// SPDX-License-Identifier: GPL-2.0
/*
 * Holding ports against kernel TCP, by sockets of its own. Nobody else knows
 * those sockets, so the port's lock serves in place of theirs.
 */
#include <linux/slab.h>
#include <net/inet_hashtables.h>
#include <net/ipv6.h>
#include <net/tcp_states.h>

#include "compat.h"
#include "ports.h"
#include "reserve.h"
#include "sock.h"

/* ---- making and freeing ----------------------------------------------------- */

struct sluice_reservation *sluice_reservation_create(struct sock *sk)
{
	struct sluice_reservation *r = kzalloc(sizeof(*r), GFP_KERNEL);
	struct in6_addr address;
	int error;

	if (!r)
		return ERR_PTR(-ENOMEM);
	sluice_port_address(sk, &address);
	error = sluice_kernel_socket_init(&r->kernel, sock_net(sk),
					  ipv6_addr_v4mapped(&address) ? AF_INET : AF_INET6);
	if (!error)
		return r;
	kfree(r);
	return ERR_PTR(error);
}

void sluice_reservation_free(struct sluice_reservation *r)
{
	BUILD_BUG_ON(offsetof(struct sluice_reservation, kernel));
	if (r)
		sluice_kernel_socket_free(&r->kernel);
}

static struct sock *holder_of(const struct sluice_reservation *r)
{
	return r->kernel.socket->sk;
}

/* ---- asking kernel TCP ------------------------------------------------------ */

/* Kernel TCP looks at both while somebody else binds; no event of the socket's is traced. */
static void appear(struct sluice_reservation *r, bool reuse, unsigned char state)
{
	holder_of(r)->sk_reuse = reuse ? SK_CAN_REUSE : SK_NO_REUSE;
	WRITE_ONCE(holder_of(r)->sk_state, state);
}

/*
 * Those of our own that overlap have been judged by our own rules (ports.c):
 * while kernel TCP is asked, they look as if they didn't mind.
 */
static void relax(struct hlist_head *reservations)
{
	struct sluice_reservation *r;

	hlist_for_each_entry(r, reservations, node)
		appear(r, true, TCP_CLOSE);
}

static void stiffen(struct hlist_head *reservations)
{
	struct sluice_reservation *r;

	hlist_for_each_entry(r, reservations, node)
		appear(r, r->reuse, r->listeners ? TCP_LISTEN : TCP_CLOSE);
}

/* The holder bound as sk is, in the port's name. 0, -EADDRINUSE. */
static int bind(struct sluice_reservation *r, u16 number)
{
	struct sock *holder = holder_of(r);

	holder->sk_bound_dev_if = r->device;
	if (holder->sk_family == AF_INET) {
		inet_sk(holder)->inet_saddr = r->address.s6_addr32[3];
		sk_rcv_saddr_set(holder, r->address.s6_addr32[3]);
	} else {
		holder->sk_v6_rcv_saddr = inet6_sk(holder)->saddr = r->address;
		holder->sk_ipv6only = r->only_v6;
	}
	return holder->sk_prot->get_port(holder, number) ? -EADDRINUSE : 0;
}

/*
 * Among others of ours it has to be lenient, as SO_REUSEPORT may be why it is
 * there; alone it is as strict as its user.
 */
static int ask(struct hlist_head *reservations, struct sluice_reservation *r, u16 number)
{
	int error;

	relax(reservations);
	appear(r, r->reuse || !hlist_empty(reservations), TCP_CLOSE);
	error = bind(r, number);
	stiffen(reservations);
	return error;
}

/* The same of one that is bound, and is to be stricter or to listen. */
static int ask_again(struct hlist_head *reservations, struct sluice_reservation *r, u16 number,
		     bool reuse, unsigned char state)
{
	struct sock *holder = holder_of(r);
	int error;

	relax(reservations);
	appear(r, reuse || !hlist_is_singular_node(&r->node, reservations), state);
	error = holder->sk_prot->get_port(holder, number) ? -EADDRINUSE : 0;
	stiffen(reservations);
	return error;
}

/* ---- users ------------------------------------------------------------------ */

static void describe(struct sluice_reservation *r, const struct sock *sk)
{
	sluice_port_address(sk, &r->address);
	r->only_v6 = ipv6_only_sock(sk);
	r->device = sk->sk_bound_dev_if;
	r->reuse = sk->sk_reuse;
}

static struct sluice_reservation *find(struct hlist_head *reservations, const struct sock *sk)
{
	struct sluice_reservation *r, wanted;

	describe(&wanted, sk);
	hlist_for_each_entry(r, reservations, node)
		if (r->only_v6 == wanted.only_v6 && r->device == wanted.device &&
		    ipv6_addr_equal(&r->address, &wanted.address))
			return r;
	return NULL;
}

struct sluice_reservation *sluice_reservation_take(struct hlist_head *reservations,
						   struct sock *sk, u16 number,
						   struct sluice_reservation **spare)
{
	struct sluice_reservation *r = find(reservations, sk);
	int error;

	if (r) {
		if (r->reuse && !sk->sk_reuse) {
			error = ask_again(reservations, r, number, false,
					  r->listeners ? TCP_LISTEN : TCP_CLOSE);
			if (error)
				return ERR_PTR(error);
			r->reuse = false;
			stiffen(reservations);
		}
		r->users++;
		return r;
	}
	r = *spare;
	if (!r)
		return ERR_PTR(-EAGAIN);
	describe(r, sk);
	error = ask(reservations, r, number);
	if (error)
		return ERR_PTR(error);
	*spare = NULL;
	r->users = 1;
	hlist_add_head(&r->node, reservations);
	stiffen(reservations);
	return r;
}

int sluice_reservation_listen(struct hlist_head *reservations, struct sluice_reservation *r,
			      u16 number)
{
	int error = 0;

	if (!r->listeners)
		error = ask_again(reservations, r, number, r->reuse, TCP_LISTEN);
	if (!error)
		r->listeners++;
	stiffen(reservations);
	return error;
}

void sluice_reservation_unlisten(struct sluice_reservation *r)
{
	if (!--r->listeners)
		appear(r, r->reuse, TCP_CLOSE);
}

void sluice_reservation_put(struct sluice_reservation *r)
{
	struct sock *holder = holder_of(r);

	if (--r->users)
		return;
	hlist_del(&r->node);
	holder->sk_prot->put_port(holder);
	sluice_reservation_free(r);
}
