// SPDX-License-Identifier: GPL-2.0
// ECN (RFC 3168): who agrees to it, what may be marked, the echo, and what a
// mark does to the window.
#include <criterion/criterion.h>

#include "in_flight.h"

using namespace sluice;
using namespace sluice::test;

namespace
{

constexpr uint8_t ecn_setup = SLUICE_ECE | SLUICE_CWR;
constexpr uint8_t option = SLUICE_OPT_ECN;

// Two machines of which a asks for ECN.
struct Asking : lab::Pair {
    explicit Asking(uint64_t seed = 1, LinkSettings settings = {}) : Pair(seed, settings)
    {
        a.config().ecn = 1;
    }
};

bool both_agree(const Socket* x, const Socket* y)
{
    bool agrees = x->info().options & option;
    cr_assert_eq(agrees, (y->info().options & option) != 0, "one end has ECN, the other not");
    return agrees;
}

} // namespace

// ---- the handshake (6.1.1) ----

Test(ecn, is_agreed_when_one_asks_and_the_other_does_not_refuse)
{
    for (uint64_t client = 0; client <= 2; client++)
        for (uint64_t server = 0; server <= 2; server++) {
            lab::Pair p;
            p.a.config().ecn = client;
            p.b.config().ecn = server;
            auto [x, y] = p.connected();
            bool agreed = client == 1 && server != 0;
            cr_assert_eq(both_agree(x, y), agreed, "%lu asks %lu", client, server);
            cr_assert_eq(p.a.counter(SLUICE_CNT_ecn_agreed), agreed);
            cr_assert_eq(p.b.counter(SLUICE_CNT_ecn_agreed), agreed);
        }
}

Test(ecn, nobody_asks_unless_told_to)
{
    lab::Pair p;
    auto [client, server] = p.connected();
    cr_assert_not(both_agree(client, server));
}

Test(ecn, handshake_says_so_and_cannot_be_marked)
{
    Asking p;
    std::vector<Seen> there, back;
    p.forth.observer = [&](const Packet& packet) { there.push_back(parse(packet)); };
    p.back.observer = [&](const Packet& packet) { back.push_back(parse(packet)); };
    p.connected();
    cr_assert_eq(there[0].flags, SLUICE_SYN | ecn_setup);
    cr_assert_eq(back[0].flags, SLUICE_SYN | SLUICE_ACK | SLUICE_ECE);
    cr_assert_eq(there[1].flags, SLUICE_ACK);
    for (const Seen& s : {there[0], there[1], back[0]})
        cr_assert_eq(s.ecn, SLUICE_NOT_ECT);
}

Test(ecn, syn_sent_again_asks_no_more)
{
    Asking p;
    std::vector<Seen> there;
    p.forth.observer = [&](const Packet& packet) { there.push_back(parse(packet)); };
    p.forth.drop = [&](const Packet&) { return there.size() == 1; };
    auto [client, server] = p.connected();
    cr_assert_eq(there[1].flags, SLUICE_SYN);
    cr_assert_not(both_agree(client, server));
    cr_assert_eq(p.a.counter(SLUICE_CNT_ecn_fallbacks), 1);
}

Test(ecn, syn_sent_again_asks_again_where_that_is_wanted)
{
    Asking p;
    p.a.config().ecn_fallback = 0;
    std::vector<Seen> there;
    p.forth.observer = [&](const Packet& packet) { there.push_back(parse(packet)); };
    p.forth.drop = [&](const Packet&) { return there.size() == 1; };
    auto [client, server] = p.connected();
    cr_assert_eq(there[1].flags, SLUICE_SYN | ecn_setup);
    cr_assert(both_agree(client, server));
    cr_assert_eq(p.a.counter(SLUICE_CNT_ecn_fallbacks), 0);
}

// The server heard the SYN that asks; then both agree, but neither may send ECT.
Test(ecn, nothing_is_ect_after_a_syn_without_it)
{
    Asking p;
    int answers = 0;
    p.back.drop = [&](const Packet&) { return answers++ == 0; };
    auto [client, server] = p.connected();
    cr_assert(both_agree(client, server));
    auto check = [&](const Packet& packet) { cr_assert_eq(packet.ecn, SLUICE_NOT_ECT); };
    p.forth.observer = p.back.observer = check;
    cr_assert(transfer(p, *client, *server, pattern(50000)));
    cr_assert(transfer(p, *server, *client, pattern(50000)));
}

