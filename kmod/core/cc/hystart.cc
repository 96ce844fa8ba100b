// SPDX-License-Identifier: GPL-2.0
// HyStart++'s algorithm of RFC 9406 4.2, with its constants.
#include "hystart.h"

namespace sluice
{

namespace
{

constexpr uint8_t N_RTT_SAMPLE = 8;
constexpr uint32_t MIN_RTT_THRESH = 4000; // microseconds
constexpr uint32_t MAX_RTT_THRESH = 16000;
constexpr uint32_t MIN_RTT_DIVISOR = 8;
constexpr uint8_t CSS_ROUNDS = 5;

} // namespace

// A round ends when what was in flight at its start is acknowledged, which is
// windowEnd of the RFC without sequence numbers.
bool HyStart::round_is_over(const sluice_cc_ack& ack)
{
    if (round_left_ > ack.acked) {
        round_left_ -= ack.acked;
        return false;
    }
    return true;
}

void HyStart::begin_round(const sluice_cc_ack& ack)
{
    round_left_ = ack.in_flight > ack.acked ? ack.in_flight - ack.acked : 1;
    last_min_ = current_min_;
    current_min_ = NONE;
    samples_ = 0;
    if (css_)
        css_rounds_++;
}

bool HyStart::round_trips_grew() const
{
    if (samples_ < N_RTT_SAMPLE || last_min_ == NONE)
        return false;
    uint32_t threshold = last_min_ / MIN_RTT_DIVISOR;
    if (threshold < MIN_RTT_THRESH)
        threshold = MIN_RTT_THRESH;
    if (threshold > MAX_RTT_THRESH)
        threshold = MAX_RTT_THRESH;
    return current_min_ >= last_min_ + threshold;
}

HyStart::Verdict HyStart::acked(const sluice_cc_ack& ack)
{
    if (round_is_over(ack))
        begin_round(ack);
    if (ack.rtt) {
        if (ack.rtt < current_min_)
            current_min_ = ack.rtt;
        if (samples_ < N_RTT_SAMPLE)
            samples_++;
    }
    if (!css_ && round_trips_grew()) {
        css_ = true;
        css_rounds_ = 0;
        baseline_min_ = current_min_;
    } else if (css_ && samples_ >= N_RTT_SAMPLE && current_min_ < baseline_min_) {
        css_ = false; // the growth was a passing one
        baseline_min_ = NONE;
    }
    if (!css_)
        return Verdict::SlowStart;
    return css_rounds_ >= CSS_ROUNDS ? Verdict::Leave : Verdict::Conservative;
}

} // namespace sluice
