// SPDX-License-Identifier: GPL-2.0
// TCP Fast Open (RFC 7413): the option, the client's SYN with data, the server
// that the SYN opens, and every way back to an ordinary handshake.
#include <criterion/criterion.h>

#include "lab_test.h"
#include "namespace_fixture.h"

using namespace sluice;
using namespace sluice::test;

namespace
{

constexpr uint16_t PORT = 80;

// Machine a has a cookie of b's, by an earlier connection, unless told otherwise.
struct Fast : lab::Pair {
    Socket* listener;

    explicit Fast(bool acquainted = true, LinkSettings settings = {}) : lab::Pair(1, settings)
    {
        a.config().fastopen = 1;
        b.config().fastopen = 2;
        listener = &b.socket();
        listener->listen(PORT);
        listener->set(SLUICE_OPTION_FASTOPEN, 16);
        if (acquainted)
            get_acquainted();
    }
    void get_acquainted()
    {
        Socket& client = a.socket();
        cr_assert_eq(client.connect_fast(PORT, pattern(100)), 0, "nothing goes without a cookie");
        sim.run_until([&] { return client.connected; }, 10 * second);
        sim.run_for(second);
        Socket* server = listener->accept();
        cr_assert(server);
        cr_assert(!sluice_conn_open_early(&server->conn));
        client.abort();
        client.close();
        server->close();
        sim.run_for(second);
        cr_assert_eq(a.fastopen_cookie.length, 8);
    }
    uint64_t counted(sluice_counter which) const { return a.counter(which) + b.counter(which); }
    Socket* accepted()
    {
        Socket* server = nullptr;
        sim.run_until([&] { return (server = listener->accept()); }, 30 * second);
        return server;
    }
};

// What the client has sent comes whole, and once.
void all_comes(Fast& t, Socket& client, Socket& server, const Bytes& bytes, size_t sent)
{
    Bytes got;
    t.sim.run_until(
        [&] {
            if (sent < bytes.size() && client.connected)
                sent += client.write(Bytes(bytes.begin() + static_cast<long>(sent), bytes.end()));
            Bytes part = server.read(1 << 20);
            got.insert(got.end(), part.begin(), part.end());
            return got.size() >= bytes.size();
        },
        60 * second);
    t.sim.run_for(second);
    Bytes rest = server.read(1 << 20);
    cr_assert(rest.empty() && got == bytes, "%zu bytes came of %zu", got.size() + rest.size(),
              bytes.size());
}

HeaderFields syn_with(const sluice_fastopen_cookie* cookie)
{
    HeaderFields f;
    f.flags = SLUICE_SYN;
    f.mss = 1460;
    f.fastopen = cookie;
    return f;
}

sluice_segment read_back(const HeaderFields& f)
{
    uint8_t header[SLUICE_HEADER_MAX];
    sluice_segment seg{};
    uint8_t length = write_header(header, f);
    cr_assert_eq(sluice_segment_parse(header, length, length, &seg), SLUICE_PARSE_OK);
    cr_assert(!seg.bad_option);
    return seg;
}

// A SYN with one option of that kind and length, its value all ones.
sluice_segment with_raw_option(uint8_t kind, uint8_t length)
{
    uint8_t header[SLUICE_HEADER_MAX] = {};
    sluice_segment seg{};
    header[12] = 15 << 4;
    header[13] = SLUICE_SYN;
    header[20] = kind;
    header[21] = length;
    for (uint8_t i = 2; i < length && 20 + i < SLUICE_HEADER_MAX; i++)
        header[20 + i] = 1;
    sluice_segment_parse(header, sizeof(header), sizeof(header), &seg);
    return seg;
}

} // namespace

// ---- the option --------------------------------------------------------------------

Test(fastopen, cookies_of_every_length_are_written_and_read)
{
    for (uint8_t length = 0; length <= SLUICE_FASTOPEN_COOKIE_MAX; length += length ? 2 : 4) {
        sluice_fastopen_cookie cookie{};
        cookie.length = length;
        for (uint8_t i = 0; i < length; i++)
            cookie.bytes[i] = static_cast<uint8_t>(i + 7);
        sluice_segment seg = read_back(syn_with(&cookie));
        cr_assert(seg.has_fastopen, "length %d", length);
        cr_assert_eq(seg.fastopen.length, length);
        cr_assert_arr_eq(seg.fastopen.bytes, cookie.bytes, length);
    }
    cr_assert(!read_back(syn_with(nullptr)).has_fastopen);
}

