// SPDX-License-Identifier: GPL-2.0
// Half-open connections: SYN-RECEIVED of a passive open (RFC 9293 3.10.7.2 and
// 3.10.7.4, RFC 7323, RFC 5961).
#include <criterion/criterion.h>

#include <vector>

#include "namespace_fixture.h"

#include "../../kmod/core/isn.h"
#include "../../kmod/core/sequence.h"
#include "../../kmod/core/wire.h"

using namespace sluice;

namespace
{

constexpr uint32_t IRS = 0xfffffff0; // the peer's numbers wrap soon
constexpr sluice_usec SECOND = 1000000;

struct HalfOpen : NamespaceFixture {
    sluice_conn listener{};
    sluice_path path{};
    sluice_segment syn{};
    sluice_half_open h{};
    sluice_reply reply{};
    sluice_usec now = 5 * SECOND;
    uint32_t space = 65535;

    HalfOpen()
    {
        sluice_conn_init(&listener, config(), &sluice_cc_reno);
        path.local_port = 80;
        path.remote_port = 4000;
        path.max_payload = path.advertise_mss = 1460;
        path.gso_max = 65535;
        path.local[15] = path.remote[15] = 1;
        syn.seq = IRS;
        syn.source = 4000;
        syn.destination = 80;
        syn.flags = SLUICE_SYN;
        syn.window = 1000;
        syn.mss = 1400;
        syn.has_wscale = true;
        syn.wscale = 9;
        syn.sack_permitted = true;
        syn.has_timestamp = true;
        syn.ts_value = 77;
    }
    ~HalfOpen() { sluice_conn_destroy(&listener); }

    sluice_segment open(uint32_t isn_after = 0)
    {
        sluice_half_open_init(&h, &listener, config(), &path, &syn, space, isn_after, nullptr,
                              &reply, now);
        return answer();
    }
    // What the reply says; there must be one.
    sluice_segment answer() const
    {
        sluice_segment seg{};
        cr_assert_neq(reply.header_length, 0, "no reply");
        cr_assert_eq(
            sluice_segment_parse(reply.header, reply.header_length, reply.header_length, &seg),
            SLUICE_PARSE_OK);
        cr_assert_eq(seg.source, 80);
        cr_assert_eq(seg.destination, 4000);
        return seg;
    }
    sluice_half_open_result give(const sluice_segment& seg)
    {
        return sluice_half_open_segment(&h, config(), &seg, &reply, now);
    }
    sluice_half_open_result time() { return sluice_half_open_time(&h, config(), &reply, now); }
    // The segment that completes the handshake.
    sluice_segment third() const
    {
        sluice_segment seg{};
        seg.source = 4000;
        seg.destination = 80;
        seg.seq = h.irs + 1;
        seg.ack = h.iss + 1;
        seg.flags = SLUICE_ACK;
        seg.window = 500;
        seg.has_timestamp = h.timestamp_ok;
        seg.ts_value = 78;
        return seg;
    }
    void expect_kept(const sluice_segment& seg) { cr_assert_eq(give(seg), SLUICE_HALF_OPEN_KEEP); }
    void expect_silence(const sluice_segment& seg)
    {
        expect_kept(seg);
        cr_assert_eq(reply.header_length, 0, "an answer");
    }
    // An acknowledgment that tells the peer where we are.
    void expect_ack(const sluice_segment& seg)
    {
        expect_kept(seg);
        sluice_segment a = answer();
        cr_assert_eq(a.flags, SLUICE_ACK);
        cr_assert_eq(a.seq, h.iss + 1);
        cr_assert_eq(a.ack, h.irs + 1);
        cr_assert_eq(a.has_timestamp, h.timestamp_ok);
    }
    void expect_syn_ack(const sluice_segment& a) const
    {
        cr_assert_eq(a.flags, SLUICE_SYN | SLUICE_ACK);
        cr_assert_eq(a.seq, h.iss);
        cr_assert_eq(a.ack, h.irs + 1);
    }
};

} // namespace

