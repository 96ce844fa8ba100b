// SPDX-License-Identifier: GPL-2.0
// Round-trip estimation and the retransmission timeout (RFC 6298), in
// microseconds. As in Linux the variance term, not the sum, is kept above the
// least RTO, so that the timeout always leaves that much room over the RTT.
#pragma once

#include "instant.h"

namespace sluice
{

class RttEstimator
{
public:
    bool measured() const { return srtt8_ != 0; }
    Duration srtt() const { return Duration(srtt8_ >> 3); }
    Duration rttvar() const { return Duration(rttvar4_ >> 2); }
    Duration min_rtt() const { return Duration(min_rtt_); }

    void sample(Duration rtt, Instant now)
    {
        uint32_t r =
            static_cast<uint32_t>(least<uint64_t>(greatest<uint64_t>(rtt.us(), 1), max_sample));
        note_min(r, now);
        if (!measured()) {
            srtt8_ = r * 8;
            rttvar4_ = r * 2;
            return;
        }
        int32_t error = static_cast<int32_t>(r) - static_cast<int32_t>(srtt8_ >> 3);
        srtt8_ = static_cast<uint32_t>(static_cast<int32_t>(srtt8_) + error);
        uint32_t deviation = static_cast<uint32_t>(error < 0 ? -error : error);
        rttvar4_ = rttvar4_ - (rttvar4_ >> 2) + deviation;
    }

    // RFC 6298 (2.3), before backoff.
    Duration rto(Duration initial, Duration least_rto, Duration greatest_rto) const
    {
        if (!measured())
            return initial;
        Duration margin = greatest(Duration(rttvar4_), least_rto);
        return least(srtt() + margin, greatest_rto);
    }

private:
    static constexpr uint32_t max_sample = 1u << 27; // 134 s; keeps the sums in 31 bits
    static constexpr uint64_t min_window_us = 300ull * 1000 * 1000;

    void note_min(uint32_t r, Instant now)
    {
        if (min_rtt_ != 0 && r > min_rtt_ && (now - min_at_).us() < min_window_us)
            return;
        min_rtt_ = r;
        min_at_ = now;
    }

    uint32_t srtt8_ = 0;   // smoothed round-trip time, times 8
    uint32_t rttvar4_ = 0; // its mean deviation, times 4
    uint32_t min_rtt_ = 0; // least of the last five minutes
    Instant min_at_;
};

} // namespace sluice
