// SPDX-License-Identifier: GPL-2.0
// How fast a connection sends, and how much at once: limits on the rate, the
// size of a transmission, and queues of the host that are full.
#include <criterion/criterion.h>

#include "connection.h"
#include "in_flight.h"

using namespace sluice;
using namespace sluice::test;

namespace
{

constexpr uint64_t ms = 1000;

// A path that takes anything; what goes forth is noted.
struct Fast : lab::Pair {
    Socket *from, *to;
    std::vector<std::pair<uint64_t, size_t>> sent; // when, payload bytes

    explicit Fast(uint64_t limit = ~0ull, LinkSettings settings = {}) : lab::Pair(1, settings)
    {
        std::tie(from, to) = connected();
        from->send_buffer = to->receive_buffer = 4 << 20;
        if (limit != ~0ull)
            from->set(SLUICE_OPTION_MAX_PACING_RATE, limit);
        forth.observer = [this](const Packet& p) {
            if (size_t size = parse(p).data.size())
                sent.push_back({sim.now(), size});
        };
    }
    // Microseconds until all of it is there.
    uint64_t takes(size_t size)
    {
        uint64_t begin = sim.now();
        cr_assert(transfer(*this, *from, *to, pattern(size)));
        return sim.now() - begin;
    }
    // Most payload in any such stretch of time that begins behind the first ten segments.
    size_t most_within(uint64_t stretch) const
    {
        size_t most = 0;
        for (size_t i = 10; i < sent.size(); i++) {
            size_t bytes = 0;
            for (size_t k = i; k < sent.size() && sent[k].first < sent[i].first + stretch; k++)
                bytes += sent[k].second;
            most = std::max(most, bytes);
        }
        return most;
    }
};

// Ten segments are out for a round trip of 20 ms; the rest waits behind them.
struct Waiting : Flight {
    explicit Waiting(std::function<void(lab::Stack&)> configure = {}, uint32_t segments = 100)
        : Flight(configure)
    {
        sack = true;
        open();
        socket->write(pattern(segments * size));
        depart(10);
    }
    // Segments of the newest transmission.
    uint32_t newest() const
    {
        const Scoreboard& board = of(&socket->conn).board;
        return board[board.size() - 1].length() / size;
    }
};

uint64_t full(const Fast& p)
{
    return p.a.counter(SLUICE_CNT_queue_full);
}

bool waits(const Socket& s)
{
    return s.info().timer == SLUICE_TIMER_PACING;
}

} // namespace

// ---- the rate ----------------------------------------------------------------------

Test(pacing, without_a_limit_nothing_waits)
{
    Fast p;
    bool waited = false;
    p.sim.after_each = [&] { waited |= waits(*p.from); };
    cr_assert_lt(p.takes(1 << 20), 100 * ms);
    cr_assert(!waited);
}

Test(pacing, a_limit_is_kept)
{
    for (uint64_t limit : {20000u, 1000000u, 30000000u}) {
        Fast p(limit);
        size_t size = limit * 2;
        uint64_t took = p.takes(size);
        uint64_t wanted = (size - 10 * 1460) * second / limit;
        cr_assert(took > wanted * 0.95 && took < wanted * 1.05 + 10 * ms,
                  "%zu bytes at %zu: %zu us", size, static_cast<size_t>(limit),
                  static_cast<size_t>(took));
        size_t burst = std::max<size_t>(limit >> 10, 2 * 1460);
        size_t most = p.most_within(100 * ms);
        cr_assert_leq(most, limit / 10 + 2 * burst, "%zu bytes at %zu in 100 ms", most,
                      static_cast<size_t>(limit));
        cr_assert_eq(p.a.counter(SLUICE_CNT_retrans_segs), 0u);
        cr_assert_eq(p.a.counter(SLUICE_CNT_rto_timeouts), 0u);
    }
}

Test(pacing, the_first_ten_segments_are_free)
{
    Fast p(10000);
    p.from->write(pattern(20 * 1460));
    p.sim.run_for(5 * ms);
    cr_assert(p.sent.size() >= 10 && p.sent.size() <= 13, "%zu", p.sent.size());
    cr_assert(waits(*p.from));
}

