// SPDX-License-Identifier: GPL-2.0
// TIME_WAIT (RFC 9293 3.10.7.4, RFC 6191, RFC 1337).
#include <criterion/criterion.h>

#include "namespace_fixture.h"

#include "../../kmod/core/isn.h"

using namespace sluice;

namespace
{

constexpr sluice_usec SECOND = 1000000;

struct TimeWait : NamespaceFixture {
    sluice_time_wait t{};
    sluice_reply reply{};
    uint32_t isn_after = 0;
    sluice_usec now = 100 * SECOND;
    bool listened = true;

    TimeWait()
    {
        t.snd_nxt = 5000;
        t.rcv_nxt = 0x10; // just after its numbers wrapped
        t.rcv_wnd = 32768;
        t.rcv_wscale = 7;
        t.ts_recent = 700;
        t.ts_recent_at = now;
        t.ts_offset = 12;
        t.timestamp_ok = true;
        t.local_port = 80;
        t.remote_port = 4000;
        t.length = 60 * SECOND;
        t.deadline = now + t.length;
    }
    // A segment that stands `off` from rcv_nxt.
    sluice_segment segment(uint8_t flags, int32_t off = 0, uint32_t length = 0,
                           uint32_t timestamp = 701) const
    {
        sluice_segment seg{};
        seg.source = 4000;
        seg.destination = 80;
        seg.seq = t.rcv_nxt + static_cast<uint32_t>(off);
        seg.ack = t.snd_nxt;
        seg.flags = flags;
        seg.length = length;
        seg.has_timestamp = t.timestamp_ok;
        seg.ts_value = timestamp;
        return seg;
    }
    sluice_time_wait_result give(const sluice_segment& seg)
    {
        return sluice_time_wait_segment(&t, config(), &seg, listened, &reply, &isn_after, now);
    }
    void expect_silence(const sluice_segment& seg)
    {
        cr_assert_eq(give(seg), SLUICE_TIME_WAIT_KEEP);
        cr_assert_eq(reply.header_length, 0, "an answer");
    }
    void expect_ack(const sluice_segment& seg)
    {
        sluice_segment a{};
        cr_assert_eq(give(seg), SLUICE_TIME_WAIT_KEEP);
        cr_assert_neq(reply.header_length, 0, "no answer");
        cr_assert_eq(
            sluice_segment_parse(reply.header, reply.header_length, reply.header_length, &a),
            SLUICE_PARSE_OK);
        cr_assert_eq(a.source, 80);
        cr_assert_eq(a.destination, 4000);
        cr_assert_eq(a.flags, SLUICE_ACK);
        cr_assert_eq(a.seq, t.snd_nxt);
        cr_assert_eq(a.ack, t.rcv_nxt);
        cr_assert_eq(a.window, 32768u >> 7);
        cr_assert_eq(a.has_timestamp, t.timestamp_ok);
        cr_assert_eq(a.ts_value, t.timestamp_ok ? wire_timestamp(now, t.ts_offset) : 0);
        cr_assert_eq(a.ts_echo, t.timestamp_ok ? t.ts_recent : 0);
    }
    void expect_new_syn(const sluice_segment& seg)
    {
        cr_assert(sluice_time_wait_reusable(&t, &seg, now));
        cr_assert_eq(give(seg), SLUICE_TIME_WAIT_NEW_SYN);
        cr_assert_eq(reply.header_length, 0);
    }
};

} // namespace

Test(time_wait, retransmitted_fin_is_acknowledged_and_2msl_starts_anew)
{
    TimeWait t;
    t.now += 30 * SECOND;
    t.expect_ack(t.segment(SLUICE_FIN | SLUICE_ACK, -1));
    cr_assert_eq(t.t.deadline, t.now + 60 * SECOND);
    t.now += SECOND;
    t.expect_ack(t.segment(SLUICE_FIN | SLUICE_ACK, -101, 100));
    cr_assert_eq(t.t.deadline, t.now + 60 * SECOND);
    cr_assert_eq(t.count(SLUICE_CNT_out_of_window), 0u);
}