Test(ecn, syn_ack_sent_again_still_agrees)
{
    Asking p;
    std::vector<Seen> back;
    p.back.observer = [&](const Packet& packet) { back.push_back(parse(packet)); };
    p.back.drop = [&](const Packet&) { return back.size() == 1; };
    p.forth.drop = [&](const Packet&) { return p.forth.sent == 2; }; // the SYN that falls back
    auto [client, server] = p.connected();
    cr_assert_eq(back[1].flags, SLUICE_SYN | SLUICE_ACK | SLUICE_ECE);
    cr_assert(both_agree(client, server));
}

Test(ecn, flags_sent_back_as_they_came_are_no_agreement)
{
    Scripted peer([](lab::Stack& s) { s.config().ecn = 1; });
    peer.setup = ecn_setup;
    peer.open_active();
    cr_assert_eq(peer.socket->state(), SLUICE_ESTABLISHED);
    cr_assert_not(peer.socket->info().options & option);
}

Test(ecn, one_flag_alone_asks_for_nothing)
{
    for (uint8_t flag : {SLUICE_ECE, SLUICE_CWR}) {
        Scripted peer;
        peer.setup = flag;
        peer.open_passive();
        cr_assert_not(peer.socket->info().options & option);
    }
}

Test(ecn, syn_that_could_be_marked_asks_for_nothing)
{
    Scripted peer;
    peer.setup = ecn_setup;
    peer.ecn = SLUICE_ECT_0;
    peer.open_passive();
    cr_assert_not(peer.socket->info().options & option);
}

Test(ecn, unasked_agreement_is_none)
{
    Scripted peer;
    peer.setup = SLUICE_ECE;
    peer.open_active();
    cr_assert_not(peer.socket->info().options & option);
}

Test(ecn, simultaneous_open_agrees_when_both_ask)
{
    for (uint64_t other : {1u, 2u}) {
        Asking p;
        p.b.config().ecn = other;
        Socket &x = p.a.socket(), &y = p.b.socket();
        x.connect(2000, 1000);
        y.connect(1000, 2000);
        cr_assert(p.sim.run_until([&] { return x.connected && y.connected; }, 10 * second));
        cr_assert_eq(both_agree(&x, &y), other == 1);
        for (auto [from, to, link] : {std::tuple(&x, &y, &p.forth), std::tuple(&y, &x, &p.back)}) {
            link->congested = [](const Packet&) { return true; };
            cr_assert(transfer(p, *from, *to, pattern(50000)));
            cr_assert_eq(link->marked > 0, other == 1);
        }
    }
}

// The cookie remembers it, where timestamps bring it back.
Test(ecn, is_agreed_by_a_cookie_too)
{
    for (bool timestamps : {true, false}) {
        Asking p;
        p.b.config().syncookies = 2;
        p.a.config().timestamps = timestamps;
        auto [client, server] = p.connected();
        cr_assert_eq(p.b.counter(SLUICE_CNT_cookies_sent), 1);
        cr_assert_eq(both_agree(client, server), timestamps);
        p.forth.congested = [](const Packet&) { return true; };
        cr_assert(transfer(p, *client, *server, pattern(50000)));
        cr_assert_eq(p.a.counter(SLUICE_CNT_ecn_reductions) > 0, timestamps);
    }
}

// ---- what may be marked (6.1.4 to 6.1.6) ----

Test(ecn, only_payload_sent_for_the_first_time_is_ect)
{
    Asking p(3, {.rate = 1e6, .delay = 10000, .loss = 0.03});
    auto [client, server] = p.connected();
    uint32_t edge[2] = {of(&client->conn).snd.nxt.value(), of(&server->conn).snd.nxt.value()};
    size_t fresh = 0, again = 0, bare = 0;
    auto watch = [&](int end) {
        return [&, end](const Packet& packet) {
            Seen s = parse(packet);
            bool is_new = s.length && static_cast<int32_t>(s.seq - edge[end]) >= 0;
            (is_new ? fresh : s.length ? again : bare)++;
            if (is_new)
                edge[end] = s.seq + s.length;
            cr_assert_eq(s.ecn, is_new ? SLUICE_ECT_0 : SLUICE_NOT_ECT);
        };
    };
    p.forth.observer = watch(0);
    p.back.observer = watch(1);
    cr_assert(transfer(p, *client, *server, pattern(500000)));
    cr_assert(transfer(p, *server, *client, pattern(500000)));
    client->close();
    server->close();
    p.sim.run_for(5 * second);
    cr_assert(fresh > 100 && again > 10 && bare > 100, "%zu %zu %zu", fresh, again, bare);
}

