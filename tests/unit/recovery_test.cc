// SPDX-License-Identifier: GPL-2.0
// Fast retransmit and recovery (RFC 5681, 6675, 8985, 6582, 6937), limited
// transmit (RFC 3042), D-SACK (RFC 2883).
#include <criterion/criterion.h>

#include "connection.h"
#include "in_flight.h"

using namespace sluice;
using namespace sluice::test;

Test(recovery, third_sacked_segment_triggers_it)
{
    InFlight peer(true);
    peer.acked(0, 1, 2);
    peer.acked(0, 1, 3);
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_fast_retransmits), 0);
    peer.acked(0, 1, 4);
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_fast_retransmits), 1);
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_sack_recoveries), 1);
    cr_assert_eq(peer.sent.back().seq, peer.segment(0));
    cr_assert_eq(peer.socket->info().recovery, SLUICE_REC_RECOVERY);
}

Test(recovery, retransmits_only_the_hole)
{
    InFlight peer(true);
    peer.acked(0, 1, 10);
    size_t again = 0;
    for (const Seen& s : peer.sent)
        again += s.length && static_cast<int32_t>(s.seq - peer.segment(10)) < 0;
    cr_assert_eq(again, 1);
    cr_assert_eq(peer.sent.front().seq, peer.segment(0));
    cr_assert_eq(peer.sent.front().length, peer.mss_now());
}

Test(recovery, third_duplicate_ack_triggers_it_without_sack)
{
    InFlight peer(false);
    peer.acked(0);
    peer.acked(0);
    cr_assert_eq(peer.sent.size(), 0);
    peer.acked(0);
    cr_assert_eq(peer.sent.size(), 1);
    cr_assert_eq(peer.sent[0].seq, peer.segment(0));
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_fast_retransmits), 1);
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_sack_recoveries), 0);
}

Test(recovery, partial_ack_without_sack_retransmits_the_next_hole)
{
    InFlight peer(false);
    for (int i = 0; i < 3; i++)
        peer.acked(0);
    peer.sent.clear();
    peer.acked(4);
    cr_assert_geq(peer.sent.size(), 1);
    cr_assert_eq(peer.sent[0].seq, peer.segment(4));
}

namespace
{

// Forty small segments in flight.
struct SmallInFlight : Flight {
    static constexpr uint32_t number = 40;

    explicit SmallInFlight(bool with_sack = false, std::function<void(lab::Stack&)> configure = {})
        : Flight(configure)
    {
        sack = with_sack;
        open();
        size = 30;
        socket->set(SLUICE_OPTION_NODELAY, 1);
        for (uint32_t i = 0; i < number; i++)
            socket->write(pattern(size, i));
        depart(number);
    }
};

} // namespace

Test(recovery, small_segments_go_again_in_one)
{
    SmallInFlight peer;
    for (int i = 0; i < 39; i++)
        peer.acked(0);
    cr_assert_eq(peer.sent.size(), 1u, "%zu", peer.sent.size());
    cr_assert_eq(peer.last().length, peer.size * peer.number);
    peer.acked(peer.number);
    cr_assert_eq(peer.socket->info().unacked, 0u);
}

// Each partial ACK that had the whole flight sent again would bring as many more.
Test(recovery, partial_acks_of_small_segments_bring_one_segment_each)
{
    SmallInFlight peer;
    for (int i = 0; i < 10; i++)
        peer.acked(0);
    for (uint32_t n = 1; n <= 5; n++)
        for (uint32_t i = 0; i < 8; i++)
            peer.acked(n);
    cr_assert_leq(peer.sent.size(), 6u, "%zu", peer.sent.size());
}

Test(recovery, small_segments_go_again_in_one_after_a_timeout)
{
    SmallInFlight peer;
    peer.run(2 * second);
    cr_assert_leq(peer.sent.size(), 3u);
    cr_assert_eq(peer.sent[0].seq, peer.first);
    cr_assert_eq(peer.sent[0].length, peer.size * peer.number);
}

