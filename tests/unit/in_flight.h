// SPDX-License-Identifier: GPL-2.0
// A machine with segments in flight to a scripted peer, which then tells what arrived.
#ifndef SLUICE_TESTS_IN_FLIGHT_H
#define SLUICE_TESTS_IN_FLIGHT_H

#include <criterion/criterion.h>

#include "lab_test.h"

namespace sluice::test
{

struct InFlight : Scripted {
    explicit InFlight(bool with_sack, size_t segments = 10,
                      std::function<void(lab::Stack&)> configure = {})
        : Scripted(configure)
    {
        sack = with_sack;
        rtt = 20000;
        open_passive();
        first = rcv;
        socket->write(pattern(segments * mss_now()));
        cr_assert_eq(data_segments(), segments);
        run(rtt);
        sent.clear();
        follow = false;
    }
    uint32_t mss_now() const { return socket->info().snd_mss; }
    uint32_t segment(uint32_t n) const { return first + n * mss_now(); }
    // Which segment, of what was sent last.
    uint32_t last_segment() const { return (last().seq - first) / mss_now(); }
    // Everything before segment n arrived, and [from, to).
    void acked(uint32_t n, uint32_t from = 0, uint32_t to = 0)
    {
        rcv = segment(n);
        blocks.clear();
        if (to > from)
            blocks.push_back({segment(from), segment(to)});
        ack();
    }
    uint32_t first = 0;
};

} // namespace sluice::test

#endif
