// SPDX-License-Identifier: GPL-2.0
// ICMP errors (RFC 9293 3.9.2.2, RFC 5927): who is believed, and what follows;
// the path's MTU as it changes.
#include <criterion/criterion.h>

#include "lab_test.h"

using namespace sluice;
using namespace sluice::test;

namespace
{
constexpr int host_unreachable = 113, refused = 111;

void icmp(Scripted& peer, int error, bool hard)
{
    sluice_conn_icmp(&peer.socket->conn, error, hard, peer.sim.now());
}
} // namespace

Test(icmp, hard_error_ends_a_connection_that_is_being_opened)
{
    Scripted peer;
    peer.begin_active();
    icmp(peer, refused, true);
    cr_assert_eq(peer.socket->state(), SLUICE_CLOSED);
    cr_assert_eq(peer.socket->error, refused);
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_attempt_fails), 1);
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_icmp_errors), 1);
}

Test(icmp, soft_error_lets_the_opening_go_on)
{
    Scripted peer;
    peer.begin_active();
    icmp(peer, host_unreachable, false);
    cr_assert_eq(peer.socket->state(), SLUICE_SYN_SENT);
    cr_assert_eq(peer.socket->soft_error, host_unreachable);
    peer.send(SLUICE_SYN | SLUICE_ACK);
    cr_assert_eq(peer.socket->state(), SLUICE_ESTABLISHED);
    cr_assert_eq(peer.socket->error, 0);
}

Test(icmp, hard_error_does_not_end_an_established_connection)
{
    Scripted peer;
    peer.open_active();
    icmp(peer, refused, true);
    cr_assert_eq(peer.socket->state(), SLUICE_ESTABLISHED);
    cr_assert_eq(peer.socket->error, 0);
    cr_assert_eq(peer.socket->soft_error, refused);
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_icmp_errors), 1);
}

Test(icmp, only_what_is_in_flight_is_believed)
{
    Scripted peer;
    peer.open_active();
    peer.socket->write(pattern(1000));
    uint32_t nxt = of(&peer.socket->conn).snd.nxt.value();
    const sluice_conn* c = &peer.socket->conn;
    cr_assert(sluice_conn_in_flight(c, nxt - 1000));
    cr_assert(sluice_conn_in_flight(c, nxt - 1));
    cr_assert_not(sluice_conn_in_flight(c, nxt - 1001));
    cr_assert_not(sluice_conn_in_flight(c, nxt + 1));
    cr_assert_not(sluice_conn_in_flight(c, nxt + 0x80000000u));
    peer.socket->abort();
    cr_assert_not(sluice_conn_in_flight(c, nxt - 1));
}

Test(path_mtu, larger_one_is_used_for_what_is_sent_next)
{
    Scripted peer;
    peer.mss = 8960;
    peer.open_active();
    peer.socket->write(pattern(1460));
    peer.ack();
    sluice_conn_path_mtu(&peer.socket->conn, 4000, peer.sim.now());
    peer.socket->write(pattern(4000));
    cr_assert_eq(peer.last().length, 4000);
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_mtu_reductions), 0);
}

Test(path_mtu, never_falls_below_28_bytes_of_payload)
{
    Scripted peer;
    peer.open_active();
    sluice_conn_path_mtu(&peer.socket->conn, 1, peer.sim.now());
    peer.socket->write(pattern(280));
    cr_assert_eq(peer.data_segments(), 10);
}

// IP options alone may be larger than a link takes.
Test(path_mtu, of_nothing_at_all_lets_a_connection_begin_and_end)
{
    for (uint16_t mtu : {40, 52, 60}) {
        for (bool timestamps : {false, true}) {
            for (bool active : {false, true}) {
                Scripted peer([&](lab::Stack& stack) {
                    stack.mtu = mtu;
                    stack.gso_max = 0;
                });
                peer.timestamps = timestamps;
                if (active)
                    peer.open_active();
                else
                    peer.open_passive();
                uint32_t payload = timestamps ? 16 : 28;
                cr_assert_eq(peer.socket->info().snd_mss, payload, "MTU %u", mtu);
                peer.socket->write(pattern(10 * payload));
                cr_assert_eq(peer.data_segments(), 10);
                cr_assert_eq(peer.last().length, payload);
                peer.ack();
                peer.socket->close();
                cr_assert(peer.last().flags & SLUICE_FIN);
            }
        }
    }
}

Test(path_mtu, smaller_one_is_no_congestion)
{
    Scripted peer;
    peer.rtt = 10000;
    peer.open_active();
    peer.socket->write(pattern(10 * 1460));
    uint32_t cwnd = peer.socket->info().cwnd, ssthresh = peer.socket->info().ssthresh;
    sluice_conn_path_mtu(&peer.socket->conn, 500, peer.sim.now());
    cr_assert_eq(peer.socket->info().cwnd, cwnd);
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_mtu_reductions), 1);
    for (int i = 0; i < 100 && peer.socket->info().unacked; i++) {
        peer.run(1000);
        peer.ack();
    }
    cr_assert_eq(peer.socket->info().unacked, 0);
    cr_assert_geq(peer.socket->info().cwnd, cwnd);
    cr_assert_eq(peer.socket->info().ssthresh, ssthresh);
    for (size_t i = 10; i < peer.sent.size(); i++)
        cr_assert_leq(peer.sent[i].length, 500);
}