Test(pacing, a_limit_may_change_and_go)
{
    Fast p(100000);
    p.to->on_event = [](Socket& s) { s.read(1 << 20); };
    p.from->write(pattern(1000000));
    auto in = [&](uint64_t time) {
        uint64_t before = p.to->info().bytes_received;
        p.sim.run_for(time);
        return p.to->info().bytes_received - before;
    };
    size_t slow = in(second);
    cr_assert(slow > 90000 && slow < 125000, "%zu", slow);
    p.from->set(SLUICE_OPTION_MAX_PACING_RATE, 200000);
    size_t faster = in(second);
    cr_assert(faster > 180000 && faster < 215000, "%zu", faster);
    p.from->set(SLUICE_OPTION_MAX_PACING_RATE, ~0ull);
    cr_assert_eq(in(50 * ms), 1000000 - slow - faster);
}

Test(pacing, a_limit_that_goes_ends_the_wait_for_it)
{
    Fast p(10000);
    p.to->on_event = [](Socket& s) { s.read(1 << 20); };
    p.from->write(pattern(100000));
    const auto& next = of(&p.from->conn).pace.next;
    cr_assert(p.sim.run_until([&] { return next > (p.sim.now() + 100 * ms) * 1000; }, 10 * second));
    p.from->set(SLUICE_OPTION_MAX_PACING_RATE, ~0ull);
    p.sim.run_for(50 * ms);
    cr_assert_eq(p.to->info().bytes_received, 100000u);
}

Test(pacing, zero_is_no_limit)
{
    Fast p(0);
    cr_assert_lt(p.takes(1 << 20), 200 * ms);
}

Test(pacing, who_paces_below_relieves_the_core)
{
    Fast p(100000);
    p.a.paces = true;
    cr_assert_lt(p.takes(1000000), second);
}

Test(pacing, retransmissions_keep_to_it)
{
    Fast p(1000000);
    uint64_t begin = p.sim.now();
    p.forth.drop = [&](const Packet&) {
        return p.sim.now() > begin + 300 * ms && p.sim.now() < begin + 350 * ms;
    };
    p.takes(1000000);
    cr_assert_geq(p.a.counter(SLUICE_CNT_retrans_segs), 5u);
    cr_assert_leq(p.most_within(100 * ms), 100000 + 10000);
}

Test(pacing, the_end_goes_too)
{
    Fast p(50000);
    p.from->write(pattern(100000));
    p.from->close();
    p.sim.run_until([&] { return p.to->fin; }, 10 * second);
    cr_assert_eq(p.to->received.size(), 100000);
    p.to->read(1 << 20);
    p.to->close();
    p.sim.run_for(second);
    cr_assert(p.to->closed);
}

Test(pacing, an_abort_while_output_waits_ends_it)
{
    Fast p(10000);
    p.from->write(pattern(100000));
    p.sim.run_for(100 * ms);
    cr_assert(waits(*p.from));
    p.from->abort();
    size_t sent = p.sent.size();
    p.sim.run_for(10 * second);
    cr_assert_eq(p.sent.size(), sent);
}

Test(pacing, a_late_timer_is_made_good_by_half)
{
    Fast p(1000000);
    Connection& c = of(&p.from->conn);
    c.tally.data_out = 10;
    Instant begin(p.sim.now());
    auto next = [&] { return c.pace.next / 1000 - begin.us(); };
    c.pace_after(1000, begin);
    cr_assert_eq(next(), 1000 - 500, "nothing was sent before: half");
    c.pace_after(1000, begin + Duration(500));
    cr_assert_eq(next(), 1500);
    c.pace_after(1000, begin + Duration(1700));
    cr_assert_eq(next(), 2500, "200 us late");
    c.pace_after(1000, begin + Duration(9500));
    cr_assert_eq(next(), 10000, "7 ms late");
}