Test(fastopen, the_longest_cookie_fits_beside_every_other_option)
{
    sluice_fastopen_cookie cookie{};
    cookie.length = SLUICE_FASTOPEN_COOKIE_MAX;
    HeaderFields f = syn_with(&cookie);
    f.timestamp = f.sack_permitted = true;
    f.wscale = 7;
    sluice_segment seg = read_back(f);
    cr_assert_eq(seg.header_length, 60);
    cr_assert(seg.has_timestamp && seg.sack_permitted && seg.has_wscale && seg.mss == 1460);
    cr_assert_eq(seg.fastopen.length, 16);
}

// RFC 7413 4.1.1: 4 to 16 bytes, an even number of them; or none.
Test(fastopen, what_cannot_be_a_cookie_is_skipped)
{
    for (uint8_t length = 2; length <= 40; length++) {
        uint8_t bytes = static_cast<uint8_t>(length - 2);
        bool good = !bytes || (bytes >= 4 && bytes <= 16 && bytes % 2 == 0);
        sluice_segment seg = with_raw_option(34, length);
        cr_assert_eq(seg.has_fastopen, good, "length %d", length);
        cr_assert_eq(seg.bad_option, !good);
    }
    cr_assert(with_raw_option(34, 1).bad_option);
    cr_assert(with_raw_option(34, 41).bad_option);
}

Test(fastopen, only_a_syn_carries_it)
{
    uint8_t header[SLUICE_HEADER_MAX] = {};
    sluice_segment seg{};
    header[12] = 15 << 4;
    header[13] = SLUICE_ACK;
    header[20] = 34;
    header[21] = 10;
    cr_assert_eq(sluice_segment_parse(header, sizeof(header), sizeof(header), &seg),
                 SLUICE_PARSE_OK);
    cr_assert(!seg.has_fastopen && !seg.bad_option);
}

// ---- a connection that the SYN opens ---------------------------------------------------

Test(fastopen, a_cookie_is_asked_for_and_given)
{
    Fast t;
    cr_assert_eq(t.b.counter(SLUICE_CNT_fastopen_cookies_asked), 1u);
    cr_assert_eq(t.a.fastopen_mss, 1460);
    cr_assert_eq(t.counted(SLUICE_CNT_fastopen_passive), 0u);
}

Test(fastopen, data_in_the_syn_are_there_with_the_connection)
{
    LinkSettings slow;
    slow.delay = 50000;
    Fast t(true, slow);
    Socket& client = t.a.socket();
    Bytes bytes = pattern(500);
    uint64_t began = t.sim.now();
    cr_assert_eq(client.connect_fast(PORT, bytes), 500);
    Socket* server = t.accepted();
    cr_assert(server);
    cr_assert_leq(t.sim.now() - began, 51000u, "half a round trip");
    cr_assert_eq(server->state(), SLUICE_SYN_RECEIVED);
    cr_assert(sluice_conn_open_early(&server->conn));
    cr_assert(server->read(1000) == bytes);
    t.sim.run_for(second);
    cr_assert_eq(server->state(), SLUICE_ESTABLISHED);
    cr_assert(!sluice_conn_open_early(&server->conn));
    cr_assert_eq(t.a.counter(SLUICE_CNT_fastopen_active), 1u);
    cr_assert_eq(t.b.counter(SLUICE_CNT_fastopen_passive), 1u);
    cr_assert(client.info().options & SLUICE_OPT_SYN_DATA);
    cr_assert(server->info().options & SLUICE_OPT_SYN_DATA);
    cr_assert_eq(client.info().bytes_acked, 500u);
    cr_assert_eq(client.info().fastopen_failure, 0u);
    cr_assert(transfer(t, client, *server, pattern(100000)));
    cr_assert(transfer(t, *server, client, pattern(100000)));
}

