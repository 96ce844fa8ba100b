// SPDX-License-Identifier: GPL-2.0
// SYN cookies (RFC 4987 3.6): a SYN-ACK that remembers for itself.
#include <criterion/criterion.h>

#include "lab_test.h"
#include "namespace_fixture.h"

#include "../../kmod/core/isn.h"

using namespace sluice;
using namespace sluice::test;

namespace
{

struct Cookie : NamespaceFixture {
    sluice_conn listener{};
    sluice_path path{};
    sluice_segment syn{};
    sluice_half_open h{};
    sluice_usec now = 1000 * second;

    Cookie()
    {
        sluice_conn_init(&listener, config(), &sluice_cc_reno);
        path.local_port = 80;
        path.remote_port = 4000;
        path.max_payload = path.advertise_mss = 1460;
        path.gso_max = 65535;
        path.local[15] = 1;
        path.remote[15] = 2;
        syn.seq = 0xfffffff0;
        syn.flags = SLUICE_SYN;
        syn.mss = 1400;
        syn.has_wscale = syn.sack_permitted = syn.has_timestamp = true;
        syn.wscale = 9;
        syn.ts_value = 77;
    }
    ~Cookie() { sluice_conn_destroy(&listener); }

    sluice_segment answer()
    {
        sluice_reply reply{};
        sluice_cookie_answer(&listener, config(), &path, &syn, 65535, &reply, now);
        sluice_segment seg{};
        cr_assert_eq(
            sluice_segment_parse(reply.header, reply.header_length, reply.header_length, &seg),
            SLUICE_PARSE_OK);
        cr_assert_eq(seg.flags, SLUICE_SYN | SLUICE_ACK);
        cr_assert_eq(seg.ack, syn.seq + 1);
        return seg;
    }
    // What a peer says to that.
    sluice_segment third(const sluice_segment& syn_ack) const
    {
        sluice_segment ack{};
        ack.seq = syn_ack.ack;
        ack.ack = syn_ack.seq + 1;
        ack.flags = SLUICE_ACK;
        ack.has_timestamp = syn_ack.has_timestamp;
        ack.ts_value = 80;
        ack.ts_echo = syn_ack.ts_value;
        return ack;
    }
    bool good(const sluice_segment& ack) const { return sluice_cookie_good(&path, &ack, now); }
    bool open(sluice_segment ack)
    {
        return sluice_cookie_open(&h, &listener, config(), &path, &ack, 65535, now);
    }
};

} // namespace

Test(cookie, options_come_back_with_the_ack)
{
    Cookie t;
    sluice_segment a = t.answer();
    cr_assert(a.has_wscale && a.sack_permitted && a.has_timestamp);
    cr_assert_eq(a.ts_echo, 77u);
    cr_assert(t.open(t.third(a)));
    cr_assert_eq(t.h.irs, t.syn.seq);
    cr_assert_eq(t.h.iss, a.seq);
    cr_assert(t.h.timestamp_ok && t.h.sack_ok && t.h.wscale_ok);
    cr_assert_eq(t.h.snd_wscale, 9);
    cr_assert_eq(t.h.rcv_wscale, a.wscale);
    cr_assert_eq(t.h.rcv_wnd, a.window);
    cr_assert_eq(t.h.ts_recent, 80u);
    cr_assert_eq(t.h.peer_mss, 1380, "the greatest of the table that isn't too great");
    cr_assert_eq(t.h.advertise_mss, 1460);
}

Test(cookie, each_option_comes_back_alone)
{
    for (int kind = 0; kind < 4; kind++) {
        Cookie t;
        t.syn.has_wscale = kind & 1;
        t.syn.sack_permitted = kind & 2;
        cr_assert(t.open(t.third(t.answer())));
        cr_assert_eq(t.h.wscale_ok, t.syn.has_wscale);
        cr_assert_eq(t.h.sack_ok, t.syn.sack_permitted);
        cr_assert_eq(t.h.snd_wscale, kind & 1 ? 9 : 0);
    }
}

// Limits that change meanwhile don't change what was promised.
Test(cookie, our_window_scale_is_the_one_that_was_sent)
{
    Cookie t;
    t.config()->rmem_max = 64 << 20;
    sluice_segment a = t.answer();
    t.config()->rmem_max = 1 << 20;
    cr_assert(t.open(t.third(a)));
    cr_assert_eq(t.h.rcv_wscale, a.wscale);
}

Test(cookie, without_timestamps_no_option_is_agreed_on)
{
    for (bool ours : {false, true}) {
        Cookie t;
        (ours ? t.config()->timestamps : t.config()->sack) = 0;
        t.syn.has_timestamp = ours;
        sluice_segment a = t.answer();
        cr_assert_not(a.has_wscale || a.sack_permitted || a.has_timestamp);
        cr_assert(t.open(t.third(a)));
        cr_assert_not(t.h.wscale_ok || t.h.sack_ok || t.h.timestamp_ok);
    }
}

// RFC 7323 3.2: a peer that echoes must not gain or lose the option.
Test(cookie, timestamps_cannot_appear_or_vanish)
{
    Cookie t;
    sluice_segment ack = t.third(t.answer());
    ack.has_timestamp = false;
    cr_assert_not(t.good(ack));
    t.syn.has_timestamp = false;
    ack = t.third(t.answer());
    ack.has_timestamp = true;
    cr_assert_not(t.good(ack));
}

Test(cookie, no_mss_greater_than_the_peers_is_used)
{
    for (uint32_t mss : {48u, 100u, 535u, 536u, 1219u, 1380u, 1459u, 1460u, 9000u, 65535u}) {
        Cookie t;
        t.syn.mss = static_cast<uint16_t>(mss);
        cr_assert(t.open(t.third(t.answer())));
        cr_assert_leq(t.h.peer_mss, mss);
    }
    Cookie t;
    t.syn.mss = 0; // 1220 is the default of IPv6 (RFC 9293 3.7.1)
    cr_assert(t.open(t.third(t.answer())));
    cr_assert_eq(t.h.peer_mss, 1220);
}