Test(half_open, syn_is_answered_by_a_syn_ack_with_every_option)
{
    HalfOpen t;
    sluice_segment a = t.open();
    t.expect_syn_ack(a);
    cr_assert_eq(a.mss, 1460);
    cr_assert(a.sack_permitted);
    cr_assert(a.has_wscale);
    cr_assert_eq(a.wscale, 7);
    cr_assert(a.has_timestamp);
    cr_assert_eq(a.ts_echo, 77u);
    cr_assert_eq(a.ts_value, wire_timestamp(t.now, timestamp_offset(t.path)));
    cr_assert_eq(a.window, 65535u);
    cr_assert_eq(t.h.peer_mss, 1400);
    cr_assert_eq(t.h.snd_wscale, 9);
    cr_assert_eq(t.h.sent, t.now);
}

Test(half_open, options_the_peer_did_not_offer_are_not_used)
{
    HalfOpen t;
    t.syn.has_wscale = t.syn.sack_permitted = t.syn.has_timestamp = false;
    sluice_segment a = t.open();
    cr_assert_not(a.has_wscale || a.sack_permitted || a.has_timestamp);
    cr_assert_not(t.h.wscale_ok || t.h.sack_ok || t.h.timestamp_ok);
    cr_assert_eq(t.h.snd_wscale, 0);
    cr_assert_eq(t.h.rcv_wscale, 0);
    cr_assert_eq(a.mss, 1460);
}

Test(half_open, options_the_namespace_forbids_are_not_used)
{
    HalfOpen t;
    t.config()->window_scaling = t.config()->sack = t.config()->timestamps = 0;
    sluice_segment a = t.open();
    cr_assert_not(a.has_wscale || a.sack_permitted || a.has_timestamp);
    cr_assert_eq(t.h.rcv_wscale, 0);
}

Test(half_open, missing_mss_option_means_the_default_of_rfc9293)
{
    HalfOpen t;
    t.syn.mss = 0;
    t.open();
    cr_assert_eq(t.h.peer_mss, 1220);
    t.path.remote[10] = t.path.remote[11] = 0xff;
    t.open();
    cr_assert_eq(t.h.peer_mss, 536);
    t.path.remote[0] = 0x20;
    t.open();
    cr_assert_eq(t.h.peer_mss, 1220);
    t.path.remote[0] = t.path.remote[10] = 0;
    t.open();
    cr_assert_eq(t.h.peer_mss, 1220);
    t.path.remote[10] = 0xff;
    t.path.remote[11] = 0;
    t.open();
    cr_assert_eq(t.h.peer_mss, 1220);
}

Test(half_open, listener_options_limit_what_is_offered)
{
    HalfOpen t;
    sluice_conn_set_option(&t.listener, SLUICE_OPTION_MAXSEG, 1000, t.now);
    sluice_conn_set_option(&t.listener, SLUICE_OPTION_WINDOW_CLAMP, 30000, t.now);
    sluice_segment a = t.open();
    cr_assert_eq(a.mss, 1000);
    cr_assert_eq(a.window, 30000u);
    cr_assert_eq(a.wscale, 0);
    sluice_conn_set_option(&t.listener, SLUICE_OPTION_MAXSEG, 9000, t.now);
    cr_assert_eq(t.open().mss, 1460);
}

Test(half_open, window_of_the_syn_ack_is_what_the_buffer_has_unscaled)
{
    HalfOpen t;
    t.space = 10000;
    cr_assert_eq(t.open().window, 10000u);
    cr_assert_eq(t.h.rcv_wnd, 10000u);
    t.space = 1 << 20;
    cr_assert_eq(t.open().window, 65535u);
    cr_assert_eq(t.h.rcv_wnd, 65535u);
}

Test(half_open, isn_is_not_before_the_least_one)
{
    HalfOpen t;
    t.open();
    uint32_t free_choice = t.h.iss;
    t.open(free_choice + 1000);
    cr_assert_eq(t.h.iss, free_choice + 1000);
    t.open(free_choice - 1000);
    cr_assert_eq(t.h.iss, free_choice);
}

Test(isn, rises_every_four_microseconds)
{
    HalfOpen t;
    uint32_t first = initial_sequence(t.path, 1000);
    cr_assert_eq(initial_sequence(t.path, 1000 + 4 * 12345), first + 12345);
}

