// SPDX-License-Identifier: GPL-2.0
// Urgent data (RFC 9293 3.8.5, RFC 6093): the pointer that goes out, and what
// is believed of those that come in.
#include <criterion/criterion.h>

#include "connection.h"
#include "lab_test.h"

using namespace sluice;
using namespace sluice::test;

namespace
{

constexpr uint8_t urg_ack = SLUICE_ACK | SLUICE_URG;

// Where a segment's pointer points, if it has one: behind the urgent byte.
uint32_t pointed(const Seen& s)
{
    cr_assert(s.flags & SLUICE_URG);
    return s.seq + s.urgent;
}

// A segment with an urgent pointer, `offset` off the next sequence number.
void point(Scripted& peer, uint16_t pointer, const Bytes& data = {}, int32_t offset = 0,
           uint8_t flags = urg_ack)
{
    HeaderFields f = peer.fields(flags);
    f.seq += static_cast<uint32_t>(offset);
    f.urgent = pointer;
    if (!offset)
        peer.nxt += static_cast<uint32_t>(data.size()) + !!(flags & SLUICE_FIN);
    peer.raw(f, data);
}

} // namespace

// ---- sending ---------------------------------------------------------------------

Test(urgent_sender, points_behind_the_last_byte)
{
    Established peer;
    uint32_t first = peer.rcv;
    peer.socket->write_urgent(pattern(10));
    cr_assert_eq(peer.sent.size(), 1);
    cr_assert_eq(peer.last().length, 10);
    cr_assert_eq(peer.last().flags, SLUICE_ACK | SLUICE_PSH | SLUICE_URG);
    cr_assert_eq(peer.last().urgent, 10);
    cr_assert_eq(pointed(peer.last()), first + 10);
}

Test(urgent_sender, every_segment_up_to_the_byte_points_at_it)
{
    Established peer;
    peer.stack.gso_max = 65535;
    uint32_t first = peer.rcv;
    peer.socket->write_urgent(pattern(5000));
    cr_assert_eq(peer.data_segments(), 4);
    for (const Seen& s : peer.sent)
        cr_assert_eq(pointed(s), first + 5000);
}

Test(urgent_sender, what_follows_does_not)
{
    Established peer;
    peer.socket->set(SLUICE_OPTION_NODELAY, 1);
    peer.socket->write_urgent(pattern(10));
    peer.socket->write(pattern(10));
    cr_assert_eq(peer.data_segments(), 2);
    cr_assert_not(peer.last().flags & SLUICE_URG);
    cr_assert_eq(peer.last().urgent, 0);
}

Test(urgent_sender, neither_nagle_nor_cork_holds_it)
{
    Established peer;
    peer.socket->write(pattern(10));
    peer.socket->write(pattern(10));
    cr_assert_eq(peer.data_segments(), 1);
    peer.socket->write_urgent(pattern(1));
    cr_assert_eq(peer.data_segments(), 2);
    cr_assert_eq(peer.last().length, 11);
    peer.ack();
    peer.socket->set(SLUICE_OPTION_CORK, 1);
    peer.socket->write(pattern(10));
    cr_assert_eq(peer.data_segments(), 2);
    peer.socket->write_urgent(pattern(1));
    cr_assert_eq(peer.data_segments(), 3);
}

Test(urgent_sender, mode_ends_when_the_byte_is_acknowledged)
{
    Established peer;
    peer.socket->write_urgent(pattern(10));
    peer.ack();
    peer.socket->write(pattern(10));
    cr_assert_eq(peer.data_segments(), 2);
    cr_assert_not(peer.last().flags & SLUICE_URG);
    peer.socket->write(pattern(10));
    cr_assert_eq(peer.data_segments(), 2, "Nagle is back");
}

Test(urgent_sender, retransmission_points_too)
{
    Established peer;
    uint32_t first = peer.rcv;
    peer.socket->write_urgent(pattern(2000));
    peer.sent.clear();
    peer.run(2 * second);
    cr_assert_geq(peer.sent.size(), 1);
    cr_assert_eq(peer.sent[0].seq, first);
    cr_assert_eq(pointed(peer.sent[0]), first + 2000);
}

