/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Congestion control, as seen from the core and from modules that bring an
 * algorithm of their own. An algorithm sees numbers, never sockets: windows in
 * bytes, times in microseconds, rates in bytes per second. Loss recovery
 * (what to retransmit, when) is not its business; it decides how much may be
 * in flight. All calls hold the connection's lock, in softirq or process
 * context, and may not sleep.
 */
#ifndef SLUICE_CORE_CC_H
#define SLUICE_CORE_CC_H

#include "host.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SLUICE_CC_NAME_MAX 16
#define SLUICE_CC_PRIVATE 12
#define SLUICE_SSTHRESH_INFINITE 0x7fffffffu

/* The part of a connection that an algorithm reads and writes. */
struct sluice_cc {
	const struct sluice_cc_ops *ops;
	uint32_t mss;			/* bytes; the core keeps it current */
	uint32_t cwnd;			/* bytes, >= mss */
	uint32_t ssthresh;		/* bytes, SLUICE_SSTHRESH_INFINITE at first */
	uint32_t cwnd_used;		/* most bytes in flight in this round trip and the last */
	uint64_t pacing_rate;		/* bytes per second; 0: not paced */
	uint64_t priv[SLUICE_CC_PRIVATE];	/* the algorithm's own, zeroed before init */
};

/* One acknowledgment that acknowledged something new. */
struct sluice_cc_ack {
	sluice_usec now;
	uint32_t acked;			/* bytes newly acknowledged or SACKed */
	uint32_t in_flight;		/* bytes before this ACK */
	uint32_t rtt;			/* of this ACK; 0: no sample */
	uint32_t srtt, min_rtt;		/* 0 until measured */
	uint64_t delivery_rate;		/* bytes per second; 0: no sample */
	uint32_t lost;			/* bytes marked lost since the last call */
	bool app_limited;		/* the rate sample was limited by the application */
	bool cwnd_limited;		/* the window, not the application, held data back */
	bool in_recovery;
	bool ecn_echo;			/* it told of an ECN mark (RFC 3168) */
};

struct sluice_cc_ops {
	char name[SLUICE_CC_NAME_MAX];
	void *owner;			/* struct module *, NULL when built in */
	/* Begins (or takes over a running connection: cwnd is then not the initial one). */
	void (*init)(struct sluice_cc *cc, sluice_usec now);
	/* optional */
	void (*release)(struct sluice_cc *cc);
	/* Outside recovery: grows cwnd. */
	void (*acked)(struct sluice_cc *cc, const struct sluice_cc_ack *ack);
	/* A loss episode begins: the new ssthresh in bytes (>= 2 mss). The core moves cwnd to it. */
	uint32_t (*loss)(struct sluice_cc *cc, uint32_t in_flight, sluice_usec now);
	/*
	 * optional: an ECN mark was echoed: the new ssthresh in bytes (>= 2 mss). The core
	 * moves cwnd to it, or further, down to one mss, when it is cwnd already. Once a
	 * window, never undone. Without it loss() is asked.
	 */
	uint32_t (*marked)(struct sluice_cc *cc, uint32_t in_flight, sluice_usec now);
	/*
	 * optional: a retransmission timeout. cwnd is one segment after it; loss() was called
	 * first, or had been called for this flight already.
	 */
	void (*timeout)(struct sluice_cc *cc, sluice_usec now);
	/* optional: the last loss was none; cwnd and ssthresh are restored already. */
	void (*undo)(struct sluice_cc *cc, sluice_usec now);
	/* optional: sending resumes after `idle` microseconds without anything in flight. */
	void (*resumed)(struct sluice_cc *cc, sluice_usec idle, sluice_usec now);
};

/* Those that come with the core; NULL-terminated. cubic is the first and the default. */
extern const struct sluice_cc_ops sluice_cc_cubic, sluice_cc_reno;
extern const struct sluice_cc_ops *const sluice_cc_builtin[];

#ifdef __cplusplus
}
#endif

#endif /* SLUICE_CORE_CC_H */
