/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Real TCP beside the kernel's: sockets of SLUICE_PROTO_TCP have IP protocol 6
 * on the wire. What comes in for them is taken by netfilter hooks, behind every
 * other hook of local input, so that conntrack, NAT and nftables treat it as
 * the kernel's; everything else passes. A namespace gets the hooks with its
 * first such socket.
 */
#ifndef SLUICE_LINUX_REAL_TCP_H
#define SLUICE_LINUX_REAL_TCP_H

#include <linux/netfilter.h>
#include <net/net_namespace.h>
#include <net/sock.h>

struct sluice_flow_key;

/*
 * A socket of real TCP is about to be made. Sleeps. 0, -EPROTONOSUPPORT where
 * the namespace has real_tcp off, or what registering the hooks gave.
 */
int sluice_real_tcp_enter(struct net *net);
/*
 * The namespace goes. Hooks may still run until a grace period has passed; then
 * _left(), behind which they may so once more: what user space had in its hands
 * and queued again meanwhile knows where it was to go on, and is dropped by it.
 */
void sluice_real_tcp_leave(struct net *net);
void sluice_real_tcp_left(struct net *net);

/*
 * Has kernel TCP a connection of these ends already, and no mere TIME_WAIT? Both
 * stacks may be bound to a port with SO_REUSEADDR. bound_if: the device's index, or 0.
 */
bool sluice_real_tcp_taken(struct net *net, const struct sluice_flow_key *key, int bound_if);

/* Has it one, or a TIME_WAIT, of the ends that a packet or what it quotes names? */
bool sluice_real_tcp_is_kernels(struct sk_buff *skb, const struct sluice_flow_key *key,
				int ifindex);

/* Takes a packet that has passed all hooks of local input. RCU read side. False: not for us. */
bool sluice_real_tcp_take_v4(struct net *net, struct sk_buff *skb);
bool sluice_real_tcp_take_v6(struct net *net, struct sk_buff *skb);

/* The index behind `mine`; `missing`, when it has just been removed. */
unsigned int sluice_hooks_behind(const struct nf_hook_entries *entries, nf_hookfn *mine,
				 unsigned int missing);
/*
 * Runs the hooks from that index on. False: one of them kept or dropped the
 * packet. What one queues and user space lets on goes to state->okfn.
 */
bool sluice_pass_hooks(struct sk_buff *skb, const struct nf_hook_state *state,
		       const struct nf_hook_entries *entries, unsigned int from);

/*
 * __ip_queue_xmit() for a socket whose sk_protocol isn't the packet's: the
 * route is in the socket, the TCP header at skb->data. Lock held.
 */
int sluice_real_tcp_send_v4(struct sock *sk, struct sk_buff *skb, u8 tos);

#endif /* SLUICE_LINUX_REAL_TCP_H */