Test(recovery, window_is_reduced_once_for_a_flight)
{
    InFlight peer(true);
    uint32_t before = peer.socket->info().cwnd;
    peer.acked(0, 1, 4);
    peer.acked(0, 1, 8);
    peer.acked(10);
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_fast_retransmits), 1);
    uint32_t after = peer.socket->info().cwnd;
    cr_assert(after < before && after >= before / 2, "%u then %u", before, after);
    cr_assert_eq(peer.socket->info().recovery, SLUICE_REC_OPEN);
}

// What was in flight, not what is left of it when the last segments are found
// lost, is what the path was asked to carry (RFC 9438 4.6, RFC 7661 4.1).
Test(recovery, loss_at_the_end_of_a_flight_reduces_from_all_of_it)
{
    InFlight peer(true);
    peer.acked(2);
    peer.acked(4);
    peer.acked(6);
    peer.acked(8, 9, 10);
    peer.run(peer.rtt);
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_fast_retransmits), 1);
    cr_assert_geq(peer.socket->info().ssthresh, 7 * peer.mss_now());
}

// A short exchange in between says nothing of what the path takes.
Test(recovery, loss_in_a_short_flight_remembers_the_one_before)
{
    InFlight peer(true);
    for (uint32_t n = 2; n <= 10; n += 2)
        peer.acked(n);
    peer.socket->write(pattern(4 * peer.mss_now()));
    peer.run(peer.rtt);
    peer.acked(11);
    peer.acked(11, 12, 14);
    peer.run(peer.rtt);
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_fast_retransmits), 1);
    cr_assert_geq(peer.socket->info().ssthresh, 7 * peer.mss_now());
}

// But it does not stand for ever.
Test(recovery, loss_reduces_from_what_the_last_flights_were)
{
    InFlight peer(true);
    for (uint32_t n = 2; n <= 10; n += 2)
        peer.acked(n);
    for (uint32_t n = 14; n <= 22; n += 4) {
        peer.socket->write(pattern(4 * peer.mss_now()));
        peer.run(peer.rtt);
        peer.acked(n);
    }
    peer.socket->write(pattern(4 * peer.mss_now()));
    peer.run(peer.rtt);
    peer.acked(22, 23, 26);
    peer.run(peer.rtt);
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_fast_retransmits), 1);
    cr_assert_leq(peer.socket->info().ssthresh, 4 * peer.mss_now());
}

Test(recovery, duplicate_acks_let_new_segments_out)
{
    InFlight peer(true);
    peer.socket->write(pattern(5 * peer.mss_now()));
    cr_assert_eq(peer.sent.size(), 0, "the window was full");
    peer.acked(0, 1, 2);
    peer.acked(0, 1, 3);
    cr_assert_eq(peer.sent.size(), 2);
    cr_assert_eq(peer.sent[0].seq, peer.segment(10));
    cr_assert_eq(peer.sent[1].seq, peer.segment(11));
    cr_assert_geq(peer.stack.counter(SLUICE_CNT_limited_transmits), 1);
}

Test(recovery, lost_retransmission_is_repaired_without_a_timeout)
{
    lab::Pair p(5, {.rate = 1e6, .delay = 10000});
    auto [client, server] = p.connected();
    transfer(p, *client, *server, pattern(100000));
    uint32_t victim = of(&client->conn).snd.nxt.value();
    int drops = 0;
    p.forth.drop = [&](const Packet& packet) {
        Seen s = parse(packet);
        return s.length && s.seq == victim && drops++ < 2;
    };
    cr_assert(transfer(p, *client, *server, pattern(200000, 7)));
    cr_assert_eq(drops, 3);
    cr_assert_eq(p.a.counter(SLUICE_CNT_rto_timeouts), 0);
}