Test(isn, differs_for_each_part_of_the_four_tuple)
{
    HalfOpen t;
    std::vector<uint32_t> seen = {initial_sequence(t.path, 1)};
    sluice_path paths[4] = {t.path, t.path, t.path, t.path};
    paths[0].local[0] ^= 1;
    paths[1].remote[15] ^= 1;
    paths[2].local_port ^= 1;
    paths[3].remote_port ^= 1;
    for (auto& p : paths) {
        for (uint32_t other : seen)
            cr_assert_neq(initial_sequence(p, 1), other);
        seen.push_back(initial_sequence(p, 1));
    }
}

Test(isn, timestamp_offset_belongs_to_the_pair_of_addresses)
{
    HalfOpen t;
    sluice_path other = t.path;
    other.local_port++;
    other.remote_port++;
    cr_assert_eq(timestamp_offset(other), timestamp_offset(t.path));
    other.remote[0] ^= 1;
    cr_assert_neq(timestamp_offset(other), timestamp_offset(t.path));
    other = t.path;
    other.local_port = other.remote_port = 0;
    cr_assert_neq(initial_sequence(other, 0), timestamp_offset(other));
}

Test(half_open, acknowledgment_of_our_syn_establishes)
{
    HalfOpen t;
    t.open();
    cr_assert_eq(t.give(t.third()), SLUICE_HALF_OPEN_ESTABLISHED);
    cr_assert_eq(t.reply.header_length, 0);
    cr_assert_eq(t.h.ts_recent, 78u);
}

Test(half_open, data_or_fin_with_the_acknowledgment_establishes)
{
    HalfOpen t;
    t.open();
    sluice_segment seg = t.third();
    seg.length = 100;
    seg.flags |= SLUICE_FIN | SLUICE_PSH;
    cr_assert_eq(t.give(seg), SLUICE_HALF_OPEN_ESTABLISHED);
}

Test(half_open, data_further_in_the_window_establishes_when_the_ack_was_lost)
{
    HalfOpen t;
    t.open();
    sluice_segment seg = t.third();
    seg.seq += 1400;
    seg.length = 1400;
    cr_assert_eq(t.give(seg), SLUICE_HALF_OPEN_ESTABLISHED);
    cr_assert_eq(t.h.ts_recent, 77u, "TS.Recent moves by segments in sequence only");
}

Test(half_open, wrong_acknowledgment_is_reset_and_the_object_kept)
{
    HalfOpen t;
    t.open();
    for (uint32_t off : {0u, 2u, 0x7fffffffu, 0x80000001u}) {
        sluice_segment seg = t.third();
        seg.ack = t.h.iss + off;
        t.expect_kept(seg);
        sluice_segment rst = t.answer();
        cr_assert_eq(rst.flags, SLUICE_RST);
        cr_assert_eq(rst.seq, seg.ack);
    }
    cr_assert_eq(t.give(t.third()), SLUICE_HALF_OPEN_ESTABLISHED);
    cr_assert_eq(t.count(SLUICE_CNT_future_ack), 4u);
}

Test(half_open, segment_without_ack_is_dropped)
{
    HalfOpen t;
    t.open();
    sluice_segment seg = t.third();
    seg.flags = 0;
    seg.length = 10;
    t.expect_silence(seg);
    cr_assert_eq(t.count(SLUICE_CNT_no_ack_flag), 1u);
}

Test(half_open, segment_outside_the_window_is_acknowledged_and_dropped)
{
    HalfOpen t;
    t.open();
    sluice_segment beyond = t.third(), before = t.third();
    beyond.seq += t.h.rcv_wnd;
    beyond.length = 10;
    t.expect_ack(beyond);
    before.seq -= 10;
    before.length = 10;
    t.expect_ack(before);
    cr_assert_eq(t.count(SLUICE_CNT_out_of_window), 2u);
}

Test(half_open, answers_to_bare_unacceptable_segments_are_rate_limited)
{
    HalfOpen t;
    t.open();
    sluice_segment seg = t.third();
    seg.seq += t.h.rcv_wnd + 1;
    t.expect_ack(seg);
    t.now += 499999;
    t.expect_silence(seg);
    t.now += 1;
    t.expect_ack(seg);
}

