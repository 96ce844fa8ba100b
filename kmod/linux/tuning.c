// SPDX-License-Identifier: GPL-2.0
/*
 * The parameters that follow sysctls (sysctl.def). The kernel tells nobody
 * when a sysctl changes, so they are compared: that takes a load and a branch
 * each, and only a difference takes the lock and writes.
 */
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/spinlock.h>

#include "compat.h"
#include "params.h"
#include "tcp_limits.h"
#include "tuning.h"

static_assert(SLUICE_PARAM_COUNT <= SLUICE_PARAM_BITS);

/* ---- what Linux means by a value ----------------------------------------------- */

static s64 usec(s64 in_jiffies)
{
	return div_s64(in_jiffies * USEC_PER_SEC, HZ);
}

/* 0 stands for what Linux thought right before it could be set (tcp(7)). */
static s64 orphan_retries(s64 told)
{
	return told ? told : 8;
}

static s64 at_most(s64 told, u64 limit)
{
	return min_t(s64, told, limit);
}

static s64 max_reordering(const struct sluice_net *sn, s64 told)
{
	return sluice_tuning_is_set(sn, SLUICE_PARAM_reordering) ?
	       max_t(s64, told, sn->config.reordering) : told;
}

/* With SYN cookies Linux bounds half-open connections by the listen backlog alone. */
static s64 max_syn_backlog(const struct sluice_net *sn, s64 told)
{
	return sn->config.syncookies ?
	       max_t(s64, told, (s64)sn->config.somaxconn + 1) : told;
}

/* Percent of a buffer: all but a 2^n-th of it, or where n is not positive, a 2^-n-th. */
static s64 payload_share(s64 adv_win_scale)
{
	return adv_win_scale > 0 ? 100 - (100 >> min_t(s64, adv_win_scale, 7)) :
				   100 >> min_t(s64, -adv_win_scale, 7);
}

static s64 max_orphans(void)
{
	long told = sluice_tcp_max_orphans();

	return told == SLUICE_NO_ORPHANS_LIMIT ? sluice_params[SLUICE_PARAM_max_orphans].standard :
						 told;
}

/* ---- one function a parameter ---------------------------------------------------- */

#define SLUICE_PARAM(name, def, low, high, unit, help)				\
	static const s64 least_##name __maybe_unused = low;			\
	static const s64 greatest_##name __maybe_unused = high;
#include "config.def"
#undef SLUICE_PARAM

#define SLUICE_SYSCTL(name, sysctl, value)					\
static u64 told_##name(const struct sluice_net *sn)				\
{										\
	const struct netns_ipv4 *ipv4 __maybe_unused = &sn->net->ipv4;		\
	const struct netns_core *core __maybe_unused = &sn->net->core;		\
										\
	return clamp_t(s64, value, least_##name, greatest_##name);		\
}
#include "sysctl.def"
#undef SLUICE_SYSCTL

static const struct {
	const char *sysctl;
	u64 (*told)(const struct sluice_net *sn);
} rows[SLUICE_PARAM_COUNT] = {
#define SLUICE_SYSCTL(name, text, value) [SLUICE_PARAM_##name] = { text, told_##name },
#include "sysctl.def"
#undef SLUICE_SYSCTL
};

const char *sluice_tuning_sysctl(unsigned int number)
{
	return rows[number].sysctl;
}

u64 sluice_tuning_told(const struct sluice_net *sn, unsigned int number)
{
	return rows[number].told(sn);
}

/* ---- all of them -------------------------------------------------------------------- */

/* Straight-line code: no call and no table between one comparison and the next. */
static bool differs(const struct sluice_net *sn)
{
#define SLUICE_SYSCTL(name, text, value)					\
	if (READ_ONCE(sn->config.name) != told_##name(sn) &&			\
	    !sluice_tuning_is_set(sn, SLUICE_PARAM_##name))			\
		return true;
#include "sysctl.def"
#undef SLUICE_SYSCTL
	return false;
}

/* The lock keeps what `sluice set` writes meanwhile from being written over. */
static void copy(struct sluice_net *sn)
{
	spin_lock_bh(&sn->tuning_lock);
#define SLUICE_SYSCTL(name, text, value)					\
	if (!sluice_tuning_is_set(sn, SLUICE_PARAM_##name))			\
		WRITE_ONCE(sn->config.name, told_##name(sn));
#include "sysctl.def"
#undef SLUICE_SYSCTL
	spin_unlock_bh(&sn->tuning_lock);
}

void sluice_tuning_refresh(struct sluice_net *sn)
{
	WRITE_ONCE(sn->glanced, jiffies);
	if (unlikely(differs(sn)))
		copy(sn);
}

void sluice_tuning_init(struct sluice_net *sn)
{
	spin_lock_init(&sn->tuning_lock);
	bitmap_zero(sn->overridden, SLUICE_PARAM_COUNT);
	sluice_params_defaults(&sn->config);
	sluice_tuning_refresh(sn);
}
