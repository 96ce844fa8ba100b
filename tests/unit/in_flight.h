// SPDX-License-Identifier: GPL-2.0
// A machine with segments in flight to a scripted peer, which then tells what arrived.
#ifndef SLUICE_TESTS_IN_FLIGHT_H
#define SLUICE_TESTS_IN_FLIGHT_H

#include <criterion/criterion.h>

#include <utility>

#include "lab_test.h"

namespace sluice::test
{

// What every such fixture is made of: its constructor says how the peer is,
// calls open(), lets the machine write, and calls depart().
struct Flight : Scripted {
    using Range = std::pair<uint32_t, uint32_t>; // of segments: first, and one past the last

    uint32_t mss_now() const { return socket->info().snd_mss; }
    uint32_t segment(uint32_t n) const { return first + n * size; }
    // Everything before segment n arrived, and these; how many segments with data that brings.
    size_t acked(uint32_t n, const std::vector<Range>& sacked)
    {
        size_t before = data_segments();
        tell(n, sacked);
        ack();
        return data_segments() - before;
    }
    size_t acked(uint32_t n, uint32_t from = 0, uint32_t to = 0)
    {
        return acked(n, to > from ? std::vector<Range>{{from, to}} : std::vector<Range>{});
    }
    uint32_t first = 0, size = 0; // of the first segment its number, of each its bytes

protected:
    using Scripted::Scripted;
    void open()
    {
        rtt = 20000;
        open_passive();
        first = rcv;
        size = mss_now();
    }
    // A round trip later the peer has them, and has said nothing yet.
    void depart(size_t segments)
    {
        cr_assert_eq(data_segments(), segments);
        run(rtt);
        sent.clear();
        follow = false;
    }
    // Puts it in what is sent next.
    void tell(uint32_t n, const std::vector<Range>& sacked)
    {
        rcv = segment(n);
        blocks.clear();
        for (auto [from, to] : sacked)
            blocks.push_back({segment(from), segment(to)});
    }
};

struct InFlight : Flight {
    explicit InFlight(bool with_sack, size_t segments = 10,
                      std::function<void(lab::Stack&)> configure = {})
        : Flight(configure)
    {
        sack = with_sack;
        open();
        socket->write(pattern(segments * size));
        depart(segments);
    }
    // Which segment, of what was sent last.
    uint32_t last_segment() const { return (last().seq - first) / size; }
};

} // namespace sluice::test

#endif
