// SPDX-License-Identifier: GPL-2.0
// Flow control: the advertised window, scaling, zero-window probes, and the
// silly window syndrome on both sides (RFC 9293 3.8.6, RFC 7323 2).
#include <criterion/criterion.h>

#include "lab_test.h"

using namespace sluice;
using namespace sluice::test;

Test(window, sender_stops_at_the_peers_window)
{
    Scripted peer;
    peer.window = 3000;
    peer.open_passive();
    peer.socket->write(pattern(10000));
    uint32_t bytes = 0;
    for (const Seen& s : peer.sent)
        bytes += s.length;
    cr_assert_leq(bytes, 3000);
    cr_assert_geq(bytes, 2 * 1460);
}

Test(window, is_scaled)
{
    Scripted peer([](lab::Stack& s) { s.config().initial_window = 1000; });
    peer.wscale = 4;
    peer.window = 1000;
    peer.open_passive();
    peer.window = 10000;
    peer.ack();
    peer.socket->write(pattern(200000));
    uint32_t bytes = 0;
    for (const Seen& s : peer.sent)
        bytes += s.length;
    cr_assert_gt(bytes, 65535);
    cr_assert_leq(bytes, 160000);
}

Test(window, closes_when_nobody_reads_and_opens_when_somebody_does)
{
    lab::Pair p;
    lab::Socket& listener = p.b.socket();
    listener.receive_buffer = 20000; // before anything is promised
    listener.listen(80);
    lab::Socket* client = &p.a.socket();
    client->connect(80);
    p.sim.run_for(second);
    lab::Socket* server = listener.accept();
    Bytes bytes = pattern(100000);
    client->write(Bytes(bytes.begin(), bytes.begin() + 10000));
    p.sim.run_for(second);
    cr_assert_not(sluice_conn_window_used(&server->conn));
    client->write(Bytes(bytes.begin() + 10000, bytes.end()));
    p.sim.run_for(3 * second);
    cr_assert(sluice_conn_window_used(&server->conn));
    cr_assert_eq(client->info().snd_wnd, 0);
    cr_assert_geq(p.b.counter(SLUICE_CNT_zero_windows_sent), 1);
    // Each window told is rounded up to the scale's unit, so that it never shrinks.
    cr_assert_leq(server->readable(), 20000 + 15 * 128);
    cr_assert_gt(server->readable(), 20000 - 1460);
    Bytes all = server->read(1 << 20);
    p.sim.run_until(
        [&] {
            Bytes part = server->read(1 << 20);
            all.insert(all.end(), part.begin(), part.end());
            return all.size() == 100000;
        },
        10 * second);
    cr_assert(all == bytes);
}

Test(window, probes_go_on_as_long_as_the_peer_answers)
{
    Established peer([](lab::Stack& s) { s.config().rto_max = 5 * second; });
    peer.window = 0;
    peer.ack();
    peer.socket->write(pattern(5000));
    cr_assert_eq(peer.data_segments(), 0);
    for (int i = 0; i < 400; i++) {
        peer.run(5 * second);
        peer.ack();
    }
    cr_assert_neq(peer.socket->state(), SLUICE_CLOSED);
    cr_assert_gt(peer.stack.counter(SLUICE_CNT_window_probes), 100);
    peer.window = 65535;
    peer.ack();
    cr_assert_geq(peer.data_segments(), 3);
}

Test(window, unanswered_probes_give_up)
{
    Established peer;
    peer.window = 0;
    peer.ack();
    peer.socket->write(pattern(5000));
    cr_assert(peer.sim.run_until([&] { return peer.socket->closed; }, 3000 * second));
    cr_assert_eq(peer.socket->error, 110);
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_probe_give_ups), 1);
}

