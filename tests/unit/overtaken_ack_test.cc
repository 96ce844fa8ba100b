// SPDX-License-Identifier: GPL-2.0
// Acknowledgments that a newer one overtook: what they still tell, what they
// no longer may, and how PAWS treats them.
#include <criterion/criterion.h>

#include "in_flight.h"

using namespace sluice;
using namespace sluice::test;

namespace
{

// A peer to which the machine has ten segments in flight.
struct Overtaken : Flight {
    explicit Overtaken(bool with_timestamps, bool with_sack = true)
    {
        timestamps = with_timestamps;
        sack = with_sack;
        open();
        socket->write(pattern(10 * size));
        depart(10);
    }
    // It was sent `age` ms ago.
    void acked(uint32_t n, uint32_t from = 0, uint32_t to = 0, uint32_t age = 0)
    {
        ts_value -= age;
        Flight::acked(n, from, to);
        ts_value += age;
    }
    // Segment 0 goes out again; so much as `acked` later, the peer has got it twice.
    void retransmit_first()
    {
        acked(0, 1, 4);
        cr_assert_eq(socket->info().recovery, SLUICE_REC_RECOVERY);
        cr_assert_eq(sent.front().seq, segment(0));
        run(5000);
    }
    uint64_t counted(sluice_counter which) const { return stack.counter(which); }
};

} // namespace

Test(overtaken_ack, tells_what_is_sacked)
{
    Overtaken peer(false);
    peer.acked(2);
    peer.acked(1, 5, 7);
    cr_assert_eq(peer.socket->info().sacked, 2 * peer.mss_now());
}

Test(overtaken_ack, brings_the_third_sacked_segment)
{
    Overtaken peer(false);
    peer.acked(1, 7, 9);
    cr_assert_eq(peer.counted(SLUICE_CNT_fast_retransmits), 0);
    peer.acked(0, 5, 6);
    cr_assert_eq(peer.counted(SLUICE_CNT_fast_retransmits), 1);
    cr_assert_eq(peer.sent.front().seq, peer.segment(1));
}

Test(overtaken_ack, carries_the_dsack_that_undoes_a_reduction)
{
    Overtaken peer(false);
    uint32_t before = peer.socket->info().cwnd;
    peer.retransmit_first();
    peer.acked(6);
    cr_assert_lt(peer.socket->info().cwnd, before);
    peer.acked(5, 0, 1);
    cr_assert_eq(peer.counted(SLUICE_CNT_dsack_in), 1);
    cr_assert_eq(peer.counted(SLUICE_CNT_spurious_undone), 1);
    cr_assert_geq(peer.socket->info().cwnd, before);
}

Test(overtaken_ack, carries_a_dsack_with_an_older_timestamp)
{
    Overtaken peer(true);
    peer.retransmit_first();
    peer.acked(6);
    peer.acked(5, 0, 1, 2);
    cr_assert_eq(peer.counted(SLUICE_CNT_dsack_in), 1);
}

Test(overtaken_ack, with_payload_tells_what_is_sacked)
{
    Overtaken peer(false);
    peer.acked(2);
    peer.rcv = peer.segment(1);
    peer.blocks = {{peer.segment(5), peer.segment(6)}};
    peer.send(SLUICE_ACK, pattern(100));
    cr_assert_eq(peer.socket->info().sacked, peer.mss_now());
    cr_assert_eq(peer.socket->readable(), 100);
}

// The order in which ACKs come says nothing of that in which payload came.
Test(overtaken_ack, is_no_sign_of_reordered_payload)
{
    Overtaken peer(false);
    peer.acked(1, 7, 9);
    peer.acked(0, 5, 6);
    cr_assert_eq(peer.socket->info().sacked, 3 * peer.mss_now());
    cr_assert_eq(peer.counted(SLUICE_CNT_reordering_seen), 0);
}

Test(overtaken_ack, older_than_the_largest_window_tells_nothing)
{
    Overtaken peer(false);
    peer.rcv = peer.segment(0);
    peer.blocks = {{peer.segment(5), peer.segment(7)}};
    peer.send(SLUICE_ACK, {}, 0, -65536);
    cr_assert_eq(peer.counted(SLUICE_CNT_old_ack), 1);
    cr_assert_eq(peer.socket->info().sacked, 0);
}

Test(overtaken_ack, of_a_moment_ago_is_no_paws_reject_and_gets_no_answer)
{
    Overtaken peer(true);
    peer.acked(2);
    peer.sent.clear();
    peer.acked(1, 0, 0, 2);
    peer.acked(2, 0, 0, 1);
    cr_assert_eq(peer.counted(SLUICE_CNT_paws_rejected), 0);
    cr_assert_eq(peer.sent.size(), 0);
}

// It went out before payload that has been acknowledged since.
Test(overtaken_ack, overtaken_by_payload_gets_no_answer)
{
    Overtaken peer(true);
    peer.acked(2);
    peer.send(SLUICE_ACK, pattern(100));
    peer.sent.clear();
    peer.ts_value -= 2;
    peer.send(SLUICE_ACK, {}, -100);
    cr_assert_eq(peer.counted(SLUICE_CNT_paws_rejected), 0);
    cr_assert_eq(peer.counted(SLUICE_CNT_out_of_window), 0);
    cr_assert_eq(peer.sent.size(), 0);
}

Test(overtaken_ack, older_than_a_timeout_is_rejected_by_paws)
{
    Overtaken peer(true);
    peer.acked(2);
    peer.sent.clear();
    peer.acked(2, 5, 6, peer.socket->info().rto / 1000 + 2);
    cr_assert_eq(peer.counted(SLUICE_CNT_paws_rejected), 1);
    cr_assert_eq(peer.socket->info().sacked, 0);
    cr_assert_eq(peer.sent.size(), 1);
}

Test(overtaken_ack, with_an_older_timestamp_acknowledges_nothing_new)
{
    Overtaken peer(true);
    peer.acked(2);
    peer.acked(4, 0, 0, 2);
    cr_assert_eq(peer.counted(SLUICE_CNT_paws_rejected), 1);
    cr_assert_eq(of(&peer.socket->conn).snd.una.value(), peer.segment(2));
}

Test(overtaken_ack, with_an_older_timestamp_moves_no_window)
{
    Overtaken peer(true);
    peer.acked(2);
    peer.window = 0;
    peer.acked(2, 5, 6, 2);
    cr_assert_eq(peer.socket->info().sacked, peer.mss_now());
    cr_assert_eq(of(&peer.socket->conn).snd.wnd, 65535);
}

Test(overtaken_ack, with_an_older_timestamp_counts_as_duplicate_without_sack)
{
    Overtaken peer(true, false);
    peer.acked(1);
    peer.sent.clear();
    peer.acked(1);
    peer.acked(1);
    peer.acked(1, 0, 0, 1);
    cr_assert_eq(peer.counted(SLUICE_CNT_fast_retransmits), 1);
    cr_assert_eq(peer.sent.front().seq, peer.segment(1));
}