Test(pacing, the_rate_is_the_window_over_a_round_trip)
{
    Waiting peer;
    auto by = [&](uint64_t percent) {
        const sluice_info i = peer.socket->info();
        return static_cast<uint64_t>(i.cwnd) * percent * 10000 / i.rtt;
    };
    peer.acked(1);
    cr_assert_eq(peer.socket->info().pacing_rate, by(200), "slow start");
    of(&peer.socket->conn).cc.ssthresh = 15 * peer.size;
    peer.acked(2);
    cr_assert_eq(peer.socket->info().pacing_rate, by(120), "near ssthresh");
    peer.stack.config().pacing_ca_ratio = 150;
    peer.acked(3);
    cr_assert_eq(peer.socket->info().pacing_rate, by(150));
    peer.socket->set(SLUICE_OPTION_MAX_PACING_RATE, 1000);
    cr_assert_eq(peer.socket->info().pacing_rate, 1000u);
}

namespace
{

void without_ratios(lab::Stack& s)
{
    s.config().pacing_ss_ratio = s.config().pacing_ca_ratio = 0;
}

} // namespace

// To the host that is no rate, not one of nothing.
Test(pacing, without_ratios_the_host_is_told_of_no_rate)
{
    Waiting peer(without_ratios);
    peer.acked(2);
    cr_assert_eq(peer.stack.rate_told, ~0ull, "%lu", peer.stack.rate_told);
}

Test(pacing, without_ratios_a_limit_is_kept_all_the_same)
{
    Waiting peer(without_ratios);
    peer.socket->set(SLUICE_OPTION_MAX_PACING_RATE, 100000);
    peer.acked(2);
    peer.acked(4);
    cr_assert_eq(peer.stack.rate_told, 100000u, "%lu", peer.stack.rate_told);
    cr_assert(waits(*peer.socket));
}

// ---- the size of a transmission ----------------------------------------------------------

Test(pacing, a_long_round_trip_has_small_transmissions)
{
    for (uint32_t least : {1u, 2u, 4u}) {
        Waiting peer([=](lab::Stack& s) { s.config().min_tso_segs = least; });
        cr_assert_gt(peer.acked(5), 4);
        cr_assert_eq(peer.newest(), least);
    }
}

Test(pacing, a_short_round_trip_has_large_ones)
{
    Fast p(~0ull, LinkSettings{.delay = 100});
    p.takes(1 << 20);
    p.from->write(pattern(1 << 20));
    const Scoreboard& board = of(&p.from->conn).board;
    cr_assert_gt(board[0].length(), 60000u);
}

// All that the host takes below 512 us, half of it below a millisecond, and so on.
Test(pacing, the_least_round_trip_tells_how_much_larger)
{
    for (auto [delay, halved] : {std::pair(200u, 0), {400u, 1}, {900u, 3}, {20000u, 31}}) {
        Fast p(~0ull, LinkSettings{.delay = delay});
        p.takes(1000);
        const Connection& conn = of(&p.from->conn);
        uint64_t millisecond = p.from->info().pacing_rate >> 10;
        uint64_t wanted = millisecond + (conn.snd.segment_max >> halved);
        cr_assert_eq(conn.pace.burst, std::max<uint64_t>(wanted, 2 * conn.snd.mss), "%u us: %u",
                     delay, conn.pace.burst);
    }
}

Test(pacing, a_small_one_waits_for_the_next_acknowledgment)
{
    Waiting peer([](lab::Stack& s) { s.config().min_tso_segs = 8; });
    cr_assert_eq(peer.acked(1), 2, "nothing was sent lately");
    peer.run(100);
    cr_assert_eq(peer.acked(2), 0, "a sixth of the window");
    peer.run(100);
    cr_assert_eq(peer.acked(3), 0, "less than a third");
    peer.run(100);
    cr_assert_eq(peer.acked(4), 6);
    cr_assert_eq(peer.newest(), 6, "in one");
    cr_assert_eq(peer.socket->info().cwnd, 14 * peer.size, "the window held it back");
}