Test(ecn, window_probe_is_not_ect_but_echoes)
{
    Scripted peer;
    peer.setup = ecn_setup;
    peer.window = 0;
    peer.open_passive();
    peer.ecn = SLUICE_CE;
    peer.send(SLUICE_ACK, pattern(10));
    peer.socket->write(pattern(100));
    peer.sent.clear();
    cr_assert(peer.sim.run_until([&] { return !peer.sent.empty(); }, 5 * second));
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_window_probes), 1);
    cr_assert_eq(peer.last().ecn, SLUICE_NOT_ECT);
    cr_assert_eq(peer.last().flags, SLUICE_ACK | SLUICE_ECE);
}

// ---- the receiver (6.1.3) ----

namespace
{

// A peer whose data may be marked.
struct Marked : Scripted {
    explicit Marked(std::function<void(lab::Stack&)> configure = {})
        : Scripted(std::move(configure))
    {
        setup = ecn_setup;
        open_passive();
        ecn = SLUICE_ECT_0;
    }
    // One segment of `field`; what is acknowledged until the machine falls silent.
    Seen data(uint8_t field, uint8_t flags = 0)
    {
        ecn = field;
        send(static_cast<uint8_t>(SLUICE_ACK | flags), pattern(1000));
        run(second);
        socket->read(10000);
        return last();
    }
    bool echoes() const { return last().flags & SLUICE_ECE; }
};

} // namespace

Test(ecn, mark_is_echoed_until_the_sender_has_reduced_its_window)
{
    Marked peer;
    peer.data(SLUICE_ECT_0);
    cr_assert_not(peer.echoes());
    cr_assert(peer.socket->info().options & SLUICE_OPT_ECN_SEEN);
    peer.data(SLUICE_CE);
    cr_assert(peer.echoes());
    peer.data(SLUICE_ECT_0);
    cr_assert(peer.echoes());
    peer.data(SLUICE_ECT_0, SLUICE_CWR);
    cr_assert_not(peer.echoes());
    peer.data(SLUICE_CE, SLUICE_CWR);
    cr_assert(peer.echoes(), "marked anew");
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_ecn_ce_in), 2);
}

Test(ecn, echo_goes_with_data_too)
{
    Marked peer;
    peer.data(SLUICE_CE);
    peer.socket->write(pattern(100));
    cr_assert_eq(peer.last().length, 100);
    cr_assert(peer.echoes());
    cr_assert_not(peer.last().flags & SLUICE_CWR, "nothing was reduced");
}

Test(ecn, mark_and_its_answer_are_acknowledged_at_once)
{
    for (bool answer : {false, true}) {
        Marked peer;
        if (answer)
            peer.data(SLUICE_CE);
        peer.ecn = SLUICE_ECT_0;
        for (int i = 0; i < 40; i++) { // until acknowledgments are delayed
            peer.sent.clear();
            peer.send(SLUICE_ACK, pattern(1000));
            if (peer.sent.empty())
                break;
            peer.run(10000);
        }
        cr_assert_eq(peer.sent.size(), 0, "not delayed");
        cr_assert(peer.sim.run_until([&] { return !peer.sent.empty(); }, second));
        peer.sent.clear();
        peer.ecn = answer ? SLUICE_ECT_0 : SLUICE_CE;
        peer.send(answer ? SLUICE_ACK | SLUICE_CWR : SLUICE_ACK, pattern(1000));
        cr_assert_eq(peer.sent.size(), 1);
        cr_assert_eq(peer.echoes(), !answer);
    }
}

Test(ecn, mark_on_what_is_no_new_payload_is_not_believed)
{
    Marked peer;
    peer.data(SLUICE_ECT_0);
    peer.ecn = SLUICE_CE;
    peer.send(SLUICE_ACK);                         // no payload
    peer.send(SLUICE_ACK, pattern(1000), -1000);   // known already
    peer.send(SLUICE_ACK, pattern(1000), 1 << 20); // beyond the window
    peer.data(SLUICE_ECT_0);
    cr_assert_not(peer.echoes());
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_ecn_ce_in), 0);
}

Test(ecn, mark_on_payload_out_of_order_is_echoed)
{
    Marked peer;
    peer.ecn = SLUICE_CE;
    peer.send(SLUICE_ACK, pattern(1000), 1000);
    cr_assert(peer.echoes());
}

