// SPDX-License-Identifier: GPL-2.0
// Closing (RFC 9293 3.6, 3.10.4-5, figure 5): every way out.
#include <criterion/criterion.h>
#include <utility>

#include "lab_test.h"

using namespace sluice;
using namespace sluice::test;

static bool passed(const Socket& s, sluice_state from, sluice_state to)
{
    for (auto [f, t] : s.states)
        if (f == from && t == to)
            return true;
    return false;
}

Test(close, active_close_goes_through_fin_wait_and_time_wait)
{
    lab::Pair p;
    auto [client, server] = p.connected();
    client->shutdown();
    p.sim.run_until([&] { return server->fin; }, second);
    server->shutdown();
    p.sim.run_until([&] { return client->closed && server->closed; }, second);
    cr_assert(passed(*client, SLUICE_ESTABLISHED, SLUICE_FIN_WAIT_1));
    cr_assert(passed(*client, SLUICE_FIN_WAIT_1, SLUICE_FIN_WAIT_2));
    cr_assert(client->time_wait && !server->time_wait);
    cr_assert(passed(*server, SLUICE_ESTABLISHED, SLUICE_CLOSE_WAIT));
    cr_assert(passed(*server, SLUICE_CLOSE_WAIT, SLUICE_LAST_ACK));
    cr_assert(passed(*server, SLUICE_LAST_ACK, SLUICE_CLOSED));
    cr_assert_eq(client->error + server->error, 0);
}

Test(close, simultaneous_close_goes_through_closing)
{
    lab::Pair p;
    auto [client, server] = p.connected();
    client->shutdown();
    server->shutdown();
    p.sim.run_until([&] { return client->closed && server->closed; }, second);
    cr_assert(passed(*client, SLUICE_FIN_WAIT_1, SLUICE_CLOSING));
    cr_assert(passed(*server, SLUICE_FIN_WAIT_1, SLUICE_CLOSING));
    cr_assert(client->time_wait && server->time_wait);
}

Test(close, half_closed_end_still_receives)
{
    lab::Pair p;
    auto [client, server] = p.connected();
    client->shutdown();
    p.sim.run_until([&] { return server->fin; }, second);
    cr_assert(transfer(p, *server, *client, pattern(300000)));
    server->shutdown();
    cr_assert(p.sim.run_until([&] { return client->closed && server->closed; }, second));
}

Test(close, pending_output_is_delivered_after_close)
{
    lab::Pair p(1, {.rate = 1e6, .delay = 10000});
    auto [client, server] = p.connected();
    Bytes bytes = pattern(200000);
    cr_assert_eq(client->write(bytes), bytes.size());
    client->close();
    p.sim.run_until([&] { return server->fin; }, 60 * second);
    cr_assert(server->read(1 << 20) == bytes);
}

Test(close, unread_input_at_close_resets_the_peer)
{
    lab::Pair p;
    auto [client, server] = p.connected();
    client->write(pattern(100));
    p.sim.run_until([&] { return server->readable() == 100; }, second);
    server->close();
    p.sim.run_until([&] { return client->closed; }, second);
    cr_assert_eq(client->error, 104);
    cr_assert_eq(p.b.counter(SLUICE_CNT_unread_at_close), 1);
}

Test(close, data_after_close_resets_the_peer)
{
    lab::Pair p;
    auto [client, server] = p.connected();
    server->close();
    p.sim.run_until([&] { return client->fin; }, second);
    client->write(pattern(100));
    p.sim.run_until([&] { return client->closed; }, second);
    cr_assert(client->error == 104 || client->error == 32);
    cr_assert_eq(p.b.counter(SLUICE_CNT_data_after_close), 1);
}

Test(close, lost_last_ack_is_repeated_from_time_wait)
{
    lab::Pair p;
    auto [client, server] = p.connected();
    client->shutdown();
    p.sim.run_until([&] { return server->fin; }, second);
    bool armed = true;
    p.forth.drop = [&](const Packet&) { return std::exchange(armed, false); };
    server->shutdown();
    cr_assert(p.sim.run_until([&] { return server->closed; }, 10 * second));
    cr_assert_eq(server->error, 0);
    cr_assert_geq(p.b.counter(SLUICE_CNT_rto_timeouts) + p.b.counter(SLUICE_CNT_retrans_segs), 1);
}

Test(close, time_wait_lasts_2msl_and_a_repeated_fin_restarts_it)
{
    lab::Pair p;
    p.a.config().time_wait = 10 * second;
    auto [client, server] = p.connected();
    client->shutdown();
    p.sim.run_until([&] { return server->fin; }, second);
    int losses = 0;
    uint64_t until = p.sim.now() + 3 * second;
    p.forth.drop = [&](const Packet&) { return p.sim.now() < until && ++losses; };
    server->shutdown();
    p.sim.run_until([&] { return server->closed; }, 20 * second);
    cr_assert_gt(losses, 1);
    uint64_t last = p.sim.now();
    cr_assert(p.sim.run_until([&] { return p.a.time_waits.empty(); }, 30 * second));
    cr_assert_geq(p.sim.now() - last, 9 * second);
    cr_assert_leq(p.sim.now() - last, 10 * second + 10000);
}

