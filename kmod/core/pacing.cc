// SPDX-License-Identifier: GPL-2.0
// How fast payload may leave, and how much of it at once.
//
// The window spread over a round trip is a rate; a factor above it leaves the
// window room to grow. Of that rate one transmission is a millisecond's worth,
// so that none of them is a burst to the path: all that the host takes at once
// where round trips are short, a few segments where they are long.
//
// What lies in this host's queues helps nobody: two transmissions may, or a
// millisecond's worth of the rate. Beyond that output waits for the next
// acknowledgment, or a moment, longer each time.
//
// The rate itself is the host's to keep (Linux's fq does), unless the user or
// congestion control set one and nobody there does: then each transmission
// puts the next one off for as long as its bytes take.
#include "connection.h"

namespace sluice
{

namespace
{
constexpr uint64_t UNPACED_SEGMENTS = 10; // first of a connection; as fq's initial quantum
constexpr uint64_t NSEC_PER_SEC = 1000000000;
constexpr Duration queue_check{500};      // a queue that is full holds a millisecond's worth
constexpr uint8_t CHECKS_THAT_DOUBLE = 7; // up to 64 ms: the device has stopped
constexpr int BURST_SHIFT = 10;           // of the bytes of a second
constexpr int SHORT_RTT_SHIFT = 9;        // microseconds of the least RTT that halve what is free
} // namespace

bool Connection::paced()
{
    return pace.limited && pace.rate && pace.rate != ~0ull && tally.data_out >= UNPACED_SEGMENTS &&
           !sluice_host_paces(handle());
}

// After anything that it is made of has changed.
void Connection::update_pacing()
{
    uint64_t wanted = cc.pacing_rate;
    if (!wanted && rtt.measured()) {
        bool slow_start = cc.cwnd < cc.ssthresh / 2;
        uint64_t percent = slow_start ? config->pacing_ss_ratio : config->pacing_ca_ratio;
        wanted = greatest(cc.cwnd, outstanding()) * percent * 10000 /
                 greatest<uint64_t>(rtt.srtt().us(), 1);
    } else if (!wanted) {
        wanted = ~0ull;
    }
    pace.limited = set.max_pacing_rate != ~0ull || cc.pacing_rate;
    if (!wanted && pace.limited) // the ratio says none, the user something
        wanted = set.max_pacing_rate;
    pace.rate = least(wanted, set.max_pacing_rate);
    if (!pace.limited)
        pace.next = 0;
    uint64_t burst = pace.rate >> BURST_SHIFT;
    uint64_t halved = rtt.min_rtt().us() >> SHORT_RTT_SHIFT;
    if (!pace.limited && halved < 32)
        burst += snd.segment_max >> halved;
    burst = greatest<uint64_t>(burst, config->min_tso_segs * snd.mss);
    pace.burst = static_cast<uint32_t>(least<uint64_t>(burst, ~0u));
}

// What a timer that was late has lost is made good, but for half of what is sent now.
void Connection::pace_after(uint32_t bytes, Instant now)
{
    if (!paced())
        return;
    uint64_t at = now.us() * 1000;
    uint64_t took = bytes * NSEC_PER_SEC / pace.rate;
    uint64_t late = at > pace.next ? at - pace.next : 0;
    pace.next = greatest(pace.next, at) + took - least(took / 2, late);
}

Duration Connection::pacing_delay(Instant now) const
{
    uint64_t at = now.us() * 1000;
    return Duration(pace.next > at ? (pace.next - at + 999) / 1000 : 0);
}

// Must output wait, for its rate or for what lies in the host's queues?
bool Connection::output_waits(Instant now)
{
    uint8_t checks = pace.checks;
    pace.checks = 0;
    pace.queued = false;
    if (pace.next) {
        Duration delay = pacing_delay(now);
        if (delay.us()) {
            pace.waits_until = now + delay;
            return true;
        }
    }
    if (!outstanding())
        return false; // nothing would bring the next chance
    uint64_t most = greatest<uint64_t>(pace.rate >> BURST_SHIFT, 2 * transmission_max());
    if (sluice_host_queued(handle()) <= least(most, config->limit_output_bytes))
        return false;
    if (!sluice_host_await_queue(handle()))
        return false;
    count(SLUICE_CNT_queue_full);
    pace.queued = true;
    pace.checks = checks;
    pace.waits_until = now + queue_check * (1ull << checks);
    return true;
}

// What was written is small, and so may be what follows: while earlier packets
// are on their way out of this host it waits, and goes together with that. As
// Linux has it, also of who doesn't want Nagle's delay, which is a round trip's.
bool Connection::corks_itself(Instant now)
{
    if (!outstanding() || unsent() >= transmission_max() || !config->autocorking || snd.urgent ||
        board.has_lost() || held_by_ecn(now))
        return false;
    if (!sluice_host_queued(handle()) || !sluice_host_await_queue(handle()))
        return false;
    if (!pace.waits_until) {
        count(SLUICE_CNT_autocorked);
        pace.waits_until = now + queue_check;
    }
    pace.queued = true;
    return true;
}

void Connection::queue_drained(Instant now)
{
    if (!pace.queued || state == State::Closed)
        return;
    pace.checks = 0;
    output(now);
}

// What output waited for should be so now.
void Connection::wait_is_over(Instant now)
{
    pace.waits_until.clear();
    pace.checks = least<uint8_t>(pace.checks + 1, CHECKS_THAT_DOUBLE);
    output(now);
}

// A larger transmission costs hardly more than a small one, and the next
// acknowledgment, if it comes soon, makes room for one.
bool Connection::better_later(uint32_t length, uint32_t limit, Instant now) const
{
    constexpr uint32_t few = 3; // segments
    if (length >= unsent() || length + snd.mss > transmission_max() || board.empty() ||
        rec.state != RecoveryState::Open)
        return false;
    // Lately nothing was sent: what waits longer goes as a burst.
    if (now - timers.last_send > Duration(1000))
        return false;
    uint64_t divisor = config->tso_win_divisor;
    if (limit >= (divisor ? least(snd.wnd, cc.cwnd) / divisor : few * snd.mss))
        return false;
    return (now - board[0].sent).us() >= rtt.srtt().us() / 2;
}

} // namespace sluice
