/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The ABI of Sluice, a loadable TCP: family, addresses, socket options, and
 * the two netlink interfaces (sock_diag for connections, generic netlink for
 * counters, namespace defaults and changes to live connections).
 *
 * Socket options of level IPPROTO_TCP, struct tcp_info, SO_* options and
 * errors are TCP's own; what is here is only what Sluice adds.
 */
#ifndef SLUICE_H
#define SLUICE_H

#ifdef __KERNEL__
#include <linux/types.h>
#include <linux/in6.h>
#else
#include <linux/types.h>
#include <netinet/in.h>
#include <sys/socket.h>
#endif

/* Default family number; the module parameter family= may choose another. */
#define AF_SLUICE		22
#define PF_SLUICE		AF_SLUICE

/* IP protocol of the native wire: streams and messages, datagrams (RFC 3692). */
#define SLUICE_PROTO_STREAM	253
#define SLUICE_PROTO_DGRAM	254
/* socket() protocol for TCP's own IP protocol, 6, on the wire. */
#define SLUICE_PROTO_TCP	257

#define SOL_SLUICE		322

/*
 * Same layout as struct sockaddr_in6, so that one parser serves both.
 * IPv4 addresses are v4-mapped (::ffff:a.b.c.d); port in network order.
 */
struct sockaddr_sluice {
	unsigned short ssl_family;	/* AF_SLUICE */
	__be16 ssl_port;
	__be32 ssl_flowinfo;			/* as sin6_flowinfo */
	struct in6_addr ssl_addr;
	__u32 ssl_scope_id;			/* interface of a link-local address */
};

/* setsockopt/getsockopt, level SOL_SLUICE */
enum {
	SLUICE_INFO = 1,	/* get: struct sluice_info */
};

/*
 * What a connection knows of itself. Times in microseconds, sizes in bytes,
 * rates in bytes per second; 0 where nothing is known yet. Grows at the end
 * only: readers take the length they were given.
 */
struct sluice_info {
	__u8 state;			/* as TCP_ESTABLISHED ... */
	__u8 recovery;			/* enum sluice_recovery */
	__u8 options;			/* SLUICE_OPT_* in use */
	__u8 backoff;			/* RTO doublings in force */
	__u8 snd_wscale, rcv_wscale;
	__u8 probes;			/* unanswered zero-window or keepalive probes */
	__u8 retransmits;		/* unanswered retransmission timeouts */
	__u32 rto, ato;
	__u32 snd_mss, rcv_mss, advmss;
	__u32 pmtu;			/* of the route, IP header included */
	__u32 rtt, rttvar, min_rtt, rcv_rtt;
	__u32 cwnd, ssthresh;		/* bytes; ssthresh ~0 when unset */
	__u32 snd_wnd, rcv_wnd;
	__u32 in_flight, sacked, lost;	/* bytes */
	__u32 unsent;			/* written, never sent */
	__u32 unacked;			/* sent, not cumulatively acknowledged */
	__u32 unread;			/* in order, not read by the application */
	__u32 held;			/* received out of order */
	__u32 reordering;		/* segments */
	__u32 rcv_space;
	__u32 retrans_out;		/* bytes retransmitted, thought to be in the network again */
	__u64 bytes_sent, bytes_retrans, bytes_acked, bytes_received;
	__u64 segs_out, segs_in, data_segs_out, data_segs_in;
	__u64 retrans_segs;
	__u64 delivered;		/* bytes cumulatively or selectively acknowledged */
	__u64 delivery_rate, pacing_rate;
	__u64 dsack_dups;
	__u64 reord_seen;
	__u64 busy_time;		/* with something to send; of that ... */
	__u64 rwnd_limited;		/* ... the peer's window was shut, */
	__u64 sndbuf_limited;		/* ... the send buffer was full and all of it sent */
	__u32 last_data_sent, last_data_recv, last_ack_recv;	/* ms ago, as tcp_info */
	__u32 timer;			/* enum sluice_timer that is due next */
	__u64 timer_in;			/* until it is due */
	__u64 delivered_ce;		/* of delivered: by acknowledgments that echoed an ECN mark */
	__u64 fastopen_failure;		/* why the peer took no data from our SYN: as TFO_* of tcp_info */
	__u32 unacked_segs, sacked_segs, lost_segs, retrans_out_segs;	/* the same in segments */
	__u32 out_of_order;		/* segments received so */
	__u32 rate_app_limited;		/* delivery_rate is what the application gave, not what the path takes */
	__u32 timeouts, timeout_rows;	/* of retransmission, of SYNs too; each row counts once */
	__u64 timeout_time;		/* in such rows */
};

#define SLUICE_OPT_TIMESTAMPS	1
#define SLUICE_OPT_SACK		2
#define SLUICE_OPT_WSCALE	4
#define SLUICE_OPT_ECN		8
#define SLUICE_OPT_SYN_DATA	32	/* data came, or went and were acknowledged, in a SYN (RFC 7413) */
#define SLUICE_OPT_ECN_SEEN	16	/* the peer sends segments that may be marked */

enum sluice_recovery {
	SLUICE_REC_OPEN,		/* nothing wrong */
	SLUICE_REC_DISORDER,		/* SACKs or duplicate ACKs, not yet loss */
	SLUICE_REC_CWR,			/* window reduced by an ECN mark */
	SLUICE_REC_RECOVERY,		/* fast recovery */
	SLUICE_REC_LOSS,		/* after a retransmission timeout */
};

enum sluice_timer {
	SLUICE_TIMER_NONE,
	SLUICE_TIMER_RETRANSMIT,
	SLUICE_TIMER_PERSIST,
	SLUICE_TIMER_DELAYED_ACK,
	SLUICE_TIMER_KEEPALIVE,
	SLUICE_TIMER_FIN_WAIT_2,
	SLUICE_TIMER_TIME_WAIT,
	SLUICE_TIMER_PACING,
};

