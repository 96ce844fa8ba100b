// SPDX-License-Identifier: GPL-2.0
// The options of a connection: their ranges, what children inherit, and that
// each does what it says.
#include <criterion/criterion.h>

#include "lab_test.h"

using namespace sluice;
using namespace sluice::test;

namespace
{

constexpr int invalid = -22;

struct Range {
    sluice_option option;
    uint64_t good_low, good_high;
    std::vector<uint64_t> bad;
};

const Range ranges[] = {
    {SLUICE_OPTION_NODELAY, 0, 1, {2}},
    {SLUICE_OPTION_CORK, 0, 1, {2}},
    {SLUICE_OPTION_QUICKACK, 0, 1, {2}},
    {SLUICE_OPTION_KEEPALIVE, 0, 1, {2}},
    {SLUICE_OPTION_MAXSEG, 88, 32767, {1, 87, 32768, ~0ull}},
    {SLUICE_OPTION_KEEPIDLE, second, 32767 * second, {0, second - 1, 32768 * second, ~0ull}},
    {SLUICE_OPTION_KEEPINTVL, second, 32767 * second, {0, second - 1, 32768 * second}},
    {SLUICE_OPTION_KEEPCNT, 1, 127, {0, 128}},
    {SLUICE_OPTION_SYNCNT, 1, 127, {0, 128}},
    {SLUICE_OPTION_USER_TIMEOUT, 0, 0xffffffffull * 1000, {0x100000000ull * 1000}},
    {SLUICE_OPTION_WINDOW_CLAMP, 0, 0xffffffff, {0x100000000ull}},
    {SLUICE_OPTION_NOTSENT_LOWAT, 0, 0xffffffff, {0x100000000ull}},
    {SLUICE_OPTION_SEGMENT_MAX, 1, 0xffffffff, {0, 0x100000000ull}},
    {SLUICE_OPTION_MAX_PACING_RATE, 0, ~0ull, {}},
};

int set(Socket& s, sluice_option option, uint64_t value)
{
    return sluice_conn_set_option(&s.conn, option, value, s.stack.sim.now());
}

uint64_t get(const Socket& s, sluice_option option)
{
    return sluice_conn_option(&s.conn, option);
}

} // namespace

Test(options, keep_what_is_in_range_and_refuse_the_rest)
{
    lab::Pair p;
    for (const Range& r : ranges) {
        Socket& s = p.a.socket();
        for (uint64_t good : {r.good_low, r.good_high}) {
            cr_assert_eq(set(s, r.option, good), 0, "option %d, %lu", r.option, good);
            cr_assert_eq(get(s, r.option), good, "option %d, %lu", r.option, good);
        }
        for (uint64_t bad : r.bad) {
            cr_assert_eq(set(s, r.option, bad), invalid, "option %d, %lu", r.option, bad);
            cr_assert_eq(get(s, r.option), r.good_high, "a refused value changes nothing");
        }
    }
    Socket& s = p.a.socket();
    cr_assert_eq(set(s, SLUICE_OPTION_MAX, 1), invalid);
}

Test(options, unset_times_are_the_namespaces)
{
    lab::Pair p;
    Socket& s = p.a.socket();
    p.a.config().keepalive_time = 77 * second;
    p.a.config().fin_timeout = 7 * second;
    p.a.config().syn_retries = 3;
    cr_assert_eq(get(s, SLUICE_OPTION_KEEPIDLE), 77 * second);
    cr_assert_eq(get(s, SLUICE_OPTION_LINGER2), 7 * second);
    cr_assert_eq(get(s, SLUICE_OPTION_SYNCNT), 3);
}

Test(options, children_inherit_the_listeners)
{
    lab::Pair p;
    Socket& listener = p.b.socket();
    set(listener, SLUICE_OPTION_NODELAY, 1);
    set(listener, SLUICE_OPTION_KEEPALIVE, 1);
    set(listener, SLUICE_OPTION_KEEPIDLE, 30 * second);
    set(listener, SLUICE_OPTION_USER_TIMEOUT, 12 * second);
    sluice_conn_set_cc(&listener.conn, &sluice_cc_reno, p.sim.now());
    listener.listen(80);
    Socket& client = p.a.socket();
    client.connect(80);
    Socket* child = nullptr;
    p.sim.run_until([&] { return (child = listener.accept()) != nullptr; }, second);
    cr_assert_eq(get(*child, SLUICE_OPTION_NODELAY), 1);
    cr_assert_eq(get(*child, SLUICE_OPTION_KEEPIDLE), 30 * second);
    cr_assert_eq(get(*child, SLUICE_OPTION_USER_TIMEOUT), 12 * second);
    cr_assert_eq(sluice_conn_cc(&child->conn), &sluice_cc_reno);
    p.sim.run_for(31 * second);
    cr_assert_eq(p.b.counter(SLUICE_CNT_keepalive_probes), 1, "inherited, and at work");
}