Test(recovery, lost_tail_is_found_by_a_probe)
{
    lab::Pair p(5, {.delay = 10000});
    auto [client, server] = p.connected();
    transfer(p, *client, *server, pattern(50000));
    int n = 0;
    p.forth.drop = [&](const Packet& packet) { return parse(packet).length && n++ / 2 == 2; };
    uint64_t begin = p.sim.now();
    cr_assert(transfer(p, *client, *server, pattern(6 * 1448)));
    cr_assert_gt(n, 6, "the last two were lost");
    cr_assert_lt(p.sim.now() - begin, 200000);
    cr_assert_eq(p.a.counter(SLUICE_CNT_rto_timeouts), 0);
}

Test(recovery, reordering_does_not_reduce_the_window_for_long)
{
    lab::Pair p(11, {.rate = 12500000, .delay = 20000, .reorder = 0.01});
    p.back.set.reorder = 0;
    auto [client, server] = p.connected();
    uint64_t begin = p.sim.now();
    cr_assert(transfer(p, *client, *server, pattern(10000000)));
    double rate = 10000000 * 8e6 / static_cast<double>(p.sim.now() - begin);
    cr_assert_gt(rate, 25e6, "%.1f Mbit/s", rate / 1e6);
    cr_assert_geq(p.a.counter(SLUICE_CNT_reordering_seen), 1);
    cr_assert_gt(client->info().reordering, 5);
}

Test(recovery, what_is_learned_of_reordering_has_a_limit)
{
    lab::Pair p(11, {.rate = 12500000, .delay = 20000, .reorder = 0.01});
    p.back.set.reorder = 0;
    p.a.config().max_reordering = 5;
    auto [client, server] = p.connected();
    cr_assert(transfer(p, *client, *server, pattern(10000000)));
    cr_assert_geq(p.a.counter(SLUICE_CNT_reordering_seen), 1);
    cr_assert_eq(client->info().reordering, 5);
}

// Each retransmission that was for nothing makes the reordering window wider,
// whether or not it belongs to the last episode (RFC 8985 6.2.4).
Test(recovery, lateness_of_a_round_trip_is_learned)
{
    lab::Pair p(11, {.rate = 12500000, .delay = 1000});
    auto [client, server] = p.connected();
    int n = 0;
    p.forth.observer = [&](const Packet&) { p.forth.set.delay = n++ / 10 % 2 ? 3000 : 1000; };
    cr_assert(transfer(p, *client, *server, pattern(4000000)));
    cr_assert_geq(p.a.counter(SLUICE_CNT_dsack_in), 1);
    cr_assert_lt(p.a.counter(SLUICE_CNT_fast_retransmits), 60);
}

namespace
{

// What the machine waits beyond a round trip for a hole to fill, after three D-SACKs in one.
uint64_t wait_after_dsacks(InFlight& peer)
{
    peer.acked(0, 3, 10);
    peer.acked(10);
    peer.socket->write(pattern(peer.mss_now())); // the round trip's
    for (uint32_t n = 0; n < 3; n++)
        peer.acked(10, n, n + 1);
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_dsack_in), 3);
    peer.run(peer.rtt);
    peer.acked(11);
    peer.sent.clear();
    peer.socket->write(pattern(2 * peer.mss_now()));
    cr_assert_eq(peer.data_segments(), 2);
    uint64_t sent = peer.sent.front().when;
    peer.run(peer.rtt);
    peer.sent.clear();
    peer.acked(11, 12, 13);
    peer.run(peer.rtt);
    cr_assert_geq(peer.data_segments(), 1);
    cr_assert_eq(peer.sent.front().seq, peer.segment(11));
    return peer.sent.front().when - sent - peer.rtt;
}

std::function<void(lab::Stack&)> recovery_is(uint64_t bits)
{
    return [bits](lab::Stack& s) { s.config().recovery = bits; };
}

} // namespace

// However many arrive in it.
Test(recovery, reordering_window_widens_once_in_a_round_trip)
{
    InFlight peer(true);
    uint64_t waited = wait_after_dsacks(peer);
    cr_assert(waited >= peer.rtt / 2 && waited < peer.rtt * 3 / 4, "%lu us", waited);
}

