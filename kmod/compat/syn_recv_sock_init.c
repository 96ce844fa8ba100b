// SPDX-License-Identifier: GPL-2.0
/* What makes a connection of a request takes a function that completes it (late 6.1.y and 6.12.y). */
#include <net/inet_connection_sock.h>

struct sock *probe(const struct inet_connection_sock_af_ops *ops, struct sock *sk,
		   struct sk_buff *skb, struct request_sock *request, bool *own);
struct sock *probe(const struct inet_connection_sock_af_ops *ops, struct sock *sk,
		   struct sk_buff *skb, struct request_sock *request, bool *own)
{
#ifdef PROBE
	return ops->syn_recv_sock(sk, skb, request, NULL, NULL, own, NULL);
#else
	return ops->syn_recv_sock(sk, skb, request, NULL, NULL, own);
#endif
}
