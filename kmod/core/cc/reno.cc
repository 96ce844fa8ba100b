// SPDX-License-Identifier: GPL-2.0
// Reno (RFC 5681): one segment more for each window acknowledged, half the
// flight on loss. Growth counts bytes, not ACKs (RFC 3465).
//
// RFC 3465's L, the most that one ACK may count in slow start, is two segments
// after a timeout, when a single ACK may tell of much that arrived long ago.
// Otherwise there is none: receivers coalesce segments (GRO), and an ACK of
// forty that counted as two would end exponential growth.
#include "slow_start.h"

namespace sluice
{

namespace
{

struct Reno {
    uint32_t acked;     // bytes acknowledged since cwnd last grew by a segment
    bool after_timeout; // in the slow start that follows one
};
static_assert(sizeof(Reno) <= sizeof(sluice_cc::priv));

Reno& state(sluice_cc* cc)
{
    return *reinterpret_cast<Reno*>(cc->priv);
}

void init(sluice_cc* cc, sluice_usec)
{
    state(cc) = {};
}

uint32_t slow_start_bytes(const sluice_cc& cc, const Reno& reno, uint32_t acked)
{
    uint32_t limit = 2 * cc.mss;
    return reno.after_timeout && acked > limit ? limit : acked;
}

void congestion_avoidance(sluice_cc& cc, Reno& reno, uint32_t acked)
{
    uint64_t counted = uint64_t{reno.acked} + acked;
    if (counted < cc.cwnd) {
        reno.acked = static_cast<uint32_t>(counted);
        return;
    }
    counted -= cc.cwnd;
    cc.cwnd = clamp_window(uint64_t{cc.cwnd} + cc.mss);
    // never more than one segment of growth is owed
    reno.acked = counted < cc.cwnd ? static_cast<uint32_t>(counted) : cc.cwnd - 1;
}

void acked(sluice_cc* cc, const sluice_cc_ack* ack)
{
    Reno& reno = state(cc);
    uint32_t bytes = ack->acked;

    if (!ack->cwnd_limited)
        return;
    if (in_slow_start(*cc)) {
        bytes = slow_start(*cc, slow_start_bytes(*cc, reno, bytes));
        if (in_slow_start(*cc))
            return;
        reno.after_timeout = false;
    }
    congestion_avoidance(*cc, reno, bytes);
}

uint32_t loss(sluice_cc* cc, uint32_t in_flight, sluice_usec)
{
    state(cc) = {};
    return at_least_two_segments(*cc, window_at_loss(*cc, in_flight) / 2);
}

void timeout(sluice_cc* cc, sluice_usec)
{
    state(cc).after_timeout = true;
}

void undo(sluice_cc* cc, sluice_usec)
{
    state(cc).after_timeout = false;
}

} // namespace

} // namespace sluice

const sluice_cc_ops sluice_cc_reno = {
    .name = "reno",
    .owner = nullptr,
    .init = sluice::init,
    .release = nullptr,
    .acked = sluice::acked,
    .loss = sluice::loss,
    .marked = nullptr, // as a loss
    .timeout = sluice::timeout,
    .undo = sluice::undo,
    .resumed = nullptr,
};
