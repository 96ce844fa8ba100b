/* SPDX-License-Identifier: GPL-2.0 */
/*
 * TCP Fast Open (RFC 7413), the host's part. A listener's cookies, its limit of
 * children that are open before their handshake is over, and the client's ways
 * to send data with a SYN: MSG_FASTOPEN and TCP_FASTOPEN_CONNECT.
 */
#ifndef SLUICE_LINUX_FASTOPEN_H
#define SLUICE_LINUX_FASTOPEN_H

#include <linux/sockptr.h>

#include "compat.h"
#include "fastopen_key.h"
#include "sock.h"

/* Of net.ipv4.tcp_fastopen and the parameter `fastopen`. */
enum sluice_fastopen_bit {
	SLUICE_FASTOPEN_CLIENT = 1,
	SLUICE_FASTOPEN_SERVER = 2,
	SLUICE_FASTOPEN_CLIENT_NO_COOKIE = 4,
	SLUICE_FASTOPEN_EVERY_LISTENER = 0x400,
};

/* A MSG_FASTOPEN that is under way: what goes with the SYN is taken from `msg`. */
struct sluice_fastopen_request {
	struct msghdr *msg;
	int copied;
};

/* ---- fastopen.c: the server ------------------------------------------------------- */

/* TCP_FASTOPEN_KEY: one key of 16 bytes or two. Socket lock held. 0, -EINVAL, -EFAULT, -ENOMEM */
int sluice_fastopen_set_keys(struct sock *sk, sockptr_t value, unsigned int length);
/* Writes the socket's own keys; how many bytes. Socket lock held. */
int sluice_fastopen_get_keys(struct sock *sk,
			     u8 out[SLUICE_FASTOPEN_KEYS * SLUICE_FASTOPEN_KEY_LENGTH]);
/* TCP_FASTOPEN: so many children may be open early. Socket lock held. 0, -EINVAL */
int sluice_fastopen_set_queue(struct sock *sk, int length);
/* listen(): the namespace may have every listener do it. Socket lock held. */
void sluice_fastopen_listen(struct sock *sk, int backlog);

/* Has the listener room for one more child that is open early? Its lock is held. */
bool sluice_fastopen_admits(struct sock *listener);
/* Counts a child that is; both locks held. */
void sluice_fastopen_enter(struct sock *listener, struct sock *child);
/* It isn't any more: the handshake is over, or a reset ended it. Its lock is held. */
void sluice_fastopen_leave(struct sock *child, bool reset);

/* In SYN_RECEIVED, but open to both directions. */
static inline bool sluice_open_early(const struct sock *sk)
{
	return READ_ONCE(sluice_sk(sk)->early_of);
}

/* ---- fastopen_connect.c: the client; the socket lock is held --------------------------- */

/* TCP_FASTOPEN_CONNECT, TCP_FASTOPEN_NO_COOKIE. 0 or a negative errno. */
int sluice_fastopen_set_connect(struct sock *sk, int on);
int sluice_fastopen_set_no_cookie(struct sock *sk, int on);
/*
 * The SYN of a connect() if it is one of Fast Open: with data, or asking for a
 * cookie, or put off until there are data. False: it isn't, nothing was done.
 */
bool sluice_fastopen_connect(struct sock *sk, const struct sluice_path *path);
/*
 * sendmsg() by MSG_FASTOPEN, or the first one after a connect() that was put
 * off. 0: connected; -EINPROGRESS: not yet; another errno. *copied: bytes of
 * `msg` that went with the SYN.
 */
int sluice_fastopen_send(struct sock *sk, struct msghdr *msg, int *copied);
/* A connect() that was put off, if there is one, won't be: state CLOSED. */
void sluice_fastopen_forget(struct sock *sk);

#endif /* SLUICE_LINUX_FASTOPEN_H */
