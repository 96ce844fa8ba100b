/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The boundary between the core (the protocol, C++) and its host (the Linux
 * module, or the simulator). C and C++ both read this file, and neither half
 * knows anything of the other beyond it.
 *
 * The host stores core objects inside its own, serializes all calls on one
 * object (socket lock), says the time with every call, and provides the
 * sluice_host_* functions. A host function may not call back into the same
 * object. Times are microseconds of a monotonic clock that never reads 0.
 * Sequence numbers cross the boundary as plain u32 and wrap.
 */
#ifndef SLUICE_CORE_HOST_H
#define SLUICE_CORE_HOST_H

#if defined(__KERNEL__) && !defined(__cplusplus)
#include <linux/types.h>
#include <linux/stddef.h>
#else
#include <stdint.h>
#include <stddef.h>
#ifndef __cplusplus
#include <stdbool.h>
#endif
#endif

#ifdef __cplusplus
extern "C" {
#endif

struct sluice_info;
struct sluice_cc_ops;

typedef uint64_t sluice_usec;

/* ---- objects whose storage is the host's ------------------------------- */

#define SLUICE_CONN_SIZE 1136

/* One connection, from socket creation to CLOSED. Only the core looks inside. */
struct sluice_conn {
	uint64_t opaque[SLUICE_CONN_SIZE / 8];
};

/* Defaults of a namespace; the host may change a value at any time. */
struct sluice_config {
#define SLUICE_PARAM(name, def, min, max, unit, help) uint64_t name;
#include "config.def"
#undef SLUICE_PARAM
};

enum sluice_counter {
#define SLUICE_COUNTER(name, help) SLUICE_CNT_##name,
#include "counters.def"
#undef SLUICE_COUNTER
	SLUICE_CNT_MAX
};

/* Connection states carry Linux TCP's numbers (TCP_ESTABLISHED = 1 ...). */
enum sluice_state {
	SLUICE_ESTABLISHED = 1,
	SLUICE_SYN_SENT,
	SLUICE_SYN_RECEIVED,
	SLUICE_FIN_WAIT_1,
	SLUICE_FIN_WAIT_2,
	SLUICE_TIME_WAIT,
	SLUICE_CLOSED,
	SLUICE_CLOSE_WAIT,
	SLUICE_LAST_ACK,
	SLUICE_LISTEN,
	SLUICE_CLOSING,
};

/* ---- segments ----------------------------------------------------------- */

#define SLUICE_HEADER_MAX 60
#define SLUICE_SACK_MAX 4

enum sluice_flag {
	SLUICE_FIN = 0x01,
	SLUICE_SYN = 0x02,
	SLUICE_RST = 0x04,
	SLUICE_PSH = 0x08,
	SLUICE_ACK = 0x10,
	SLUICE_URG = 0x20,
	SLUICE_ECE = 0x40,
	SLUICE_CWR = 0x80,
};

/* The ECN field of an IP header (RFC 3168 5). */
enum sluice_ecn {
	SLUICE_NOT_ECT,
	SLUICE_ECT_1,
	SLUICE_ECT_0,
	SLUICE_CE,
};

struct sluice_sack_block {
	uint32_t start, end;
};

#define SLUICE_FASTOPEN_COOKIE_MAX 16

/* Of TCP Fast Open (RFC 7413 4.1.1). */
struct sluice_fastopen_cookie {
	uint8_t length;			/* 4..16, even; 0: none */
	uint8_t bytes[SLUICE_FASTOPEN_COOKIE_MAX];
};

/* A received segment: parsed by sluice_segment_parse(), payload still the host's. */
struct sluice_segment {
	void *payload;			/* the host's handle (skb); the core only passes it back */
	uint32_t seq, ack;
	uint32_t length;		/* payload bytes */
	uint32_t window;		/* as on the wire, unscaled */
	uint16_t source, destination;	/* ports, host order */
	uint16_t urgent;		/* as on the wire */
	uint8_t flags;			/* enum sluice_flag */
	uint8_t header_length;		/* bytes, 20..60 */
	uint8_t ecn;			/* enum sluice_ecn of the IP header, by the host */
	/* coalesced segments (GRO/GSO): size of one and their number; 0, 0 or 1 when single */
	uint16_t gso_size, gso_segs;
	/* options */
	bool has_timestamp, sack_permitted, has_wscale, bad_option;
	bool has_fastopen;		/* in a SYN alone; without a cookie it asks for one */
	uint8_t wscale;
	uint8_t sack_count;
	uint16_t mss;			/* 0 when absent */
	uint32_t ts_value, ts_echo;
	struct sluice_sack_block sack[SLUICE_SACK_MAX];
	struct sluice_fastopen_cookie fastopen;	/* when has_fastopen */
};

enum sluice_parse {
	SLUICE_PARSE_OK,
	SLUICE_PARSE_SHORT,		/* truncated or impossible data offset: bad_header */
	SLUICE_PARSE_FLAGS,		/* SYN+FIN, SYN+RST ...: bad_flags */
};

/*
 * Reads the header at `bytes`. `available` bytes are contiguous there (the
 * host pulls the whole header as its data offset says, else SHORT comes back);
 * `total` is header plus payload. Fills everything but payload, ecn and gso_*.
 * Malformed options set bad_option and end the options (but a Fast Open cookie that
 * can't be one, RFC 7413 4.1.1); they are no error.
 */
enum sluice_parse sluice_segment_parse(const uint8_t *bytes, uint32_t available, uint32_t total,
				       struct sluice_segment *out);

/* What the host is to put on the wire: these header bytes + stream bytes, cut at mss. */
struct sluice_transmission {
	uint8_t header[SLUICE_HEADER_MAX];	/* complete but for the checksum (zero) */
	uint8_t header_length;
	uint8_t ecn;			/* enum sluice_ecn for the IP headers */
	bool retransmission;
	bool pure_ack;			/* no payload, SYN, FIN or RST */
	uint32_t offset;		/* of the first payload byte, from the send buffer's oldest byte */
	/*
	 * payload bytes; may be many mss: the header is of the first segment. FIN
	 * and PSH belong to the last alone, CWR to the first alone.
	 */
	uint32_t length;
	uint32_t mss;			/* payload bytes of each segment but the last; > 0 when length > 0 */
	uint64_t pacing_rate;		/* bytes per second, for who paces it; ~0: not known */
};

/*
 * A segment without payload that half-open, TIME_WAIT or no object at all
 * sends. The core has counted it, but for sluice_reset_reply()'s: those are
 * the host's to count (segs_out, resets_out).
 */
struct sluice_reply {
	uint8_t header[SLUICE_HEADER_MAX];
	uint8_t header_length;		/* 0: nothing to send */
};

/* ---- opening ------------------------------------------------------------ */

/* Where a connection runs; filled by the host for connect and for a SYN. */
struct sluice_path {
	uint8_t local[16], remote[16];	/* IPv6 or v4-mapped: for the keyed hash only */
	uint16_t local_port, remote_port;	/* host order */
	uint16_t max_payload;		/* path MTU less IP header and 20; less than 28 counts as that */
	uint16_t advertise_mss;		/* MSS option to send: interface MTU less IP header and 20 */
	uint32_t gso_max;		/* payload bytes of one transmission at most; >= max_payload */
};

/* ---- the core's functions on a connection -------------------------------- */
/* All need the connection's lock; `now` is the host's clock.                  */

/* CLOSED connection with the namespace's defaults; config outlives it. */
void sluice_conn_init(struct sluice_conn *c, const struct sluice_config *config,
		      const struct sluice_cc_ops *cc);
/* Gives back what sluice_host_resize() lent. State must be CLOSED (or TIME_WAIT handed over). */
void sluice_conn_destroy(struct sluice_conn *c);
/*
 * A child's connection begins as a copy of its listener's options: call in
 * place of sluice_conn_init() on fresh storage.
 */
void sluice_conn_inherit(struct sluice_conn *child, const struct sluice_conn *listener);

/* Active open: sends SYN, state SYN_SENT. */
void sluice_conn_connect(struct sluice_conn *c, const struct sluice_path *path, sluice_usec now);
/*
 * The same by TCP Fast Open: the first `bytes` of the stream, which the host
 * has put into the send buffer, go with the SYN: sluice_fastopen_room() at
 * most. cookie: the peer's; of length 0: none is known, the SYN asks for one,
 * and `bytes` must be 0; NULL: data go without.
 */
void sluice_conn_connect_fast(struct sluice_conn *c, const struct sluice_path *path, uint32_t bytes,
			      const struct sluice_fastopen_cookie *cookie, sluice_usec now);
/* Payload bytes that fit a SYN with every option. mss: what the peer last offered; 0: unknown. */
uint32_t sluice_fastopen_room(const struct sluice_path *path, uint16_t mss);
/* A segment for this connection. Takes no ownership: payload it wants goes to sluice_host_deliver(). */
void sluice_conn_segment(struct sluice_conn *c, struct sluice_segment *seg, sluice_usec now);
/* The application appended `bytes` to the send buffer. more: MSG_MORE, hold a partial segment. */
void sluice_conn_written(struct sluice_conn *c, uint32_t bytes, bool more, sluice_usec now);
/* The same; the last of them is urgent, and all that is before it goes at once (MSG_OOB). */
void sluice_conn_written_urgent(struct sluice_conn *c, uint32_t bytes, sluice_usec now);
/* Sends whatever may go (option changed, device has room again). */
void sluice_conn_push(struct sluice_conn *c, sluice_usec now);
/* Packets that sluice_host_await_queue() was told of have left this host's queues. */
void sluice_conn_drained(struct sluice_conn *c, sluice_usec now);
/* The application took `bytes` out of the receive buffer: window update, autotuning. */
void sluice_conn_read(struct sluice_conn *c, uint32_t bytes, sluice_usec now);
/* No more output: FIN after what is buffered (shutdown SHUT_WR). */
void sluice_conn_shutdown(struct sluice_conn *c, sluice_usec now);
/*
 * The socket is gone; buffered output and FIN are still delivered. With
 * unread input the connection is reset instead (RFC 9293 3.6.1).
 */
void sluice_conn_close(struct sluice_conn *c, bool unread, sluice_usec now);
/* RST if synchronized, then CLOSED at once, no error reported. */
void sluice_conn_abort(struct sluice_conn *c, sluice_usec now);
/* The armed deadline passed (early or late calls are harmless). */
void sluice_conn_time(struct sluice_conn *c, sluice_usec now);
/* Path MTU less IP header and 20 changed. */
void sluice_conn_path_mtu(struct sluice_conn *c, uint16_t max_payload, sluice_usec now);
/* What a segment sent now would carry as TSval (RFC 7323 3), whether or not it does. */
uint32_t sluice_conn_timestamp(const struct sluice_conn *c, sluice_usec now);
/* May an ICMP error about sequence number `seq` be believed: is it in flight (RFC 5927)? */
bool sluice_conn_in_flight(const struct sluice_conn *c, uint32_t seq);
/* A hard error (errno, positive) ends a connection in SYN_SENT/SYN_RECEIVED; else it is noted as soft. */
void sluice_conn_icmp(struct sluice_conn *c, int error, bool hard, sluice_usec now);
/* Memory pressure: forget what was received out of order (the host drops it too). */
void sluice_conn_drop_held(struct sluice_conn *c);

enum sluice_state sluice_conn_state(const struct sluice_conn *c);
/* Bytes written but never sent; bytes written and not acknowledged, and one for the FIN. */
uint32_t sluice_conn_unsent(const struct sluice_conn *c);
uint32_t sluice_conn_unacked(const struct sluice_conn *c);
bool sluice_conn_fin_unsent(const struct sluice_conn *c);
/* When the last acceptable acknowledgment came. */
sluice_usec sluice_conn_heard(const struct sluice_conn *c);
bool sluice_conn_fin_received(const struct sluice_conn *c);
bool sluice_conn_write_closed(const struct sluice_conn *c);
/* In SYN_RECEIVED, but open to both directions: the SYN had a good cookie (RFC 7413 4.2.2). */
bool sluice_conn_open_early(const struct sluice_conn *c);
/* Has the peer used its window up, or all but a little? Without the lock: as of late. */
bool sluice_conn_window_used(struct sluice_conn *c);
/* Sequence number of the next byte in order. */
uint32_t sluice_conn_rcv_nxt(const struct sluice_conn *c);
/* Payload bytes of a full segment now. */
uint32_t sluice_conn_mss(const struct sluice_conn *c);
void sluice_conn_info(const struct sluice_conn *c, struct sluice_info *info, sluice_usec now);

/* Options; times in microseconds, 0 or 1 for switches. Settable in any state, inherited by children. */
enum sluice_option {
	SLUICE_OPTION_NODELAY,
	SLUICE_OPTION_CORK,
	SLUICE_OPTION_QUICKACK,
	SLUICE_OPTION_MAXSEG,		/* 0 or 88..32767 */
	SLUICE_OPTION_KEEPALIVE,	/* SO_KEEPALIVE */
	SLUICE_OPTION_KEEPIDLE,
	SLUICE_OPTION_KEEPINTVL,
	SLUICE_OPTION_KEEPCNT,
	SLUICE_OPTION_SYNCNT,
	SLUICE_OPTION_LINGER2,		/* FIN_WAIT_2 life; 0: namespace's; ~0: none at all */
	SLUICE_OPTION_DEFER_ACCEPT,	/* of a listener: SYN-ACK timeouts to wait for data, 0..255 */
	SLUICE_OPTION_FASTOPEN,		/* of a listener: connections open early at most, 0: none */
	SLUICE_OPTION_FASTOPEN_NO_COOKIE, /* data go and are taken without one */
	SLUICE_OPTION_USER_TIMEOUT,	/* RFC 5482; 0: namespace's retries2 */
	SLUICE_OPTION_WINDOW_CLAMP,	/* bytes; 0 none */
	SLUICE_OPTION_NOTSENT_LOWAT,	/* bytes; ~0 none: kept here for the host */
	SLUICE_OPTION_MAX_PACING_RATE,	/* bytes per second; ~0 none */
	SLUICE_OPTION_SEGMENT_MAX,	/* payload bytes of one transmission (device's GSO limit) */
	SLUICE_OPTION_MAX
};
/* Errors: -EINVAL out of range. */
int sluice_conn_set_option(struct sluice_conn *c, enum sluice_option option, uint64_t value,
			   sluice_usec now);
uint64_t sluice_conn_option(const struct sluice_conn *c, enum sluice_option option);

/* Takes effect at once, keeping cwnd and ssthresh. Never fails; the old one is left by its release(). */
void sluice_conn_set_cc(struct sluice_conn *c, const struct sluice_cc_ops *cc, sluice_usec now);
const struct sluice_cc_ops *sluice_conn_cc(const struct sluice_conn *c);

/* ---- half-open connections (SYN received by a listener) ------------------ */

struct sluice_half_open {
	uint32_t irs, iss;
	uint32_t rcv_wnd;		/* bytes promised in the SYN-ACK */
	uint32_t ts_recent, ts_offset;
	uint16_t peer_mss;		/* as offered, 536/1220 default filled in */
	uint16_t advertise_mss;
	uint16_t local_port, remote_port;
	uint8_t snd_wscale, rcv_wscale;
	uint8_t retries;		/* SYN-ACKs retransmitted, or due but put off */
	uint8_t defer;			/* so many of them are waited for data (TCP_DEFER_ACCEPT) */
	bool wscale_ok, sack_ok, timestamp_ok;
	bool acked_but_full;		/* handshake complete, accept queue was full */
	bool resent;			/* a SYN-ACK went out again: no RTT sample from it (Karn) */
	bool deferred;			/* handshake complete, but no data came with it */
	bool ecn_ok;			/* a SYN asked for ECN, and the SYN-ACK agrees */
	bool ecn_fell_back;		/* another SYN didn't: our segments are never ECT (RFC 3168 6.1.1) */
	sluice_usec sent;		/* first SYN-ACK; 0: nobody knows (a cookie) */
	sluice_usec rtt;		/* told by the first ACK that was put off */
	sluice_usec deadline;		/* when sluice_half_open_time() is due */
	sluice_usec last_answer;	/* answers to unacceptable segments are rate-limited */
};

enum sluice_half_open_result {
	SLUICE_HALF_OPEN_KEEP,		/* nothing more */
	SLUICE_HALF_OPEN_ESTABLISHED,	/* make the child, sluice_conn_accept(), then give it this segment */
	SLUICE_HALF_OPEN_DROP,		/* remove it */
};

/*
 * A SYN for a listener. `listener` gives options, `space` is the receive
 * buffer in payload bytes. `isn_after`: 0, or the least ISN (TIME_WAIT reuse).
 * grant: cookie for the SYN-ACK, or NULL. syn_ack: NULL: the child will send it.
 */
void sluice_half_open_init(struct sluice_half_open *h, const struct sluice_conn *listener,
			   const struct sluice_config *config, const struct sluice_path *path,
			   const struct sluice_segment *syn, uint32_t space, uint32_t isn_after,
			   const struct sluice_fastopen_cookie *grant,
			   struct sluice_reply *syn_ack, sluice_usec now);
/*
 * TCP Fast Open of a SYN (RFC 7413 4.2): may the child be made at once, of the
 * half-open connection just begun? *grant: the cookie that the answer is to
 * carry, or length 0. The host sees to its limit of such children.
 */
bool sluice_fastopen_judge(const struct sluice_conn *listener, const struct sluice_config *config,
			   const struct sluice_path *path, const struct sluice_segment *syn,
			   struct sluice_fastopen_cookie *grant);
/*
 * Such a child, after sluice_conn_accept(): takes the SYN's data, sends the
 * SYN-ACK. grant: a cookie for that, or NULL.
 */
void sluice_conn_accept_early(struct sluice_conn *c, struct sluice_segment *syn,
			      const struct sluice_fastopen_cookie *grant, sluice_usec now);
/* A further segment of this 4-tuple. */
enum sluice_half_open_result
sluice_half_open_segment(struct sluice_half_open *h, const struct sluice_config *config,
			 const struct sluice_segment *seg, struct sluice_reply *reply,
			 sluice_usec now);
/* Deadline passed: SYN-ACK again, or DROP. */
enum sluice_half_open_result sluice_half_open_time(struct sluice_half_open *h,
						   const struct sluice_config *config,
						   struct sluice_reply *reply, sluice_usec now);
/* How long after its SYN-ACK a cookie may be good, at most. */
#define SLUICE_COOKIE_LIFE (128 * 1000000ull)

/*
 * A SYN for a listener that has no room for another half-open connection: the
 * SYN-ACK that needs none (RFC 4987 3.6).
 */
void sluice_cookie_answer(const struct sluice_conn *listener, const struct sluice_config *config,
			  const struct sluice_path *path, const struct sluice_segment *syn,
			  uint32_t space, struct sluice_reply *syn_ack, sluice_usec now);
/*
 * Does an ACK for no connection answer a cookie of ours? Of the path, only
 * addresses and ports are looked at.
 */
bool sluice_cookie_good(const struct sluice_path *path, const struct sluice_segment *ack,
			sluice_usec now);
/*
 * If so, *h is the half-open connection that wasn't kept, and `ack`, whose
 * timestamp echo is taken from it, a further segment of it.
 */
bool sluice_cookie_open(struct sluice_half_open *h, const struct sluice_conn *listener,
			const struct sluice_config *config, const struct sluice_path *path,
			struct sluice_segment *ack, uint32_t space, sluice_usec now);
/* The child: state SYN_RECEIVED until the ACK is given to sluice_conn_segment(). After inherit(). */
void sluice_conn_accept(struct sluice_conn *c, const struct sluice_half_open *h,
			const struct sluice_path *path, sluice_usec now);

/* ---- TIME_WAIT ------------------------------------------------------------ */

struct sluice_time_wait {
	uint32_t snd_nxt, rcv_nxt, rcv_wnd;	/* rcv_wnd scaled, bytes */
	uint32_t ts_recent, ts_offset;
	uint16_t local_port, remote_port;
	uint8_t rcv_wscale;
	bool timestamp_ok;
	sluice_usec ts_recent_at;
	sluice_usec deadline;		/* end of 2MSL */
	sluice_usec length;
	sluice_usec last_ack;		/* out-of-window ACKs are rate-limited */
};

enum sluice_time_wait_result {
	SLUICE_TIME_WAIT_KEEP,		/* reply, if any, and go on (deadline may have moved) */
	SLUICE_TIME_WAIT_REMOVE,	/* a good RST: gone now */
	SLUICE_TIME_WAIT_NEW_SYN,	/* remove it, offer the SYN to a listener with *isn_after */
};

/* `listened`: there is a listener for a new SYN; else it is acknowledged like any other. */
enum sluice_time_wait_result
sluice_time_wait_segment(struct sluice_time_wait *t, const struct sluice_config *config,
			 const struct sluice_segment *seg, bool listened,
			 struct sluice_reply *reply, uint32_t *isn_after, sluice_usec now);
/* Would it be SLUICE_TIME_WAIT_NEW_SYN for a listener? Counts and changes nothing. */
bool sluice_time_wait_reusable(const struct sluice_time_wait *t, const struct sluice_segment *syn,
			       sluice_usec now);

/* The RST that answers a segment for no connection (RFC 9293 3.10.7.1); none for an RST. */
void sluice_reset_reply(const struct sluice_segment *seg, struct sluice_reply *reply);

/* ---- what the host provides ------------------------------------------------ */

/* Sends. false: not sent (no memory, no route); the core counts it and retries by its timers. */
bool sluice_host_transmit(struct sluice_conn *c, const struct sluice_transmission *t);
/* Somebody there keeps transmissions to their pacing_rate, so that the core need not. */
bool sluice_host_paces(const struct sluice_conn *c);
/* Bytes of this connection's packets, headers and all, that are in this host's queues. */
uint32_t sluice_host_queued(const struct sluice_conn *c);
/* Does the application wait for room in the send buffer? */
bool sluice_host_writer_waits(const struct sluice_conn *c);
/*
 * Output waits for these to leave: sluice_conn_drained() is to be called soon
 * after some did, at the latest with the deadline. false: none is there any more.
 */
bool sluice_host_await_queue(struct sluice_conn *c);
/*
 * Keeps payload bytes [skip, skip + length) of `seg`, which stand at sequence
 * number `position`. in_order: append to the readable bytes. Otherwise hold
 * them; pieces held never overlap. false: no memory, nothing was kept.
 */
bool sluice_host_deliver(struct sluice_conn *c, struct sluice_segment *seg, uint32_t skip,
			 uint32_t length, uint32_t position, bool in_order);
/* All held bytes before `up_to` are now in order: append them to the readable bytes. */
void sluice_host_join(struct sluice_conn *c, uint32_t up_to);
/*
 * The byte at sequence number `position`, which is still to come and may be
 * delivered within this very call or much later, is urgent (RFC 9293 3.8.5).
 * It stands behind every one of which that was said before. Returns how many
 * unread bytes (0 or 1) that takes away from the application: an older urgent
 * byte that no read will have any more.
 */
uint32_t sluice_host_urgent(struct sluice_conn *c, uint32_t position);
/*
 * The cookie of a client (path->remote) by the listener's key number `which`,
 * 0 (which new ones are made by) or 1; length 0: there is no such key.
 */
void sluice_host_fastopen_cookie(const struct sluice_conn *listener, const struct sluice_path *path,
				 unsigned int which, struct sluice_fastopen_cookie *cookie);
/* The answer to a SYN that carried or asked for a cookie. Of length 0: none came. mss: its option, or 0. */
void sluice_host_fastopen_learned(struct sluice_conn *c, const struct sluice_fastopen_cookie *cookie,
				  uint16_t mss);
/* SYNs with and without data were lost: something on the path may drop what it doesn't know (7413 4.1.3.1). */
void sluice_host_fastopen_lost(struct sluice_conn *c);
/* Drops all held bytes. */
void sluice_host_drop_held(struct sluice_conn *c);
/* The oldest `bytes` of the send buffer are acknowledged: free them. */
void sluice_host_release(struct sluice_conn *c, uint32_t bytes);
/*
 * Free receive-buffer space in payload bytes, after overhead; *full: the same
 * for an empty buffer. Unread and held bytes count against it.
 */
uint32_t sluice_host_receive_space(struct sluice_conn *c, uint32_t *full);

enum sluice_event {
	SLUICE_EV_READABLE = 1,		/* in-order bytes arrived, or FIN (POLLIN, POLLRDHUP) */
	SLUICE_EV_WRITABLE = 2,		/* bytes were released */
	SLUICE_EV_CONNECTED = 4,
	SLUICE_EV_FIN = 8,		/* the peer sent FIN: no more input */
	SLUICE_EV_CLOSED = 16,		/* the connection is over; host forgets it when orphaned */
};
/* Tells sleepers. Called at most once at the end of a core call. */
void sluice_host_wake(struct sluice_conn *c, unsigned int events);
/* State changed (before wake). CLOSED: the host takes it out of its tables. */
void sluice_host_state(struct sluice_conn *c, enum sluice_state from, enum sluice_state to);
/* The connection failed: positive errno for SO_ERROR and sleepers. CLOSED follows. */
void sluice_host_fail(struct sluice_conn *c, int error);
/* An error that doesn't end the connection (SO_ERROR untouched, sk_err_soft). */
void sluice_host_soft_error(struct sluice_conn *c, int error);
/*
 * A timeout: of equally good ways another may do. route: there were so many
 * (RFC 9293 3.8.3 R1) that the route itself is in doubt.
 */
void sluice_host_doubt_path(struct sluice_conn *c, bool route);
/* TIME_WAIT began: keep *t under this connection's addresses. CLOSED follows for c. */
void sluice_host_time_wait(struct sluice_conn *c, const struct sluice_time_wait *t);
/* Call sluice_conn_time() at or soon after `deadline`; replaces the former one; 0: none. */
void sluice_host_arm(struct sluice_conn *c, sluice_usec deadline);
/* Autotuning wants buffers for this many payload bytes; the host sets its limits. */
void sluice_host_want_receive_buffer(struct sluice_conn *c, uint32_t payload);
void sluice_host_want_send_buffer(struct sluice_conn *c, uint32_t payload);
/* realloc/free of core memory charged to this connection; size 0 frees. NULL: none to be had. */
void *sluice_host_resize(struct sluice_conn *c, void *old, size_t old_size, size_t size);
uint32_t sluice_host_random(void);
/* Keyed hash (SipHash; key per boot). */
uint64_t sluice_host_keyed_hash(const void *data, size_t length);
/* Counts in the namespace that owns `config`. */
void sluice_host_count(const struct sluice_config *config, enum sluice_counter counter,
		       uint32_t n);
/* A challenge ACK is wanted: is one allowed now (namespace's limit)? */
bool sluice_host_challenge_allowed(const struct sluice_config *config);

#ifdef __cplusplus
}
#endif

#endif /* SLUICE_CORE_HOST_H */