Test(recovery, reordering_window_stays_narrow_when_told_to)
{
    InFlight peer(true, 10, recovery_is(RACK_FINDS | RACK_WINDOW_STAYS));
    uint64_t waited = wait_after_dsacks(peer);
    cr_assert(waited >= peer.rtt / 4 && waited < peer.rtt / 2, "%lu us", waited);
}

Test(recovery, duplicate_data_is_reported_by_dsack)
{
    Scripted peer;
    peer.sack = true;
    peer.open_passive();
    peer.send(SLUICE_ACK, pattern(1000));
    peer.send(SLUICE_ACK, pattern(1000), -1000);
    Seen s = peer.last();
    cr_assert_eq(s.sack_count, 1);
    cr_assert_eq(s.sack[0].start, peer.nxt - 1000);
    cr_assert_eq(s.sack[0].end, peer.nxt);
    cr_assert_eq(s.ack, peer.nxt);
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_dsack_out), 1);
}

// The block that holds it comes next, or the report can't be told from news (RFC 2883 4).
Test(recovery, duplicate_beyond_a_hole_is_reported_with_the_block_that_holds_it)
{
    Scripted peer;
    peer.sack = true;
    peer.open_passive();
    peer.send(SLUICE_ACK, pattern(100), 1000);
    peer.send(SLUICE_ACK, pattern(100), 3000);
    peer.send(SLUICE_ACK, pattern(50), 1020);
    Seen s = peer.last();
    cr_assert_eq(s.sack_count, 3);
    cr_assert_eq(s.sack[0].start, peer.nxt + 1020);
    cr_assert_eq(s.sack[0].end, peer.nxt + 1070);
    cr_assert_eq(s.sack[1].start, peer.nxt + 1000);
    cr_assert_eq(s.sack[1].end, peer.nxt + 1100);
    cr_assert_eq(s.sack[2].start, peer.nxt + 3000);
}

Test(recovery, dsack_can_be_switched_off)
{
    Scripted peer([](lab::Stack& s) { s.config().dsack = 0; });
    peer.sack = true;
    peer.open_passive();
    peer.send(SLUICE_ACK, pattern(1000));
    peer.send(SLUICE_ACK, pattern(1000), -1000);
    cr_assert_eq(peer.last().sack_count, 0);
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_dsack_out), 0);
}

Test(recovery, sack_blocks_name_the_most_recent_first)
{
    Scripted peer;
    peer.sack = true;
    peer.open_passive();
    peer.send(SLUICE_ACK, pattern(100), 1000);
    peer.send(SLUICE_ACK, pattern(100), 3000);
    peer.send(SLUICE_ACK, pattern(100), 2000);
    Seen s = peer.last();
    cr_assert_eq(s.sack_count, 3);
    cr_assert_eq(s.sack[0].start, peer.nxt + 2000);
    cr_assert_eq(s.sack[1].start, peer.nxt + 3000);
    cr_assert_eq(s.sack[2].start, peer.nxt + 1000);
}

Test(recovery, nonsensical_sack_blocks_are_ignored)
{
    InFlight peer(true);
    peer.blocks = {{peer.segment(50), peer.segment(60)}, {peer.segment(3), peer.segment(2)}};
    peer.rcv = peer.segment(0);
    peer.ack();
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_sack_ignored), 2);
    cr_assert_eq(peer.socket->info().sacked, 0);
}

Test(recovery, sacks_taken_back_are_forgotten_at_the_timeout)
{
    InFlight peer(true);
    peer.acked(0, 1, 10);
    peer.rcv = peer.segment(1); // as if 1..10 had never been reported
    peer.blocks.clear();
    peer.ack();
    peer.run(3 * second);
    cr_assert_geq(peer.stack.counter(SLUICE_CNT_sack_reneged), 1);
    bool again = false;
    for (const Seen& s : peer.sent)
        again |= s.seq == peer.segment(1) && s.length;
    cr_assert(again);
}

