// SPDX-License-Identifier: GPL-2.0
// Buffers: each socket's own pair, there from the beginning; backpressure on
// the writer; what is held out of order may be dropped under memory pressure.
#include <criterion/criterion.h>

#include "lab_test.h"

using namespace sluice;
using namespace sluice::test;

Test(buffer, each_socket_has_its_own_pair)
{
    lab::Pair p;
    auto [c1, s1] = p.connected(80);
    auto [c2, s2] = p.connected(81);
    Bytes one = pattern(5000, 1), two = pattern(7000, 2);
    c1->write(one);
    c2->write(two);
    p.sim.run_for(second);
    cr_assert(s1->read(1 << 20) == one);
    cr_assert(s2->read(1 << 20) == two);
}

Test(buffer, full_one_takes_no_more_and_says_when_it_does_again)
{
    Scripted peer;
    peer.open_active();
    peer.socket->send_buffer = 20000;
    cr_assert_eq(peer.socket->write(pattern(30000)), 20000);
    cr_assert_eq(peer.socket->write(pattern(1)), 0);
    peer.socket->events = 0;
    peer.ack();
    cr_assert(peer.socket->events & SLUICE_EV_WRITABLE);
    cr_assert_gt(peer.socket->send_room(), 10000);
}

Test(buffer, partial_acknowledgment_frees_as_much)
{
    Scripted peer;
    peer.open_active();
    peer.socket->write(pattern(5 * 1460));
    peer.send(SLUICE_ACK, {}, 0, -(2 * 1460 + 7));
    cr_assert_eq(peer.socket->sent_bytes.size(), 2 * 1460 + 7);
    cr_assert_eq(sluice_conn_unacked(&peer.socket->conn), 2 * 1460 + 7);
}

Test(buffer, arrival_in_order_is_readable_and_what_waits_behind_it_too)
{
    Scripted peer;
    peer.open_active();
    Bytes all = pattern(3000);
    peer.send(SLUICE_ACK, Bytes(all.begin() + 2000, all.end()), 2000);
    peer.send(SLUICE_ACK, Bytes(all.begin() + 1000, all.begin() + 2000), 1000);
    cr_assert_eq(peer.socket->readable(), 0);
    peer.socket->events = 0;
    peer.send(SLUICE_ACK, Bytes(all.begin(), all.begin() + 1000));
    cr_assert(peer.socket->events & SLUICE_EV_READABLE);
    cr_assert(peer.socket->read(1 << 20) == all);
    cr_assert_eq(peer.last().ack, peer.nxt + 2000);
}

Test(buffer, held_bytes_dropped_under_pressure_come_again)
{
    lab::Pair p(3, {.rate = 1e6, .delay = 10000, .loss = 0.05});
    auto [client, server] = p.connected();
    std::function<void()> press = [&] {
        sluice_conn_drop_held(&server->conn);
        p.sim.after(30000, press);
    };
    press();
    cr_assert(transfer(p, *client, *server, pattern(500000)));
    cr_assert_gt(p.b.counter(SLUICE_CNT_held_dropped), 0);
}

Test(buffer, fin_that_was_held_comes_again_after_the_drop)
{
    Scripted peer;
    peer.open_active();
    peer.send(SLUICE_ACK | SLUICE_FIN, pattern(100), 100);
    sluice_conn_drop_held(&peer.socket->conn);
    peer.send(SLUICE_ACK, pattern(100));
    cr_assert_not(peer.socket->fin);
    peer.send(SLUICE_ACK | SLUICE_FIN, pattern(100));
    cr_assert(peer.socket->fin);
    cr_assert_eq(peer.socket->readable(), 200);
}

Test(buffer, no_memory_for_the_scoreboard_stops_nothing_for_good)
{
    lab::Pair p(5, {.rate = 1e6, .delay = 10000, .loss = 0.03});
    p.a.faults.resize_chance = p.b.faults.resize_chance = 0.5;
    auto [client, server] = p.connected();
    cr_assert(transfer(p, *client, *server, pattern(300000)));
    cr_assert_geq(p.a.counter(SLUICE_CNT_scoreboard_no_memory), 1);
}

Test(buffer, everything_lent_is_given_back)
{
    lab::Pair p(6, {.rate = 1e6, .delay = 10000, .loss = 0.03});
    auto [client, server] = p.connected();
    cr_assert(transfer(p, *client, *server, pattern(300000)));
    client->close();
    server->close();
    cr_assert(p.sim.run_until([&] { return client->closed && server->closed; }, 100 * second));
    cr_assert_eq(p.a.memory.size() + p.b.memory.size(), 0);
}