/*
 * sock_diag, message type SOCK_DIAG_BY_FAMILY, family AF_SLUICE (the number
 * in use). A dump (NLM_F_DUMP) lists what matches states; without NLM_F_DUMP
 * the one socket of `id` (ENOENT when there is none).
 */
struct sluice_diag_id {
	__be16 sport, dport;		/* network order */
	__u32 ifindex;
	__u8 src[16], dst[16];		/* IPv6, or v4-mapped */
	__u32 protocol;			/* 253 or 257; 0 in a question: either, 253 first */
};

struct sluice_diag_req {
	__u8 family;			/* first byte, as sock_diag wants */
	__u8 pad;
	__u16 ext;			/* bits (1 << (SLUICE_DIAG_x - 1)) wanted beside the message */
	__u32 states;			/* bits (1 << TCP_x) */
	struct sluice_diag_id id;	/* for a single look-up: local = src */
};

struct sluice_diag_msg {
	__u8 family;
	__u8 state;
	__u8 timer;			/* enum sluice_timer */
	__u8 retrans;
	struct sluice_diag_id id;
	__u64 cookie;			/* sock_gen_cookie */
	__u32 expires;			/* ms until the timer */
	__u32 rqueue;			/* unread bytes; LISTEN: accept queue */
	__u32 wqueue;			/* unacknowledged + unsent; LISTEN: backlog */
	__u32 uid;
	__u32 inode;
	__u32 pad;
};

enum {
	SLUICE_DIAG_UNSPEC,
	SLUICE_DIAG_INFO,		/* struct sluice_info */
	SLUICE_DIAG_CONG,		/* string */
	SLUICE_DIAG_MEMINFO,		/* u32[SK_MEMINFO_VARS] */
	SLUICE_DIAG_MARK,		/* u32, only to CAP_NET_ADMIN */
	SLUICE_DIAG_LISTEN,		/* nested none: u32 accept queue, backlog, half-open: u32[3] */
	SLUICE_DIAG_SHUTDOWN,		/* u8: RCV_SHUTDOWN | SEND_SHUTDOWN */
	SLUICE_DIAG_V6ONLY,		/* u8 */
	SLUICE_DIAG_PAD,
	__SLUICE_DIAG_MAX,
};
#define SLUICE_DIAG_MAX (__SLUICE_DIAG_MAX - 1)

/* Generic netlink. All commands act on the sender's network namespace. */
#define SLUICE_GENL_NAME	"sluice"
#define SLUICE_GENL_VERSION	1

enum sluice_genl_cmd {
	SLUICE_CMD_UNSPEC,
	SLUICE_CMD_VERSION,	/* -> VERSION, FAMILY */
	SLUICE_CMD_COUNTERS,	/* dump -> NAME, VALUE, HELP per counter */
	/*
	 * NAME -> one; dump -> all: NAME, VALUE|STRING, MIN, MAX, DEFAULT, UNIT, HELP,
	 * SOURCE, SYSCTL. A dump leaves the STRING of a secret out; by NAME it takes
	 * CAP_NET_ADMIN in the namespace.
	 */
	SLUICE_CMD_PARAM_GET,
	SLUICE_CMD_PARAM_SET,	/* NAME, VALUE|STRING; CAP_NET_ADMIN in the namespace */
	SLUICE_CMD_CC_LIST,	/* dump -> NAME, DEFAULT flag */
	SLUICE_CMD_CONN_SET,	/* ID, any of CC, SNDBUF, RCVBUF; CAP_NET_ADMIN */
	SLUICE_CMD_PARAM_RESET,	/* NAME: takes back what PARAM_SET did; CAP_NET_ADMIN in the namespace */
	__SLUICE_CMD_MAX,
};
#define SLUICE_CMD_MAX (__SLUICE_CMD_MAX - 1)

enum sluice_genl_attr {
	SLUICE_A_UNSPEC,
	SLUICE_A_NAME,		/* string */
	SLUICE_A_VALUE,		/* u64 */
	SLUICE_A_STRING,	/* string value of a parameter */
	SLUICE_A_MINIMUM,	/* u64 */
	SLUICE_A_MAXIMUM,	/* u64 */
	SLUICE_A_DEFAULT,	/* u64: what PARAM_RESET gives; flag in CC_LIST */
	SLUICE_A_UNIT,		/* string: "us", "bytes", "segments", "" ... */
	SLUICE_A_HELP,		/* string, one line */
	SLUICE_A_VERSION,	/* string */
	SLUICE_A_FAMILY,	/* u32: the AF_SLUICE number in use */
	SLUICE_A_ID,		/* struct sluice_diag_id */
	SLUICE_A_CC,		/* string */
	SLUICE_A_SNDBUF,	/* u32 bytes, as SO_SNDBUF would be given */
	SLUICE_A_RCVBUF,	/* u32 bytes */
	SLUICE_A_PAD,
	SLUICE_A_SOURCE,	/* u8: enum sluice_source */
	SLUICE_A_SYSCTL,	/* string: the sysctl that a parameter follows when it isn't set */
	__SLUICE_A_MAX,
};
#define SLUICE_A_MAX (__SLUICE_A_MAX - 1)

/* Where a parameter's value comes from. */
enum sluice_source {
	SLUICE_SOURCE_DEFAULT,		/* built in */
	SLUICE_SOURCE_SYSCTL,		/* the sysctl says so */
	SLUICE_SOURCE_SET,		/* SLUICE_CMD_PARAM_SET */
};

#endif /* SLUICE_H */
