// SPDX-License-Identifier: GPL-2.0
// A segment arrives in a synchronized state: the checks of RFC 9293 3.10.7.4
// in their order, with the blind-attack defences of RFC 5961 and PAWS of
// RFC 7323.
#include "acceptable.h"
#include "connection.h"
#include "ecn.h"
#include "errors.h"

namespace sluice
{

namespace
{
// Older than this TS.Recent is no longer trusted (RFC 7323 5.5).
constexpr Duration paws_age{24ull * 24 * 3600 * 1000 * 1000};
} // namespace

void Connection::segment(sluice_segment& seg, Instant now)
{
    uint32_t segments = seg.gso_segs > 1 ? seg.gso_segs : 1;
    tally.segs_in += segments;
    if (seg.length)
        tally.data_in += segments;
    if (state == State::Closed)
        return;
    if (state == State::SynSent)
        segment_in_syn_sent(seg, now);
    else
        segment_synchronized(seg, now);
}

// PAWS (RFC 7323 5.3). A segment may come without the option.
bool Connection::timestamp_acceptable(const sluice_segment& seg, Instant now)
{
    if (!ts.on || !seg.has_timestamp || (seg.flags & SLUICE_RST))
        return true;
    if (static_cast<int32_t>(seg.ts_value - ts.recent) >= 0)
        return true;
    return now - ts.recent_at > paws_age;
}

// A pure ACK that a newer segment overtook: PAWS guards payload from an earlier
// turn of the sequence space, and this has none. It was sent at most an RTO
// before TS.Recent, and acknowledges nothing new.
bool Connection::reordered_ack(const sluice_segment& seg) const
{
    constexpr uint8_t flags = SLUICE_FIN | SLUICE_SYN | SLUICE_RST | SLUICE_ACK;
    if (seg.length || (seg.flags & flags) != SLUICE_ACK || state == State::SynReceived)
        return false;
    return (ts.recent - seg.ts_value) * 1000ull <= rto().us() && not_too_old(Sequence(seg.ack)) &&
           Sequence(seg.seq) <= rcv.nxt;
}

// TS.Recent (RFC 7323 4.3). An older value gets here only where PAWS no longer
// trusts TS.Recent. What acknowledges nonsense doesn't (RFC 5961 5): one guess of
// a sequence number would have PAWS reject the peer from then on.
void Connection::note_timestamp(const sluice_segment& seg, Instant now)
{
    if (!ts.on || !seg.has_timestamp || Sequence(seg.seq) > rcv.wup)
        return;
    ts.recent = seg.ts_value;
    ts.recent_at = now;
}

// Wider than RFC 9293 by what was acknowledged last: old data whose ACK was
// lost passes, is found duplicate, and is acknowledged.
bool Connection::sequence_acceptable(const sluice_segment& seg) const
{
    Sequence start(seg.seq);
    uint32_t length = seg.length + !!(seg.flags & SLUICE_SYN) + !!(seg.flags & SLUICE_FIN);
    return start + length >= rcv.wup && start <= rcv.nxt + receive_window();
}

// Two ends that answer each other would never stop; and whoever guesses must not
// have as many answers sent as he has guesses (RFC 5961 7).
bool Connection::may_answer(Instant now)
{
    if (answered_lately(ack.last_answer.us(), now.us()))
        return false;
    ack.last_answer = now;
    return true;
}

void Connection::answer_unacceptable(const sluice_segment& seg, Instant now)
{
    count(SLUICE_CNT_out_of_window);
    if (seg.flags & SLUICE_RST)
        return;
    if (seg.flags & SLUICE_SYN) {
        count(SLUICE_CNT_syn_in_window);
        challenge_ack(now);
        return;
    }
    if (seg.length && Sequence(seg.seq) < rcv.nxt)
        report_duplicate(Sequence(seg.seq), earlier(Sequence(seg.seq) + seg.length, rcv.nxt));
    if (seg.length || may_answer(now)) // who sends data answers no answer
        send_ack(now);
}

void Connection::challenge_ack(Instant now)
{
    if (!may_answer(now) || !sluice_host_challenge_allowed(config)) {
        count(SLUICE_CNT_challenge_acks_limited);
        return;
    }
    count(SLUICE_CNT_challenge_acks);
    send_ack(now);
}

// Some (macOS) number a reset behind their FIN as the FIN itself.
bool Connection::reset_after_fin(const sluice_segment& seg) const
{
    return (seg.flags & SLUICE_RST) && rcv.fin_taken && Sequence(seg.seq) == rcv.fin;
}

// RFC 5961 3.2: only the exact next sequence number resets at once.
void Connection::reset_received(const sluice_segment& seg, Instant now)
{
    if (Sequence(seg.seq) != rcv.nxt && !reset_after_fin(seg)) {
        count(SLUICE_CNT_rst_challenged);
        challenge_ack(now);
        return;
    }
    count(SLUICE_CNT_resets_in);
    if (state == State::SynReceived) {
        count(SLUICE_CNT_attempt_fails);
        fail(fast.early ? error::connection_reset : error::connection_refused);
        return;
    }
    if (state == State::Established || state == State::CloseWait)
        count(SLUICE_CNT_estab_resets);
    fail(state == State::CloseWait ? error::broken_pipe : error::connection_reset);
}

void Connection::older_timestamp(const sluice_segment& seg, Instant now)
{
    if (reordered_ack(seg)) {
        if (sequence_acceptable(seg)) {
            overtaken_ack(seg, Sequence(seg.ack), now);
            output(now);
        }
        return; // an answer would have a newer one answered too
    }
    count(SLUICE_CNT_paws_rejected);
    if (seg.length && Sequence(seg.seq) < rcv.nxt)
        report_duplicate(Sequence(seg.seq), earlier(Sequence(seg.seq) + seg.length, rcv.nxt));
    if (seg.length || may_answer(now))
        send_ack(now);
}

void Connection::segment_synchronized(sluice_segment& seg, Instant now)
{
    // The peer's half of a simultaneous open: its SYN is known, its ACK isn't.
    if (state == State::SynReceived && !passive && (seg.flags & SLUICE_SYN) &&
        (seg.flags & SLUICE_ACK) && Sequence(seg.seq) == rcv.irs) {
        ecn.fell_back |= !agrees_to_ecn(seg);
        seg.seq++;
        seg.flags &= static_cast<uint8_t>(~SLUICE_SYN);
        seg.window >>= snd.wscale; // never scaled in a SYN (RFC 7323 2.2)
    }
    if (fast.early && (seg.flags & (SLUICE_SYN | SLUICE_ACK)) == SLUICE_SYN &&
        Sequence(seg.seq) == rcv.irs) [[unlikely]] {
        repeated_syn(now);
        return;
    }
    if (!timestamp_acceptable(seg, now)) {
        older_timestamp(seg, now);
        return;
    }
    if (!sequence_acceptable(seg) && !reset_after_fin(seg)) {
        answer_unacceptable(seg, now);
        return;
    }
    if (seg.flags & SLUICE_RST) {
        reset_received(seg, now);
        return;
    }
    if (seg.flags & SLUICE_SYN) { // RFC 5961 4.2
        count(SLUICE_CNT_syn_in_window);
        challenge_ack(now);
        return;
    }
    if (!(seg.flags & SLUICE_ACK)) {
        count(SLUICE_CNT_no_ack_flag);
        return;
    }
    timers.last_receive = now;
    timers.keepalive_probes = 0;
    bool old = seg.length && Sequence(seg.seq) + seg.length <= rcv.nxt;
    if (old && ts.on && seg.has_timestamp) [[unlikely]]
        take_old(seg, now);
    else
        take(seg, now);
}

// A retransmission that overtook what was sent before it would make PAWS reject
// all of that, so what it says is forgotten again; but its own acknowledgment
// echoes it, or the sender would time what it sent long before.
void Connection::take_old(sluice_segment& seg, Instant now)
{
    TimestampState before = ts;
    take(seg, now);
    ts = before;
}

// An acceptable segment: its acknowledgment, its payload, and what may go out now.
void Connection::take(sluice_segment& seg, Instant now)
{
    if (!acknowledgment(seg, now) || state == State::Closed)
        return;
    if (seg.flags & SLUICE_URG) [[unlikely]]
        take_urgent(seg);
    if (seg.length || (seg.flags & SLUICE_FIN))
        payload(seg, now);
    if (state == State::Closed)
        return;
    output(now);
    acknowledge_if_due(now);
}

} // namespace sluice