Test(ecn, mark_means_nothing_without_agreement)
{
    Established peer;
    peer.ecn = SLUICE_CE;
    peer.send(SLUICE_ACK, pattern(1000));
    peer.run(second);
    cr_assert_eq(peer.last().flags, SLUICE_ACK);
    cr_assert_not(peer.socket->info().options & SLUICE_OPT_ECN_SEEN);
}

Test(ecn, marks_of_coalesced_segments_are_counted_each)
{
    Asking p(1, {.delay = 10000});
    p.into_b.wait = 100;
    p.forth.congested = [](const Packet&) { return true; };
    auto [client, server] = p.connected();
    cr_assert(transfer(p, *client, *server, pattern(100000)));
    cr_assert_gt(p.into_b.merged, 10);
    cr_assert_eq(p.b.counter(SLUICE_CNT_ecn_ce_in), p.forth.marked);
}

// ---- the sender (6.1.2) ----

namespace
{

// A peer to which the machine has segments in flight that may be marked.
struct Sending : Flight {
    explicit Sending(bool with_sack = true, const sluice_cc_ops* algorithm = &sluice_cc_reno,
                     size_t segments = 10)
        : Flight([=](lab::Stack& s) {
              s.cc = algorithm;
              s.config().initial_window = segments;
          })
    {
        setup = ecn_setup;
        sack = with_sack;
        open();
        socket->write(pattern(100 * size));
        depart(segments);
    }
    // With flags beside ACK.
    void acked(uint32_t n, uint8_t flags = 0, const std::vector<Range>& sacked = {})
    {
        tell(n, sacked);
        send(static_cast<uint8_t>(SLUICE_ACK | flags));
    }
    uint32_t next() const { return (of(&socket->conn).snd.nxt.value() - first) / size; }
    uint64_t reductions() const { return stack.counter(SLUICE_CNT_ecn_reductions); }
    uint32_t window() const { return socket->info().cwnd / size; }
    uint32_t ssthresh() const
    {
        uint32_t bytes = socket->info().ssthresh;
        return bytes == ~0u ? bytes : bytes / size;
    }
};

} // namespace

Test(ecn, echo_halves_the_window_of_reno_once)
{
    Sending peer;
    peer.acked(2, SLUICE_ECE);
    cr_assert_eq(peer.socket->info().recovery, SLUICE_REC_CWR);
    cr_assert_eq(peer.ssthresh(), 5);
    for (uint32_t n = 3; n <= 10; n++)
        peer.acked(n, SLUICE_ECE);
    cr_assert_eq(peer.reductions(), 1);
    cr_assert_eq(peer.window(), 5);
    cr_assert_eq(peer.socket->info().recovery, SLUICE_REC_CWR, "does the peer know of it?");
    cr_assert_eq(peer.socket->info().delivered_ce, 10 * peer.size);
    peer.acked(11); // the one with CWR has arrived
    cr_assert_eq(peer.socket->info().recovery, SLUICE_REC_OPEN);
    cr_assert_eq(peer.window(), 5);
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_retrans_segs), 0);
}

Test(ecn, echo_takes_cubics_fraction)
{
    Sending peer(true, &sluice_cc_cubic);
    peer.acked(10, SLUICE_ECE);
    cr_assert_eq(peer.ssthresh(), 7);
    cr_assert_eq(peer.window(), 7);
}

Test(ecn, window_shrinks_with_the_acknowledgments)
{
    Sending peer;
    uint32_t had = peer.next();
    for (uint32_t n = 1; n <= 10; n++) {
        peer.acked(n, SLUICE_ECE);
        cr_assert_leq(peer.next() - had, (n + 1) / 2 + 1, "after %u", n);
    }
    cr_assert_eq(peer.next() - 10, 5, "half of the window is out");
}

namespace
{
uint32_t marked_calls;
uint32_t four_fifths(sluice_cc* cc, uint32_t, sluice_usec)
{
    marked_calls++;
    return cc->cwnd / 5 * 4;
}
} // namespace

Test(ecn, algorithm_may_answer_marks_otherwise_than_losses)
{
    sluice_cc_ops ops = sluice_cc_reno;
    ops.marked = four_fifths;
    Sending peer(true, &ops);
    peer.acked(10, SLUICE_ECE);
    cr_assert_eq(marked_calls, 1);
    cr_assert_eq(peer.window(), 8);
}

