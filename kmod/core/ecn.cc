// SPDX-License-Identifier: GPL-2.0
// Explicit congestion notification (RFC 3168). A handshake agrees on it: SYN
// with ECE and CWR, SYN-ACK with ECE alone (ecn.h). From then on, in each
// direction by itself:
//
//     sender                      router               receiver
//     new data, ECT(0)  --------> congested: CE -----> begins to echo
//     reduces the window <---------------------------- ECE in every segment
//     new data with CWR -----------------------------> ends the echo
//
// SYNs, segments without payload, window probes and retransmissions are never
// ECT (6.1.1, 6.1.4 to 6.1.6): nobody would notice that a marked one was lost,
// or it could be a forgery.
#include "ecn.h"
#include "connection.h"

namespace sluice
{

// The peer's SYN or SYN-ACK, in answer to our SYN.
void Connection::negotiate_ecn(const sluice_segment& syn)
{
    ecn.on = ecn.asked && (syn.flags & SLUICE_ACK ? agrees_to_ecn(syn) : asks_for_ecn(syn));
    if (ecn.on)
        count(SLUICE_CNT_ecn_agreed);
}

// ---- the receiver (6.1.3) ----

// Flags of whatever we send from now on.
uint8_t Connection::ecn_flags(bool new_data) const
{
    return (ecn.echo ? SLUICE_ECE : 0) | (new_data && ecn.cwr_due ? SLUICE_CWR : 0);
}

// The sender has reduced its window, maybe to one segment: it waits for our
// acknowledgment. To be judged before the mark of the same segment.
void Connection::take_cwr(const sluice_segment& seg)
{
    if (!ecn.on || !(seg.flags & SLUICE_CWR))
        return;
    ecn.echo = false;
    if (seg.length)
        ack.now = ack.pending = true;
}

// The sender is to hear of it without delay; as many as Linux sends.
void Connection::quick_acks_for_ecn()
{
    ack.quick = greatest<uint8_t>(ack.quick, 2);
    ack.interactive = false;
}

// Payload that is inside the window (6.1.5: else it could be anybody's).
void Connection::take_mark(const sluice_segment& seg)
{
    if (!ecn.on)
        return;
    if (seg.ecn == SLUICE_NOT_ECT) {
        if (ecn.seen) // a retransmission, most likely: its sender waits
            quick_acks_for_ecn();
        return;
    }
    ecn.seen = true;
    if (seg.ecn != SLUICE_CE)
        return;
    count(SLUICE_CNT_ecn_ce_in, seg.gso_segs > 1 ? seg.gso_segs : 1);
    if (!ecn.echo)
        quick_acks_for_ecn();
    ecn.echo = true;
}

// ---- the sender (6.1.2) ----

// Reduced, for whatever reason: the next new data says so, and echoes are old
// news until the peer has it.
void Connection::window_reduced()
{
    ecn.high = snd.nxt;
    ecn.cwr_due = ecn_capable();
}

// The reduction was undone. What the peer echoes from now on is news again.
void Connection::withdraw_reduction()
{
    ecn.high = snd.una - 1;
    ecn.cwr_due = false;
}

// The window goes to what the algorithm says, at once or a little more with
// every acknowledgment (RFC 6937). Where the algorithm's least window leaves
// nothing to reduce, on to one segment; and where there is one already, the
// next may go only after a retransmission timeout.
void Connection::enter_cwr(uint32_t flight, Instant now)
{
    uint32_t window = cc.cwnd;
    count(SLUICE_CNT_ecn_reductions);
    cc.ssthresh = (cc.ops->marked ? cc.ops->marked : cc.ops->loss)(&cc, flight, now.us());
    begin_reduction(flight);
    if (rec.prr_target >= window)
        rec.prr_target = greatest<uint32_t>(window / 2, snd.mss);
    if (window <= snd.mss)
        ecn.held_until = now + backed_off();
    rec.state = RecoveryState::Cwr;
    rec.undo_valid = false; // of an older episode, and a mark is no error
    rec.probe_outstanding = false;
}

// An acknowledgment with ECE. `flight`: bytes in flight before it. A window is
// reduced once, for marks and losses together.
void Connection::take_echo_of_mark(const Delivery& d, uint32_t flight, bool advanced, Instant now)
{
    tally.delivered_ce += d.bytes;
    if (rec.state >= RecoveryState::Cwr || snd.una <= ecn.high)
        return;
    enter_cwr(flight, now);
    if (d.bytes)
        proportional_rate(d, advanced, false);
}

} // namespace sluice