Test(pacing, the_part_of_the_window_is_a_parameter)
{
    Waiting peer([](lab::Stack& s) {
        s.config().min_tso_segs = 8;
        s.config().tso_win_divisor = 0;
    });
    peer.acked(1);
    peer.run(100);
    cr_assert_eq(peer.acked(2), 0);
    peer.run(100);
    cr_assert_eq(peer.acked(3), 4, "three segments do");
}

Test(pacing, a_small_one_waits_for_a_millisecond)
{
    Waiting peer([](lab::Stack& s) { s.config().min_tso_segs = 8; });
    peer.acked(1);
    peer.run(1100);
    cr_assert_eq(peer.acked(2), 2);
}

Test(pacing, the_last_does_not_wait)
{
    Waiting peer([](lab::Stack& s) { s.config().min_tso_segs = 8; }, 14);
    cr_assert_eq(peer.acked(1), 2);
    peer.run(100);
    cr_assert_eq(peer.acked(2), 2);
}

Test(pacing, nothing_waits_for_acknowledgments_while_something_looks_lost)
{
    Waiting peer([](lab::Stack& s) { s.config().min_tso_segs = 8; });
    cr_assert_eq(peer.acked(1), 2);
    peer.run(100);
    cr_assert_gt(peer.acked(2, 4, 5), 0);
}

Test(pacing, a_small_one_does_not_wait_for_what_will_not_come_soon)
{
    Waiting peer([](lab::Stack& s) { s.config().min_tso_segs = 8; });
    cr_assert_eq(peer.acked(10), 20, "all that was out");
    peer.run(500);
    cr_assert_eq(peer.acked(11), 2, "sent half a millisecond ago");
}

// ---- queues of this host -------------------------------------------------------------------

namespace
{

// An idle connection with a large window, on a host whose queue has been filled.
struct Queued : Fast {
    Queued()
    {
        a.config().slow_start_after_idle = 0;
        takes(1 << 20);
        sim.run_for(second);
        sent.clear();
        a.queued = 2 << 20;
    }
};

} // namespace

Test(pacing, a_full_queue_holds_all_but_the_first_back)
{
    Queued p;
    p.to->on_event = [](Socket& s) { s.read(1 << 20); };
    uint64_t again = p.a.counter(SLUICE_CNT_retrans_segs);
    p.from->write(pattern(500000));
    cr_assert_gt(p.sent.size(), 0u);
    cr_assert_lt(p.sent.size(), 50u);
    cr_assert_gt(full(p), 0u);
    size_t before = p.sent.size();
    p.sim.run_for(700);
    cr_assert_eq(p.sent.size(), before, "it looks, and waits on");
    p.a.queued = 0;
    p.sim.run_for(ms);
    cr_assert_gt(p.sent.size(), before);
    p.sim.run_for(second);
    cr_assert_eq(p.to->info().bytes_received, (1 << 20) + 500000);
    cr_assert_eq(p.a.counter(SLUICE_CNT_retrans_segs), again);
}

Test(pacing, a_queue_that_stays_full_is_looked_at_less_and_less)
{
    Queued p;
    uint64_t before = full(p);
    p.from->write(pattern(500000));
    p.forth.down = true; // nor does anything else happen
    p.sim.run_for(10 * second);
    cr_assert_lt(full(p) - before, 250u);
    cr_assert_gt(full(p) - before, 100u);
}

Test(pacing, how_much_may_be_queued_is_a_parameter)
{
    for (bool enough : {false, true}) {
        Fast p(~0ull, LinkSettings{.delay = 100});
        p.takes(10 << 20); // the round trip is short: so is what a rate means
        p.a.queued = 500000;
        p.a.config().limit_output_bytes = enough ? 600000 : 400000;
        p.takes(300000);
        cr_assert_eq(full(p) > 0, !enough);
    }
}

Test(pacing, at_a_low_rate_little_is_queued)
{
    Fast p(1000000);
    p.a.queued = 30000;
    p.from->write(pattern(100000));
    p.sim.run_for(100 * ms);
    cr_assert_gt(full(p), 0u);
}