Test(recovery, goodput_under_random_loss_is_near_what_theory_says)
{
    // Mathis: MSS/RTT * 1.22/sqrt(p) = 3.5 Mbit/s for 40 ms and 1 %.
    lab::Pair p(21, {.rate = 12500000, .delay = 20000, .loss = 0.01});
    p.back.set.loss = 0;
    auto [client, server] = p.connected();
    uint64_t begin = p.sim.now();
    cr_assert(transfer(p, *client, *server, pattern(6000000)));
    double rate = 6000000 * 8e6 / static_cast<double>(p.sim.now() - begin);
    cr_assert_gt(rate, 2.5e6, "%.2f Mbit/s", rate / 1e6);
}

namespace
{
// Sends segments until the tail loss probe has gone out again.
uint32_t probed(InFlight& peer)
{
    uint32_t end = peer.segment(10);
    peer.rcv = peer.segment(9);
    peer.ack();
    peer.sent.clear();
    peer.sim.run_until([&] { return peer.data_segments() > 0; }, second);
    cr_assert_eq(peer.sent[0].seq, peer.segment(9), "the last segment asks");
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_rto_timeouts), 0);
    peer.run(10000);
    return end;
}
} // namespace

// RFC 8985 7.4: a loss that the probe repaired is a loss all the same.
Test(recovery, loss_that_a_probe_repaired_reduces_the_window)
{
    InFlight peer(true);
    peer.rcv = probed(peer);
    peer.ack();
    uint32_t before = peer.socket->info().cwnd;
    peer.socket->write(pattern(1460));
    peer.run(10000);
    peer.rcv += 1460;
    peer.ack();
    cr_assert_lt(peer.socket->info().cwnd, before);
    cr_assert_lt(peer.socket->info().ssthresh, before);
    cr_assert_geq(peer.socket->info().ssthresh, 7 * peer.mss_now(), "of what was in flight");
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_loss_probes), 1);
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_loss_probe_recoveries), 1);
}

Test(recovery, needless_probe_reduces_nothing)
{
    InFlight peer(true);
    uint32_t end = probed(peer);
    peer.rcv = end; // the original came
    peer.ack();
    peer.blocks = {{end - peer.mss_now(), end}}; // and the probe, which is reported
    peer.ack();
    peer.blocks.clear();
    peer.socket->write(pattern(1460));
    peer.run(10000);
    peer.rcv += 1460;
    peer.ack();
    cr_assert_eq(peer.socket->info().ssthresh, ~0u);
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_loss_probes), 1);
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_loss_probe_recoveries), 0);
}

Test(recovery, duplicate_acks_let_new_segments_out_without_sack)
{
    InFlight peer(false);
    peer.socket->write(pattern(5 * peer.mss_now()));
    cr_assert_eq(peer.sent.size(), 0, "the window was full");
    peer.acked(0);
    peer.acked(0);
    cr_assert_eq(peer.sent.size(), 2);
    cr_assert_eq(peer.sent[0].seq, peer.segment(10));
    cr_assert_eq(peer.sent[1].seq, peer.segment(11));
}

// What was out when the episode began arrives before its retransmission does.
Test(recovery, dsack_after_the_episode_undoes_it)
{
    InFlight peer(true);
    uint32_t before = peer.socket->info().cwnd;
    peer.acked(0, 1, 4);
    peer.acked(10);
    cr_assert_eq(peer.socket->info().recovery, SLUICE_REC_OPEN);
    cr_assert_lt(peer.socket->info().cwnd, before);
    peer.acked(10, 0, 1);
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_spurious_undone), 1);
    cr_assert_geq(peer.socket->info().cwnd, before);
    cr_assert_eq(peer.socket->info().ssthresh, ~0u);
}

// It is the network that duplicated it.
Test(recovery, dsack_of_what_was_sent_once_undoes_nothing)
{
    InFlight peer(true);
    peer.acked(0, 1, 4);
    peer.acked(6);
    cr_assert_eq(peer.socket->info().recovery, SLUICE_REC_RECOVERY);
    peer.acked(6, 4, 5);
    peer.acked(10);
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_dsack_in), 1);
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_spurious_undone), 0);
}

