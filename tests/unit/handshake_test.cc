// SPDX-License-Identifier: GPL-2.0
// Opening (RFC 9293 3.5, 3.10.7.2-4).
#include <criterion/criterion.h>

#include "lab_test.h"

using namespace sluice;
using namespace sluice::test;

Test(handshake, both_ends_reach_established)
{
    lab::Pair p;
    auto [client, server] = p.connected();
    cr_assert(server);
    cr_assert_eq(client->state(), SLUICE_ESTABLISHED);
    cr_assert_eq(server->state(), SLUICE_ESTABLISHED);
    cr_assert_eq(client->states.front().second, SLUICE_SYN_SENT);
    cr_assert_eq(server->states.front().second, SLUICE_SYN_RECEIVED);
}

// TCP_DEFER_ACCEPT of a client
Test(handshake, who_sends_soon_acknowledges_with_data)
{
    for (bool writes : {true, false}) {
        lab::Pair p;
        Socket& listener = p.b.socket();
        listener.listen(80);
        std::vector<Seen> sent;
        p.forth.observer = [&](const Packet& packet) { sent.push_back(parse(packet)); };
        Socket& client = p.a.socket();
        client.set(SLUICE_OPTION_DEFER_ACCEPT, 3);
        client.connect(80);
        p.sim.run_until([&] { return client.connected; }, second);
        p.sim.run_for(150000);
        cr_assert_eq(sent.size(), 1, "the SYN alone");
        if (writes)
            client.write(pattern(100));
        else
            p.sim.run_for(60000);
        cr_assert_eq(sent.size(), 2);
        cr_assert_eq(sent[1].data.size(), writes ? 100 : 0);
        p.sim.run_for(10000);
        cr_assert(listener.accept());
    }
}

Test(handshake, options_are_agreed_upon)
{
    lab::Pair p;
    auto [client, server] = p.connected();
    for (Socket* s : {client, server}) {
        sluice_info i = s->info();
        cr_assert_eq(i.options, SLUICE_OPT_TIMESTAMPS | SLUICE_OPT_SACK | SLUICE_OPT_WSCALE);
        cr_assert_eq(i.snd_mss, 1448);
        cr_assert_eq(i.snd_wscale, i.rcv_wscale);
    }
}

Test(handshake, an_option_one_end_lacks_is_off_at_both)
{
    lab::Pair p;
    p.b.config().timestamps = 0;
    p.b.config().window_scaling = 0;
    p.b.config().sack = 0;
    auto [client, server] = p.connected();
    for (Socket* s : {client, server}) {
        cr_assert_eq(s->info().options, 0);
        cr_assert_eq(s->info().snd_mss, 1460);
        cr_assert_eq(s->info().snd_wscale, 0);
        cr_assert_eq(s->info().rcv_wscale, 0);
    }
    cr_assert(transfer(p, *client, *server, pattern(200000)));
}

Test(handshake, lost_syn_is_sent_again_after_a_second)
{
    lab::Pair p;
    int n = 0;
    p.forth.drop = [&](const Packet&) { return n++ == 0; };
    uint64_t begin = p.sim.now();
    auto [client, server] = p.connected();
    cr_assert(server);
    cr_assert_geq(p.sim.now() - begin, 1000000);
    cr_assert_lt(p.sim.now() - begin, 1100000);
    cr_assert_eq(p.a.counter(SLUICE_CNT_syn_retrans), 1);
}

Test(handshake, lost_syn_ack_is_sent_again)
{
    lab::Pair p;
    int n = 0;
    p.back.drop = [&](const Packet&) { return n++ == 0; };
    auto [client, server] = p.connected();
    cr_assert(client->connected && server);
}

Test(handshake, lost_last_ack_is_made_good_by_data)
{
    lab::Pair p;
    int n = 0;
    p.forth.drop = [&](const Packet&) { return n++ == 1; };
    Socket& listener = p.b.socket();
    listener.listen(80);
    Socket& client = p.a.socket();
    client.connect(80);
    p.sim.run_until([&] { return client.connected; }, second);
    client.write(pattern(10));
    Socket* server = nullptr;
    cr_assert(p.sim.run_until([&] { return (server = listener.accept()) != nullptr; }, 5 * second));
    cr_assert(p.sim.run_until([&] { return server->readable() == 10; }, 5 * second));
}

