// SPDX-License-Identifier: GPL-2.0
// Delayed and quick acknowledgments (RFC 9293 3.8.6.3), keepalive (3.8.4).
#include <criterion/criterion.h>

#include "lab_test.h"

using namespace sluice;
using namespace sluice::test;

namespace
{
// Past the quick acknowledgments of a connection's beginning.
void settle(Scripted& peer)
{
    for (int i = 0; i < 40; i++) {
        peer.send(SLUICE_ACK, pattern(1460));
        peer.socket->read(1 << 20);
        peer.run(10000);
    }
    peer.run(100000); // less than an RTO: a longer pause would begin it again
    peer.sent.clear();
}
} // namespace

Test(delayed_ack, first_segments_are_acknowledged_at_once)
{
    Established peer;
    peer.send(SLUICE_ACK, pattern(1460));
    cr_assert_eq(peer.sent.size(), 1);
    cr_assert_eq(peer.last().ack, peer.nxt);
}

Test(delayed_ack, single_segment_waits_between_40_and_200_ms)
{
    Established peer;
    settle(peer);
    // An application that hasn't read: nothing else prompts the ACK.
    peer.send(SLUICE_ACK, pattern(100));
    cr_assert_eq(peer.sent.size(), 0);
    uint64_t begin = peer.sim.now();
    peer.run(300000);
    cr_assert_eq(peer.sent.size(), 1);
    uint64_t took = peer.sent[0].when - begin;
    cr_assert(took >= 40000 && took <= 200000, "%lu us", took);
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_delayed_acks) >= 1, true);
}

Test(delayed_ack, second_full_segment_is_acknowledged_at_once)
{
    Established peer;
    settle(peer);
    peer.send(SLUICE_ACK, pattern(1460));
    cr_assert_eq(peer.sent.size(), 0);
    peer.send(SLUICE_ACK, pattern(1460));
    cr_assert_eq(peer.sent.size(), 1);
    cr_assert_eq(peer.last().ack, peer.nxt);
}

Test(delayed_ack, answer_carries_it)
{
    Established peer;
    settle(peer);
    peer.send(SLUICE_ACK, pattern(100));
    peer.socket->write(pattern(50));
    cr_assert_eq(peer.sent.size(), 1);
    cr_assert_eq(peer.last().ack, peer.nxt);
    peer.run(second / 10);
    cr_assert_eq(peer.data_segments(), peer.sent.size(), "no ACK of its own");
}

Test(delayed_ack, waits_no_longer_than_a_round_trip)
{
    Established peer;
    settle(peer);
    for (int i = 0; i < 10; i++) { // a slow rhythm, to which the delay adapts
        peer.send(SLUICE_ACK, pattern(100));
        peer.run(150000);
    }
    peer.sent.clear();
    peer.send(SLUICE_ACK, pattern(100));
    peer.run(41000);
    cr_assert_eq(peer.sent.size(), 1);
}

// Mostly the application closes, too, and one segment does for both.
Test(delayed_ack, fin_of_ours_carries_that_of_the_peers)
{
    for (const Bytes& data : {Bytes(), pattern(100)}) {
        Established peer;
        peer.send(SLUICE_FIN | SLUICE_ACK, data);
        cr_assert_eq(peer.sent.size(), 0);
        peer.socket->read(1 << 20);
        peer.socket->shutdown();
        cr_assert_eq(peer.sent.size(), 1);
        cr_assert_eq(peer.last().flags, SLUICE_FIN | SLUICE_ACK);
        cr_assert_eq(peer.last().ack, peer.nxt);
    }
}

Test(delayed_ack, fin_that_nothing_answers_is_acknowledged_soon)
{
    Established peer;
    peer.send(SLUICE_FIN | SLUICE_ACK);
    uint64_t begin = peer.sim.now();
    peer.run(second);
    cr_assert_eq(peer.sent.size(), 1);
    cr_assert_eq(peer.last().flags, SLUICE_ACK);
    cr_assert_eq(peer.last().ack, peer.nxt);
    uint64_t took = peer.sent[0].when - begin;
    cr_assert(took >= 40000 && took <= 200000, "%lu us", took);
}

Test(delayed_ack, fin_with_a_second_full_segment_is_acknowledged_at_once)
{
    Established peer;
    settle(peer);
    peer.send(SLUICE_ACK, pattern(1460));
    cr_assert_eq(peer.sent.size(), 0);
    peer.send(SLUICE_FIN | SLUICE_ACK, pattern(1460));
    cr_assert_eq(peer.sent.size(), 1);
    cr_assert_eq(peer.last().ack, peer.nxt);
}

Test(delayed_ack, fin_out_of_order_is_acknowledged_at_once)
{
    Established peer;
    settle(peer);
    peer.send(SLUICE_FIN | SLUICE_ACK, {}, 100);
    cr_assert_eq(peer.sent.size(), 1);
    cr_assert_eq(peer.last().ack, peer.nxt);
}

