// SPDX-License-Identifier: GPL-2.0
// A peer that acknowledges what it has not received, or the same again and
// again, to be sent more (RFC 5681 3.2, 5; RFC 3465 for the size of steps).
#include <criterion/criterion.h>

#include "in_flight.h"

using namespace sluice;
using namespace sluice::test;

namespace
{

// A peer without SACK, a window of megabytes, and ten segments on their way to it.
struct Greedy : Flight {
    explicit Greedy(size_t written)
    {
        wscale = 7;
        open();
        socket->send_buffer = 64 << 20;
        cr_assert_eq(socket->write(pattern(written)), written);
        depart(10);
        rcv = first;
    }
    uint64_t bytes() const
    {
        uint64_t sum = 0;
        for (const Seen& s : sent)
            sum += s.length;
        return sum;
    }
    void duplicates(int n)
    {
        for (int i = 0; i < n; i++)
            ack();
    }
};

} // namespace

Test(forged_ack, each_duplicate_lets_one_segment_out_at_most)
{
    Greedy peer(32 << 20);
    for (int i = 1; i <= 500; i++) {
        peer.duplicates(1);
        // One was lost, they say, and goes again.
        cr_assert_leq(peer.bytes(), (i + 1) * uint64_t{peer.size});
    }
}

Test(forged_ack, duplicates_of_more_than_is_out_are_counted_and_give_nothing)
{
    Greedy peer(10 * 1460);
    peer.duplicates(100000);
    cr_assert_geq(peer.stack.counter(SLUICE_CNT_duplicate_acks_ignored), 99980);
    peer.sent.clear();
    peer.socket->write(pattern(32 << 20));
    // As if the nine were delivered, in a window that was halved.
    cr_assert_leq(peer.bytes(), 10 * peer.size);
}

Test(forged_ack, duplicates_give_nothing_after_a_timeout)
{
    Greedy peer(32 << 20);
    peer.run(3 * second);
    cr_assert_geq(peer.stack.counter(SLUICE_CNT_rto_timeouts), 1);
    peer.sent.clear();
    peer.duplicates(10000);
    cr_assert_leq(peer.bytes(), 2 * peer.size);
}

Test(forged_ack, of_what_was_never_sent_changes_nothing)
{
    Greedy peer(32 << 20);
    for (int i = 0; i < 100; i++)
        peer.send(SLUICE_ACK, {}, 0, 10 * static_cast<int32_t>(peer.size) + 1 + i * 1000);
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_future_ack), 100);
    cr_assert_eq(peer.bytes(), 0);
    cr_assert_eq(peer.socket->sent_bytes.size(), size_t{32 << 20},
                 "some was taken for acknowledged");
    cr_assert_eq(peer.socket->info().cwnd, 10 * peer.size);
    cr_assert_eq(peer.socket->state(), SLUICE_ESTABLISHED);
}

Test(forged_ack, in_small_pieces_earns_no_more_than_whole)
{
    Greedy pieces(32 << 20), whole(32 << 20);
    for (uint32_t i = 1; i <= 73; i++)
        pieces.send(SLUICE_ACK, {}, 0, static_cast<int32_t>(i * 20));
    whole.send(SLUICE_ACK, {}, 0, 73 * 20);
    cr_assert_leq(pieces.socket->info().cwnd, whole.socket->info().cwnd);
    cr_assert_leq(pieces.bytes(), whole.bytes());
}

// Nobody can tell that it is early, but the window bounds what it earns.
Test(forged_ack, of_all_that_is_sent_keeps_to_the_window)
{
    Greedy peer(32 << 20);
    peer.window = 2000;
    peer.follow = true;
    peer.rcv += 10 * peer.size;
    for (int i = 0; i < 100; i++) {
        uint32_t acknowledged = peer.rcv;
        peer.ack();
        peer.run(1000);
        cr_assert_gt(peer.rcv, acknowledged);
        cr_assert_leq(peer.rcv - acknowledged, uint32_t{peer.window} << 7);
    }
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_future_ack), 0);
}
