// SPDX-License-Identifier: GPL-2.0
// What doesn't fit is dropped, counted, and changes nothing (RFC 9293 3.10.7.4,
// RFC 5961).
#include <criterion/criterion.h>

#include <algorithm>

#include "lab_test.h"

using namespace sluice;
using namespace sluice::test;

Test(bad_segment, reset_off_the_edge_is_challenged)
{
    Established peer;
    peer.send(SLUICE_RST, {}, 100);
    cr_assert_eq(peer.socket->state(), SLUICE_ESTABLISHED);
    cr_assert_eq(peer.last().flags, SLUICE_ACK);
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_rst_challenged), 1);
}

Test(bad_segment, reset_outside_the_window_is_ignored)
{
    Established peer;
    peer.send(SLUICE_RST, {}, -70000);
    cr_assert_eq(peer.socket->state(), SLUICE_ESTABLISHED);
    cr_assert_eq(peer.sent.size(), 0);
}

Test(bad_segment, exact_reset_resets)
{
    Established peer;
    peer.send(SLUICE_RST);
    cr_assert_eq(peer.socket->state(), SLUICE_CLOSED);
    cr_assert_eq(peer.socket->error, 104);
}

Test(bad_segment, acknowledgment_of_the_future_is_dropped)
{
    Established peer;
    peer.send(SLUICE_ACK, pattern(10), 0, 1000);
    cr_assert_eq(peer.socket->readable(), 0);
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_future_ack), 1);
}

Test(bad_segment, ancient_acknowledgment_is_dropped)
{
    Established peer;
    peer.send(SLUICE_ACK, pattern(10), 0, -1000000);
    cr_assert_eq(peer.socket->readable(), 0);
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_old_ack), 1);
}

Test(bad_segment, data_without_ack_is_dropped)
{
    Established peer;
    peer.send(SLUICE_PSH, pattern(10));
    cr_assert_eq(peer.socket->readable(), 0);
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_no_ack_flag), 1);
}

// Of one connection, whatever the namespace allows: each guess of a stranger's would
// have its answer (RFC 5961 7).
Test(bad_segment, challenges_of_a_connection_are_two_a_second)
{
    Established peer([](lab::Stack& s) { s.config().challenge_ack_limit = 1000; });
    for (int i = 0; i < 100; i++) {
        peer.send(i % 2 ? SLUICE_RST : SLUICE_SYN, {}, 100);
        peer.send(SLUICE_ACK, {}, 0, i % 2 ? 100000 : -100000);
        peer.run(10000);
    }
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_challenge_acks), 2);
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_challenge_acks_limited), 198);
    cr_assert_eq(peer.sent.size(), 2);
}

Test(bad_segment, challenges_of_a_namespace_are_limited)
{
    Established peer([](lab::Stack& s) { s.config().challenge_ack_limit = 1; });
    for (int i = 0; i < 20; i++) {
        peer.send(SLUICE_RST, {}, 100);
        peer.run(500000);
    }
    cr_assert_leq(peer.stack.counter(SLUICE_CNT_challenge_acks), 11);
    cr_assert_geq(peer.stack.counter(SLUICE_CNT_challenge_acks), 10);
    cr_assert_geq(peer.stack.counter(SLUICE_CNT_challenge_acks_limited), 9);
}

// RFC 5961 5.2 allows for as much as the largest window. But what was never sent
// can't have been acknowledged, and a stranger would have less to guess.
Test(bad_segment, acknowledgment_of_what_was_never_sent_is_dropped)
{
    Established peer;
    peer.send(SLUICE_ACK, pattern(10), 0, -2);
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_old_ack), 1);
    peer.socket->write(pattern(1000));
    peer.ack();
    peer.send(SLUICE_ACK, pattern(10), -10, -1002);
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_old_ack), 2);
    cr_assert_eq(peer.socket->readable(), 0);
    peer.send(SLUICE_ACK, pattern(10), -10, -1001);
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_old_ack), 2);
    cr_assert_eq(peer.socket->readable(), 10);
}