Test(half_open, older_timestamp_is_refused)
{
    HalfOpen t;
    t.open();
    sluice_segment seg = t.third();
    seg.ts_value = 76;
    t.expect_ack(seg);
    cr_assert_eq(t.count(SLUICE_CNT_paws_rejected), 1u);
    cr_assert_eq(t.h.ts_recent, 77u);
    seg.ts_value = 77;
    cr_assert_eq(t.give(seg), SLUICE_HALF_OPEN_ESTABLISHED);
}

Test(half_open, timestamp_does_not_matter_when_not_negotiated)
{
    HalfOpen t;
    t.syn.has_timestamp = false;
    t.open();
    sluice_segment seg = t.third();
    seg.has_timestamp = true;
    seg.ts_value = 0x80000000;
    cr_assert_eq(t.give(seg), SLUICE_HALF_OPEN_ESTABLISHED);
}

Test(half_open, repeated_syn_brings_the_syn_ack_again)
{
    HalfOpen t;
    t.open();
    uint32_t iss = t.h.iss;
    t.now += SECOND / 2;
    t.syn.ts_value = 80;
    t.expect_kept(t.syn);
    sluice_segment a = t.answer();
    t.expect_syn_ack(a);
    cr_assert_eq(a.seq, iss);
    cr_assert_eq(a.ts_echo, 80u);
    cr_assert_eq(t.h.deadline, t.now + SECOND, "the timer starts anew");
    cr_assert_eq(t.h.retries, 0);
    cr_assert(t.h.resent);
    cr_assert_eq(t.count(SLUICE_CNT_syn_retrans), 1u);
}

Test(half_open, repeated_syns_are_answered_twice_a_second_at_most)
{
    HalfOpen t;
    t.open();
    int answers = 0;
    for (int i = 0; i < 100; i++) {
        t.expect_kept(t.syn);
        answers += t.reply.header_length != 0;
        t.now += 10000;
    }
    cr_assert_eq(answers, 2);
}

Test(half_open, another_syn_is_challenged_wherever_it_stands)
{
    HalfOpen t;
    t.open();
    sluice_segment syn = t.syn;
    syn.seq = IRS + 100;
    t.expect_ack(syn);
    cr_assert_eq(t.count(SLUICE_CNT_syn_in_window), 1u);
    cr_assert_eq(t.count(SLUICE_CNT_challenge_acks), 1u);
    t.expect_silence(syn);
    cr_assert_eq(t.count(SLUICE_CNT_challenge_acks_limited), 1u, "twice a second at most");
    t.now += 500000;
    syn.seq = IRS + 0x40000000;
    t.expect_ack(syn);
    t.now += 500000;
    t.forbid_challenges();
    syn.seq = IRS + 100;
    t.expect_silence(syn);
    cr_assert_eq(t.count(SLUICE_CNT_challenge_acks_limited), 2u);
}

Test(half_open, rst_at_the_exact_sequence_number_ends_it)
{
    HalfOpen t;
    t.open();
    sluice_segment rst = t.third();
    rst.flags = SLUICE_RST;
    rst.ts_value = 1; // RFC 7323 5.3: PAWS isn't for RST
    cr_assert_eq(t.give(rst), SLUICE_HALF_OPEN_DROP);
    cr_assert_eq(t.reply.header_length, 0);
    cr_assert_eq(t.count(SLUICE_CNT_half_open_resets), 1u);
    cr_assert_eq(t.count(SLUICE_CNT_resets_in), 1u);
    cr_assert_eq(t.count(SLUICE_CNT_attempt_fails), 1u);
}

Test(half_open, rst_elsewhere_in_the_window_is_challenged)
{
    HalfOpen t;
    t.open();
    sluice_segment rst = t.third();
    rst.flags = SLUICE_RST | SLUICE_ACK;
    for (uint32_t off : {1u, 65534u}) {
        rst.seq = t.h.irs + 1 + off;
        t.expect_ack(rst);
        t.expect_silence(rst);
        t.now += 500000;
    }
    cr_assert_eq(t.count(SLUICE_CNT_rst_challenged), 4u);
    cr_assert_eq(t.count(SLUICE_CNT_challenge_acks), 2u);
}

Test(half_open, rst_outside_the_window_is_ignored)
{
    HalfOpen t;
    t.open();
    sluice_segment rst = t.third();
    rst.flags = SLUICE_RST;
    for (uint32_t off : {0u - 1, 65536u, 0x80000000u}) {
        rst.seq = t.h.irs + 1 + off;
        t.expect_silence(rst);
    }
    cr_assert_eq(t.count(SLUICE_CNT_resets_in), 0u);
}

