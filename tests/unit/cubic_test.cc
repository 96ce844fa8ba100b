// SPDX-License-Identifier: GPL-2.0
// CUBIC held against a floating-point reading of RFC 9438 and against Reno;
// HyStart++ (RFC 9406).
#include <criterion/criterion.h>

#include <algorithm>
#include <cmath>

#include "../../kmod/core/cc.h"

namespace
{

// RFC 9438 section 4, in segments and seconds, as it is written there.
struct Reference {
    static constexpr double C = 0.4, BETA = 0.7;
    double cwnd = 0, w_max = 0, k = 0, w_est = 0, cwnd_prior = 0, epoch = -1;

    void loss()
    {
        w_max = cwnd < w_max ? cwnd * (1 + BETA) / 2 : cwnd;
        cwnd_prior = cwnd;
        cwnd = std::max(cwnd * BETA, 2.0);
        epoch = -1;
    }
    double w_cubic(double t) const { return C * std::pow(t - k, 3) + w_max; }
    void acked(double segments, double now, double rtt)
    {
        if (epoch < 0) {
            epoch = now;
            w_est = cwnd;
            if (cwnd >= w_max) {
                k = 0;
                w_max = cwnd;
            } else {
                k = std::cbrt((w_max - cwnd) / C);
            }
        }
        double alpha = w_est < cwnd_prior ? 3 * (1 - BETA) / (1 + BETA) : 1;
        w_est += alpha * segments / cwnd;
        if (w_cubic(now - epoch) < w_est) {
            cwnd = std::max(cwnd, w_est);
            return;
        }
        double target = std::clamp(w_cubic(now - epoch + rtt), cwnd, 1.5 * cwnd);
        cwnd += (target - cwnd) / cwnd * segments;
    }
};

// One sender whose window is always full, on a path of constant round trip.
struct Sender {
    sluice_cc cc{};
    sluice_usec now = 1000000;
    uint32_t rtt;
    bool limited = true;

    Sender(const sluice_cc_ops& ops, uint32_t mss, uint32_t segments, uint32_t rtt_us) : rtt(rtt_us)
    {
        cc.ops = &ops;
        cc.mss = mss;
        cc.cwnd = segments * mss;
        cc.ssthresh = SLUICE_SSTHRESH_INFINITE;
        cc.ops->init(&cc, now);
    }
    double segments() const { return static_cast<double>(cc.cwnd) / cc.mss; }
    double seconds() const { return static_cast<double>(now) / 1e6; }
    void acked(uint32_t bytes, uint32_t sample)
    {
        sluice_cc_ack ack{};
        ack.now = now;
        ack.acked = bytes;
        ack.in_flight = cc.cwnd;
        ack.rtt = sample;
        ack.srtt = ack.min_rtt = rtt;
        ack.cwnd_limited = limited;
        cc.cwnd_used = cc.cwnd;
        cc.ops->acked(&cc, &ack);
    }
    // Acknowledges one window in `parts` over one round trip.
    template<typename Each> void round_trip(uint32_t parts, Each each)
    {
        uint32_t window = cc.cwnd;
        for (uint32_t i = 0; i < parts; i++) {
            now += rtt / parts;
            uint32_t bytes = window / parts;
            acked(bytes, rtt);
            each(bytes);
        }
    }
    void round_trip(uint32_t parts = 16)
    {
        round_trip(parts, [](uint32_t) {});
    }
    void loss() { cc.cwnd = cc.ssthresh = cc.ops->loss(&cc, cc.cwnd, now); }
    void timeout()
    {
        cc.ssthresh = cc.ops->loss(&cc, cc.cwnd, now);
        cc.cwnd = cc.mss;
        cc.ops->timeout(&cc, now);
    }
};

void follow(uint32_t mss, uint32_t segments, uint32_t rtt_us)
{
    Sender s(sluice_cc_cubic, mss, segments, rtt_us);
    Reference r;
    r.cwnd = s.segments();
    double worst = 0;

    for (int losses = 0; losses < 4; losses++) {
        s.loss();
        r.loss();
        // two reductions in quick succession, then two far apart
        double until = s.seconds() + (losses % 2 ? 30 : 2);
        for (int rounds = 0; s.seconds() < until && rounds < 4000; rounds++) {
            s.round_trip(16, [&](uint32_t bytes) {
                r.acked(static_cast<double>(bytes) / mss, s.seconds(), rtt_us / 1e6);
            });
            // whole segments of W_est, and whole bytes, are the grain
            double error = std::fabs(s.segments() - r.cwnd) - 1.5;
            worst = std::max(worst, error / r.cwnd);
        }
    }
    cr_assert_lt(worst, 0.02, "off by %.1f%% (mss %u, window %u, rtt %u us)", worst * 100, mss,
                 segments, rtt_us);
}

// Average window in segments when one segment in `every` is lost.
double average_window(const sluice_cc_ops& ops, uint32_t rtt_us, double every)
{
    Sender s(ops, 1448, 10, rtt_us);
    double since_loss = 0, sum = 0, rounds = 0;
    s.cc.ssthresh = s.cc.cwnd;
    for (int i = 0; i < 20000; i++) {
        since_loss += s.segments();
        sum += s.segments();
        rounds++;
        s.round_trip();
        if (since_loss >= every) {
            since_loss -= every;
            s.loss();
        }
    }
    return sum / rounds;
}

// A first slow start on a path whose queue grows with the window: the round
// trip is `rtt` until `pipe` bytes fill it, and longer in proportion beyond.
uint32_t window_at_exit(const sluice_cc_ops& ops, uint32_t rtt_us, uint32_t pipe, uint32_t limit)
{
    Sender s(ops, 1448, 10, rtt_us);
    while (s.cc.ssthresh == SLUICE_SSTHRESH_INFINITE && s.cc.cwnd < limit) {
        uint64_t window = s.cc.cwnd;
        uint32_t sample = window <= pipe ? rtt_us : static_cast<uint32_t>(rtt_us * window / pipe);
        for (uint32_t i = 0; i < 16; i++) {
            s.now += sample / 16;
            s.acked(static_cast<uint32_t>(window / 16), sample);
        }
    }
    return s.cc.cwnd;
}

void both_go_on(Sender& one, Sender& other)
{
    for (int i = 0; i < 50; i++) {
        one.round_trip();
        other.round_trip();
    }
}

} // namespace