Test(recovery, retransmission_that_the_host_refused_undoes_nothing)
{
    InFlight peer(true);
    peer.stack.faults.transmit = 1;
    peer.acked(0, 1, 4);
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_transmit_failed), 1);
    cr_assert_eq(peer.sent.size(), 0);
    peer.acked(0, 1, 5);
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_spurious_undone), 0);
    cr_assert_eq(peer.sent.front().seq, peer.segment(0));
}

Test(recovery, dsack_of_an_older_episode_leaves_what_a_probe_reduced)
{
    InFlight peer(true);
    peer.acked(0, 1, 4);
    peer.acked(10);
    peer.socket->write(pattern(peer.mss_now()));
    peer.sent.clear();
    cr_assert(peer.sim.run_until([&] { return peer.data_segments() > 0; }, second), "a probe");
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_rto_timeouts), 0);
    peer.acked(11);
    peer.socket->write(pattern(peer.mss_now()));
    peer.run(10000);
    peer.acked(12);
    uint32_t reduced = peer.socket->info().cwnd;
    peer.acked(12, 0, 1);
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_dsack_in), 1);
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_spurious_undone), 0);
    cr_assert_eq(peer.socket->info().cwnd, reduced);
}

namespace
{

int losses;

uint32_t counted_loss(sluice_cc* cc, uint32_t flight, sluice_usec now)
{
    losses++;
    return sluice_cc_cubic.loss(cc, flight, now);
}

} // namespace

// The flight was reduced for already, and the window is what fast recovery let through.
Test(recovery, timeout_in_fast_recovery_reduces_no_further)
{
    static sluice_cc_ops ops = sluice_cc_cubic;
    ops.loss = counted_loss;
    InFlight peer(true, 30, [](lab::Stack& s) {
        s.config().initial_window = 30;
        s.cc = &ops;
    });
    peer.acked(0, 1, 6);
    cr_assert_eq(peer.socket->info().recovery, SLUICE_REC_RECOVERY);
    uint32_t reduced = peer.socket->info().ssthresh;
    cr_assert_eq(losses, 1);
    peer.run(second);
    cr_assert_geq(peer.stack.counter(SLUICE_CNT_rto_timeouts), 1);
    cr_assert_eq(peer.socket->info().recovery, SLUICE_REC_LOSS);
    cr_assert_eq(losses, 1);
    cr_assert_eq(peer.socket->info().ssthresh, reduced);
}

// ---- the bits of `recovery` ------------------------------------------------------------

Test(recovery, without_rack_the_worth_of_dupthresh_segments_triggers_it)
{
    InFlight peer(true, 10, recovery_is(0));
    peer.acked(0, 1, 3);
    peer.run(peer.rtt);
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_fast_retransmits), 0, "time alone");
    peer.acked(0, 1, 4);
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_fast_retransmits), 1);
    cr_assert_eq(peer.sent.back().seq, peer.segment(0));
}

Test(recovery, without_rack_only_what_enough_overtook_is_lost)
{
    InFlight peer(true, 10, recovery_is(0));
    peer.acked(0, 1, 2);
    peer.blocks.push_back({peer.segment(5), peer.segment(7)});
    peer.ack();
    cr_assert_eq(peer.socket->info().lost, peer.mss_now(), "segments 2 to 4 are overtaken by two");
    peer.blocks.back().end = peer.segment(8);
    peer.ack();
    cr_assert_eq(peer.socket->info().lost, 4 * peer.mss_now());
}

Test(recovery, without_rack_a_lost_retransmission_waits_for_the_timeout)
{
    InFlight peer(true, 10, recovery_is(0));
    peer.socket->write(pattern(20 * peer.mss_now()));
    peer.acked(0, 1, 4);
    peer.sent.clear();
    for (uint32_t n = 5; n <= 10; n++) {
        peer.run(peer.rtt);
        peer.acked(0, 1, n);
    }
    for (const Seen& s : peer.sent)
        cr_assert_neq(s.seq, peer.segment(0));
}