Test(ecn, cwr_goes_once_with_the_next_new_payload)
{
    Sending peer;
    for (uint32_t n = 1; n <= 10; n++)
        peer.acked(n, SLUICE_ECE);
    cr_assert_geq(peer.data_segments(), 2);
    for (size_t i = 0; i < peer.sent.size(); i++)
        cr_assert_eq((peer.sent[i].flags & SLUICE_CWR) != 0, i == 0, "segment %zu", i);
}

Test(ecn, only_the_first_segment_of_a_transmission_has_cwr)
{
    Sending peer;
    peer.stack.config().min_tso_segs = 10;
    peer.acked(10, SLUICE_ECE);
    cr_assert_eq(peer.data_segments(), 5, "in one transmission");
    cr_assert_eq(of(&peer.socket->conn).board.size(), 1);
    for (size_t i = 0; i < peer.sent.size(); i++)
        cr_assert_eq((peer.sent[i].flags & SLUICE_CWR) != 0, i == 0, "segment %zu", i);
}

Test(ecn, cwr_waits_for_the_host_that_refused_it)
{
    Sending peer;
    peer.stack.faults.transmit = 1;
    peer.acked(10, SLUICE_ECE);
    cr_assert_eq(peer.data_segments(), 0);
    sluice_conn_push(&peer.socket->conn, peer.sim.now());
    cr_assert(peer.sent.at(0).flags & SLUICE_CWR);
}

Test(ecn, next_windows_mark_is_answered_too)
{
    Sending peer;
    peer.acked(10, SLUICE_ECE);
    peer.acked(10, SLUICE_ECE);
    cr_assert_eq(peer.reductions(), 1);
    peer.acked(12, SLUICE_ECE); // CWR is in there
    cr_assert_eq(peer.reductions(), 2);
    cr_assert_eq(peer.ssthresh(), 2);
}

Test(ecn, loss_tells_of_itself_by_cwr)
{
    Sending peer;
    peer.acked(0, 0, {{1, 5}});
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_fast_retransmits), 1);
    for (uint32_t n = 6; n <= 10; n++)
        peer.acked(0, 0, {{1, n}});
    bool told = false;
    for (const Seen& s : peer.sent) {
        bool again = s.length && static_cast<int32_t>(s.seq - peer.segment(10)) < 0;
        cr_assert_not(again && (s.flags & SLUICE_CWR));
        told |= s.flags & SLUICE_CWR;
    }
    cr_assert(told);
}

Test(ecn, loss_in_the_marked_window_reduces_no_further)
{
    for (bool sack : {true, false}) {
        Sending peer(sack);
        peer.acked(2, SLUICE_ECE);
        cr_assert_eq(peer.ssthresh(), 5);
        peer.sent.clear();
        for (uint32_t n = 4; n <= 8; n++)
            peer.acked(2, SLUICE_ECE,
                       sack ? std::vector<Flight::Range>{{3, n}} : std::vector<Flight::Range>{});
        bool again = false;
        for (const Seen& s : peer.sent)
            again |= s.seq == peer.segment(2);
        cr_assert(again);
        cr_assert_eq(peer.stack.counter(SLUICE_CNT_fast_retransmits), 1);
        cr_assert_eq(peer.ssthresh(), 5);
        peer.acked(10, SLUICE_ECE);
        cr_assert_eq(peer.reductions(), 1);
        cr_assert_eq(peer.ssthresh(), 5);
        cr_assert_leq(peer.window(), 5);
    }
}

Test(ecn, timeout_in_the_marked_window_reduces_no_further)
{
    Sending peer(false);
    peer.acked(2, SLUICE_ECE);
    peer.run(2 * second);
    cr_assert_geq(peer.stack.counter(SLUICE_CNT_rto_timeouts), 1);
    cr_assert_eq(peer.ssthresh(), 5);
    cr_assert_eq(peer.window(), 1);
}

// The echo in a recovery is of the window that was lost from.
Test(ecn, mark_in_the_window_of_a_loss_reduces_no_further)
{
    Sending peer;
    peer.acked(0, 0, {{1, 5}});
    uint32_t reduced = peer.ssthresh();
    peer.acked(0, SLUICE_ECE, {{1, 10}});
    peer.acked(10, SLUICE_ECE);
    cr_assert_eq(peer.socket->info().recovery, SLUICE_REC_OPEN);
    cr_assert_eq(peer.reductions(), 0);
    cr_assert_eq(peer.ssthresh(), reduced);
}

