// SPDX-License-Identifier: GPL-2.0
// What an acknowledgment tells: the send window (RFC 9293 3.10.7.4), SACK and
// D-SACK blocks (RFC 2018, 2883), a round-trip sample (RFC 6298, 7323), bytes
// that the send buffer may forget, and room for congestion control to grow.
#include "connection.h"
#include "isn.h"

namespace sluice
{

// RFC 5961 5.2; but below our SYN there is nothing to acknowledge (as Linux).
bool Connection::not_too_old(Sequence number) const
{
    uint64_t acknowledged = 1 + tally.bytes_acked + (snd.una > snd.write_end);
    return snd.una - number <= least<uint64_t>(snd.max_wnd, acknowledged);
}

bool Connection::acknowledgment(const sluice_segment& seg, Instant now)
{
    Sequence seg_ack(seg.ack);
    if (state == State::SynReceived && fast.early && seg_ack >= snd.una && seg_ack <= snd.nxt) {
        note_timestamp(seg, now);
        early_established(seg, now);
        if (snd.fin_queued)
            change(State::FinWait1);
        apply_ack(seg, seg_ack, now);
        return true;
    }
    if (state == State::SynReceived) {
        // Of the data in our SYN, too, if the peer's crossed it.
        Sequence end = snd.nxt + (passive ? 0 : fast.offered);
        if (seg_ack <= snd.una || seg_ack > end) {
            count(SLUICE_CNT_future_ack);
            send_control(SLUICE_RST, seg_ack, now);
            return false;
        }
        note_timestamp(seg, now);
        snd.wnd = snd.max_wnd = seg.window << snd.wscale;
        snd.wl1 = Sequence(seg.seq);
        snd.wl2 = seg_ack;
        snd.una = snd.nxt = later(snd.iss + 1, seg_ack);
        established(now);
        release_acked();
        if (!rtt.measured())
            take_echo(seg, now);
        if (snd.fin_queued)
            change(State::FinWait1);
        return true;
    }
    if (seg_ack > snd.nxt) {
        count(SLUICE_CNT_future_ack);
        challenge_ack(now);
        return false;
    }
    if (seg_ack < snd.una) {
        if (not_too_old(seg_ack)) {
            note_timestamp(seg, now);
            overtaken_ack(seg, seg_ack, now);
            return true;
        }
        count(SLUICE_CNT_old_ack);
        challenge_ack(now);
        return false;
    }
    note_timestamp(seg, now);
    apply_ack(seg, seg_ack, now);
    return true;
}

void Connection::update_send_window(const sluice_segment& seg, Sequence seg_ack)
{
    Sequence seq(seg.seq);
    uint32_t wnd = seg.window << snd.wscale;
    bool newer =
        seg_ack > snd.una || snd.wl1 < seq || (snd.wl1 == seq && (wnd > snd.wnd || wnd == 0));
    if (!newer)
        return;
    snd.wl1 = seq;
    snd.wl2 = seg_ack;
    snd.wnd = wnd;
    snd.max_wnd = greatest(snd.max_wnd, wnd);
}

// The first block is a D-SACK when it lies below the acknowledgment or inside
// the second block (RFC 2883 4).
bool Connection::is_dsack(const sluice_segment& seg, Sequence seg_ack) const
{
    Sequence start(seg.sack[0].start), end(seg.sack[0].end);
    if (start >= end || end > snd.nxt)
        return false;
    if (end <= seg_ack)
        return true;
    return seg.sack_count > 1 && start >= Sequence(seg.sack[1].start) &&
           end <= Sequence(seg.sack[1].end);
}

// Bytes that came twice. When all that was retransmitted did, nothing was lost
// (RFC 3708); mostly that is known when the episode is over, since what was out
// when it began arrives before its retransmissions.
void Connection::take_dsack(Sequence start, Sequence end, Instant now)
{
    count(SLUICE_CNT_dsack_in);
    tally.dsacks++;
    // More reports than retransmissions: it is the network that duplicates.
    if (tally.dsacks > tally.retrans)
        return;
    if (!(rec.probe_outstanding && end == rec.probe_high))
        widen_reordering_window();
    if (end <= rec.undo_from || end > rec.undo_to)
        return;
    rec.undo_retransmitted -= least<uint64_t>(rec.undo_retransmitted, end - start);
    if (rec.state < RecoveryState::Recovery)
        try_undo(nullptr, false, now);
}

bool Connection::take_sacks(const sluice_segment& seg, Sequence seg_ack, Delivery& d, Instant now)
{
    bool dsack = is_dsack(seg, seg_ack);
    if (dsack)
        take_dsack(Sequence(seg.sack[0].start), Sequence(seg.sack[0].end), now);
    for (uint8_t i = dsack ? 1 : 0; i < seg.sack_count; i++) {
        Sequence start(seg.sack[i].start), end(seg.sack[i].end);
        if (start >= end || end > snd.nxt) {
            count(SLUICE_CNT_sack_ignored);
            continue;
        }
        if (end <= seg_ack || end <= snd.una)
            continue; // old news
        if (!board.reserve(handle(), 2)) {
            count(SLUICE_CNT_scoreboard_no_memory);
            continue;
        }
        board.selectively_acknowledge(later(start, seg_ack), end, d);
    }
    if (d.sacked_bytes)
        board.merge_sacked();
    return dsack;
}

// Karn's rule: only what was sent once is timed by its sending; else the
// echoed timestamp tells which transmission arrived.
bool Connection::take_rtt(const sluice_segment& seg, const Delivery& d, Instant now)
{
    if (d.sample_sent && !d.retransmission_acked) {
        rtt.sample(now - d.sample_sent, now);
        return true;
    }
    return d.bytes && !d.sacked_bytes && take_echo(seg, now);
}

// How long ago what seg echoes was sent, a millisecond at least; 0 if it can't tell.
Duration Connection::echo_age(const sluice_segment& seg, Instant now) const
{
    if (!ts.on || !seg.has_timestamp || !seg.ts_echo)
        return {};
    uint32_t age = wire_timestamp(now.us(), ts.offset) - seg.ts_echo;
    if (age >= 1u << 24)
        return {};
    return Duration(greatest(age, 1u) * 1000ull);
}

bool Connection::take_echo(const sluice_segment& seg, Instant now)
{
    Duration age = echo_age(seg, now);
    if (age)
        rtt.sample(age, now);
    return static_cast<bool>(age);
}

void Connection::release_acked()
{
    Sequence data_acked = earlier(snd.una, snd.write_end);
    if (data_acked <= snd.buffer_start)
        return;
    uint32_t bytes = data_acked - snd.buffer_start;
    snd.buffer_start = data_acked;
    if (snd.urgent && data_acked >= snd.up) [[unlikely]]
        snd.urgent = false;
    tally.bytes_acked += bytes;
    sluice_host_release(handle(), bytes);
    events |= SLUICE_EV_WRITABLE;
}

// Marks left by an episode of long ago must not come around and look new.
void Connection::forget_old_marks()
{
    constexpr uint32_t farthest = 1u << 30; // no window is larger
    rec.high = later(rec.high, snd.una);
    rec.widen_after = later(rec.widen_after, snd.una);
    ecn.high = later(ecn.high, snd.una - 1);
    if (snd.una - rec.undo_from > farthest) {
        rec.undo_from = snd.una - farthest;
        rec.undo_to = later(rec.undo_to, rec.undo_from);
    }
}

// RFC 8985 6.2.2: the most recently sent of what was delivered.
void Connection::advance_rack(const Delivery& d, Instant now)
{
    if (!d.newest_sent || (d.newest_retransmitted && now - d.newest_sent < rtt.min_rtt()))
        return;
    if (d.newest_sent < rec.rack_sent ||
        (d.newest_sent == rec.rack_sent && d.newest_end <= rec.rack_end))
        return;
    rec.rack_sent = d.newest_sent;
    rec.rack_end = d.newest_end;
    rec.rack_rtt = now - d.newest_sent;
}

// A newer acknowledgment came before this one, which therefore says nothing of
// the window or of time. But a SACK or D-SACK block may stand in it alone: a
// duplicate is reported once (RFC 2883 4). That blocks come late is no sign
// that payload was reordered.
void Connection::overtaken_ack(const sluice_segment& seg, Sequence seg_ack, Instant now)
{
    Delivery d;
    bool dsack = rec.sack && seg.sack_count && take_sacks(seg, seg_ack, d, now);
    loss_probe_acked(seg_ack, dsack, false, now);
    if (outstanding() == 0)
        return;
    rate.acknowledged(d, rtt.min_rtt(), now);
    advance_rack(d, now);
    bool duplicate = !rec.sack && seg_ack == snd.una && !seg.length && !(seg.flags & SLUICE_FIN);
    if (rec.state == RecoveryState::Open && !d.sacked_bytes && !duplicate)
        return;
    if (!try_undo(&seg, false, now))
        recover(d, false, duplicate, now);
    if (d.bytes)
        arm_retransmit(now);
}

void Connection::apply_ack(const sluice_segment& seg, Sequence seg_ack, Instant now)
{
    bool advanced = seg_ack > snd.una;
    uint32_t flight = in_flight();
    uint32_t old_wnd = snd.wnd;
    bool marked = (seg.flags & SLUICE_ECE) && ecn_capable();
    Sequence highest = board.sacked() ? board.highest_sacked() : snd.una;
    Delivery d;
    bool dsack = false;

    update_send_window(seg, seg_ack);
    timers.probes = 0;
    if (snd.wnd > 0) {
        timers.probes_began.clear(); // not by mere answers: a user timeout goes on
        if (timers.kind == Timers::Kind::Persist)
            timers.backoff = 0;
    }
    if (rec.sack && seg.sack_count)
        dsack = take_sacks(seg, seg_ack, d, now);
    if (advanced) {
        board.acknowledge(seg_ack, d);
        snd.una = seg_ack;
        if (timers.retransmits) [[unlikely]]
            timeouts_over(now);
        timers.retransmits = 0;
        timers.retrans_began.clear();
        timers.probes_began.clear();
        release_acked();
        forget_old_marks();
        if (mtu.size)
            mtu_probe_acked();
    }
    bool repeated = !advanced && !seg.length && !(seg.flags & SLUICE_FIN) && snd.wnd == old_wnd;
    bool duplicate = !rec.sack && repeated && outstanding() > 0;
    loss_probe_acked(seg_ack, dsack, repeated && !d.sacked_bytes, now);
    if (outstanding() == 0 && !advanced) {
        if (timers.kind == Timers::Kind::Persist && snd.wnd > old_wnd)
            stop_send_timer();
        return;
    }
    if (take_rtt(seg, d, now))
        timers.backoff = 0; // only a measurement ends it (RFC 6298 5, Karn)
    uint64_t rate_sample = rate.acknowledged(d, rtt.min_rtt(), now);
    note_reordering(d, highest);
    advance_rack(d, now);
    if (marked)
        keep_reduced();
    if (rec.state != RecoveryState::Open || d.sacked_bytes || duplicate || board.sacked()) {
        bool undone = try_undo(&seg, advanced, now);
        if (!undone)
            recover(d, advanced, duplicate, now);
    }
    if (marked)
        take_echo_of_mark(d, flight, advanced, now);
    if (advanced && rec.state != RecoveryState::Recovery && rec.state != RecoveryState::Cwr)
        grow_window(d, flight, rate_sample, marked, now);
    if (advanced || d.bytes) {
        if (outstanding())
            arm_retransmit(now);
        else
            stop_send_timer();
    }
    if (outstanding() || unsent())
        update_pacing();
    if (advanced)
        autotune_send();
    if (snd.fin_queued && snd.una > snd.write_end)
        fin_acknowledged(now);
}

// Of this round trip and the last: at the end of a flight hardly any of it is
// left, and between two long ones there may be a short one (RFC 7661 4.1).
void Connection::note_flight(uint32_t flight)
{
    if (snd.una > flown.end) [[unlikely]] {
        cc.cwnd_used = flown.most;
        flown.most = 0;
        flown.end = snd.nxt;
    }
    if (flight <= flown.most)
        return;
    flown.most = flight;
    cc.cwnd_used = greatest(cc.cwnd_used, flight);
}

void Connection::grow_window(const Delivery& d, uint32_t flight, uint64_t rate_sample, bool marked,
                             Instant now)
{
    bool slow_start = cc.cwnd < cc.ssthresh;
    sluice_cc_ack a{};
    a.now = now.us();
    a.acked = d.bytes;
    a.in_flight = flight;
    a.rtt = d.sample_sent ? static_cast<uint32_t>((now - d.sample_sent).us()) : 0;
    a.srtt = static_cast<uint32_t>(rtt.srtt().us());
    a.min_rtt = static_cast<uint32_t>(rtt.min_rtt().us());
    a.delivery_rate = rate_sample;
    a.lost = board.take_newly_lost();
    a.app_limited = d.prior_app_limited;
    a.in_recovery = rec.state >= RecoveryState::Recovery;
    a.ecn_echo = marked;
    a.cwnd_limited = cwnd_limited || (slow_start && cc.cwnd < 2 * flight);
    cwnd_limited = false;
    note_flight(flight);
    cc.ops->acked(&cc, &a);
}

// Our FIN is acknowledged: the right half of figure 5.
void Connection::fin_acknowledged(Instant now)
{
    switch (state) {
    case State::FinWait1:
        change(State::FinWait2);
        events |= SLUICE_EV_WRITABLE;
        if (orphaned)
            arm_fin_wait_2(now);
        break;
    case State::Closing:
        enter_time_wait(now);
        break;
    case State::LastAck:
        closed();
        break;
    default:
        break;
    }
}

} // namespace sluice