// tcp_retries2, and of an orphan tcp_orphan_retries.
Test(window, unanswered_probes_are_as_many_as_told)
{
    for (bool orphan : {false, true}) {
        Established peer([](lab::Stack& s) {
            s.config().retries2 = 5;
            s.config().orphan_retries = 3;
            s.config().rto_max = second;
        });
        peer.window = 0;
        peer.ack();
        peer.socket->write(pattern(5000));
        if (orphan)
            peer.socket->close();
        peer.run(100 * second);
        cr_assert_eq(peer.stack.counter(SLUICE_CNT_probe_give_ups), 1);
        cr_assert_eq(peer.stack.counter(SLUICE_CNT_window_probes), orphan ? 3 : 5);
    }
}

namespace
{

// Microseconds until the machine gives up, while each of its segments is answered.
uint64_t answered_until_closed(Scripted& peer)
{
    uint64_t begin = peer.sim.now();
    peer.sent.clear();
    while (!peer.socket->closed && peer.sim.now() - begin < 100 * second) {
        peer.run(10000);
        if (peer.socket->closed || peer.sent.empty())
            continue;
        peer.ack();
        peer.sent.clear();
    }
    return peer.sim.now() - begin;
}

} // namespace

// tcp(7), TCP_USER_TIMEOUT: that the peer answers doesn't count while its window is closed.
Test(window, user_timeout_ends_a_closed_window_that_is_answered)
{
    Established peer;
    peer.socket->set(SLUICE_OPTION_USER_TIMEOUT, 10 * second);
    peer.window = 0;
    peer.ack();
    peer.socket->write(pattern(5000));
    uint64_t took = answered_until_closed(peer);
    cr_assert(took >= 10 * second && took < 11 * second, "%lu us", took);
    cr_assert_eq(peer.socket->error, 110);
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_probe_give_ups), 1);
}

Test(window, user_timeout_ends_a_window_that_shrank_under_data)
{
    Established peer;
    peer.socket->set(SLUICE_OPTION_USER_TIMEOUT, 10 * second);
    peer.socket->write(pattern(5000));
    peer.rcv -= 5000;
    peer.follow = false;
    peer.window = 0;
    peer.ack();
    uint64_t took = answered_until_closed(peer);
    cr_assert(took >= 10 * second && took < 11 * second, "%lu us", took);
    cr_assert_eq(peer.socket->error, 110);
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_give_ups), 1);
}

Test(window, user_timeout_begins_anew_when_the_window_opens)
{
    Established peer;
    peer.socket->set(SLUICE_OPTION_USER_TIMEOUT, 10 * second);
    peer.socket->write(pattern(100000));
    for (int i = 0; i < 10; i++) {
        peer.window = 0;
        peer.ack();
        peer.run(2 * second);
        peer.window = 1000;
        peer.ack();
        peer.run(second);
        peer.ack();
    }
    cr_assert_geq(peer.stack.counter(SLUICE_CNT_window_probes), 10);
    cr_assert_neq(peer.socket->state(), SLUICE_CLOSED);
}

namespace
{

int resumptions;
sluice_usec idle_told;

void count_resumed(sluice_cc*, sluice_usec idle, sluice_usec)
{
    resumptions++;
    idle_told = idle;
}

// Idle for ten seconds, then `written` bytes are, while the window is `window`.
struct Idle : Scripted {
    explicit Idle(uint16_t window_now, size_t written) : Scripted(configured)
    {
        rtt = 20000;
        open_passive();
        socket->write(pattern(1460));
        run(rtt);
        window = window_now;
        ack();
        run(10 * second);
        resumptions = 0;
        sent.clear();
        socket->write(pattern(written));
    }
    static void configured(lab::Stack& s)
    {
        static sluice_cc_ops ops = sluice_cc_cubic;
        ops.resumed = count_resumed;
        s.cc = &ops;
    }
};

} // namespace