Test(time_wait, every_retransmitted_fin_is_answered)
{
    TimeWait t;
    for (int i = 0; i < 10; i++, t.now += 1000)
        t.expect_ack(t.segment(SLUICE_FIN | SLUICE_ACK, -1));
}

Test(time_wait, nothing_but_the_fin_restarts_2msl)
{
    TimeWait t;
    sluice_usec deadline = t.t.deadline;
    t.now += 30 * SECOND;
    t.give(t.segment(SLUICE_ACK));
    t.give(t.segment(SLUICE_ACK, -100, 100));
    t.give(t.segment(SLUICE_ACK, 100));
    t.give(t.segment(SLUICE_FIN | SLUICE_ACK, -50));
    t.give(t.segment(SLUICE_SYN, -50, 0, 1));
    t.give(t.segment(SLUICE_FIN | SLUICE_ACK, -1, 0, 1)); // by PAWS an old duplicate
    cr_assert_eq(t.t.deadline, deadline);
}

Test(time_wait, bare_acknowledgment_in_sequence_is_taken_silently)
{
    TimeWait t;
    t.now += SECOND;
    t.expect_silence(t.segment(SLUICE_ACK, 0, 0, 900));
    cr_assert_eq(t.t.ts_recent, 900u);
    cr_assert_eq(t.t.ts_recent_at, t.now);
}

Test(time_wait, old_and_future_data_is_acknowledged)
{
    TimeWait t;
    t.expect_ack(t.segment(SLUICE_ACK, -100, 100));
    t.expect_ack(t.segment(SLUICE_ACK, 0, 100));
    t.expect_ack(t.segment(SLUICE_ACK, 100000, 100));
    cr_assert_eq(t.count(SLUICE_CNT_out_of_window), 3u);
    cr_assert_eq(t.t.ts_recent, 700u);
}

Test(time_wait, answers_to_bare_segments_come_twice_a_second_at_most)
{
    TimeWait t;
    t.expect_ack(t.segment(SLUICE_ACK, -5));
    t.now += 499999;
    t.expect_silence(t.segment(SLUICE_ACK, -5));
    t.now += 1;
    t.expect_ack(t.segment(SLUICE_ACK, -5));
    cr_assert_eq(t.count(SLUICE_CNT_segs_out), 2u);
}

Test(time_wait, older_timestamp_is_an_old_duplicate)
{
    TimeWait t;
    t.expect_ack(t.segment(SLUICE_ACK, 0, 0, 699));
    cr_assert_eq(t.count(SLUICE_CNT_paws_rejected), 1u);
    cr_assert_eq(t.t.ts_recent, 700u);
}

Test(time_wait, rst_exactly_in_sequence_ends_it)
{
    TimeWait t;
    cr_assert_eq(t.give(t.segment(SLUICE_RST)), SLUICE_TIME_WAIT_REMOVE);
    cr_assert_eq(t.reply.header_length, 0);
    cr_assert_eq(t.count(SLUICE_CNT_time_wait_kills), 1u);
    cr_assert_eq(t.count(SLUICE_CNT_resets_in), 1u);
}

Test(time_wait, rst_is_ignored_where_rfc_1337_says_so)
{
    TimeWait t;
    t.config()->rfc1337 = 1;
    t.expect_silence(t.segment(SLUICE_RST));
    cr_assert_eq(t.count(SLUICE_CNT_resets_in), 1u);
    cr_assert_eq(t.count(SLUICE_CNT_time_wait_kills), 0u);
}

Test(time_wait, rst_elsewhere_is_ignored)
{
    TimeWait t;
    for (int32_t off : {-1, 1, 100, 1 << 30}) {
        t.expect_silence(t.segment(SLUICE_RST, off));
        t.expect_silence(t.segment(SLUICE_RST | SLUICE_ACK, off));
    }
    cr_assert_eq(t.count(SLUICE_CNT_resets_in), 0u);
}

Test(time_wait, syn_with_a_higher_sequence_number_begins_anew)
{
    TimeWait t;
    t.expect_new_syn(t.segment(SLUICE_SYN, 1));
    cr_assert_eq(t.isn_after, t.t.snd_nxt + 65537);
    cr_assert_eq(t.count(SLUICE_CNT_time_wait_reused), 1u);
    t.t.timestamp_ok = false;
    t.expect_new_syn(t.segment(SLUICE_SYN, 1));
}