Test(pacing, what_waited_may_be_acknowledged_with_the_end)
{
    Waiting peer;
    peer.socket->shutdown();
    for (uint32_t n = 10; n < 100; n += 10)
        peer.acked(n);
    peer.acked(100); // the FIN is still out
    Connection& c = of(&peer.socket->conn);
    c.pace.waits_until = Instant(peer.sim.now() + 500);
    peer.rcv = c.snd.nxt.value();
    peer.send(SLUICE_ACK);
    cr_assert_eq(peer.socket->state(), SLUICE_FIN_WAIT_2);
    c.time_passed(Instant(peer.sim.now() + 500));
    cr_assert(!c.pace.waits_until, "it is due for ever");
}

Test(pacing, lost_segments_wait_for_the_queue_too)
{
    Waiting peer;
    peer.stack.queued = 2 << 20;
    cr_assert_eq(peer.acked(1, 4, 10), 0);
    cr_assert_gt(peer.socket->info().lost, 0u);
    peer.stack.queued = 0;
    peer.run(500);
    cr_assert_eq(peer.sent.at(0).seq, peer.segment(1));
}

Test(pacing, a_queue_that_drains_is_filled_at_once)
{
    Queued p;
    p.from->write(pattern(500000));
    p.sim.run_for(10);
    cr_assert(waits(*p.from));
    size_t before = p.sent.size();
    p.a.drain();
    p.sim.run_for(0);
    cr_assert_gt(p.sent.size(), before);
}

// ---- automatic corking -----------------------------------------------------------------------

namespace
{

// One segment is out, and lies in this host's queue. Nagle's delay isn't wanted.
struct Corking : Scripted {
    explicit Corking(std::function<void(lab::Stack&)> configure = {}) : Scripted(configure)
    {
        rtt = 20 * ms;
        sack = true;
        open_passive();
        socket->set(SLUICE_OPTION_NODELAY, 1);
        socket->write(pattern(100));
        stack.queued = 1000;
        sent.clear();
    }
    uint64_t corked() { return stack.counter(SLUICE_CNT_autocorked); }
};

} // namespace

Test(pacing, small_writes_wait_for_what_is_queued_and_go_together)
{
    Corking peer;
    peer.socket->write(pattern(100));
    peer.socket->write(pattern(100));
    cr_assert_eq(peer.data_segments(), 0);
    cr_assert_eq(peer.corked(), 1);
    peer.stack.drain();
    cr_assert_eq(peer.data_segments(), 1);
    cr_assert_eq(peer.last().length, 200);
}

Test(pacing, without_news_of_the_queue_they_go_after_a_while)
{
    Corking peer;
    peer.socket->write(pattern(100));
    peer.run(ms);
    cr_assert_eq(peer.data_segments(), 1);
}

Test(pacing, an_acknowledgment_sends_them)
{
    Corking peer;
    peer.socket->write(pattern(100));
    peer.ack();
    cr_assert_eq(peer.data_segments(), 1);
}

Test(pacing, what_fills_a_transmission_does_not_wait)
{
    Corking peer([](lab::Stack& s) { s.gso_max = 5000; });
    peer.socket->write(pattern(10000));
    cr_assert_gt(peer.data_segments(), 0);
    cr_assert_eq(peer.corked(), 0);
}

Test(pacing, what_is_urgent_does_not_wait)
{
    Corking peer;
    peer.socket->write_urgent(pattern(100));
    cr_assert_eq(peer.data_segments(), 1);
}

Test(pacing, with_nothing_out_nothing_waits)
{
    Corking peer;
    peer.ack();
    peer.sent.clear();
    peer.socket->write(pattern(100));
    cr_assert_eq(peer.data_segments(), 1);
}

Test(pacing, automatic_corking_can_be_switched_off)
{
    Corking peer([](lab::Stack& s) { s.config().autocorking = 0; });
    peer.socket->write(pattern(100));
    cr_assert_eq(peer.data_segments(), 1);
}