Test(urgent_sender, closed_window_is_told_of_it_at_once_and_by_probes)
{
    Established peer;
    peer.window = 0;
    peer.ack();
    uint32_t first = peer.rcv;
    peer.socket->write_urgent(pattern(10));
    cr_assert_eq(peer.sent.size(), 1);
    cr_assert_eq(peer.last().length, 0);
    cr_assert_eq(peer.last().seq, first); // where it is acceptable
    cr_assert_eq(pointed(peer.last()), first + 10);
    peer.sent.clear();
    peer.run(5 * second);
    size_t told = 0;
    for (const Seen& s : peer.sent)
        if (s.seq == first && pointed(s) == first + 10)
            told++;
    cr_assert_geq(told, 1);
    peer.window = 65535;
    peer.ack();
    cr_assert_eq(peer.last().length, 10);
    cr_assert_eq(pointed(peer.last()), first + 10);
}

Test(urgent_sender, pointer_too_far_away_goes_as_far_as_it_can)
{
    Scripted peer([](lab::Stack& s) { s.config().initial_window = 100; });
    peer.wscale = 4;
    peer.open_passive();
    peer.ack();
    uint32_t first = peer.rcv, all = 100000;
    peer.socket->write_urgent(pattern(all));
    cr_assert_geq(peer.data_segments(), 60);
    for (const Seen& s : peer.sent) {
        uint32_t up = std::min(first + all, s.seq + 65535);
        cr_assert_eq(pointed(s), up);
        cr_assert(up == first + all || up > s.seq + s.length);
    }
}

Test(urgent_sender, newer_byte_replaces_the_older)
{
    Established peer;
    uint32_t first = peer.rcv;
    peer.socket->write_urgent(pattern(10));
    peer.socket->write_urgent(pattern(10));
    cr_assert_eq(pointed(peer.last()), first + 20);
    peer.sent.clear();
    peer.run(2 * second);
    cr_assert_eq(pointed(peer.sent[0]), first + 20);
}

// ---- receiving -------------------------------------------------------------------

Test(urgent_receiver, byte_before_the_pointer_is_urgent)
{
    Established peer;
    uint32_t first = peer.nxt;
    point(peer, 10, pattern(10));
    cr_assert_eq(peer.socket->marks.size(), 1);
    cr_assert_eq(peer.socket->marks[0], first + 9);
    cr_assert_eq(peer.socket->readable(), 10);
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_urgent_in), 1);
}

Test(urgent_receiver, is_told_ahead_of_the_byte_and_once)
{
    Established peer;
    uint32_t first = peer.nxt;
    point(peer, 300);
    point(peer, 300, pattern(100));
    point(peer, 200, pattern(100));
    point(peer, 100, pattern(100));
    cr_assert_eq(peer.socket->marks.size(), 1);
    cr_assert_eq(peer.socket->marks[0], first + 299);
    cr_assert_eq(peer.socket->readable(), 300);
}

Test(urgent_receiver, pointer_of_zero_is_the_first_byte)
{
    Established peer;
    uint32_t first = peer.nxt;
    point(peer, 0, pattern(10));
    cr_assert_eq(peer.socket->marks.size(), 1);
    cr_assert_eq(peer.socket->marks[0], first);
}

Test(urgent_receiver, pointer_to_what_was_received_says_nothing)
{
    Established peer;
    peer.send(SLUICE_ACK, pattern(100));
    point(peer, 50, {}, -100);
    point(peer, 100, pattern(100), -100);
    cr_assert_eq(peer.socket->marks.size(), 0);
    cr_assert_eq(peer.socket->readable(), 100);
}

Test(urgent_receiver, only_forward)
{
    Established peer;
    uint32_t first = peer.nxt;
    point(peer, 500);
    point(peer, 400);
    point(peer, 500);
    cr_assert_eq(peer.socket->marks.size(), 1);
    point(peer, 501);
    cr_assert_eq(peer.socket->marks.size(), 2);
    cr_assert_eq(peer.socket->marks[1], first + 500);
}