Test(window, congestion_control_hears_once_that_sending_resumes)
{
    Idle peer(0, 30000);
    for (int i = 0; i < 6; i++) {
        size_t before = peer.sent.size();
        cr_assert(peer.sim.run_until([&] { return peer.sent.size() > before; }, 20 * second));
        peer.ack();
    }
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_window_probes), 6);
    cr_assert_eq(resumptions, 0, "nothing has left");
    uint64_t begin = peer.sim.now();
    peer.window = 65535;
    peer.ack();
    cr_assert_eq(peer.data_segments(), 10, "RFC 5681 4.1: the initial window");
    cr_assert_eq(resumptions, 1);
    cr_assert_geq(idle_told, 10 * second);
    cr_assert_leq(idle_told, begin);
    peer.run(peer.rtt);
    peer.ack();
    cr_assert_eq(resumptions, 1);
}

Test(window, silly_window_after_idle_is_a_resumption_too)
{
    Idle peer(500, 5000);
    cr_assert_eq(resumptions, 0);
    cr_assert(peer.sim.run_until([&] { return peer.data_segments() > 0; }, 20 * second));
    cr_assert_eq(peer.last().length, 500);
    cr_assert_eq(resumptions, 1);
}

Test(window, corked_data_resume_when_they_leave)
{
    Idle peer(65535, 0);
    peer.socket->set(SLUICE_OPTION_CORK, 1);
    peer.socket->write(pattern(1000));
    cr_assert_eq(peer.data_segments(), 0);
    cr_assert_eq(resumptions, 0);
    peer.socket->set(SLUICE_OPTION_CORK, 0);
    cr_assert_eq(peer.data_segments(), 1);
    cr_assert_eq(resumptions, 1);
}

Test(window, fin_waits_for_data_that_the_window_after_idle_holds_back)
{
    Idle peer(0, 12 * 1460);
    of(&peer.socket->conn).cc.cwnd = 40 * 1460;
    peer.socket->shutdown();
    peer.sent.clear();
    peer.window = 65535;
    peer.ack();
    cr_assert_eq(peer.data_segments(), 10);
    cr_assert_not(peer.last().flags & SLUICE_FIN);
    peer.run(peer.rtt);
    peer.ack();
    cr_assert_eq(peer.data_segments(), 12);
    cr_assert(peer.last().flags & SLUICE_FIN);
}

Test(window, small_opening_is_not_advertised)
{
    Established peer;
    peer.socket->receive_buffer = 10000;
    for (int i = 0; i < 200 && peer.nxt - peer.isn < 300000; i++) {
        uint32_t room = of(&peer.socket->conn).receive_window();
        if (!room)
            break;
        peer.send(SLUICE_ACK, pattern(std::min(room, 1000u)));
    }
    cr_assert_eq(of(&peer.socket->conn).receive_window(), 0);
    peer.run(second);
    size_t before = peer.sent.size();
    while (peer.socket->readable() > 9900)
        peer.socket->read(peer.socket->readable() - 9900);
    peer.socket->read(100);
    cr_assert_eq(peer.sent.size(), before, "100 bytes are not worth a segment");
    peer.socket->read(5000);
    cr_assert_eq(peer.sent.size(), before + 1);
    cr_assert_geq(peer.last().window, 1000);
}

Test(window, small_opening_is_not_used_at_once)
{
    Established peer;
    peer.window = 0;
    peer.ack();
    peer.socket->write(pattern(5000));
    peer.window = 10;
    peer.ack();
    cr_assert_eq(peer.data_segments(), 0);
    peer.run(10 * second);
    cr_assert_geq(peer.data_segments(), 1, "after a while it is");
}