// RFC 7413 4.2: the answer needs one round trip in all.
Test(fastopen, the_server_answers_before_the_handshake_is_over)
{
    LinkSettings slow;
    slow.delay = 50000;
    Fast t(true, slow);
    Socket& client = t.a.socket();
    Bytes answer = pattern(3000, 5);
    uint64_t began = t.sim.now();
    client.connect_fast(PORT, pattern(10));
    Socket* server = t.accepted();
    cr_assert_eq(server->write(answer), answer.size());
    t.sim.run_until([&] { return client.readable() == answer.size(); }, second);
    cr_assert_leq(t.sim.now() - began, 102000u, "%lu us", t.sim.now() - began);
    cr_assert(client.read(10000) == answer);
    t.sim.run_for(second);
    cr_assert_eq(server->info().unacked, 0u);
    cr_assert_eq(server->info().bytes_acked, answer.size());
    cr_assert_eq(server->info().retrans_segs, 0u);
    cr_assert_geq(server->info().rtt, 99000u);
}

Test(fastopen, a_cookie_alone_opens_too)
{
    Fast t;
    Socket& client = t.a.socket();
    cr_assert_eq(client.connect_fast(PORT, {}), 0);
    Socket* server = t.accepted();
    cr_assert_eq(t.b.counter(SLUICE_CNT_fastopen_passive), 1u);
    cr_assert(!(server->info().options & SLUICE_OPT_SYN_DATA));
    cr_assert(transfer(t, client, *server, pattern(5000)));
}

Test(fastopen, what_does_not_fit_the_syn_follows)
{
    Fast t;
    Socket& client = t.a.socket();
    Bytes bytes = pattern(50000);
    size_t sent = client.connect_fast(PORT, bytes);
    cr_assert_eq(sent, 1460u - 40, "room beside all options");
    Socket* server = t.accepted();
    all_comes(t, client, *server, bytes, sent);
    cr_assert_eq(t.b.counter(SLUICE_CNT_duplicate_data), 0u);
}

Test(fastopen, both_ends_close_in_their_time)
{
    for (bool server_first : {false, true}) {
        Fast t;
        Socket& client = t.a.socket();
        client.connect_fast(PORT, pattern(700));
        Socket* server = t.accepted();
        server->write(pattern(300, 1));
        if (server_first)
            server->shutdown();
        cr_assert_eq(server->state(), SLUICE_SYN_RECEIVED, "its FIN waits");
        cr_assert(server->read(10000) == pattern(700));
        t.sim.run_until([&] { return client.connected; }, second);
        client.shutdown();
        if (!server_first)
            server->shutdown();
        t.sim.run_for(second);
        cr_assert(client.read(10000) == pattern(300, 1));
        cr_assert(client.fin && server->fin);
        client.close();
        server->close();
        t.sim.run_for(300 * second);
        cr_assert_eq(client.state(), SLUICE_CLOSED);
        cr_assert_eq(server->state(), SLUICE_CLOSED);
        cr_assert_eq(client.error + server->error, 0);
    }
}

Test(fastopen, an_early_child_that_closes_delivers_what_it_wrote)
{
    Fast t;
    Socket& client = t.a.socket();
    Bytes answer = pattern(9000, 3);
    client.connect_fast(PORT, pattern(20));
    Socket* server = t.accepted();
    server->read(100);
    server->write(answer);
    server->close();
    t.sim.run_until([&] { return client.fin; }, 10 * second);
    cr_assert(client.read(20000) == answer);
    cr_assert_eq(client.error, 0);
}

// ---- and the ways back ------------------------------------------------------------------

Test(fastopen, a_wrong_cookie_is_replaced_and_the_data_go_again)
{
    Fast t;
    t.a.fastopen_cookie.bytes[3] ^= 1;
    sluice_fastopen_cookie wrong = t.a.fastopen_cookie;
    Socket& client = t.a.socket();
    Bytes bytes = pattern(800);
    size_t sent = client.connect_fast(PORT, bytes);
    cr_assert_eq(sent, 800);
    Socket* server = t.accepted();
    cr_assert_neq(server->state(), SLUICE_SYN_RECEIVED);
    all_comes(t, client, *server, bytes, sent);
    cr_assert_eq(t.b.counter(SLUICE_CNT_fastopen_passive_fail), 1u);
    cr_assert_eq(t.a.counter(SLUICE_CNT_fastopen_active_fail), 1u);
    cr_assert_eq(client.info().fastopen_failure, 2u, "data not acknowledged");
    cr_assert_eq(client.info().retrans_segs, 0u, "what was never taken was never sent");
    cr_assert(!(client.info().options & SLUICE_OPT_SYN_DATA));
    cr_assert_arr_neq(t.a.fastopen_cookie.bytes, wrong.bytes, 8);
    Socket& second_client = t.a.socket();
    second_client.connect_fast(PORT, bytes);
    cr_assert_eq(t.accepted()->state(), SLUICE_SYN_RECEIVED);
}