Test(close, newer_syn_reuses_a_time_wait_pair)
{
    lab::Pair p;
    Socket& listener = p.a.socket();
    listener.listen(80);
    Socket& client = p.b.socket();
    p.b.next_port = 5000;
    client.connect(80);
    Socket* server = nullptr;
    p.sim.run_until([&] { return (server = listener.accept()) != nullptr; }, second);
    server->shutdown();
    p.sim.run_until([&] { return client.fin; }, second);
    client.shutdown();
    p.sim.run_until([&] { return server->closed && client.closed; }, second);
    cr_assert_eq(p.a.time_waits.size(), 1);
    Socket& again = p.b.socket();
    p.b.next_port = 5000;
    again.connect(80);
    cr_assert(p.sim.run_until([&] { return again.connected; }, 5 * second));
    cr_assert_eq(p.a.counter(SLUICE_CNT_time_wait_reused), 1);
}

Test(close, fin_wait_2_without_a_socket_ends)
{
    lab::Pair p;
    p.a.config().fin_timeout = 5 * second;
    auto [client, server] = p.connected();
    client->close();
    p.sim.run_until([&] { return client->state() == SLUICE_FIN_WAIT_2; }, second);
    uint64_t begin = p.sim.now();
    cr_assert(p.sim.run_until([&] { return client->closed; }, 20 * second));
    cr_assert_geq(p.sim.now() - begin, 4900000);
    cr_assert_eq(p.a.counter(SLUICE_CNT_fin_wait_2_timeouts), 1);
}

Test(close, fin_wait_2_with_a_socket_stays)
{
    lab::Pair p;
    p.a.config().fin_timeout = 5 * second;
    auto [client, server] = p.connected();
    client->shutdown();
    p.sim.run_for(100 * second);
    cr_assert_eq(client->state(), SLUICE_FIN_WAIT_2);
}

Test(close, orphan_that_nobody_answers_is_given_up)
{
    lab::Pair p;
    auto [client, server] = p.connected();
    p.forth.set.loss = p.back.set.loss = 1;
    client->write(pattern(1000));
    client->close();
    cr_assert(p.sim.run_until([&] { return client->closed; }, 300 * second));
    cr_assert_eq(p.a.counter(SLUICE_CNT_give_ups), 1);
}

// By the time that so many timeouts take elsewhere, as with a socket.
Test(close, low_least_timeout_gives_an_orphan_up_no_sooner)
{
    lab::Pair p;
    p.a.config().rto_min = 1000;
    auto [client, server] = p.connected();
    p.forth.set.loss = p.back.set.loss = 1;
    client->write(pattern(1000));
    client->close();
    uint64_t begin = p.sim.now();
    cr_assert(p.sim.run_until([&] { return client->closed; }, 300 * second));
    uint64_t took = (p.sim.now() - begin) / second;
    cr_assert(took >= 102 && took <= 205, "gave up after %lu s", took);
}

Test(close, abort_resets)
{
    lab::Pair p;
    auto [client, server] = p.connected();
    client->abort();
    p.sim.run_until([&] { return server->closed; }, second);
    cr_assert_eq(server->error, 104);
    cr_assert_eq(client->error, 0);
}

Test(close, reset_in_close_wait_is_a_broken_pipe)
{
    Established peer;
    peer.send(SLUICE_FIN | SLUICE_ACK);
    cr_assert_eq(peer.socket->state(), SLUICE_CLOSE_WAIT);
    peer.send(SLUICE_RST);
    cr_assert_eq(peer.socket->error, 32);
}

Test(close, fin_carries_the_last_data)
{
    Established peer;
    peer.socket->write(pattern(100));
    peer.ack();
    peer.sent.clear();
    peer.window = 0;
    peer.ack();
    peer.socket->write(pattern(50));
    peer.socket->shutdown();
    peer.window = 1000;
    peer.ack();
    cr_assert_eq(peer.last().length, 50);
    cr_assert(peer.last().flags & SLUICE_FIN);
}

Test(close, data_and_fin_before_it_in_one_segment_are_both_taken)
{
    Established peer;
    peer.send(SLUICE_FIN | SLUICE_ACK, pattern(10));
    cr_assert_eq(peer.socket->readable(), 10);
    cr_assert(peer.socket->fin);
    peer.run(second / 10);
    cr_assert_eq(peer.last().ack, peer.nxt);
}

namespace
{
// Closed by its application with output that the peer's window holds back.
void orphan_before_a_closed_window(Scripted& peer)
{
    peer.open_passive();
    peer.window = 0;
    peer.ack();
    peer.socket->write(pattern(100));
    peer.socket->close();
}
} // namespace

// Nobody could be told of it, and the peer could keep it alive for ever.
Test(close, orphan_before_a_window_that_stays_closed_is_given_up)
{
    Scripted peer([](lab::Stack& s) { s.config().rto_max = 10 * second; });
    orphan_before_a_closed_window(peer);
    for (int i = 0; i < 1000 && !peer.socket->closed; i++) {
        size_t before = peer.sent.size();
        peer.run(second);
        if (peer.sent.size() > before)
            peer.ack();
    }
    cr_assert(peer.socket->closed);
    cr_assert_gt(peer.stack.counter(SLUICE_CNT_window_probes), 7, "not at once");
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_probe_give_ups), 1);
}

Test(close, orphan_before_a_window_that_opens_delivers)
{
    Scripted peer;
    orphan_before_a_closed_window(peer);
    for (int i = 0; i < 20; i++) {
        peer.run(second);
        peer.ack();
    }
    peer.window = 1000;
    peer.ack();
    cr_assert_eq(peer.last().length, 100);
    cr_assert(peer.last().flags & SLUICE_FIN);
}