Test(window, right_edge_never_moves_left)
{
    lab::Pair p(9, {.rate = 2e6, .delay = 5000});
    uint32_t edge = 0;
    bool first = true, shrunk = false;
    p.back.observer = [&](const Packet& packet) {
        Seen s = parse(packet);
        if (s.flags & SLUICE_SYN || !(s.flags & SLUICE_ACK))
            return;
        uint32_t scale =
            p.b.connections.empty() ? 0 : p.b.connections.begin()->second->info().rcv_wscale;
        uint32_t now = s.ack + (s.window << scale);
        if (!first && static_cast<int32_t>(now - edge) < 0)
            shrunk = true;
        edge = now;
        first = false;
    };
    auto [client, server] = p.connected();
    server->receive_buffer = 30000;
    size_t sent = 0, got = 0;
    Bytes bytes = pattern(400000);
    // The reader keeps its own time: read only when something happens, it would
    // wait for window probes, and those for each other longer and longer.
    std::function<void()> bite = [&] {
        got += server->read(p.sim.below(3000)).size();
        if (got < bytes.size())
            p.sim.after(p.sim.below(10000), bite);
    };
    bite();
    p.sim.run_until(
        [&] {
            if (sent < bytes.size()) {
                Bytes rest(bytes.begin() + static_cast<long>(sent), bytes.end());
                sent += client->write(rest);
            }
            return got == bytes.size();
        },
        600 * second);
    cr_assert_eq(got, bytes.size());
    cr_assert_not(shrunk);
}

Test(window, bytes_beyond_it_are_dropped_and_counted)
{
    Established peer;
    uint32_t room = of(&peer.socket->conn).receive_window();
    peer.send(SLUICE_ACK, pattern(1000), static_cast<int32_t>(room) - 400);
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_beyond_window), 600);
    cr_assert_eq(peer.socket->info().held, 400);
}

Test(window, receive_buffer_grows_with_what_is_read)
{
    lab::Pair p(1, {.rate = 12500000, .delay = 20000});
    auto [client, server] = p.connected();
    client->send_buffer = server->receive_buffer = 4 << 20;
    cr_assert(transfer(p, *client, *server, pattern(20000000)));
    cr_assert_gt(server->wanted_receive_buffer, 2 * 400000);
    cr_assert_gt(client->wanted_send_buffer, 400000);
}

static void receiver_learns_the_round_trip(bool timestamps, size_t size)
{
    lab::Pair p(1, {.rate = 1e9, .delay = 20000});
    p.a.config().timestamps = timestamps;
    auto [client, server] = p.connected();
    client->send_buffer = server->receive_buffer = 4 << 20;
    cr_assert(transfer(p, *client, *server, pattern(size)));
    uint32_t measured = server->info().rcv_rtt;
    cr_assert_geq(measured, 39000);
    cr_assert_leq(measured, 50000);
}

Test(window, receiver_learns_the_round_trip_by_echoes)
{
    receiver_learns_the_round_trip(true, 2000000); // less than a window
}

Test(window, receiver_learns_the_round_trip_by_windows)
{
    receiver_learns_the_round_trip(false, 20000000);
}

// In slow start the window doubles each round trip: room comes a round trip earlier.
Test(window, receive_buffer_does_not_hold_slow_start_up)
{
    lab::Pair p(1, {.delay = 20000});
    auto [client, server] = p.connected();
    client->send_buffer = 4 << 20;
    server->receive_buffer = 4 << 20;
    cr_assert(transfer(p, *client, *server, pattern(1000000)));
    cr_assert_gt(server->wanted_receive_buffer, 4 * 1000000);
}

Test(window, receive_buffer_stays_as_it_is_when_told_to)
{
    lab::Pair p(1, {.rate = 12500000, .delay = 20000});
    p.b.config().moderate_rcvbuf = 0;
    auto [client, server] = p.connected();
    uint32_t before = server->wanted_receive_buffer;
    cr_assert(transfer(p, *client, *server, pattern(5000000)));
    cr_assert_eq(server->wanted_receive_buffer, before);
}

Test(window, opens_though_the_buffer_is_smaller_than_its_unit)
{
    lab::Pair p;
    auto [client, server] = p.connected();
    cr_assert_gt(1u << server->info().rcv_wscale, 100);
    server->set(SLUICE_OPTION_WINDOW_CLAMP, 100);
    cr_assert(transfer(p, *client, *server, pattern(200000), 600 * second));
}