Test(cubic, follows_rfc9438_within_two_percent)
{
    for (uint32_t mss : {536u, 1448u, 8948u, 65483u})
        for (uint32_t segments : {10u, 100u, 1000u, 20000u})
            for (uint32_t rtt : {1000u, 20000u, 100000u, 600000u})
                if (uint64_t{mss} * segments < 1u << 28)
                    follow(mss, segments, rtt);
}

Test(cubic, regains_w_max_after_k_seconds)
{
    Sender s(sluice_cc_cubic, 1448, 10000, 100000);
    s.loss();
    double start = s.seconds();
    double k = std::cbrt(10000 * 0.3 / 0.4);
    while (s.seconds() < start + k)
        s.round_trip();
    cr_assert_float_eq(s.segments(), 10000, 50, "%.0f", s.segments());
}

Test(cubic, is_concave_before_k_and_convex_after_it)
{
    Sender s(sluice_cc_cubic, 1448, 10000, 100000);
    s.loss();
    double start = s.seconds(), k = std::cbrt(10000 * 0.3 / 0.4), grown[4];
    for (int quarter = 0; quarter < 4; quarter++) {
        double before = s.segments();
        while (s.seconds() < start + k * (quarter + 1) / 2)
            s.round_trip();
        grown[quarter] = s.segments() - before;
    }
    cr_assert_gt(grown[0], 3 * grown[1]);
    cr_assert_gt(grown[3], 3 * grown[2]);
}

Test(cubic, loss_keeps_seven_tenths_of_the_flight)
{
    Sender s(sluice_cc_cubic, 1000, 100, 20000);
    cr_assert_eq(s.cc.ops->loss(&s.cc, 100000, s.now), 70000u);
    cr_assert_eq(s.cc.ops->loss(&s.cc, 50000, s.now), 35000u);
}

Test(cubic, ssthresh_is_never_below_two_segments)
{
    Sender s(sluice_cc_cubic, 1000, 1, 20000);
    cr_assert_eq(s.cc.ops->loss(&s.cc, 1000, s.now), 2000u);
    cr_assert_eq(s.cc.ops->loss(&s.cc, 0, s.now), 2000u);
}