Test(options, syncnt_bounds_the_attempts)
{
    lab::Pair p;
    p.forth.down = true;
    Socket& s = p.a.socket();
    set(s, SLUICE_OPTION_SYNCNT, 2);
    s.connect(80);
    uint64_t begin = p.sim.now();
    p.sim.run_until([&] { return s.closed; }, 100 * second);
    cr_assert_eq(p.forth.sent, 3);
    cr_assert_eq((p.sim.now() - begin) / second, 7, "1 + 2 + 4 seconds");
}

Test(options, maxseg_bounds_both_directions)
{
    lab::Pair p;
    p.a.config().timestamps = 0;
    Socket& listener = p.b.socket();
    listener.listen(80);
    Socket& s = p.a.socket();
    set(s, SLUICE_OPTION_MAXSEG, 500);
    s.connect(80);
    Socket* child = nullptr;
    p.sim.run_until([&] { return (child = listener.accept()) != nullptr; }, second);
    cr_assert_eq(s.info().snd_mss, 500);
    cr_assert_eq(child->info().snd_mss, 500);
}

// RFC 9293 3.8.6: a window once offered isn't taken back, so the clamp must
// hold from the first segment.
Test(options, window_clamp_bounds_every_window_offered)
{
    lab::Pair p;
    Socket& listener = p.b.socket();
    listener.listen(80);
    Socket& s = p.a.socket();
    set(s, SLUICE_OPTION_WINDOW_CLAMP, 10000);
    uint32_t scale = 0, most = 0;
    p.forth.observer = [&](const Packet& packet) {
        Seen seen = parse(packet);
        if (seen.flags & SLUICE_SYN)
            scale = seen.wscale;
        most = std::max(most, (seen.flags & SLUICE_SYN ? seen.window : seen.window << scale));
    };
    s.connect(80);
    Socket* child = nullptr;
    p.sim.run_until([&] { return (child = listener.accept()) != nullptr; }, second);
    cr_assert(transfer(p, *child, s, pattern(200000)));
    cr_assert_leq(most, 10000 + (1u << scale));
    cr_assert_geq(most, 5000);
}

Test(options, linger2_bounds_fin_wait_2)
{
    lab::Pair p;
    auto [client, server] = p.connected();
    set(*client, SLUICE_OPTION_LINGER2, 3 * second);
    client->close();
    p.sim.run_until([&] { return client->state() == SLUICE_FIN_WAIT_2; }, second);
    uint64_t begin = p.sim.now();
    cr_assert(p.sim.run_until([&] { return client->closed; }, 60 * second));
    cr_assert_eq((p.sim.now() - begin + second / 2) / second, 3);
}

Test(options, linger2_of_none_resets_instead_of_fin_wait_2)
{
    lab::Pair p;
    auto [client, server] = p.connected();
    set(*client, SLUICE_OPTION_LINGER2, ~0ull);
    client->close();
    cr_assert(p.sim.run_until([&] { return server->closed; }, second));
    cr_assert_eq(server->error, 32, "it had our FIN: in CLOSE_WAIT a reset is a broken pipe");
    cr_assert_eq(client->info().state, SLUICE_CLOSED);
}

Test(options, quickack_sends_a_waiting_acknowledgment)
{
    Scripted peer;
    peer.open_active();
    set(*peer.socket, SLUICE_OPTION_QUICKACK, 0);
    peer.send(SLUICE_ACK, pattern(10));
    cr_assert_eq(peer.sent.size(), 0);
    set(*peer.socket, SLUICE_OPTION_QUICKACK, 1);
    cr_assert_eq(peer.sent.size(), 1);
    cr_assert_eq(peer.last().ack, peer.nxt);
}

Test(options, segment_max_bounds_one_transmission)
{
    Scripted peer([](lab::Stack& s) { s.config().initial_window = 100; });
    peer.open_active();
    set(*peer.socket, SLUICE_OPTION_SEGMENT_MAX, 3000);
    peer.socket->write(pattern(29200));
    cr_assert_eq(peer.data_segments(), 20, "still all of it, in whole segments");
    cr_assert_eq(of(&peer.socket->conn).board.size(), 10, "two segments a transmission");
}