Test(urgent_receiver, hears_of_it_while_its_window_is_closed)
{
    Established peer;
    peer.socket->receive_buffer = 1000;
    uint32_t first = peer.nxt;
    while (peer.last().window || peer.sent.empty()) {
        peer.send(SLUICE_ACK, pattern(1460));
        peer.run(second);
    }
    peer.nxt = peer.last().ack;
    point(peer, 7);
    cr_assert_eq(peer.socket->marks.size(), 1);
    cr_assert_eq(peer.socket->marks[0], peer.nxt + 6);
    cr_assert_gt(peer.nxt, first);
}

Test(urgent_receiver, byte_beyond_a_gap)
{
    Established peer;
    uint32_t first = peer.nxt;
    Bytes all = pattern(200);
    point(peer, 100, Bytes(all.begin() + 100, all.end()), 100);
    cr_assert_eq(peer.socket->marks.size(), 1);
    cr_assert_eq(peer.socket->marks[0], first + 199);
    peer.send(SLUICE_ACK, Bytes(all.begin(), all.begin() + 100));
    cr_assert(peer.socket->read(1000) == all);
}

Test(urgent_receiver, far_pointer_that_nothing_follows_stalls_nothing)
{
    Established peer;
    point(peer, 65535, pattern(10));
    peer.send(SLUICE_ACK, pattern(100));
    peer.send(SLUICE_ACK | SLUICE_FIN);
    cr_assert_eq(peer.socket->readable(), 110);
    cr_assert_eq(peer.socket->state(), SLUICE_CLOSE_WAIT);
}

Test(urgent_receiver, nothing_urgent_stands_behind_a_fin)
{
    Established peer;
    peer.send(SLUICE_ACK | SLUICE_FIN, pattern(10), 100);
    point(peer, 200, pattern(50));
    cr_assert_eq(peer.socket->marks.size(), 0);
    point(peer, 60, pattern(50));
    cr_assert_eq(peer.socket->marks.size(), 1);
    cr_assert_eq(peer.socket->readable(), 110);
    cr_assert_eq(peer.socket->state(), SLUICE_CLOSE_WAIT);
    HeaderFields f = peer.fields(urg_ack);
    f.seq += 11;
    f.urgent = 5;
    peer.raw(f);
    cr_assert_eq(peer.socket->marks.size(), 1);
}

Test(urgent_receiver, pointer_of_a_segment_that_is_refused_says_nothing)
{
    Established peer;
    point(peer, 10, {}, 70000);                   // beyond the window
    point(peer, 10, pattern(10), 1, SLUICE_URG);  // no ACK
    point(peer, 10, {}, 1, urg_ack | SLUICE_SYN); // challenged
    point(peer, 10, {}, 1, urg_ack | SLUICE_RST); // challenged
    cr_assert_eq(peer.socket->state(), SLUICE_ESTABLISHED);
    cr_assert_eq(peer.socket->marks.size(), 0);
}

Test(urgent_receiver, pointer_in_a_syn_says_nothing)
{
    Scripted peer;
    peer.setup = SLUICE_URG;
    peer.open_passive();
    peer.send(SLUICE_ACK, pattern(10));
    cr_assert_eq(peer.socket->marks.size(), 0);
    cr_assert_eq(peer.socket->readable(), 10);
}

Test(urgent_receiver, marks_that_were_passed_are_forgotten)
{
    Established peer;
    point(peer, 10, pattern(10));
    cr_assert_not(of(&peer.socket->conn).rcv.urgent);
    peer.socket->write_urgent(pattern(10));
    peer.ack();
    cr_assert_not(of(&peer.socket->conn).snd.urgent);
}

Test(urgent, lossy_path_tells_the_last_byte_and_loses_none)
{
    for (uint32_t seed = 1; seed <= 20; seed++) {
        lab::Pair p(seed, {.rate = 1e6, .delay = 10000, .loss = 0.1, .reorder = 0.1});
        auto [client, server] = p.connected();
        uint32_t first = sluice_conn_rcv_nxt(&server->conn);
        Bytes part = pattern(1000), got;
        uint32_t written = 0;
        for (int i = 0; i < 50; i++) {
            written += static_cast<uint32_t>(client->write(part));
            written += static_cast<uint32_t>(client->write_urgent(part));
        }
        cr_assert_eq(written, 100000);
        cr_assert(
            p.sim.run_until([&, s = server] { return s->readable() == written; }, 600 * second));
        cr_assert_eq(server->marks.back(), first + written - 1);
    }
}