Test(ecn, loss_that_was_none_does_not_undo_what_a_mark_called_for)
{
    for (bool marked : {false, true}) {
        Sending peer;
        peer.acked(0, 0, {{1, 5}});
        peer.acked(0, marked ? SLUICE_ECE : 0, {{1, 10}});
        peer.acked(10, marked ? SLUICE_ECE : 0);
        uint32_t reduced = peer.ssthresh();
        peer.acked(10, 0, {{0, 1}}); // the retransmission was needless
        cr_assert_eq(peer.stack.counter(SLUICE_CNT_dsack_in), 1);
        cr_assert_eq(peer.stack.counter(SLUICE_CNT_spurious_undone), !marked);
        cr_assert_eq(peer.ssthresh(), marked ? reduced : ~0u);
    }
}

Test(ecn, loss_in_the_marked_window_that_was_none_undoes_nothing)
{
    Sending peer;
    peer.acked(1, SLUICE_ECE);
    peer.acked(1, 0, {{2, 6}});
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_fast_retransmits), 1);
    cr_assert_eq(peer.last().seq, peer.segment(1));
    peer.acked(10);
    peer.acked(10, 0, {{1, 2}});
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_dsack_in), 1);
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_spurious_undone), 0);
    cr_assert_eq(peer.ssthresh(), 5);
    cr_assert_leq(peer.window(), 5);
}

Test(ecn, window_of_two_goes_to_one)
{
    Sending peer(true, &sluice_cc_reno, 2);
    peer.acked(2, SLUICE_ECE);
    cr_assert_eq(peer.window(), 1);
    cr_assert_eq(peer.data_segments(), 1);
    cr_assert_eq(peer.ssthresh(), 2);
}

Test(ecn, window_of_one_waits_for_the_retransmission_timeout)
{
    Sending peer(true, &sluice_cc_reno, 1);
    uint64_t begin = peer.sim.now();
    uint32_t rto = peer.socket->info().rto;
    peer.acked(1, SLUICE_ECE);
    cr_assert_eq(peer.window(), 1);
    peer.socket->write(pattern(100)); // no way around it
    peer.run(rto - 1000);
    cr_assert_eq(peer.sent.size(), 0);
    cr_assert(peer.sim.run_until([&] { return !peer.sent.empty(); }, second));
    cr_assert_leq(peer.sim.now() - begin, rto + 1000);
    cr_assert_eq(peer.data_segments(), 1);
    cr_assert(peer.last().flags & SLUICE_CWR);
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_retrans_segs), 0);
    peer.acked(2); // the mark is gone
    cr_assert_eq(peer.data_segments(), 3, "slow start again");
}

Test(ecn, echo_means_nothing_without_agreement)
{
    Sending peer;
    of(&peer.socket->conn).ecn.on = false;
    peer.acked(10, SLUICE_ECE);
    cr_assert_eq(peer.reductions(), 0);
    cr_assert_eq(peer.ssthresh(), ~0u);
}

// ---- the whole ----

Test(ecn, marking_queue_fills_the_path_without_a_loss)
{
    for (const sluice_cc_ops* cc : {&sluice_cc_cubic, &sluice_cc_reno})
        for (uint64_t coalesced : {0u, 500u}) {
            Asking p(7, {.rate = 1250000, .delay = 10000, .queue = 1000, .mark_queue = 20});
            p.a.cc = cc;
            p.into_b.wait = coalesced;
            auto [client, server] = p.connected();
            uint64_t begin = p.sim.now();
            cr_assert(transfer(p, *client, *server, pattern(10000000)));
            double rate = 1e7 * 1e6 / static_cast<double>(p.sim.now() - begin);
            cr_assert_gt(rate, 0.85 * 1250000, "%s: %.0f bytes/s", cc->name, rate);
            cr_assert_eq(p.a.counter(SLUICE_CNT_retrans_segs), 0);
            cr_assert_geq(p.a.counter(SLUICE_CNT_ecn_reductions), 3);
            cr_assert_gt(client->info().delivered_ce, 0);
            cr_assert_eq(p.b.counter(SLUICE_CNT_ecn_ce_in), p.forth.marked);
        }
}

Test(ecn, same_path_without_it_marks_nothing)
{
    lab::Pair p(7, {.rate = 1250000, .delay = 10000, .queue = 40, .mark_queue = 20});
    auto [client, server] = p.connected();
    cr_assert(transfer(p, *client, *server, pattern(3000000)));
    cr_assert_eq(p.forth.marked, 0);
    cr_assert_gt(p.a.counter(SLUICE_CNT_retrans_segs), 0);
}
