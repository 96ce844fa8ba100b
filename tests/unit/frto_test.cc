// SPDX-License-Identifier: GPL-2.0
// Was a retransmission timeout spurious? F-RTO (RFC 5682), without timestamps.
#include "in_flight.h"

using namespace sluice;
using namespace sluice::test;

namespace
{

void without_probes(lab::Stack& s)
{
    s.config().early_retrans = 0;
}

// Ten segments are out, the acknowledgments of all are late, and segment 0 went
// again. Unless told otherwise there is more to send.
struct TimedOut : InFlight {
    explicit TimedOut(bool with_sack = true, bool more = true,
                      std::function<void(lab::Stack&)> configure = without_probes)
        : InFlight(with_sack, 10, configure)
    {
        if (more)
            socket->write(pattern(20 * mss_now()));
        window_before = socket->info().cwnd;
        threshold_before = socket->info().ssthresh;
        sim.run_until([&] { return stack.counter(SLUICE_CNT_rto_timeouts) > 0; }, 5 * second);
        cr_assert_eq(sent.size(), 1);
        cr_assert_eq(last_segment(), 0);
        sent.clear();
    }
    uint32_t spurious() { return static_cast<uint32_t>(stack.counter(SLUICE_CNT_frto_spurious)); }
    uint32_t window_before, threshold_before;
};

} // namespace

Test(frto, new_data_goes_after_the_oldest_segment)
{
    TimedOut peer;
    peer.acked(1);
    cr_assert_eq(peer.sent.size(), 2);
    cr_assert_eq(peer.sent[0].seq, peer.segment(10));
    cr_assert_eq(peer.sent[1].seq, peer.segment(11));
    cr_assert_eq(peer.spurious(), 0);
}

Test(frto, what_went_once_and_arrives_tells_that_nothing_was_lost)
{
    TimedOut peer;
    peer.acked(1);
    peer.acked(2);
    cr_assert_eq(peer.spurious(), 1);
    cr_assert_eq(peer.socket->info().recovery, SLUICE_REC_OPEN);
    cr_assert_geq(peer.socket->info().cwnd, peer.window_before);
    cr_assert_geq(peer.socket->info().ssthresh, peer.threshold_before);
    peer.acked(10);
    for (const Seen& s : peer.sent)
        cr_assert_geq(s.seq, peer.segment(10), "went again: %u", s.seq);
}

Test(frto, a_selective_acknowledgment_of_it_tells_the_same)
{
    TimedOut peer;
    peer.acked(0, 4, 5);
    cr_assert_eq(peer.spurious(), 1);
}

Test(frto, new_data_alone_arriving_tells_that_the_rest_is_lost)
{
    TimedOut peer;
    peer.acked(1);
    peer.sent.clear();
    peer.acked(1, 10, 11);
    cr_assert_eq(peer.spurious(), 0);
    cr_assert_gt(peer.sent.size(), 0);
    cr_assert_eq(peer.sent[0].seq, peer.segment(1));
    cr_assert_eq(peer.socket->info().recovery, SLUICE_REC_LOSS);
}

Test(frto, while_it_waits_nothing_goes_again)
{
    TimedOut peer;
    peer.acked(1);
    peer.sent.clear();
    peer.socket->write(pattern(100));
    peer.ack(); // says nothing
    cr_assert_eq(peer.sent.size(), 0);
}

Test(frto, the_next_timeout_sends_the_rest_again)
{
    TimedOut peer;
    peer.acked(1);
    peer.sent.clear();
    peer.sim.run_until([&] { return peer.stack.counter(SLUICE_CNT_rto_timeouts) == 2; },
                       5 * second);
    cr_assert_eq(peer.sent.size(), 1);
    cr_assert_eq(peer.sent[0].seq, peer.segment(1));
    peer.sent.clear();
    peer.acked(2);
    cr_assert_gt(peer.sent.size(), 0);
    cr_assert_eq(peer.sent[0].seq, peer.segment(2), "no second question");
    cr_assert_eq(peer.spurious(), 0);
}

Test(frto, with_nothing_new_to_send_the_rest_goes_again)
{
    TimedOut peer(true, false);
    peer.acked(1);
    cr_assert_gt(peer.sent.size(), 0);
    cr_assert_eq(peer.sent[0].seq, peer.segment(1));
}

Test(frto, without_sack_a_duplicate_acknowledgment_tells_that_the_rest_is_lost)
{
    TimedOut peer(false);
    peer.acked(1);
    cr_assert_eq(peer.sent[0].seq, peer.segment(10));
    peer.sent.clear();
    peer.acked(1);
    cr_assert_eq(peer.spurious(), 0);
    cr_assert_gt(peer.sent.size(), 0);
    cr_assert_eq(peer.sent[0].seq, peer.segment(1));
}

Test(frto, without_sack_an_advance_tells_that_nothing_was_lost)
{
    TimedOut peer(false);
    peer.acked(1);
    peer.acked(3);
    cr_assert_eq(peer.spurious(), 1);
}

// The peer may have held all behind the segment that went again.
Test(frto, without_sack_an_advance_over_a_retransmission_tells_nothing)
{
    TimedOut peer(false);
    peer.acked(5);
    cr_assert_eq(peer.spurious(), 0);
}

Test(frto, switched_off_the_rest_goes_again)
{
    TimedOut peer(true, true, [](lab::Stack& s) {
        without_probes(s);
        s.config().frto = 0;
    });
    peer.acked(1);
    cr_assert_gt(peer.sent.size(), 0);
    cr_assert_eq(peer.sent[0].seq, peer.segment(1));
    peer.acked(2);
    cr_assert_eq(peer.spurious(), 0);
}

Test(frto, a_loss_that_was_known_is_not_asked_about)
{
    InFlight peer(true, 10, without_probes);
    peer.socket->write(pattern(20 * peer.mss_now()));
    peer.acked(0, 1, 4);
    cr_assert_eq(peer.socket->info().recovery, SLUICE_REC_RECOVERY);
    peer.sim.run_until([&] { return peer.stack.counter(SLUICE_CNT_rto_timeouts) > 0; }, 5 * second);
    peer.acked(4);
    peer.acked(5);
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_frto_spurious), 0);
}
