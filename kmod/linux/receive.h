/* SPDX-License-Identifier: GPL-2.0 */
/* Segments that come in, and ICMP errors about segments that went out. */
#ifndef SLUICE_LINUX_RECEIVE_H
#define SLUICE_LINUX_RECEIVE_H

#include <linux/skbuff.h>

#include "demux.h"
#include "host.h"

/* A socket's backlog: segments that came while a user held the lock. proto.backlog_rcv */
int sluice_backlog_receive(struct sock *sk, struct sk_buff *skb);
/* Gives a segment to a connection whose lock is held. */
void sluice_conn_receive(struct sock *sk, struct sluice_segment *seg);

/*
 * A real-TCP segment for one of ours, transport header at skb->data. `conn`: the
 * connection that was found for it in this RCU read side, or NULL. BH disabled.
 */
void sluice_receive_real_tcp(struct sk_buff *skb, struct sluice_flow *conn);

int sluice_receive_init(void);
void sluice_receive_exit(void);

/* icmp.c: net_protocol.err_handler, inet6_protocol.err_handler */
int sluice_icmp_v4(struct sk_buff *skb, u32 info);
int sluice_icmp_v6(struct sk_buff *skb, struct inet6_skb_parm *opt, u8 type, u8 code,
		   int offset, __be32 info);
/* The same of a segment of real TCP: the IP header that is quoted at skb->data. */
void sluice_icmp_real_tcp_v4(struct sk_buff *skb, u32 info);
void sluice_icmp_real_tcp_v6(struct sk_buff *skb, u8 type, u8 code, int offset, __be32 info);

/* offload.c */
int sluice_offload_init(void);
void sluice_offload_exit(void);

#endif /* SLUICE_LINUX_RECEIVE_H */