Test(half_open, rst_is_never_answered_by_rst)
{
    HalfOpen t;
    t.open();
    sluice_segment rst = t.third();
    rst.flags = SLUICE_RST | SLUICE_ACK;
    rst.ack = t.h.iss + 12345;
    cr_assert_eq(t.give(rst), SLUICE_HALF_OPEN_DROP);
    cr_assert_eq(t.reply.header_length, 0);
}

Test(half_open, syn_ack_goes_out_again_with_doubling_intervals_and_then_gives_up)
{
    HalfOpen t;
    t.open();
    sluice_usec start = t.now;
    const int seconds[] = {1, 3, 7, 15, 31};
    for (int s : seconds) {
        cr_assert_eq(t.h.deadline, start + s * SECOND);
        t.now = t.h.deadline - 1;
        cr_assert_eq(t.time(), SLUICE_HALF_OPEN_KEEP);
        cr_assert_eq(t.reply.header_length, 0, "early");
        t.now++;
        cr_assert_eq(t.time(), SLUICE_HALF_OPEN_KEEP);
        t.expect_syn_ack(t.answer());
    }
    cr_assert_eq(t.h.deadline, start + 63 * SECOND);
    t.now = t.h.deadline;
    cr_assert_eq(t.time(), SLUICE_HALF_OPEN_DROP);
    cr_assert_eq(t.reply.header_length, 0);
    cr_assert_eq(t.count(SLUICE_CNT_half_open_timeouts), 1u);
    cr_assert_eq(t.count(SLUICE_CNT_attempt_fails), 1u);
    cr_assert_eq(t.count(SLUICE_CNT_syn_retrans), 5u);
}

Test(half_open, intervals_stop_growing_at_rto_max)
{
    HalfOpen t;
    t.config()->synack_retries = 127;
    t.config()->rto_max = 10 * SECOND;
    t.open();
    for (int i = 0; i < 127; i++) {
        sluice_usec due = t.now = t.h.deadline;
        cr_assert_eq(t.time(), SLUICE_HALF_OPEN_KEEP);
        cr_assert_leq(t.h.deadline, due + 10 * SECOND);
        cr_assert(i < 3 || t.h.deadline == due + 10 * SECOND);
    }
    t.now = t.h.deadline;
    cr_assert_eq(t.time(), SLUICE_HALF_OPEN_DROP);
}

Test(half_open, every_segment_sent_is_counted_once)
{
    HalfOpen t;
    t.open();
    cr_assert_eq(t.count(SLUICE_CNT_segs_out), 1u);
    sluice_segment seg = t.third();
    seg.ack++;
    t.expect_kept(seg); // RST
    cr_assert_eq(t.count(SLUICE_CNT_segs_out), 2u);
    cr_assert_eq(t.count(SLUICE_CNT_resets_out), 1u);
    seg = t.third();
    seg.seq--;
    t.expect_ack(seg);
    t.expect_silence(seg); // rate-limited
    cr_assert_eq(t.count(SLUICE_CNT_segs_out), 3u);
    t.now = t.h.deadline;
    t.time();
    cr_assert_eq(t.count(SLUICE_CNT_segs_out), 3u);
    cr_assert_eq(t.count(SLUICE_CNT_retrans_segs), 1u);
}

Test(half_open, timestamps_of_a_repeated_syn_ack_are_current)
{
    HalfOpen t;
    t.open();
    t.now = t.h.deadline;
    t.time();
    cr_assert_eq(t.answer().ts_value, wire_timestamp(t.now, t.h.ts_offset));
}

// RFC 9293 3.5.2, group 1.
Test(reset, answers_an_ack_with_its_number)
{
    sluice_segment seg{}, rst{};
    sluice_reply reply;
    seg.source = 4000;
    seg.destination = 80;
    seg.seq = 100;
    seg.ack = 5000;
    seg.length = 7;
    seg.flags = SLUICE_ACK | SLUICE_PSH;
    sluice_reset_reply(&seg, &reply);
    cr_assert_eq(reply.header_length, 20);
    sluice_segment_parse(reply.header, 20, 20, &rst);
    cr_assert_eq(rst.source, 80);
    cr_assert_eq(rst.destination, 4000);
    cr_assert_eq(rst.flags, SLUICE_RST);
    cr_assert_eq(rst.seq, 5000u);
    cr_assert_eq(rst.ack, 0u);
    cr_assert_eq(rst.window, 0u);
}

