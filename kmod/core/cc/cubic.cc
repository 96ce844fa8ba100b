// SPDX-License-Identifier: GPL-2.0
// CUBIC (RFC 9438): after a reduction the window follows
//
//     W_cubic(t) = C (t - K)^3 + W_max            (figure 1)
//     K          = cbrt((W_max - cwnd_epoch) / C) (figure 2)
//
// fast towards the window W_max at which loss came last, slow around it, and
// fast again beyond; but never behind W_est, what Reno would have reached
// (figure 4). The RFC counts segments and seconds; here windows are bytes, and
// times fixed-point seconds. HyStart++ (RFC 9406) ends the first slow start.
//
// In slow start one ACK may count for all that it acknowledges, as in reno.cc.
// A stretch in which the window didn't limit sending is cut out of t (RFC 9438
// 5.8), as is one without anything in flight.
#include "hystart.h"
#include "slow_start.h"

namespace sluice
{

namespace
{

// Fractions of RFC 9438 4.1 and 4.3: C = 2/5, beta = 7/10, alpha = 9/17.
constexpr uint64_t C_NUMERATOR = 2, C_DENOMINATOR = 5;
constexpr uint64_t BETA_NUMERATOR = 7, BETA_DENOMINATOR = 10;
constexpr uint64_t ALPHA_NUMERATOR = 9, ALPHA_DENOMINATOR = 17;

// Times are seconds times 2^16; K is known to 2^-10 only.
constexpr int TIME_SHIFT = 16;
constexpr int K_SHIFT = 10;
// The curve beyond 2^10 s either side of K is cut: cube and product then fit
// into 64 bits, and any window is far exceeded.
constexpr uint64_t TIME_MAX = 1ull << (10 + TIME_SHIFT);

// What a reduction changes, and its undoing restores (RFC 9438 4.9).
struct Curve {
    sluice_usec epoch_start; // 0: the epoch begins with the next ACK
    uint32_t k;              // seconds times 2^K_SHIFT
    uint32_t w_max;          // bytes; 0: no reduction yet
    uint32_t w_est;          // bytes
    uint32_t cwnd_prior;     // bytes, when the last reduction came
};

struct Cubic {
    Curve curve, before; // before: the last reduction
    sluice_usec last_ack;
    uint32_t acked_est; // bytes acknowledged since w_est last grew
    uint32_t remainder; // of the last division, so that slow growth isn't lost
    HyStart hystart;
    bool after_timeout;
};
static_assert(sizeof(Cubic) <= sizeof(sluice_cc::priv));
static_assert(alignof(Cubic) <= alignof(uint64_t));

Cubic& state(sluice_cc* cc)
{
    return *reinterpret_cast<Cubic*>(cc->priv);
}

// Largest y with y^3 <= x, digit by binary digit.
uint32_t cube_root(uint64_t x)
{
    uint64_t y = 0;
    for (int shift = 63; shift >= 0; shift -= 3) {
        y <<= 1;
        uint64_t step = 3 * y * (y + 1) + 1; // (y + 1)^3 - y^3
        if ((x >> shift) >= step) {
            x -= step << shift;
            y++;
        }
    }
    return static_cast<uint32_t>(y);
}

uint64_t fixed_seconds(uint64_t usec)
{
    constexpr uint64_t longest = (TIME_MAX >> TIME_SHIFT) * 1000000;
    if (usec >= longest)
        return TIME_MAX;
    return (usec << TIME_SHIFT) / 1000000;
}

// C |d|^3 segments, in bytes. d is at most TIME_MAX.
uint64_t cubic_bytes(uint64_t d, uint32_t mss)
{
    uint64_t cube = ((d * d) >> TIME_SHIFT) * d >> TIME_SHIFT;
    return cube * C_NUMERATOR / C_DENOMINATOR * mss >> TIME_SHIFT;
}

// W_cubic, `usec` into the epoch; bytes.
uint32_t window_at(const Curve& c, uint64_t usec, uint32_t mss)
{
    uint64_t t = fixed_seconds(usec);
    uint64_t k = uint64_t{c.k} << (TIME_SHIFT - K_SHIFT);

    if (t >= k)
        return clamp_window(c.w_max + cubic_bytes(t - k, mss));
    uint64_t below = k - t < TIME_MAX ? k - t : TIME_MAX;
    uint64_t drop = cubic_bytes(below, mss);
    return drop < c.w_max ? static_cast<uint32_t>(c.w_max - drop) : 0;
}

uint32_t time_to_w_max(uint32_t distance, uint32_t mss)
{
    // (distance / mss) / C, with 2^30 for the cube of 2^K_SHIFT; below 2^64
    // because windows are below 2^31
    uint64_t volume = (uint64_t{distance} * C_DENOMINATOR / C_NUMERATOR << 3 * K_SHIFT) / mss;
    return cube_root(volume);
}

void begin_epoch(const sluice_cc& cc, Cubic& s, sluice_usec now)
{
    Curve& c = s.curve;

    c.epoch_start = now;
    c.w_est = cc.cwnd;
    s.acked_est = s.remainder = 0;
    // RFC 9438 4.8 and 4.10: no plateau is known, or it is passed already
    if (s.after_timeout || cc.cwnd >= c.w_max) {
        c.k = 0;
        c.w_max = cc.cwnd;
    } else {
        c.k = time_to_w_max(c.w_max - cc.cwnd, cc.mss);
    }
    s.after_timeout = false;
}

// RFC 9438 4.3: alpha segments for each window acknowledged; Reno's one once
// the former window is regained.
void grow_reno_estimate(const sluice_cc& cc, Cubic& s, uint32_t acked)
{
    Curve& c = s.curve;
    uint64_t each = cc.cwnd;
    if (c.w_est < c.cwnd_prior)
        each = each * ALPHA_DENOMINATOR / ALPHA_NUMERATOR;

    uint64_t counted = uint64_t{s.acked_est} + acked;
    if (counted >= each) {
        counted -= each;
        c.w_est = clamp_window(uint64_t{c.w_est} + cc.mss);
    }
    // never more than one segment of growth is owed
    s.acked_est = clamp_window(counted < each ? counted : each - 1);
}

// RFC 9438 4.4 and 4.5: (target - cwnd) / cwnd for each byte acknowledged.
uint32_t cubic_growth(const sluice_cc& cc, Cubic& s, uint32_t target, uint32_t acked)
{
    if (target <= cc.cwnd)
        return 0;
    uint32_t most = cc.cwnd / 2;
    uint32_t distance = target - cc.cwnd < most ? target - cc.cwnd : most;
    uint32_t counted = acked < cc.cwnd ? acked : cc.cwnd;
    uint64_t product = uint64_t{distance} * counted + s.remainder;

    s.remainder = static_cast<uint32_t>(product % cc.cwnd);
    return static_cast<uint32_t>(product / cc.cwnd);
}

void congestion_avoidance(sluice_cc& cc, Cubic& s, const sluice_cc_ack& ack, uint32_t acked)
{
    if (!s.curve.epoch_start)
        begin_epoch(cc, s, ack.now);
    grow_reno_estimate(cc, s, acked);

    const Curve& c = s.curve;
    uint64_t t = ack.now > c.epoch_start ? ack.now - c.epoch_start : 0;
    if (window_at(c, t, cc.mss) < c.w_est) { // the Reno-friendly region
        if (cc.cwnd < c.w_est)
            cc.cwnd = c.w_est;
        return;
    }
    uint32_t growth = cubic_growth(cc, s, window_at(c, t + ack.srtt, cc.mss), acked);
    cc.cwnd = clamp_window(uint64_t{cc.cwnd} + growth);
}

// HyStart++ is for the first slow start alone (RFC 9406 4.3). Returns the
// bytes that count; leaving slow start it lowers ssthresh to cwnd.
uint32_t initial_slow_start(sluice_cc& cc, Cubic& s, const sluice_cc_ack& ack)
{
    switch (s.hystart.acked(ack)) {
    case HyStart::Verdict::SlowStart:
        return ack.acked;
    case HyStart::Verdict::Conservative:
        return ack.acked / HyStart::CSS_GROWTH_DIVISOR;
    case HyStart::Verdict::Leave:
        break;
    }
    cc.ssthresh = cc.cwnd;
    return 0;
}

uint32_t slow_start_bytes(sluice_cc& cc, Cubic& s, const sluice_cc_ack& ack)
{
    if (cc.ssthresh == SLUICE_SSTHRESH_INFINITE)
        return initial_slow_start(cc, s, ack);
    // RFC 3465 2.3: after a timeout one ACK may tell of much that arrived long ago
    uint32_t limit = 2 * cc.mss;
    return s.after_timeout && ack.acked > limit ? limit : ack.acked;
}

// Time in which the window held nothing back doesn't count.
void skip_time(Cubic& s, sluice_usec usec)
{
    if (s.curve.epoch_start)
        s.curve.epoch_start += usec;
}

void init(sluice_cc* cc, sluice_usec now)
{
    Cubic& s = state(cc);
    s = {};
    s.last_ack = now;
}

void acked(sluice_cc* cc, const sluice_cc_ack* ack)
{
    Cubic& s = state(cc);
    sluice_usec since = ack->now - s.last_ack;
    uint32_t bytes = ack->acked;

    s.last_ack = ack->now;
    if (!ack->cwnd_limited) {
        skip_time(s, since);
        return;
    }
    if (in_slow_start(*cc)) {
        bytes = slow_start(*cc, slow_start_bytes(*cc, s, *ack));
        if (in_slow_start(*cc))
            return;
    }
    congestion_avoidance(*cc, s, *ack, bytes);
}

// RFC 9438 4.6, and fast convergence of 4.7: a window that ends below the
// former one gives room to a newcomer.
uint32_t loss(sluice_cc* cc, uint32_t in_flight, sluice_usec)
{
    Cubic& s = state(cc);
    uint64_t window = window_at_loss(*cc, in_flight);

    s.before = s.curve;
    Curve& c = s.curve;
    s.after_timeout = false;
    c.epoch_start = 0;
    c.cwnd_prior = clamp_window(window);
    c.w_max = clamp_window(window < c.w_max ? window * (BETA_DENOMINATOR + BETA_NUMERATOR) /
                                                  (2 * BETA_DENOMINATOR)
                                            : window);
    return at_least_two_segments(*cc, window * BETA_NUMERATOR / BETA_DENOMINATOR);
}

void timeout(sluice_cc* cc, sluice_usec)
{
    state(cc).after_timeout = true;
}

void undo(sluice_cc* cc, sluice_usec)
{
    Cubic& s = state(cc);
    s.curve = s.before;
    s.after_timeout = false;
}

void resumed(sluice_cc* cc, sluice_usec idle, sluice_usec now)
{
    Cubic& s = state(cc);
    skip_time(s, idle);
    s.last_ack = now;
}

} // namespace

} // namespace sluice

const sluice_cc_ops sluice_cc_cubic = {
    .name = "cubic",
    .owner = nullptr,
    .init = sluice::init,
    .release = nullptr,
    .acked = sluice::acked,
    .loss = sluice::loss,
    .marked = nullptr, // as a loss
    .timeout = sluice::timeout,
    .undo = sluice::undo,
    .resumed = sluice::resumed,
};