// RFC 7413 4.1.2: servers change their keys, and honour the former one for a while.
Test(fastopen, a_cookie_of_the_former_key_is_good_and_renewed)
{
    Fast t;
    sluice_fastopen_cookie old = t.a.fastopen_cookie;
    t.b.fastopen_keys = {2, 1};
    Socket& client = t.a.socket();
    client.connect_fast(PORT, pattern(80));
    cr_assert_eq(t.accepted()->state(), SLUICE_SYN_RECEIVED);
    t.sim.run_for(second);
    cr_assert_arr_neq(t.a.fastopen_cookie.bytes, old.bytes, 8);
    t.b.fastopen_keys = {2, 0};
    Socket& next = t.a.socket();
    next.connect_fast(PORT, pattern(80));
    cr_assert_eq(t.accepted()->state(), SLUICE_SYN_RECEIVED);
}

Test(fastopen, a_listener_without_it_hears_an_ordinary_syn)
{
    for (int way = 0; way < 2; way++) {
        Fast t;
        if (way)
            t.b.config().fastopen = 0;
        else
            t.listener->set(SLUICE_OPTION_FASTOPEN, 0);
        Socket& client = t.a.socket();
        Bytes bytes = pattern(600);
        size_t sent = client.connect_fast(PORT, bytes);
        Socket* server = t.accepted();
        all_comes(t, client, *server, bytes, sent);
        cr_assert_eq(t.b.counter(SLUICE_CNT_fastopen_passive), 0u);
        cr_assert_eq(t.b.counter(SLUICE_CNT_fastopen_passive_fail), 0u);
    }
}

Test(fastopen, no_cookie_is_needed_where_both_say_so)
{
    for (int way = 0; way < 3; way++) {
        Fast t(false);
        t.a.ipv4 = t.b.ipv4 = true;
        if (way == 0)
            t.b.config().fastopen |= 0x200;
        if (way == 1)
            t.listener->set(SLUICE_OPTION_FASTOPEN_NO_COOKIE, 1);
        Socket& client = t.a.socket();
        Bytes bytes = pattern(600);
        cr_assert_eq(client.connect_fast(PORT, bytes, true), 536 - 40, "its MSS is unknown");
        Socket* server = t.accepted();
        cr_assert_eq(server->state() == SLUICE_SYN_RECEIVED, way < 2);
        all_comes(t, client, *server, bytes, 536 - 40);
    }
}

Test(fastopen, every_listener_has_it_where_that_is_set)
{
    Fast t;
    t.listener->set(SLUICE_OPTION_FASTOPEN, 0);
    t.b.config().fastopen = 2 | 0x400;
    Socket& client = t.a.socket();
    client.connect_fast(PORT, pattern(6));
    cr_assert_eq(t.accepted()->state(), SLUICE_SYN_RECEIVED);
}

Test(fastopen, early_children_are_limited)
{
    LinkSettings slow;
    slow.delay = 50000;
    Fast t(true, slow);
    t.listener->set(SLUICE_OPTION_FASTOPEN, 2);
    for (int i = 0; i < 4; i++)
        t.a.socket().connect_fast(PORT, pattern(100));
    t.sim.run_for(60000);
    cr_assert_eq(t.b.counter(SLUICE_CNT_fastopen_passive), 2u);
    cr_assert_eq(t.b.counter(SLUICE_CNT_fastopen_overflows), 2u);
    t.sim.run_for(second);
    for (int i = 0; i < 4; i++) {
        Socket* server = t.accepted();
        cr_assert(server && server->read(1000) == pattern(100));
    }
    t.a.socket().connect_fast(PORT, pattern(100));
    cr_assert_eq(t.accepted()->state(), SLUICE_SYN_RECEIVED, "they were established meanwhile");
}

// ---- losses -----------------------------------------------------------------------------

