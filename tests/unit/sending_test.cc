// SPDX-License-Identifier: GPL-2.0
// When small segments wait (Nagle, RFC 9293 3.7.4; CORK, MSG_MORE), sizes, PSH,
// and segmentation offload.
#include <criterion/criterion.h>

#include "lab_test.h"

using namespace sluice;
using namespace sluice::test;

Test(nagle, second_small_segment_waits_for_the_first)
{
    Established peer;
    peer.socket->write(pattern(10));
    peer.socket->write(pattern(20));
    peer.socket->write(pattern(30));
    cr_assert_eq(peer.data_segments(), 1);
    peer.ack();
    cr_assert_eq(peer.data_segments(), 2);
    cr_assert_eq(peer.last().length, 50);
}

Test(nagle, nodelay_sends_at_once)
{
    Established peer;
    peer.socket->set(SLUICE_OPTION_NODELAY, 1);
    peer.socket->write(pattern(10));
    peer.socket->write(pattern(20));
    cr_assert_eq(peer.data_segments(), 2);
}

Test(nagle, full_segments_never_wait)
{
    Established peer;
    peer.socket->write(pattern(10));
    peer.socket->write(pattern(3000));
    cr_assert_eq(peer.data_segments(), 3);
}

Test(cork, holds_until_full_or_released)
{
    Established peer;
    peer.socket->set(SLUICE_OPTION_CORK, 1);
    peer.socket->write(pattern(100));
    cr_assert_eq(peer.data_segments(), 0);
    peer.socket->write(pattern(2000));
    cr_assert_eq(peer.data_segments(), 1);
    cr_assert_eq(peer.last().length, 1460);
    peer.socket->set(SLUICE_OPTION_CORK, 0);
    cr_assert_eq(peer.data_segments(), 2);
    cr_assert_eq(peer.last().length, 640);
}

Test(cork, gives_in_after_200_ms)
{
    Established peer;
    peer.socket->set(SLUICE_OPTION_CORK, 1);
    peer.socket->write(pattern(100));
    peer.run(190000);
    cr_assert_eq(peer.data_segments(), 0);
    peer.run(20000);
    cr_assert_eq(peer.data_segments(), 1);
}

Test(cork, more_holds_until_the_next_write)
{
    Established peer;
    peer.socket->write(pattern(100), true);
    cr_assert_eq(peer.data_segments(), 0);
    peer.socket->write(pattern(100));
    cr_assert_eq(peer.data_segments(), 1);
    cr_assert_eq(peer.last().length, 200);
}

Test(segment_size, follows_the_peers_mss)
{
    Scripted peer;
    peer.mss = 700;
    peer.open_passive();
    peer.socket->write(pattern(2100));
    cr_assert_eq(peer.data_segments(), 3);
    for (const Seen& s : peer.sent)
        cr_assert_eq(s.length, 700);
}

Test(segment_size, leaves_room_for_timestamps_and_sack_blocks)
{
    Scripted peer;
    peer.sack = peer.timestamps = true;
    peer.open_passive();
    peer.send(SLUICE_ACK, pattern(100), 5000);
    peer.sent.clear();
    peer.socket->write(pattern(1460));
    cr_assert_eq(peer.sent[0].length, 1460 - 12 - 12);
    cr_assert_eq(peer.sent[0].sack_count, 1);
}

Test(segment_size, smaller_path_mtu_sends_again_in_smaller_pieces)
{
    lab::Pair p(2, {.delay = 5000});
    auto [client, server] = p.connected();
    p.forth.set.mtu = 1020;
    client->write(pattern(20000));
    p.sim.run_for(20000);
    cr_assert_eq(server->readable(), 0);
    sluice_conn_path_mtu(&client->conn, 1000, p.sim.now());
    cr_assert(p.sim.run_until([&] { return server->readable() == 20000; }, 5 * second));
    cr_assert_eq(p.a.counter(SLUICE_CNT_mtu_reductions), 1);
    cr_assert(server->read(20000) == pattern(20000));
}

Test(segment_size, tiny_mtus_work)
{
    for (uint16_t mtu : {128, 200, 296, 576}) {
        lab::Pair p(mtu);
        p.a.mtu = p.b.mtu = mtu;
        auto [client, server] = p.connected();
        cr_assert(transfer(p, *client, *server, pattern(20000)), "MTU %u", mtu);
    }
}

Test(offload, one_transmission_carries_64_kilobytes)
{
    lab::Pair p;
    auto [client, server] = p.connected();
    transfer(p, *client, *server, pattern(1000000));
    p.sim.run_for(second / 10);
    Connection& c = of(&client->conn);
    client->send_buffer = 1 << 20;
    uint64_t before = p.forth.sent;
    client->write(pattern(60000));
    cr_assert_geq(p.forth.sent - before, 41, "all segments leave in the call of write");
    cr_assert_eq(c.board.size(), 1);
}

Test(push, marks_the_end_of_what_was_written)
{
    Established peer;
    peer.socket->write(pattern(2 * 1460 + 10));
    cr_assert_eq(peer.sent.size(), 3);
    cr_assert_not(peer.sent[0].flags & SLUICE_PSH);
    cr_assert_not(peer.sent[1].flags & SLUICE_PSH);
    cr_assert(peer.sent[2].flags & SLUICE_PSH);
}

Test(slow_start, initial_window_is_ten_segments)
{
    Established peer;
    peer.socket->write(pattern(100000));
    cr_assert_eq(peer.data_segments(), 10);
}

Test(slow_start, begins_again_after_an_idle_time)
{
    lab::Pair p(1, {.delay = 10000});
    auto [client, server] = p.connected();
    transfer(p, *client, *server, pattern(1000000));
    cr_assert_gt(client->info().cwnd, 20 * 1448);
    p.sim.run_for(10 * second);
    client->write(pattern(1000));
    cr_assert_eq(client->info().cwnd, 10 * 1448);
}

static void answer_with_sacks_on(uint16_t mtu, bool timestamps)
{
    Scripted peer([&](lab::Stack& s) { s.mtu = mtu; });
    peer.sack = true;
    peer.timestamps = timestamps;
    peer.open_passive();
    for (int i = 1; i <= 4; i++)
        peer.send(SLUICE_ACK, pattern(10), i * 20);
    peer.sent.clear();
    peer.socket->write(pattern(100));
    cr_assert_gt(peer.data_segments(), 0);
    for (const Seen& s : peer.sent)
        cr_assert_leq(s.header_length + s.length + 20u, mtu);
    if (mtu >= 88)
        cr_assert_gt(peer.last().sack_count, 0);
}

Test(sending, sack_blocks_never_push_a_segment_past_a_tiny_path)
{
    for (uint16_t mtu : {68, 88, 296})
        for (bool timestamps : {false, true})
            answer_with_sacks_on(mtu, timestamps);
}
