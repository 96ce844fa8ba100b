// SPDX-License-Identifier: GPL-2.0
// What every window-based algorithm shares: slow start (RFC 5681 3.1 with
// RFC 3465 byte counting), the window that a reduction starts from, and its
// least result.
#pragma once

#include "../cc.h"

namespace sluice
{

inline constexpr uint32_t WINDOW_MAX = SLUICE_SSTHRESH_INFINITE;

inline bool in_slow_start(const sluice_cc& cc)
{
    return cc.cwnd < cc.ssthresh;
}

inline uint32_t clamp_window(uint64_t bytes)
{
    return bytes < WINDOW_MAX ? static_cast<uint32_t>(bytes) : WINDOW_MAX;
}

// Grows cwnd by `acked` bytes up to ssthresh; returns what is left of them for
// congestion avoidance. The caller says how much of an ACK may count (RFC 3465's L).
inline uint32_t slow_start(sluice_cc& cc, uint32_t acked)
{
    uint32_t room = cc.ssthresh - cc.cwnd;
    uint32_t grow = acked < room ? acked : room;
    cc.cwnd += grow;
    return acked - grow;
}

// RFC 5681 (4), RFC 9438 4.6: a reduction starts from what was really in
// flight, not from a window that was never filled. SACKed and lost bytes have
// left `in_flight` by now, so the last round trip has its say as well.
inline uint32_t window_at_loss(const sluice_cc& cc, uint32_t in_flight)
{
    uint32_t flight = in_flight > cc.cwnd_used ? in_flight : cc.cwnd_used;
    return flight < cc.cwnd ? flight : cc.cwnd;
}

inline uint32_t at_least_two_segments(const sluice_cc& cc, uint64_t bytes)
{
    uint64_t floor = 2ull * cc.mss;
    return clamp_window(bytes > floor ? bytes : floor);
}

} // namespace sluice