Test(handshake, connect_gives_up_after_syn_retries)
{
    lab::Pair p;
    p.forth.set.loss = 1;
    Socket& client = p.a.socket();
    uint64_t begin = p.sim.now();
    client.connect(80);
    p.sim.run_until([&] { return client.closed; }, 1000 * second);
    cr_assert_eq(client.error, 110);
    cr_assert_eq(p.forth.sent, 7);
    uint64_t took = (p.sim.now() - begin) / second;
    cr_assert_eq(took, 127, "1+2+4+...+64 seconds, not %lu", took);
}

// Seconds from the first SYN on, of an attempt that nobody answers.
struct Attempt {
    std::vector<uint64_t> syns;
    uint64_t given_up;
};

static Attempt attempt(uint64_t linear_timeouts, uint64_t retries)
{
    lab::Pair p;
    p.a.config().syn_linear_timeouts = linear_timeouts;
    p.a.config().syn_retries = retries;
    p.forth.set.loss = 1;
    Attempt seen;
    uint64_t begin = p.sim.now();
    p.forth.observer = [&](const Packet&) { seen.syns.push_back((p.sim.now() - begin) / second); };
    Socket& client = p.a.socket();
    client.connect(80);
    p.sim.run_until([&] { return client.closed; }, 1000 * second);
    cr_assert_eq(client.error, 110);
    seen.given_up = (p.sim.now() - begin) / second;
    return seen;
}

// As Linux 6.12 by default.
Test(handshake, the_first_syn_timeouts_may_be_alike)
{
    Attempt seen = attempt(4, 6);
    cr_assert_eq(seen.syns, (std::vector<uint64_t>{0, 1, 2, 3, 4, 5, 7, 11, 19, 35, 67}));
    cr_assert_eq(seen.given_up, 131, "after %lu seconds", seen.given_up);
}

Test(handshake, syn_timeouts_alike_take_none_of_the_time_of_the_retries)
{
    Attempt alone = attempt(0, 2), more = attempt(4, 2), all = attempt(127, 2);
    cr_assert_eq(alone.syns, (std::vector<uint64_t>{0, 1, 3}));
    cr_assert_eq(more.syns, (std::vector<uint64_t>{0, 1, 2, 3, 4, 5}));
    cr_assert_eq(all.syns, (std::vector<uint64_t>{0, 1, 2, 3, 4, 5, 6}));
    for (const Attempt& seen : {alone, more, all})
        cr_assert_eq(seen.given_up, 7, "after %lu seconds", seen.given_up);
}

// After a simultaneous open it is a SYN-ACK that is sent again.
Test(handshake, timeouts_of_a_syn_ack_double_from_the_first_on)
{
    Scripted peer([](lab::Stack& stack) { stack.config().syn_linear_timeouts = 4; });
    peer.begin_active();
    peer.send(SLUICE_SYN);
    cr_assert_eq(peer.socket->state(), SLUICE_SYN_RECEIVED);
    peer.sent.clear();
    peer.run(8 * second);
    cr_assert_eq(peer.sent.size(), 3);
    cr_assert_eq((peer.sent[1].when - peer.sent[0].when) / second, 2);
    cr_assert_eq((peer.sent[2].when - peer.sent[1].when) / second, 4);
}

Test(handshake, syn_ack_of_a_simultaneous_open_goes_as_often_as_told)
{
    Scripted peer([](lab::Stack& stack) { stack.config().synack_retries = 2; });
    peer.begin_active();
    peer.send(SLUICE_SYN);
    peer.sent.clear();
    peer.run(100 * second);
    cr_assert_eq(peer.sent.size(), 2);
    cr_assert_eq(peer.socket->error, 110);
}

// Of its SYN a stranger knows the ports at most.
Test(handshake, what_answers_no_syn_is_counted_and_does_nothing)
{
    Scripted peer;
    peer.begin_active();
    peer.sent.clear();
    peer.send(SLUICE_RST);
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_no_ack_flag), 1);
    peer.send(SLUICE_RST | SLUICE_ACK, {}, 0, 1000);
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_future_ack), 1);
    peer.send(SLUICE_ACK, pattern(10), 100);
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_no_syn_flag), 1);
    cr_assert_eq(peer.socket->state(), SLUICE_SYN_SENT);
    cr_assert_eq(peer.sent.size(), 0);
    peer.send(SLUICE_SYN | SLUICE_ACK);
    cr_assert_eq(peer.socket->state(), SLUICE_ESTABLISHED);
}

