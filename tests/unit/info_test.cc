// SPDX-License-Identifier: GPL-2.0
// What a connection tells of itself: where its time went (RFC 4898 SndLimTime),
// and its segments.
#include "in_flight.h"

using namespace sluice;
using namespace sluice::test;

namespace
{

constexpr uint64_t ms = 1000;

void without_probes(lab::Stack& s)
{
    s.config().early_retrans = 0;
}

} // namespace

Test(info, time_with_something_to_send_is_busy)
{
    InFlight peer(true);
    peer.run(30 * ms);
    cr_assert_eq(peer.socket->info().busy_time, peer.rtt + 30 * ms);
    peer.acked(10);
    peer.run(100 * ms);
    cr_assert_eq(peer.socket->info().busy_time, peer.rtt + 30 * ms, "then nothing is to be sent");
    cr_assert_eq(peer.socket->info().rwnd_limited, 0);
    cr_assert_eq(peer.socket->info().sndbuf_limited, 0);
}

Test(info, time_of_the_handshake_is_idle)
{
    Scripted client;
    client.rtt = 40 * ms;
    client.open_active();
    cr_assert_eq(client.socket->info().state, SLUICE_ESTABLISHED);
    cr_assert_eq(client.socket->info().busy_time, 0);
    client.socket->write(pattern(100));
    client.run(10 * ms);
    cr_assert_eq(client.socket->info().busy_time, 10 * ms);
}

Test(info, time_before_a_shut_window_is_its)
{
    Scripted peer;
    peer.window = 2000;
    peer.open_passive();
    peer.run(10 * ms);
    peer.socket->write(pattern(10000));
    peer.window = 0;
    peer.ack();
    peer.run(40 * ms);
    sluice_info i = peer.socket->info();
    cr_assert_geq(i.rwnd_limited, 40 * ms);
    cr_assert_geq(i.busy_time, i.rwnd_limited);
    peer.window = 65535;
    peer.ack();
    uint64_t then = peer.socket->info().rwnd_limited;
    peer.run(40 * ms);
    cr_assert_eq(peer.socket->info().rwnd_limited, then);
}

Test(info, time_with_a_full_send_buffer_all_sent_is_its)
{
    Established peer;
    peer.socket->send_buffer = 4000;
    peer.socket->set(SLUICE_OPTION_NODELAY, 1);
    cr_assert_eq(peer.socket->write(pattern(10000)), 4000);
    peer.run(40 * ms);
    cr_assert_eq(peer.socket->info().sndbuf_limited, 40 * ms);
    peer.ack();
    peer.run(40 * ms);
    cr_assert_eq(peer.socket->info().sndbuf_limited, 40 * ms);
}

Test(info, timeouts_are_counted_and_a_row_is_timed)
{
    InFlight peer(true, 10, without_probes);
    auto timeouts = [&] { return peer.stack.counter(SLUICE_CNT_rto_timeouts); };
    peer.sim.run_until([&] { return timeouts() == 1; }, 10 * second);
    uint64_t begin = peer.sim.now();
    peer.sim.run_until([&] { return timeouts() == 3; }, 10 * second);
    sluice_info i = peer.socket->info();
    cr_assert_eq(i.timeouts, 3);
    cr_assert_eq(i.timeout_rows, 1);
    peer.acked(10);
    uint64_t took = peer.sim.now() - begin;
    peer.run(second);
    i = peer.socket->info();
    cr_assert_eq(i.timeout_time, took);
    cr_assert_eq(i.timeout_rows, 1);
}

Test(info, segments_are_those_that_went)
{
    Scripted peer;
    peer.sack = true;
    peer.open_passive();
    peer.socket->set(SLUICE_OPTION_NODELAY, 1);
    uint32_t first = peer.rcv;
    for (uint32_t i = 0; i < 6; i++)
        peer.socket->write(pattern(100, i));
    cr_assert_eq(peer.data_segments(), 6);
    cr_assert_eq(peer.socket->info().unacked_segs, 6);
    peer.follow = false;
    peer.rcv = first;
    peer.blocks = {{first + 100, first + 300}};
    peer.ack();
    sluice_info i = peer.socket->info();
    cr_assert_eq(i.unacked_segs, 6);
    cr_assert_eq(i.sacked_segs, 2);
    peer.run(second);
    i = peer.socket->info();
    cr_assert_gt(i.retrans_out_segs, 0);
    cr_assert_gt(i.retrans_out, 0);
}

Test(info, segments_out_of_order_are_counted)
{
    Established peer;
    peer.send(SLUICE_ACK, pattern(10), 10);
    peer.send(SLUICE_ACK, pattern(10), 30);
    cr_assert_eq(peer.socket->info().out_of_order, 2);
}

Test(info, a_rate_that_the_application_limits_is_told_so)
{
    InFlight peer(true);
    peer.acked(10);
    cr_assert_gt(peer.socket->info().delivery_rate, 0);
    cr_assert(peer.socket->info().rate_app_limited);
}
