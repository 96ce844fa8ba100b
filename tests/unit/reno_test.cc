// SPDX-License-Identifier: GPL-2.0
// Reno: RFC 5681 3.1 with byte counting (RFC 3465).
#include <criterion/criterion.h>

#include "../../kmod/core/cc.h"

namespace
{

constexpr uint32_t MSS = 1000;

struct Reno {
    sluice_cc cc{};
    sluice_usec now = 1000000;

    Reno(uint32_t cwnd, uint32_t ssthresh)
    {
        cc.ops = &sluice_cc_reno;
        cc.mss = MSS;
        cc.cwnd = cwnd;
        cc.ssthresh = ssthresh;
        cc.ops->init(&cc, now);
    }
    void acked(uint32_t bytes, bool limited = true)
    {
        sluice_cc_ack ack{};
        ack.now = now += 1000;
        ack.acked = bytes;
        ack.in_flight = cc.cwnd;
        ack.cwnd_limited = limited;
        cc.cwnd_used = cc.cwnd;
        cc.ops->acked(&cc, &ack);
    }
    // As the core does at a retransmission timeout.
    void timeout()
    {
        cc.ssthresh = cc.ops->loss(&cc, cc.cwnd, now);
        cc.cwnd = cc.mss;
        cc.ops->timeout(&cc, now);
    }
};

} // namespace

Test(reno, slow_start_doubles_each_round_trip)
{
    Reno r(10 * MSS, SLUICE_SSTHRESH_INFINITE);
    for (int round = 0; round < 6; round++) {
        uint32_t before = r.cc.cwnd;
        for (uint32_t sent = 0; sent < before; sent += 2 * MSS)
            r.acked(2 * MSS);
        cr_assert_eq(r.cc.cwnd, 2 * before);
    }
}

Test(reno, a_coalesced_ack_counts_for_all_it_acknowledges_in_slow_start)
{
    Reno r(100 * MSS, SLUICE_SSTHRESH_INFINITE);
    r.acked(44 * MSS);
    cr_assert_eq(r.cc.cwnd, 144 * MSS);
}

Test(reno, slow_start_ends_at_ssthresh)
{
    Reno r(10 * MSS, 15 * MSS);
    r.acked(8 * MSS);
    cr_assert_eq(r.cc.cwnd, 15 * MSS);
}

Test(reno, what_slow_start_leaves_of_an_ack_counts_in_congestion_avoidance)
{
    Reno r(10 * MSS, 15 * MSS);
    r.acked(8 * MSS); // 5 to ssthresh, 3 beyond
    for (int i = 0; i < 11; i++)
        r.acked(MSS);
    cr_assert_eq(r.cc.cwnd, 15 * MSS);
    r.acked(MSS);
    cr_assert_eq(r.cc.cwnd, 16 * MSS);
    Reno exact(10 * MSS, 15 * MSS);
    exact.acked(5 * MSS);
    for (int i = 0; i < 14; i++)
        exact.acked(MSS);
    cr_assert_eq(exact.cc.cwnd, 15 * MSS, "what slow start used counted twice");
}

Test(reno, congestion_avoidance_adds_one_segment_a_window)
{
    Reno r(20 * MSS, 20 * MSS);
    for (int i = 0; i < 19; i++)
        r.acked(MSS);
    cr_assert_eq(r.cc.cwnd, 20 * MSS);
    r.acked(MSS);
    cr_assert_eq(r.cc.cwnd, 21 * MSS);
    for (int i = 0; i < 21; i++)
        r.acked(MSS);
    cr_assert_eq(r.cc.cwnd, 22 * MSS);
}

Test(reno, growth_depends_on_bytes_and_not_on_the_number_of_acks)
{
    Reno small(20 * MSS, 20 * MSS), large(20 * MSS, 20 * MSS);
    for (int i = 0; i < 8400; i++)
        small.acked(MSS / 4);
    for (int i = 0; i < 300; i++)
        large.acked(7 * MSS);
    cr_assert_eq(small.cc.cwnd, large.cc.cwnd);
}

Test(reno, window_that_is_not_filled_does_not_grow)
{
    Reno slow(10 * MSS, SLUICE_SSTHRESH_INFINITE), avoid(10 * MSS, 10 * MSS);
    for (int i = 0; i < 100; i++) {
        slow.acked(MSS, false);
        avoid.acked(MSS, false);
    }
    cr_assert_eq(slow.cc.cwnd, 10 * MSS);
    cr_assert_eq(avoid.cc.cwnd, 10 * MSS);
}

Test(reno, loss_halves_the_flight)
{
    Reno r(40 * MSS, SLUICE_SSTHRESH_INFINITE);
    r.cc.cwnd_used = 0;
    cr_assert_eq(r.cc.ops->loss(&r.cc, 30 * MSS, r.now), 15 * MSS);
}

Test(reno, sacked_segments_do_not_deepen_the_reduction)
{
    Reno r(40 * MSS, SLUICE_SSTHRESH_INFINITE);
    r.cc.cwnd_used = 40 * MSS;
    cr_assert_eq(r.cc.ops->loss(&r.cc, 10 * MSS, r.now), 20 * MSS);
}

Test(reno, ssthresh_is_never_below_two_segments)
{
    Reno r(MSS, SLUICE_SSTHRESH_INFINITE);
    cr_assert_eq(r.cc.ops->loss(&r.cc, MSS, r.now), 2 * MSS);
    cr_assert_eq(r.cc.ops->loss(&r.cc, 0, r.now), 2 * MSS);
}

Test(reno, after_a_timeout_an_ack_counts_two_segments_at_most)
{
    Reno r(64 * MSS, SLUICE_SSTHRESH_INFINITE);
    r.timeout();
    cr_assert_eq(r.cc.ssthresh, 32 * MSS);
    r.acked(30 * MSS);
    cr_assert_eq(r.cc.cwnd, 3 * MSS);
    r.acked(MSS);
    cr_assert_eq(r.cc.cwnd, 4 * MSS);
}

Test(reno, the_limit_after_a_timeout_ends_with_that_slow_start)
{
    Reno r(8 * MSS, SLUICE_SSTHRESH_INFINITE);
    r.timeout();
    while (r.cc.cwnd < r.cc.ssthresh)
        r.acked(2 * MSS);
    r.cc.ssthresh = 100 * MSS;
    uint32_t before = r.cc.cwnd;
    r.acked(10 * MSS);
    cr_assert_eq(r.cc.cwnd, before + 10 * MSS);
}

Test(reno, an_undone_timeout_limits_nothing)
{
    Reno r(64 * MSS, SLUICE_SSTHRESH_INFINITE);
    r.timeout();
    r.cc.cwnd = 64 * MSS;
    r.cc.ssthresh = SLUICE_SSTHRESH_INFINITE;
    r.cc.ops->undo(&r.cc, r.now);
    r.acked(30 * MSS);
    cr_assert_eq(r.cc.cwnd, 94 * MSS);
}

Test(reno, the_window_stops_at_its_limit)
{
    Reno r(SLUICE_SSTHRESH_INFINITE - 10, SLUICE_SSTHRESH_INFINITE);
    for (int i = 0; i < 10; i++)
        r.acked(0x7fffffff);
    cr_assert_eq(r.cc.cwnd, SLUICE_SSTHRESH_INFINITE);
}