Test(cookie, whatever_is_changed_is_noticed)
{
    Cookie t;
    const sluice_segment right = t.third(t.answer());
    cr_assert(t.good(right));
    for (int bit = 0; bit < 32; bit++) {
        sluice_segment ack = right;
        ack.ack ^= 1u << bit;
        cr_assert_not(t.good(ack), "ack, bit %d", bit);
        ack = right;
        ack.seq ^= 1u << bit;
        cr_assert_not(t.good(ack), "seq, bit %d", bit);
    }
    for (int bit = 0; bit < 9; bit++) {
        sluice_segment ack = right;
        ack.ts_echo ^= 1u << bit;
        cr_assert_not(t.good(ack), "options, bit %d", bit);
    }
    t.path.local_port++;
    cr_assert_not(t.good(right));
    t.path.local_port--;
    t.path.remote_port++;
    cr_assert_not(t.good(right));
    t.path.remote_port--;
    t.path.local[3] ^= 1;
    cr_assert_not(t.good(right));
    t.path.local[3] ^= 1;
    t.path.remote[3] ^= 1;
    cr_assert_not(t.good(right));
}

Test(cookie, is_good_for_a_minute_and_never_again)
{
    Cookie t;
    sluice_segment ack = t.third(t.answer());
    sluice_usec sent = t.now;
    t.now = sent + 64 * second;
    cr_assert(t.good(ack));
    t.now = sent + SLUICE_COOKIE_LIFE;
    cr_assert_not(t.good(ack));
    t.now = sent + 32 * 64 * second; // its five bits of time come again
    cr_assert_not(t.good(ack));
}

// RFC 7323 5.3: a timestamp that was ahead would make later segments old ones.
Test(cookie, timestamp_is_never_ahead_of_the_clock)
{
    Cookie t;
    for (uint32_t step = 0; step < 1200; step++, t.now += 1000) {
        uint32_t clock = wire_timestamp(t.now, timestamp_offset(t.path));
        cr_assert_lt(clock - t.answer().ts_value, 1024u);
    }
}

Test(cookie, half_open_queue_may_be_full)
{
    Crowd p(true);
    cr_assert_eq(p.b.half_opens.size(), 2);
    cr_assert_eq(p.b.counter(SLUICE_CNT_cookies_sent), 3);
    cr_assert_eq(p.b.counter(SLUICE_CNT_half_open_overflows), 0);
    p.back.down = false;
    cr_assert(p.sim.run_until([&] { return p.listener.ready.size() == 5; }, 5 * second));
    cr_assert_geq(p.b.counter(SLUICE_CNT_cookies_received), 1);
    while (Socket* child = p.listener.accept()) {
        Socket* client = nullptr;
        for (Socket* c : p.clients)
            if (c->local_port == child->remote_port)
                client = c;
        cr_assert(transfer(p, *client, *child, pattern(50000, child->remote_port)));
        cr_assert(transfer(p, *child, *client, pattern(50000)));
    }
}

Test(cookie, true_clients_connect_in_a_flood)
{
    Scripted flood([](lab::Stack& s) { s.config().max_syn_backlog = 3; });
    Socket& listener = flood.stack.socket();
    listener.listen(80);
    flood.nxt = flood.isn;
    for (uint16_t port = 1001; port <= 1100; port++) {
        HeaderFields f = flood.fields(SLUICE_SYN);
        f.source = port;
        flood.raw(f);
    }
    cr_assert_eq(flood.stack.half_opens.size(), 3);
    cr_assert_eq(flood.stack.counter(SLUICE_CNT_cookies_sent), 97);
    flood.timestamps = true;
    flood.send(SLUICE_SYN);
    flood.rcv = flood.last().seq + 1;
    flood.ts_echo = flood.last().ts_value;
    flood.send(SLUICE_ACK | SLUICE_PSH, pattern(100));
    Socket* child = listener.accept();
    cr_assert(child);
    cr_assert_eq(child->readable(), 100);
    cr_assert_eq(child->info().rtt, 0, "nobody knows when the SYN-ACK went out");
    cr_assert_eq(child->info().rto, 3 * second, "so the SYN may have been lost (RFC 6298 5.7)");
}

// What a cookie opens is there: nothing more is waited for, as in TCP.
Test(cookie, accept_is_not_deferred)
{
    Scripted flood([](lab::Stack& s) { s.config().syncookies = 2; });
    Socket& listener = flood.stack.socket();
    cr_assert_eq(sluice_conn_set_option(&listener.conn, SLUICE_OPTION_DEFER_ACCEPT, 5, 0), 0);
    listener.listen(80);
    flood.nxt = flood.isn;
    flood.send(SLUICE_SYN);
    flood.rcv = flood.last().seq + 1;
    flood.send(SLUICE_ACK);
    Socket* child = listener.accept();
    cr_assert(child);
    cr_assert_eq(child->info().rtt, 0);
}

Test(cookie, ack_that_holds_none_is_reset)
{
    Scripted flood([](lab::Stack& s) { s.config().syncookies = 2; });
    Socket& listener = flood.stack.socket();
    listener.listen(80);
    flood.nxt = flood.isn;
    flood.send(SLUICE_SYN);
    flood.rcv = flood.last().seq + 2; // off by one
    flood.send(SLUICE_ACK);
    cr_assert(flood.last().flags & SLUICE_RST);
    cr_assert_eq(flood.stack.counter(SLUICE_CNT_cookies_failed), 1);
    cr_assert_not(listener.accept());
}