namespace
{

// Loses the segments of those numbers that are sent that way from now on.
void lose(lab::Link& link, std::vector<int> numbers)
{
    link.drop = [numbers, next = 0](const Packet&) mutable {
        return std::find(numbers.begin(), numbers.end(), next++) != numbers.end();
    };
}

} // namespace

Test(fastopen, a_lost_syn_goes_again_without_data)
{
    Fast t;
    lose(t.forth, {0});
    Socket& client = t.a.socket();
    Bytes bytes = pattern(900);
    size_t sent = client.connect_fast(PORT, bytes);
    Socket* server = t.accepted();
    all_comes(t, client, *server, bytes, sent);
    cr_assert_eq(t.b.counter(SLUICE_CNT_fastopen_passive), 0u);
    cr_assert_eq(client.info().fastopen_failure, 3u, "the SYN was sent again");
    cr_assert_eq(t.a.counter(SLUICE_CNT_fastopen_active_fail), 1u);
    cr_assert_eq(t.a.fastopen_lost, 0u, "once is no black hole");
}

Test(fastopen, a_lost_syn_ack_is_sent_again_by_timer)
{
    Fast t;
    lose(t.back, {0});
    lose(t.forth, {1}); // the repeated SYN
    Socket& client = t.a.socket();
    Bytes bytes = pattern(900);
    size_t sent = client.connect_fast(PORT, bytes);
    Socket* server = t.accepted();
    cr_assert_eq(server->state(), SLUICE_SYN_RECEIVED);
    server->write(pattern(400, 9));
    all_comes(t, client, *server, bytes, sent);
    t.sim.run_for(5 * second);
    cr_assert(client.read(1000) == pattern(400, 9));
    cr_assert_geq(t.b.counter(SLUICE_CNT_syn_retrans), 1u);
    cr_assert_eq(client.info().bytes_acked, 900u);
    cr_assert(client.info().options & SLUICE_OPT_SYN_DATA);
}

// Nothing to send, but the SYN-ACK is out.
Test(fastopen, an_early_child_that_is_uncorked_still_sends_its_syn_ack_again)
{
    Fast t;
    lose(t.back, {0});
    lose(t.forth, {1}); // the repeated SYN
    Socket& client = t.a.socket();
    client.connect_fast(PORT, pattern(50));
    Socket* server = t.accepted();
    sluice_conn_push(&server->conn, t.sim.now());
    cr_assert(of(&server->conn).next_deadline(), "no timer");
    t.sim.run_for(5 * second);
    cr_assert_eq(server->state(), SLUICE_ESTABLISHED);
}

Test(fastopen, a_repeated_syn_is_answered_by_the_syn_ack_again)
{
    Fast t;
    t.b.config().rto_initial = 60 * second; // so that not the timer does it
    lose(t.back, {0});
    Socket& client = t.a.socket();
    Bytes bytes = pattern(900);
    size_t sent = client.connect_fast(PORT, bytes);
    Socket* server = t.accepted();
    all_comes(t, client, *server, bytes, sent);
    t.sim.run_for(5 * second);
    cr_assert_eq(server->state(), SLUICE_ESTABLISHED);
    cr_assert_eq(t.b.counter(SLUICE_CNT_syn_retrans), 1u);
}

Test(fastopen, the_final_ack_may_be_lost)
{
    Fast t;
    lose(t.forth, {1});
    Socket& client = t.a.socket();
    client.connect_fast(PORT, pattern(50));
    Socket* server = t.accepted();
    server->read(100);
    server->write(pattern(2000, 2));
    t.sim.run_for(20 * second);
    cr_assert(client.read(5000) == pattern(2000, 2));
    cr_assert_eq(server->state(), SLUICE_ESTABLISHED);
    cr_assert_eq(server->info().unacked, 0u);
}

Test(fastopen, data_after_a_lost_answer_come_all_the_same)
{
    for (int first = 0; first < 5; first++) {
        Fast t;
        lose(t.back, {first, first + 1});
        Socket& client = t.a.socket();
        client.connect_fast(PORT, pattern(50));
        Socket* server = t.accepted();
        server->read(100);
        server->write(pattern(20000, 2));
        t.sim.run_for(30 * second);
        cr_assert(client.read(50000) == pattern(20000, 2), "lost from %d on", first);
        cr_assert_eq(server->info().unacked, 0u);
    }
}