Test(reset, acknowledges_all_of_a_segment_without_ack)
{
    sluice_segment seg{}, rst{};
    sluice_reply reply;
    seg.seq = 0xffffffff;
    seg.length = 7;
    seg.flags = SLUICE_SYN;
    sluice_reset_reply(&seg, &reply);
    sluice_segment_parse(reply.header, 20, 20, &rst);
    cr_assert_eq(rst.flags, SLUICE_RST | SLUICE_ACK);
    cr_assert_eq(rst.seq, 0u);
    cr_assert_eq(rst.ack, 7u);
    seg.flags = SLUICE_FIN;
    sluice_reset_reply(&seg, &reply);
    sluice_segment_parse(reply.header, 20, 20, &rst);
    cr_assert_eq(rst.ack, 7u);
}

Test(reset, never_answers_a_reset)
{
    sluice_segment seg{};
    sluice_reply reply;
    seg.flags = SLUICE_RST | SLUICE_ACK;
    reply.header_length = 99;
    sluice_reset_reply(&seg, &reply);
    cr_assert_eq(reply.header_length, 0);
}

// ---- TCP_DEFER_ACCEPT ----

namespace
{

struct Deferring : HalfOpen {
    explicit Deferring(uint64_t timeouts)
    {
        cr_assert_eq(sluice_conn_set_option(&listener, SLUICE_OPTION_DEFER_ACCEPT, timeouts, now),
                     0);
        open();
    }
    // Until the timer is due; whether a SYN-ACK goes out then.
    bool sends_at_deadline()
    {
        now = h.deadline;
        cr_assert_eq(time(), SLUICE_HALF_OPEN_KEEP);
        return reply.header_length != 0;
    }
};

} // namespace

Test(half_open, deferred_accept_waits_for_data)
{
    Deferring t(3);
    t.now += 20000;
    t.expect_silence(t.third());
    cr_assert_eq(t.count(SLUICE_CNT_accepts_deferred), 1u);
    t.now += 700000;
    sluice_segment data = t.third();
    data.length = 1;
    cr_assert_eq(t.give(data), SLUICE_HALF_OPEN_ESTABLISHED);
    cr_assert_eq(t.now - t.h.sent, 20000u, "the round trip was told by the first ACK");
}

Test(half_open, deferred_accept_takes_a_fin)
{
    Deferring t(3);
    sluice_segment fin = t.third();
    fin.flags |= SLUICE_FIN;
    cr_assert_eq(t.give(fin), SLUICE_HALF_OPEN_ESTABLISHED);
}

Test(half_open, deferred_accept_asks_again_at_the_end_and_takes_the_answer)
{
    Deferring t(3);
    t.expect_silence(t.third());
    cr_assert_not(t.sends_at_deadline());
    t.expect_silence(t.third());
    cr_assert_not(t.sends_at_deadline());
    cr_assert(t.sends_at_deadline());
    cr_assert_eq(t.count(SLUICE_CNT_syn_retrans), 1u);
    cr_assert_eq(t.give(t.third()), SLUICE_HALF_OPEN_ESTABLISHED);
}

Test(half_open, deferred_accept_repeats_a_syn_ack_that_nobody_heard)
{
    Deferring t(3);
    cr_assert(t.sends_at_deadline());
    t.expect_silence(t.third());
    cr_assert_not(t.sends_at_deadline());
    cr_assert(t.sends_at_deadline());
}

Test(half_open, deferred_accept_may_outlast_the_retransmissions)
{
    Deferring t(8);
    t.config()->synack_retries = 2;
    t.expect_silence(t.third());
    for (int i = 0; i < 7; i++)
        cr_assert_not(t.sends_at_deadline());
    cr_assert(t.sends_at_deadline());
    t.now = t.h.deadline;
    cr_assert_eq(t.time(), SLUICE_HALF_OPEN_DROP);
}