Test(cubic, fast_convergence_lowers_the_plateau)
{
    Sender s(sluice_cc_cubic, 1448, 1000, 50000);
    s.loss();
    s.loss(); // at 700, below W_max = 1000: W_max becomes 595
    double start = s.seconds(), k = std::cbrt((595 - 490) / 0.4);
    while (s.seconds() < start + k)
        s.round_trip();
    cr_assert_float_eq(s.segments(), 595, 12, "%.0f", s.segments());
}

Test(cubic, gets_as_much_as_reno_where_reno_does_well)
{
    for (uint32_t rtt : {1000u, 5000u, 20000u}) {
        double reno = average_window(sluice_cc_reno, rtt, 500);
        double cubic = average_window(sluice_cc_cubic, rtt, 500);
        cr_assert_gt(cubic, 0.9 * reno, "rtt %u: %.1f against %.1f", rtt, cubic, reno);
        cr_assert_lt(cubic, 1.4 * reno, "rtt %u: %.1f against %.1f", rtt, cubic, reno);
    }
}

Test(cubic, gets_more_than_reno_on_long_fat_paths)
{
    double reno = average_window(sluice_cc_reno, 100000, 100000);
    double cubic = average_window(sluice_cc_cubic, 100000, 100000);
    cr_assert_gt(cubic, 1.5 * reno, "%.0f against %.0f", cubic, reno);
}

// RFC 9438 5.2, table 2: the average window of CUBIC at these loss rates.
Test(cubic, average_window_is_that_of_rfc9438)
{
    const struct {
        double every, segments;
    } rows[] = {{1e4, 187}, {1e5, 1054}};
    for (auto& row : rows) {
        double got = average_window(sluice_cc_cubic, 100000, row.every);
        cr_assert_float_eq(got, row.segments, 0.15 * row.segments, "1/%.0f: %.0f", row.every, got);
    }
}

Test(cubic, never_grows_by_more_than_half_in_a_round_trip)
{
    Sender s(sluice_cc_cubic, 1448, 10, 10000000);
    s.loss();
    for (int i = 0; i < 20; i++) {
        double before = s.segments();
        s.round_trip(64);
        cr_assert_leq(s.segments(), before * 1.66 + 1); // 64 steps of up to 1/128 each
    }
}

Test(cubic, window_that_is_not_filled_does_not_grow)
{
    Sender s(sluice_cc_cubic, 1448, 100, 20000);
    s.loss();
    s.round_trip();
    uint32_t before = s.cc.cwnd;
    s.limited = false;
    for (int i = 0; i < 1000; i++)
        s.round_trip();
    cr_assert_eq(s.cc.cwnd, before);
}

Test(cubic, time_with_an_unfilled_window_does_not_count)
{
    Sender busy(sluice_cc_cubic, 1448, 1000, 20000), pause(busy);
    busy.loss();
    pause.loss();
    both_go_on(busy, pause);
    pause.limited = false;
    for (int i = 0; i < 1000; i++)
        pause.round_trip();
    pause.limited = true;
    both_go_on(busy, pause);
    cr_assert_float_eq(pause.segments(), busy.segments(), 2);
}

Test(cubic, idle_time_does_not_count)
{
    Sender busy(sluice_cc_cubic, 1448, 1000, 20000), pause(busy);
    busy.loss();
    pause.loss();
    both_go_on(busy, pause);
    pause.now += 60000000;
    pause.cc.ops->resumed(&pause.cc, 60000000, pause.now);
    both_go_on(busy, pause);
    cr_assert_float_eq(pause.segments(), busy.segments(), 2);
}

Test(cubic, undo_restores_the_curve)
{
    Sender wronged(sluice_cc_cubic, 1448, 2000, 50000), calm(wronged);
    for (Sender* s : {&wronged, &calm}) {
        s->loss();
        for (int i = 0; i < 30; i++)
            s->round_trip();
    }
    uint32_t cwnd = wronged.cc.cwnd, ssthresh = wronged.cc.ssthresh;
    wronged.loss();
    wronged.cc.cwnd = cwnd;
    wronged.cc.ssthresh = ssthresh;
    wronged.cc.ops->undo(&wronged.cc, wronged.now);
    for (int i = 0; i < 100; i++) {
        wronged.round_trip();
        calm.round_trip();
    }
    cr_assert_float_eq(wronged.segments(), calm.segments(), 2);
}