Test(fastopen, an_early_child_gives_up_when_nobody_answers)
{
    Fast t;
    Socket& client = t.a.socket();
    client.connect_fast(PORT, pattern(50));
    Socket* server = t.accepted();
    server->write(pattern(500));
    t.back.drop = t.forth.drop = [](const Packet&) { return true; };
    t.sim.run_for(400 * second);
    cr_assert_eq(server->state(), SLUICE_CLOSED);
    cr_assert_eq(server->error, 110, "ETIMEDOUT");
}

// RFC 7413 4.1.3.1
Test(fastopen, two_lost_syns_look_like_a_black_hole)
{
    Fast t;
    lose(t.forth, {0, 1});
    Socket& client = t.a.socket();
    Bytes bytes = pattern(900);
    size_t sent = client.connect_fast(PORT, bytes);
    Socket* server = t.accepted();
    all_comes(t, client, *server, bytes, sent);
    cr_assert_eq(t.a.fastopen_lost, 1u);
    cr_assert_eq(t.a.counter(SLUICE_CNT_fastopen_blackholes), 1u);
}

// ---- hostile peers -----------------------------------------------------------------------

Test(fastopen, a_reset_ends_an_early_child)
{
    LinkSettings slow;
    slow.delay = 50000;
    Fast t(true, slow);
    Socket& client = t.a.socket();
    client.connect_fast(PORT, pattern(50));
    Socket* server = t.accepted();
    client.abort();
    t.sim.run_for(10000);
    HeaderFields f;
    f.source = client.local_port;
    f.destination = PORT;
    f.flags = SLUICE_RST;
    f.seq = sluice_conn_rcv_nxt(&server->conn);
    uint8_t header[SLUICE_HEADER_MAX];
    Packet p;
    p.bytes.assign(header, header + write_header(header, f));
    t.b.receive(p);
    cr_assert_eq(server->state(), SLUICE_CLOSED);
    cr_assert_eq(server->error, 104, "ECONNRESET");
}

// The cookie is bound to the address (4.1.1).
Test(fastopen, a_cookie_is_of_one_address)
{
    Fast t;
    sluice_path path = t.b.path(PORT, 4000), other = path;
    other.remote[3] ^= 1;
    sluice_segment syn{};
    syn.flags = SLUICE_SYN;
    syn.has_fastopen = true;
    syn.fastopen = t.a.fastopen_cookie;
    sluice_fastopen_cookie grant;
    cr_assert(sluice_fastopen_judge(&t.listener->conn, &t.b.config(), &path, &syn, &grant));
    cr_assert_eq(grant.length, 0);
    cr_assert(!sluice_fastopen_judge(&t.listener->conn, &t.b.config(), &other, &syn, &grant));
    cr_assert_eq(grant.length, 8);
    syn.fastopen.length = 4;
    cr_assert(!sluice_fastopen_judge(&t.listener->conn, &t.b.config(), &path, &syn, &grant),
              "a part of it");
}

Test(fastopen, an_acknowledgment_of_more_than_was_sent_is_reset)
{
    Scripted t([](lab::Stack& s) {
        s.config().fastopen = 1;
        s.fastopen_cookie.length = 8;
    });
    Socket& client = t.stack.socket();
    client.connect_fast(PORT, pattern(100));
    t.run(1000);
    cr_assert_eq(t.sent.size(), 1u);
    cr_assert_eq(t.last().length, 100u);
    HeaderFields f;
    f.source = PORT;
    f.destination = client.local_port;
    f.flags = SLUICE_SYN | SLUICE_ACK;
    f.seq = 1;
    f.window = 1000;
    f.ack = t.last().seq + 102;
    t.raw(f);
    cr_assert(t.last().flags & SLUICE_RST);
    f.ack = t.sent[0].seq + 61; // a part of it
    t.raw(f);
    cr_assert_eq(client.state(), SLUICE_ESTABLISHED);
    cr_assert_eq(client.info().bytes_acked, 60u);
    cr_assert_eq(client.info().unacked, 40u);
    Bytes all = pattern(100);
    cr_assert(t.last().data == Bytes(all.begin() + 60, all.end()));
}
