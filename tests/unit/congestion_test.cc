// SPDX-License-Identifier: GPL-2.0
// A connection and its congestion control: begun once, left once, whatever
// happens in between.
#include <criterion/criterion.h>

#include "lab_test.h"

using namespace sluice;
using namespace sluice::test;

namespace
{

int begun, left;

void count_init(sluice_cc*, sluice_usec)
{
    begun++;
}
void count_release(sluice_cc*)
{
    left++;
}

const sluice_cc_ops& counting()
{
    static sluice_cc_ops ops = sluice_cc_reno;
    ops.init = count_init;
    ops.release = count_release;
    begun = left = 0;
    return ops;
}

} // namespace

Test(congestion, algorithm_is_begun_and_left_once)
{
    const sluice_cc_ops& ops = counting();
    {
        Scripted peer([&](lab::Stack& s) { s.cc = &ops; });
        peer.open_active();
        cr_assert_eq(begun, 1);
        peer.socket->abort();
    }
    cr_assert_eq(begun, 1);
    cr_assert_eq(left, 1);
}

Test(congestion, algorithm_never_begun_is_never_left)
{
    const sluice_cc_ops& ops = counting();
    {
        lab::Pair p;
        p.a.cc = &ops;
        p.a.socket();
        p.forth.down = true;
        p.a.socket().connect(80);
    }
    cr_assert_eq(begun, 0);
    cr_assert_eq(left, 0);
}

Test(congestion, change_leaves_the_old_one_in_every_state)
{
    const sluice_cc_ops& ops = counting();
    for (bool over : {false, true}) {
        begun = left = 0;
        Scripted peer([&](lab::Stack& s) { s.cc = &ops; });
        peer.open_active();
        if (over)
            peer.socket->abort();
        sluice_conn_set_cc(&peer.socket->conn, &sluice_cc_cubic, peer.sim.now());
        cr_assert_eq(begun, 1);
        cr_assert_eq(left, 1, "over: %d", over);
    }
    cr_assert_eq(left, 1, "not twice");
}

Test(congestion, change_keeps_the_windows)
{
    lab::Pair p(1, {.rate = 1e6, .delay = 10000, .queue = 30});
    auto [client, server] = p.connected();
    cr_assert(transfer(p, *client, *server, pattern(500000)));
    sluice_info before = client->info();
    cr_assert_neq(before.ssthresh, ~0u);
    sluice_conn_set_cc(&client->conn, &sluice_cc_reno, p.sim.now());
    cr_assert_eq(client->info().cwnd, before.cwnd);
    cr_assert_eq(client->info().ssthresh, before.ssthresh);
    cr_assert(transfer(p, *client, *server, pattern(500000)));
}

Test(congestion, change_before_connecting_is_begun_at_the_handshake)
{
    const sluice_cc_ops& ops = counting();
    Scripted peer;
    peer.nxt = peer.isn;
    peer.socket = &peer.stack.socket();
    sluice_conn_set_cc(&peer.socket->conn, &ops, peer.sim.now());
    cr_assert_eq(begun, 0);
    peer.socket->connect(9);
    peer.rcv = peer.last().seq + 1;
    peer.send(SLUICE_SYN | SLUICE_ACK);
    cr_assert_eq(begun, 1);
}