Test(delayed_ack, segment_that_fills_a_gap_is_acknowledged_at_once)
{
    Established peer;
    settle(peer);
    peer.send(SLUICE_ACK, pattern(100), 100);
    peer.sent.clear();
    peer.send(SLUICE_ACK, pattern(100));
    cr_assert_eq(peer.sent.size(), 1);
    cr_assert_eq(peer.last().ack, peer.nxt + 100);
}

Test(delayed_ack, out_of_order_segment_is_acknowledged_at_once)
{
    Established peer;
    settle(peer);
    peer.send(SLUICE_ACK, pattern(100), 1460);
    cr_assert_eq(peer.sent.size(), 1);
    cr_assert_eq(peer.last().ack, peer.nxt);
}

Test(keepalive, probes_an_idle_peer_and_gives_up)
{
    Established peer;
    peer.socket->set(SLUICE_OPTION_KEEPALIVE, 1);
    peer.socket->set(SLUICE_OPTION_KEEPIDLE, 10 * second);
    peer.socket->set(SLUICE_OPTION_KEEPINTVL, 2 * second);
    peer.socket->set(SLUICE_OPTION_KEEPCNT, 3);
    peer.run(9 * second);
    cr_assert_eq(peer.sent.size(), 0);
    peer.run(2 * second);
    cr_assert_eq(peer.sent.size(), 1);
    cr_assert_eq(peer.last().seq, peer.rcv - 1, "below the window: must be answered");
    cr_assert(peer.sim.run_until([&] { return peer.socket->closed; }, 20 * second));
    cr_assert_eq(peer.socket->error, 110);
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_keepalive_probes), 3);
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_keepalive_give_ups), 1);
}

// tcp_keepalive_*, where the socket has none of its own; looked at when they are used.
Test(keepalive, goes_by_the_namespace_of_the_moment)
{
    Established peer([](lab::Stack& s) { s.config().keepalive_time = 10 * second; });
    peer.socket->set(SLUICE_OPTION_KEEPALIVE, 1);
    peer.run(11 * second);
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_keepalive_probes), 1);
    peer.ack();
    peer.stack.config().keepalive_time = 4 * second;
    peer.stack.config().keepalive_interval = 3 * second;
    peer.stack.config().keepalive_probes = 2;
    // What runs already is over first: 75 s from the probe.
    uint64_t begin = peer.sim.now();
    cr_assert(peer.sim.run_until([&] { return peer.socket->closed; }, 200 * second));
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_keepalive_probes), 3);
    uint64_t took = peer.sim.now() - begin;
    cr_assert(took > 79 * second && took < 82 * second, "%lu", took);
}

Test(keepalive, answering_peer_stays)
{
    lab::Pair p;
    auto [client, server] = p.connected();
    client->set(SLUICE_OPTION_KEEPIDLE, 10 * second);
    client->set(SLUICE_OPTION_KEEPINTVL, 10 * second);
    client->set(SLUICE_OPTION_KEEPALIVE, 1);
    p.sim.run_for(200 * second);
    cr_assert_eq(client->state(), SLUICE_ESTABLISHED);
    cr_assert_geq(p.a.counter(SLUICE_CNT_keepalive_probes), 15);
}

Test(paws, segment_with_an_older_timestamp_is_dropped)
{
    Scripted peer;
    peer.timestamps = true;
    peer.open_passive();
    peer.send(SLUICE_ACK, pattern(100));
    peer.ts_value -= 1000;
    peer.send(SLUICE_ACK, pattern(100));
    cr_assert_eq(peer.socket->readable(), 100);
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_paws_rejected), 1);
}

Test(paws, overtaking_retransmission_does_not_reject_what_it_overtook)
{
    Scripted peer;
    peer.timestamps = true;
    peer.open_passive();
    peer.send(SLUICE_ACK, pattern(100));
    peer.ts_value += 500;
    peer.send(SLUICE_ACK, pattern(100), -100); // old data, sent late, came early
    peer.ts_value -= 500;
    peer.send(SLUICE_ACK, pattern(100));
    cr_assert_eq(peer.socket->readable(), 200);
}

// RFC 5961 5: who guesses a sequence number, but no acknowledgment, must not make
// PAWS reject the peer.
Test(paws, unacceptable_acknowledgment_does_not_move_the_clock)
{
    Scripted peer;
    peer.timestamps = true;
    peer.open_passive();
    for (int32_t ack : {1, 1 << 30, -(1 << 30)}) {
        HeaderFields forged = peer.fields(SLUICE_ACK);
        forged.ack += static_cast<uint32_t>(ack);
        forged.ts_value += 1 << 30;
        peer.raw(forged, pattern(10));
    }
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_future_ack), 2);
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_old_ack), 1);
    peer.send(SLUICE_ACK, pattern(100));
    cr_assert_eq(peer.socket->readable(), 100);
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_paws_rejected), 0);
}