// Who asks may be for a listener that this host reaches by another way, or for none:
// the client's RST, which this provokes, makes room for its next SYN.
Test(time_wait, syn_that_nobody_listens_for_is_acknowledged)
{
    TimeWait t;
    t.listened = false;
    t.expect_ack(t.segment(SLUICE_SYN, 1));
    t.expect_silence(t.segment(SLUICE_SYN, 1)); // not so soon again
    cr_assert_eq(t.give(t.segment(SLUICE_RST, 0)), SLUICE_TIME_WAIT_REMOVE);
}

Test(time_wait, syn_with_a_newer_timestamp_begins_anew_whatever_its_number)
{
    TimeWait t;
    t.expect_new_syn(t.segment(SLUICE_SYN, -100000, 0, 701));
    t.expect_new_syn(t.segment(SLUICE_SYN, 1, 0, 700));
}

Test(time_wait, old_duplicate_syn_is_refused)
{
    TimeWait t;
    sluice_segment same = t.segment(SLUICE_SYN, -100, 0, 700);
    t.expect_ack(same);
    t.now += SECOND;
    t.expect_ack(t.segment(SLUICE_SYN, 100, 0, 699)); // high number, older timestamp
    t.now += SECOND;
    t.t.timestamp_ok = false;
    t.expect_ack(t.segment(SLUICE_SYN, 0));
    cr_assert_eq(t.count(SLUICE_CNT_time_wait_reused), 0u);
}

Test(time_wait, asking_whether_a_segment_begins_anew_changes_nothing)
{
    TimeWait t;
    sluice_usec deadline = t.t.deadline;
    for (int flags : std::initializer_list<int>{SLUICE_RST, SLUICE_ACK, SLUICE_FIN | SLUICE_ACK,
                                                SLUICE_SYN | SLUICE_ACK, SLUICE_SYN | SLUICE_RST}) {
        sluice_segment seg = t.segment(flags, 1);
        cr_assert_not(sluice_time_wait_reusable(&t.t, &seg, t.now));
    }
    sluice_segment syn = t.segment(SLUICE_SYN, 1);
    cr_assert(sluice_time_wait_reusable(&t.t, &syn, t.now));
    cr_assert_eq(t.count(SLUICE_CNT_time_wait_reused), 0u);
    cr_assert_eq(t.t.deadline, deadline);
}

Test(time_wait, repeated_old_syns_are_not_each_answered)
{
    TimeWait t;
    t.expect_ack(t.segment(SLUICE_SYN, -100, 0, 700));
    t.expect_silence(t.segment(SLUICE_SYN, -100, 0, 700));
    t.expect_silence(t.segment(SLUICE_SYN, -100, 50, 700));
}

Test(time_wait, syn_ack_is_no_new_connection)
{
    TimeWait t;
    t.expect_ack(t.segment(SLUICE_SYN | SLUICE_ACK, 100));
}

Test(time_wait, least_isn_is_never_zero_which_means_none)
{
    TimeWait t;
    t.t.snd_nxt = 0u - 65537;
    t.expect_new_syn(t.segment(SLUICE_SYN, 1));
    cr_assert_eq(t.isn_after, 1u);
}

Test(time_wait, timestamps_are_not_trusted_after_24_days)
{
    TimeWait t;
    t.now += 25ull * 24 * 3600 * SECOND;
    t.expect_new_syn(t.segment(SLUICE_SYN, 100, 0, 600));
    t.expect_ack(t.segment(SLUICE_SYN, -100, 0, 800));
}

Test(time_wait, window_in_the_answer_is_cut_to_sixteen_bits)
{
    TimeWait t;
    sluice_segment a{};
    t.t.rcv_wnd = 1 << 20;
    t.t.rcv_wscale = 0;
    t.give(t.segment(SLUICE_ACK, -5, 5));
    sluice_segment_parse(t.reply.header, t.reply.header_length, t.reply.header_length, &a);
    cr_assert_eq(a.window, 65535u);
}