// RFC 9438 4.8: K is 0 and W_max the window at which congestion avoidance begins.
Test(cubic, after_a_timeout_the_curve_begins_at_its_plateau)
{
    Sender s(sluice_cc_cubic, 1448, 1000, 100000);
    s.timeout();
    while (s.cc.cwnd < s.cc.ssthresh)
        s.round_trip();
    double begin = s.segments(), start = s.seconds();
    cr_assert_float_eq(begin, 700, 10);
    while (s.seconds() < start + 10)
        s.round_trip();
    cr_assert_float_eq(s.segments(), begin + 0.4 * 1000, 25, "%.0f", s.segments());
}

Test(cubic, hystart_leaves_slow_start_before_the_queue_is_large)
{
    constexpr uint32_t pipe = 1448 * 1000;
    for (uint32_t rtt : {40000u, 100000u, 200000u}) {
        uint32_t left = window_at_exit(sluice_cc_cubic, rtt, pipe, 100 * pipe);
        cr_assert_geq(left, pipe / 2, "rtt %u: left at %u", rtt, left / 1448);
        // one doubling until it shows, then five rounds of a quarter each
        cr_assert_leq(left, 8 * pipe, "rtt %u: left at %u", rtt, left / 1448);
    }
}

Test(cubic, hystart_stays_while_round_trips_do_not_grow)
{
    constexpr uint32_t limit = 1448 * 100000;
    cr_assert_geq(window_at_exit(sluice_cc_cubic, 40000, ~0u, limit), limit);
}

// RFC 9406 4.2: back to slow start when the round trip falls below what it was
// when conservative slow start began.
Test(cubic, hystart_goes_on_after_a_passing_growth)
{
    Sender s(sluice_cc_cubic, 1448, 10, 40000);
    auto round = [&](uint32_t sample) {
        uint32_t window = s.cc.cwnd;
        for (int i = 0; i < 16; i++) {
            s.now += sample / 16;
            s.acked(window / 16, sample);
        }
        return static_cast<double>(s.cc.cwnd) / window;
    };
    for (int i = 0; i < 4; i++)
        cr_assert_gt(round(40000), 1.9);
    round(60000);
    cr_assert_lt(round(60000), 1.4);
    round(40000);
    for (int i = 0; i < 6; i++)
        cr_assert_gt(round(40000), 1.9);
    cr_assert_eq(s.cc.ssthresh, SLUICE_SSTHRESH_INFINITE);
}

Test(cubic, the_window_stops_at_its_limit)
{
    Sender s(sluice_cc_cubic, 65483, 32000, 100000);
    s.loss();
    for (int i = 0; i < 3000; i++)
        s.round_trip();
    cr_assert_eq(s.cc.cwnd, SLUICE_SSTHRESH_INFINITE);
}

Test(cubic, growth_is_bounded_after_any_time_between_acks)
{
    Sender s(sluice_cc_cubic, 1448, 100, 20000);
    s.loss();
    s.round_trip();
    for (int shift = 0; shift < 62; shift++) {
        Sender far(s);
        far.now += 1ull << shift;
        uint32_t before = far.cc.cwnd;
        far.acked(before, far.rtt);
        cr_assert_geq(far.cc.cwnd, before);
        cr_assert_leq(far.cc.cwnd, before + before / 2);
        if (shift >= 27) // minutes: the curve has left every window behind
            cr_assert_eq(far.cc.cwnd, before + before / 2);
    }
}

Test(cubic, an_epoch_in_the_future_grows_nothing_but_its_start)
{
    Sender s(sluice_cc_cubic, 1448, 100, 20000);
    s.loss();
    s.round_trip();
    uint32_t before = s.cc.cwnd;
    s.cc.ops->resumed(&s.cc, 3600ull * 1000000, s.now); // more than has passed
    s.acked(before, s.rtt);
    cr_assert_leq(s.segments(), before / 1448 + 2);
}
