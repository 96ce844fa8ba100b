// SPDX-License-Identifier: GPL-2.0
// HyStart++ (RFC 9406): leaves the initial slow start when round trips grow,
// before the queue overflows. First into conservative slow start (CSS), which
// grows a quarter as fast; back, if the growth of round trips was none; out
// for good after five rounds of it.
#pragma once

#include "../cc.h"

namespace sluice
{

class HyStart
{
public:
    enum class Verdict : uint8_t { SlowStart, Conservative, Leave };

    // One ACK in the initial slow start: how to grow on it.
    Verdict acked(const sluice_cc_ack& ack);

    // RFC 9406 4.2 CSS_GROWTH_DIVISOR.
    static constexpr uint32_t CSS_GROWTH_DIVISOR = 4;

private:
    bool round_is_over(const sluice_cc_ack& ack);
    void begin_round(const sluice_cc_ack& ack);
    bool round_trips_grew() const;

    static constexpr uint32_t NONE = ~0u;

    uint32_t round_left_ = 0;                       // bytes to be acknowledged until the round ends
    uint32_t last_min_ = NONE, current_min_ = NONE; // least RTT of the rounds, microseconds
    uint32_t baseline_min_ = NONE;                  // current_min_ when CSS began
    uint8_t samples_ = 0;                           // RTT samples of this round, up to N_RTT_SAMPLE
    uint8_t css_rounds_ = 0;
    bool css_ = false;
};

} // namespace sluice