// RFC 6675 5 (1): of small segments too it takes three, however little they are worth.
Test(recovery, without_rack_the_third_small_segment_triggers_it)
{
    SmallInFlight peer(true, recovery_is(0));
    peer.acked(0, {{1, 2}});
    peer.acked(0, {{1, 3}});
    peer.acked(0, {{1, 3}}); // tells nothing new
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_fast_retransmits), 0);
    peer.acked(0, {{1, 4}});
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_fast_retransmits), 1);
    cr_assert_eq(peer.sent.front().seq, peer.first);
    cr_assert_eq(peer.sent.front().length, peer.size);
    cr_assert_eq(peer.socket->info().lost, peer.size);
}

Test(recovery, without_rack_an_advance_begins_the_count_anew)
{
    SmallInFlight peer(true, recovery_is(0));
    peer.acked(0, {{1, 2}});
    peer.acked(0, {{1, 3}});
    peer.acked(3);
    peer.acked(3, {{4, 5}});
    peer.acked(3, {{4, 6}});
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_fast_retransmits), 0);
    peer.acked(3, {{4, 7}});
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_fast_retransmits), 1);
}

// RFC 6675 4, IsLost: the first of its two clauses.
Test(recovery, without_rack_dupthresh_discontiguous_blocks_trigger_it)
{
    SmallInFlight peer(true, recovery_is(0));
    peer.acked(0, {{1, 2}, {3, 4}});
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_fast_retransmits), 0);
    peer.acked(0, {{1, 2}, {3, 4}, {5, 6}});
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_fast_retransmits), 1);
    cr_assert_eq(peer.socket->info().lost, peer.size, "2 and 4 have fewer above them");
}

Test(recovery, rack_without_dupthresh_waits_for_its_window)
{
    InFlight peer(true, 10, recovery_is(RACK_FINDS | RACK_WITHOUT_DUPTHRESH));
    peer.acked(0, 1, 5);
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_fast_retransmits), 0);
    peer.run(peer.rtt / 2);
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_fast_retransmits), 1);
}

// ---- SACK blocks that no honest receiver sends -------------------------------------------

Test(recovery, blocks_of_single_bytes_make_no_range_for_each)
{
    InFlight peer(true);
    for (uint32_t at = 1; at + 8 < 10 * peer.mss_now(); at += 8) {
        peer.rcv = peer.segment(0);
        peer.blocks.clear();
        for (uint32_t i = 0; i < 8; i += 2)
            peer.blocks.push_back({peer.segment(0) + at + i, peer.segment(0) + at + i + 1});
        peer.ack();
    }
    cr_assert_leq(of(&peer.socket->conn).board.size(), 12);
    cr_assert_eq(peer.socket->info().sacked, 0);
}

// As far as it holds whole segments, and the last, shorter one.
Test(recovery, a_block_counts_from_segment_to_segment)
{
    InFlight peer(true);
    peer.rcv = peer.segment(0);
    peer.blocks.push_back({peer.segment(1) - 10, peer.segment(3) + 10});
    peer.ack();
    cr_assert_eq(peer.socket->info().sacked, 2 * peer.mss_now());
    peer.blocks = {{peer.segment(9) - 10, peer.segment(10)}};
    peer.ack();
    cr_assert_eq(peer.socket->info().sacked, 3 * peer.mss_now());
}

Test(recovery, the_short_last_segment_is_acknowledged_alone)
{
    Scripted peer;
    peer.sack = true;
    peer.rtt = 20000;
    peer.open_passive();
    uint32_t first = peer.rcv, mss = peer.socket->info().snd_mss;
    peer.socket->write(pattern(2 * mss + 100));
    peer.run(peer.rtt);
    peer.follow = false;
    peer.rcv = first;
    peer.blocks = {{first + 2 * mss, first + 2 * mss + 100}};
    peer.ack();
    cr_assert_eq(peer.socket->info().sacked, 100);
}