// RFC 7323 4.3: the sender takes the round trip of what it sent again, not of
// what it sent long ago and whose acknowledgment was lost.
Test(paws, acknowledgment_of_a_retransmission_echoes_it)
{
    Scripted peer;
    peer.timestamps = true;
    peer.open_passive();
    peer.send(SLUICE_ACK, pattern(100));
    uint32_t first = peer.last().ts_echo;
    peer.ts_value += 25000;
    peer.send(SLUICE_ACK, pattern(100), -100);
    cr_assert_eq(peer.last().ack, peer.nxt);
    cr_assert_eq(peer.last().ts_echo, first + 25000, "echoes %u, not %u", peer.last().ts_echo,
                 first + 25000);
    peer.ts_value -= 10000; // was sent before it, and comes later
    peer.send(SLUICE_ACK, pattern(100));
    cr_assert_eq(peer.socket->readable(), 200);
    cr_assert_eq(peer.last().ts_echo, first + 15000);
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_paws_rejected), 0);
}

// RFC 7323 5.5: what was seen 24 days ago is no measure any more, and gives way.
Test(paws, after_24_days_timestamps_begin_anew)
{
    Scripted peer;
    peer.timestamps = true;
    peer.open_passive();
    peer.send(SLUICE_ACK, pattern(100));
    peer.run(25ull * 24 * 3600 * second); // its clock has gone more than half around
    peer.send(SLUICE_ACK, pattern(100));
    cr_assert_eq(peer.socket->readable(), 200);
    uint32_t value = peer.fields(SLUICE_ACK).ts_value;
    cr_assert_eq(peer.last().ts_echo, value, "echoes %u, not %u", peer.last().ts_echo, value);
    peer.ts_value -= 1000;
    peer.send(SLUICE_ACK, pattern(100));
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_paws_rejected), 1);
}

Test(paws, reset_is_taken_whatever_its_timestamp)
{
    Scripted peer;
    peer.timestamps = true;
    peer.open_passive();
    peer.ts_value -= 1000;
    peer.send(SLUICE_RST);
    cr_assert_eq(peer.socket->state(), SLUICE_CLOSED);
}

Test(keepalive, traffic_postpones_it)
{
    Established peer;
    peer.socket->set(SLUICE_OPTION_KEEPALIVE, 1);
    peer.socket->set(SLUICE_OPTION_KEEPIDLE, 10 * second);
    for (int i = 0; i < 5; i++) {
        peer.run(8 * second);
        peer.send(SLUICE_ACK, pattern(10));
    }
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_keepalive_probes), 0);
    peer.run(11 * second);
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_keepalive_probes), 1);
}

// What waits for an acknowledgment already finds out (RFC 9293 3.8.4).
Test(keepalive, does_not_probe_while_data_is_out)
{
    Established peer;
    peer.socket->set(SLUICE_OPTION_KEEPALIVE, 1);
    peer.socket->set(SLUICE_OPTION_KEEPIDLE, 2 * second);
    peer.socket->write(pattern(10));
    peer.run(30 * second);
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_keepalive_probes), 0);
    cr_assert_gt(peer.stack.counter(SLUICE_CNT_rto_timeouts), 2);
}

Test(keepalive, is_off_unless_asked_for)
{
    Established peer([](lab::Stack& s) { s.config().keepalive_time = 10 * second; });
    peer.run(1000 * second);
    cr_assert_eq(peer.sent.size(), 0);
    peer.socket->set(SLUICE_OPTION_KEEPALIVE, 1);
    peer.run(11 * second);
    cr_assert_eq(peer.sent.size(), 1);
    peer.socket->set(SLUICE_OPTION_KEEPALIVE, 0);
    peer.run(1000 * second);
    cr_assert_leq(peer.sent.size(), 1);
}

Test(keepalive, user_timeout_ends_it_sooner)
{
    Established peer;
    peer.socket->set(SLUICE_OPTION_KEEPALIVE, 1);
    peer.socket->set(SLUICE_OPTION_KEEPIDLE, 10 * second);
    peer.socket->set(SLUICE_OPTION_KEEPINTVL, 2 * second);
    peer.socket->set(SLUICE_OPTION_USER_TIMEOUT, 13 * second);
    uint64_t begin = peer.sim.now();
    cr_assert(peer.sim.run_until([&] { return peer.socket->closed; }, 60 * second));
    cr_assert_leq(peer.sim.now() - begin, 15 * second);
    cr_assert_eq(peer.socket->error, 110);
}

Test(delayed_ack, that_could_not_be_sent_is_sent_later)
{
    Established peer;
    peer.stack.faults.transmit = 1;
    peer.send(SLUICE_ACK, pattern(1460));
    cr_assert_eq(peer.sent.size(), 0);
    peer.run(second / 2);
    cr_assert_eq(peer.sent.size(), 1);
    cr_assert_eq(peer.last().ack, peer.nxt);
}