Test(handshake, closed_port_refuses)
{
    lab::Pair p;
    Socket& client = p.a.socket();
    client.connect(81);
    cr_assert(p.sim.run_until([&] { return client.closed; }, second));
    cr_assert_eq(client.error, 111);
    cr_assert_eq(p.b.counter(SLUICE_CNT_no_socket), 1);
}

Test(handshake, simultaneous_open_connects)
{
    lab::Pair p;
    Socket& x = p.a.socket();
    Socket& y = p.b.socket();
    p.a.next_port = 1000;
    p.b.next_port = 2000;
    x.connect(2000);
    y.connect(1000);
    cr_assert(p.sim.run_until([&] { return x.connected && y.connected; }, 10 * second));
    cr_assert_eq(x.states[1].second, SLUICE_SYN_RECEIVED);
    cr_assert_eq(y.states[1].second, SLUICE_SYN_RECEIVED);
    cr_assert(transfer(p, x, y, pattern(50000)));
    cr_assert(transfer(p, y, x, pattern(50000, 2)));
}

Test(handshake, syn_ack_for_another_syn_is_reset)
{
    Scripted peer;
    peer.begin_active();
    peer.sent.clear();
    peer.send(SLUICE_SYN | SLUICE_ACK, {}, 0, 5); // acknowledges what was never sent
    cr_assert(peer.last().flags & SLUICE_RST);
    cr_assert_eq(peer.socket->state(), SLUICE_SYN_SENT);
}

// RFC 9293 3.5.1 figure 9: what is left of an earlier connection goes by that
// reset; who waited a second for its SYN to be lost would only lose time.
Test(handshake, syn_follows_the_reset_of_a_half_open_connection)
{
    Scripted peer;
    peer.begin_active();
    peer.send(SLUICE_ACK, {}, 0, -5000);
    cr_assert_eq(peer.sent.size(), 2);
    cr_assert(peer.last().flags & SLUICE_RST);
    peer.run(10000);
    cr_assert_eq(peer.sent.size(), 3);
    cr_assert_eq(peer.last().flags & (SLUICE_SYN | SLUICE_ACK), SLUICE_SYN);
    peer.send(SLUICE_ACK, {}, 0, -5000); // once: nobody has SYNs sent as often as he likes
    cr_assert(peer.last().flags & SLUICE_RST);
    peer.run(100000);
    cr_assert_eq(peer.sent.size(), 4);
    peer.send(SLUICE_SYN | SLUICE_ACK);
    cr_assert_eq(peer.socket->state(), SLUICE_ESTABLISHED);
}

Test(handshake, reset_without_ack_does_not_refuse)
{
    Scripted peer;
    peer.socket = &peer.stack.socket();
    peer.socket->connect(9);
    peer.send(SLUICE_RST);
    cr_assert_eq(peer.socket->state(), SLUICE_SYN_SENT);
}

Test(handshake, old_duplicate_syn_leaves_an_established_connection_alone)
{
    Established peer;
    peer.send(SLUICE_SYN, {}, -5000);
    cr_assert_eq(peer.socket->state(), SLUICE_ESTABLISHED);
    cr_assert_eq(peer.last().flags, SLUICE_ACK);
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_syn_in_window), 1);
}

Test(handshake, sequence_numbers_begin_apart_for_each_pair)
{
    lab::Pair p;
    auto [c1, s1] = p.connected(80);
    auto [c2, s2] = p.connected(81);
    cr_assert_neq(of(&c1->conn).snd.iss.value(), of(&c2->conn).snd.iss.value());
}

Test(handshake, window_of_a_simultaneous_syn_ack_is_not_scaled)
{
    Scripted peer;
    peer.wscale = 7;
    peer.window = 1000;
    peer.begin_active();
    peer.send(SLUICE_SYN);
    HeaderFields f = peer.fields(SLUICE_SYN | SLUICE_ACK);
    f.seq = peer.isn;
    peer.raw(f);
    cr_assert_eq(peer.socket->state(), SLUICE_ESTABLISHED);
    cr_assert_leq(peer.socket->info().snd_wnd, 1000);
    cr_assert_geq(peer.socket->info().snd_wnd, 1000 - 127);
}
