// SPDX-License-Identifier: GPL-2.0
/* Times of received bytes as control messages; what they look like is the socket ABI's. */
#include <linux/errqueue.h>
#include <linux/net_tstamp.h>
#include <linux/time64.h>

#include "stamps.h"

/* SO_TIMESTAMP: microseconds. */
static void put_micro(struct msghdr *msg, struct timespec64 time, bool wide)
{
	struct __kernel_old_timeval old = { time.tv_sec, time.tv_nsec / NSEC_PER_USEC };
	struct __kernel_sock_timeval new = { time.tv_sec, time.tv_nsec / NSEC_PER_USEC };

	if (wide)
		put_cmsg(msg, SOL_SOCKET, SO_TIMESTAMP_NEW, sizeof(new), &new);
	else
		put_cmsg(msg, SOL_SOCKET, SO_TIMESTAMP_OLD, sizeof(old), &old);
}

/* SO_TIMESTAMPNS. */
static void put_nano(struct msghdr *msg, struct timespec64 time, bool wide)
{
	struct __kernel_old_timespec old = { time.tv_sec, time.tv_nsec };
	struct __kernel_timespec new = { time.tv_sec, time.tv_nsec };

	if (wide)
		put_cmsg(msg, SOL_SOCKET, SO_TIMESTAMPNS_NEW, sizeof(new), &new);
	else
		put_cmsg(msg, SOL_SOCKET, SO_TIMESTAMPNS_OLD, sizeof(old), &old);
}

void sluice_stamps_put(const struct sock *sk, struct msghdr *msg,
		       const struct sluice_stamps *stamps)
{
	struct scm_timestamping_internal all = {};
	bool wide = sock_flag(sk, SOCK_TSTAMP_NEW), any = false;
	u32 flags = READ_ONCE(sk->sk_tsflags);

	if (stamps->software && sock_flag(sk, SOCK_RCVTSTAMP)) {
		struct timespec64 time = ktime_to_timespec64(stamps->software);

		if (sock_flag(sk, SOCK_RCVTSTAMPNS))
			put_nano(msg, time, wide);
		else
			put_micro(msg, time, wide);
	}
	if (stamps->software && (flags & SOF_TIMESTAMPING_SOFTWARE)) {
		all.ts[0] = ktime_to_timespec64(stamps->software);
		any = true;
	}
	if (stamps->hardware && (flags & SOF_TIMESTAMPING_RAW_HARDWARE)) {
		all.ts[2] = ktime_to_timespec64(stamps->hardware);
		any = true;
	}
	if (!any)
		return;
	if (wide)
		put_cmsg_scm_timestamping64(msg, &all);
	else
		put_cmsg_scm_timestamping(msg, &all);
}