Test(bad_segment, acknowledgment_of_nothing_is_not_too_old_behind_a_fin)
{
    Established peer;
    peer.socket->write(pattern(1000));
    peer.ack();
    peer.socket->close();
    peer.ack();
    cr_assert_eq(peer.socket->state(), SLUICE_FIN_WAIT_2);
    peer.send(SLUICE_ACK, {}, 0, -1002);
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_old_ack), 0);
    peer.send(SLUICE_ACK, {}, 0, -1003);
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_old_ack), 1);
}

Test(bad_segment, two_ends_do_not_answer_each_other_forever)
{
    Established peer;
    for (int i = 0; i < 50; i++)
        peer.send(SLUICE_ACK, {}, -100000);
    cr_assert_leq(peer.sent.size(), 1);
}

Test(bad_segment, overlapping_segments_keep_what_came_first)
{
    Established peer;
    peer.send(SLUICE_ACK, Bytes(100, 'a'), 50);
    peer.send(SLUICE_ACK, Bytes(200, 'b'));
    Bytes expected(200, 'b');
    std::fill(expected.begin() + 50, expected.begin() + 150, 'a');
    cr_assert(peer.socket->read(1000) == expected);
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_duplicate_data), 100);
}

Test(bad_segment, overlap_of_what_was_delivered_changes_nothing)
{
    Established peer;
    peer.send(SLUICE_ACK, Bytes(100, 'a'));
    peer.nxt -= 100;
    peer.send(SLUICE_ACK, Bytes(150, 'b'));
    Bytes expected(150, 'a');
    std::fill(expected.begin() + 100, expected.end(), 'b');
    cr_assert(peer.socket->read(1000) == expected);
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_duplicate_data), 100);
}

// Out of order: two islands, one that overlaps both and the gap, one inside.
Test(bad_segment, overlaps_among_what_waits_keep_what_came_first)
{
    Established peer;
    peer.send(SLUICE_ACK, Bytes(100, 'a'), 100);
    peer.send(SLUICE_ACK, Bytes(100, 'b'), 300);
    peer.send(SLUICE_ACK, Bytes(200, 'c'), 150);
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_duplicate_data), 100);
    peer.send(SLUICE_ACK, Bytes(50, 'd'), 120);
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_duplicate_data), 150);
    peer.send(SLUICE_ACK, Bytes(100, 'e'));
    Bytes expected(100, 'e');
    for (char c : {'a', 'c', 'b'})
        expected.insert(expected.end(), 100, static_cast<uint8_t>(c));
    cr_assert(peer.socket->read(1000) == expected);
}

Test(bad_segment, urgent_pointer_is_harmless)
{
    Established peer;
    peer.send(SLUICE_ACK | SLUICE_URG, pattern(10));
    cr_assert_eq(peer.socket->readable(), 10);
}

Test(bad_segment, failed_delivery_is_not_acknowledged)
{
    Established peer;
    peer.stack.faults.deliver = 1;
    peer.send(SLUICE_ACK, pattern(100));
    cr_assert_eq(peer.socket->readable(), 0);
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_receive_no_memory), 1);
    peer.send(SLUICE_ACK, pattern(100), -100);
    peer.nxt = peer.nxt; // as a retransmission
    cr_assert_eq(peer.socket->readable(), 100);
}

Test(bad_segment, changing_the_algorithm_in_mid_transfer_loses_nothing)
{
    lab::Pair p(4, {.rate = 1e6, .delay = 10000, .loss = 0.02});
    auto [client, server] = p.connected();
    bool reno = false;
    for (int i = 1; i < 20; i++)
        p.sim.after(static_cast<uint64_t>(i) * 100000, [&, c = client] {
            reno = !reno;
            sluice_conn_set_cc(&c->conn, reno ? &sluice_cc_reno : &sluice_cc_cubic, p.sim.now());
        });
    cr_assert(transfer(p, *client, *server, pattern(1000000)));
}
