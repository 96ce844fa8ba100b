// SPDX-License-Identifier: GPL-2.0
// Loss detection and recovery. With SACK, loss is found by RACK (RFC 8985),
// which with its reordering window at zero after DupThresh segments gives the
// rule of RFC 6675; without, by duplicate and partial ACKs (RFC 6582). The
// window in fast recovery follows proportional rate reduction (RFC 6937). An
// episode that proves spurious, by an echoed timestamp older than the
// retransmission (RFC 4015, Eifel) or by D-SACK (RFC 2883), is undone.
#include "connection.h"
#include "isn.h"

namespace sluice
{

// Bytes that a duplicate ACK without SACK may stand for.
uint32_t Connection::usual_segment() const
{
    if (board.empty())
        return snd.mss;
    return least<uint32_t>(snd.mss, greatest(outstanding() / board.size(), 1u));
}

uint32_t Connection::in_flight() const
{
    uint32_t flight = board.in_flight(outstanding());
    if (rec.sack || rec.duplicate_acks == 0)
        return flight;
    // Without SACK every duplicate ACK says that one more segment arrived.
    uint64_t arrived = static_cast<uint64_t>(rec.duplicate_acks) * usual_segment();
    return arrived + snd.mss >= flight ? least<uint32_t>(flight, snd.mss)
                                       : flight - static_cast<uint32_t>(arrived);
}

// A duplicate ACK says that a segment arrived, and no more than is out can have,
// what is lost left out: else they would add up to a window without end.
bool Connection::limit_duplicate_acks()
{
    uint32_t usual = usual_segment();
    uint32_t lost = greatest(board.lost(), usual);
    uint32_t out = outstanding();
    uint32_t most = out > lost ? (out - lost + usual - 1) / usual : 0;
    if (rec.duplicate_acks <= most)
        return false;
    rec.duplicate_acks = most;
    return true;
}

// RFC 8985 6.2.4: how long to wait before a hole counts as loss.
Duration Connection::reordering_window() const
{
    if (!rec.reordering_seen) {
        if (rec.state >= RecoveryState::Recovery)
            return Duration(0);
        if (!(config->recovery & RACK_WITHOUT_DUPTHRESH) &&
            board.sacked() >= rec.reordering * static_cast<uint32_t>(snd.mss))
            return Duration(0);
    }
    return least(rtt.min_rtt() / 4 * rec.window_steps, rtt.srtt());
}

// RFC 8985 6.2.4: something went again for nothing. Once each round trip.
void Connection::widen_reordering_window()
{
    if (snd.una < rec.widen_after || (config->recovery & RACK_WINDOW_STAYS))
        return;
    rec.widen_after = snd.nxt;
    if (rec.window_steps < 255)
        rec.window_steps++;
    rec.window_persist = 16;
}

bool Connection::detect_losses(Instant now)
{
    if (!rec.sack)
        return false;
    if (!(config->recovery & RACK_FINDS))
        return board.mark_overtaken_lost((rec.reordering - 1u) * snd.mss, rec.reordering);
    if (!rec.rack_sent)
        return false;
    bool newly = false;
    Duration wait = rec.rack_rtt + reordering_window();
    Instant earliest;
    for (uint32_t i = 0; i < board.size(); i++) {
        const SentRange& r = board[i];
        if (r.sacked || (r.lost && !r.retransmitted))
            continue;
        bool sent_before =
            r.sent < rec.rack_sent || (r.sent == rec.rack_sent && r.end < rec.rack_end);
        if (!sent_before)
            continue;
        Instant due = r.sent + wait;
        if (due <= now) {
            board.mark_lost(i);
            newly = true;
        } else if (!earliest || due > earliest) {
            earliest = due;
        }
    }
    if (earliest)
        arm_send(Timers::Kind::Reordering, earliest);
    return newly;
}

void Connection::save_undo()
{
    rec.undo_valid = true;
    rec.undo_cwnd = cc.cwnd;
    rec.undo_ssthresh = cc.ssthresh;
    rec.undo_from = rec.undo_to = snd.una;
    rec.undo_retransmitted = 0;
    rec.has_retrans_stamp = false;
}

// What went out again in this episode must all prove needless to undo it.
void Connection::note_retransmitted(const SentRange& r, Instant now)
{
    rec.undo_retransmitted += r.length();
    rec.undo_to = later(rec.undo_to, r.end);
    if (rec.has_retrans_stamp)
        return;
    rec.has_retrans_stamp = true;
    rec.retrans_stamp = wire_timestamp(now.us(), ts.offset);
}

// From now on the window goes to ssthresh (RFC 6937), and the peer is told.
void Connection::begin_reduction(uint32_t flight)
{
    rec.recover_fs = greatest<uint32_t>(flight, 1);
    rec.prr_target = cc.ssthresh;
    rec.prr_delivered = rec.prr_out = 0;
    window_reduced();
}

// A mark and a loss in one window call for one reduction (RFC 3168 6.1.2).
bool Connection::reduced_already() const
{
    return rec.state == RecoveryState::Cwr && snd.una < ecn.high;
}

void Connection::enter_recovery(Instant now)
{
    count(SLUICE_CNT_fast_retransmits);
    if (rec.sack)
        count(SLUICE_CNT_sack_recoveries);
    save_undo();
    if (reduced_already()) {
        keep_reduced();
        // What was lost goes out at once all the same (RFC 6675 5, 4.3).
        rec.prr_delivered -= least(rec.prr_delivered, rec.prr_out);
        rec.prr_out = 0;
    } else {
        uint32_t flight = outstanding(); // FlightSize of RFC 5681
        cc.ssthresh = cc.ops->loss(&cc, flight, now.us());
        begin_reduction(flight);
    }
    rec.high = snd.nxt;
    rec.state = RecoveryState::Recovery;
    rec.probe_outstanding = false;
}

// RFC 5681 3.1 and RFC 6298 5.5: a timeout ends all trust in what is out. An
// episode that began before has reduced for this flight, and knows how to undo it.
void Connection::enter_loss(Instant now)
{
    bool fresh = rec.state < RecoveryState::Recovery || snd.una >= rec.high;
    if (fresh && !reduced_already()) {
        save_undo();
        cc.ssthresh = cc.ops->loss(&cc, outstanding(), now.us());
    }
    begin_frto(rec.state < RecoveryState::Recovery);
    if (board.head_sacked()) {
        count(SLUICE_CNT_sack_reneged);
        board.forget_sacks();
    }
    rec.state = RecoveryState::Loss;
    rec.high = snd.nxt;
    rec.duplicate_acks = 0;
    rec.probe_outstanding = false;
    window_reduced();
    board.mark_all_lost();
    cc.cwnd = snd.mss;
    if (cc.ops->timeout)
        cc.ops->timeout(&cc, now.us());
}

void Connection::leave_episode()
{
    if (rec.state == RecoveryState::Recovery || rec.state == RecoveryState::Cwr)
        cc.cwnd = greatest<uint32_t>(rec.prr_target, snd.mss);
    if (rec.state >= RecoveryState::Recovery && rec.window_persist && --rec.window_persist == 0)
        rec.window_steps = 1;
    rec.state = board.sacked() ? RecoveryState::Disorder : RecoveryState::Open;
    rec.frto = Frto::Off;
    rec.duplicate_acks = 0;
}

bool Connection::try_undo(const sluice_segment* seg, bool advanced, Instant now)
{
    if (!rec.undo_valid || !rec.has_retrans_stamp)
        return false;
    bool by_timestamp = rec.state >= RecoveryState::Recovery && advanced && ts.on &&
                        seg->has_timestamp && seg->ts_echo &&
                        static_cast<int32_t>(seg->ts_echo - rec.retrans_stamp) < 0;
    bool by_dsack = rec.undo_retransmitted == 0;
    if (!by_timestamp && !by_dsack)
        return false;
    undo(now);
    return true;
}

void Connection::undo(Instant now)
{
    bool restored = rec.undo_cwnd != 0;
    if (rec.state >= RecoveryState::Recovery)
        board.forget_losses();
    if (restored) {
        count(SLUICE_CNT_spurious_undone);
        cc.cwnd = greatest(cc.cwnd, rec.undo_cwnd);
        cc.ssthresh = greatest(cc.ssthresh, rec.undo_ssthresh);
        withdraw_reduction();
    } else if (rec.state == RecoveryState::Recovery) {
        cc.cwnd = greatest<uint32_t>(rec.prr_target, snd.mss);
    }
    rec.state = board.sacked() ? RecoveryState::Disorder : RecoveryState::Open;
    rec.duplicate_acks = 0;
    rec.undo_valid = false;
    rec.frto = Frto::Off;
    timers.backoff = 0;
    if (restored && cc.ops->undo)
        cc.ops->undo(&cc, now.us());
}

// A hole that was filled without a retransmission was reordering, as deep as
// what had been SACKed above it (RFC 8985 6.2.3, RFC 4653 in spirit).
void Connection::note_reordering(const Delivery& d, Sequence highest)
{
    if (!d.reordered || !rec.sack || highest <= d.reordered_at)
        return;
    uint32_t depth = (highest - d.reordered_at + snd.mss - 1) / snd.mss;
    depth = least<uint32_t>(depth, static_cast<uint32_t>(config->max_reordering));
    count(SLUICE_CNT_reordering_seen);
    tally.reorders++;
    rec.reordering_seen = true;
    rec.reordering = greatest(rec.reordering, static_cast<uint16_t>(depth));
}

void Connection::proportional_rate(const Delivery& d, bool advanced, bool newly_lost)
{
    uint32_t delivered = d.bytes ? d.bytes : rec.sack ? 0 : usual_segment();
    uint32_t pipe = in_flight();
    rec.prr_delivered += delivered;
    uint32_t room;
    if (pipe > rec.prr_target) {
        uint64_t share =
            (static_cast<uint64_t>(rec.prr_delivered) * rec.prr_target + rec.recover_fs - 1) /
            rec.recover_fs;
        room = share > rec.prr_out ? static_cast<uint32_t>(share - rec.prr_out) : 0;
    } else {
        uint32_t behind = rec.prr_delivered > rec.prr_out ? rec.prr_delivered - rec.prr_out : 0;
        uint32_t limit = greatest(behind, delivered);
        if (advanced && !newly_lost)
            limit += snd.mss;
        room = least(rec.prr_target - pipe, limit);
    }
    if (rec.prr_out == 0)
        room = greatest<uint32_t>(room, snd.mss);
    cc.cwnd = greatest<uint32_t>(pipe + room, snd.mss);
}

// false: one too many, which is to change nothing. With SACK, what tells something
// new counts as one (RFC 6675 2, DupAck).
bool Connection::count_duplicates(const Delivery& d, bool advanced, bool duplicate)
{
    if (!dup_acks_count())
        return true;
    if (duplicate || (rec.sack && d.sacked_bytes && !advanced)) {
        rec.duplicate_acks++;
        if (!rec.sack && limit_duplicate_acks()) {
            count(SLUICE_CNT_duplicate_acks_ignored);
            return false;
        }
    } else if (advanced) {
        uint32_t segments = d.bytes / usual_segment();
        rec.duplicate_acks -= least(rec.duplicate_acks, greatest(segments, 1u) - 1);
        if (rec.sack || rec.state < RecoveryState::Recovery)
            rec.duplicate_acks = 0;
        limit_duplicate_acks();
    }
    return true;
}

void Connection::recover(const Delivery& d, bool advanced, bool duplicate, Instant now)
{
    if (!count_duplicates(d, advanced, duplicate))
        return;
    if (rec.frto != Frto::Off && timeout_was_spurious(d, advanced, duplicate, now))
        return;
    if (rec.state == RecoveryState::Cwr && snd.una > ecn.high)
        leave_episode(); // the peer has our CWR
    bool partial = advanced && rec.state >= RecoveryState::Recovery && snd.una < rec.high;
    if (rec.state >= RecoveryState::Recovery && snd.una >= rec.high)
        leave_episode();
    bool newly_lost = detect_losses(now);
    if (dup_acks_count() && !(rec.sack && board.has_lost()) && board.reserve(handle(), 2)) {
        bool third = rec.state < RecoveryState::Recovery && rec.duplicate_acks >= rec.reordering &&
                     snd.una >= rec.high;
        if (third || (!rec.sack && partial && rec.state == RecoveryState::Recovery)) {
            bool probe = mtu.size && snd.una == mtu.start;
            uint32_t head = probe ? mtu.end - mtu.start : snd.mss;
            board.mark_head_lost(rec.sack ? least(head, board[0].length()) : head);
            newly_lost = true;
        }
    }
    if (board.has_lost() && rec.state < RecoveryState::Recovery && !mtu_probe_lost(now))
        enter_recovery(now);
    if (rec.state == RecoveryState::Recovery)
        proportional_rate(d, advanced, newly_lost);
    else if (rec.state == RecoveryState::Cwr && (d.bytes || duplicate))
        proportional_rate(d, advanced, false);
    else if (rec.state < RecoveryState::Cwr)
        rec.state =
            board.sacked() || rec.duplicate_acks ? RecoveryState::Disorder : RecoveryState::Open;
}

// RFC 8985 7.4: did the probe repair a loss that nobody noticed?
void Connection::loss_probe_acked(Sequence seg_ack, bool dsack, bool duplicate, Instant now)
{
    if (!rec.probe_outstanding || seg_ack < rec.probe_high)
        return;
    bool needless = !rec.probe_retransmitted || dsack || duplicate;
    if (!needless && seg_ack == rec.probe_high)
        return; // of the probe or of the original: what comes next will tell
    rec.probe_outstanding = false;
    if (needless || rec.state >= RecoveryState::Cwr)
        return;             // the latter: this window is reduced already
    rec.undo_valid = false; // of an older episode
    count(SLUICE_CNT_loss_probe_recoveries);
    cc.ssthresh = cc.ops->loss(&cc, outstanding(), now.us());
    cc.cwnd = least(cc.cwnd, cc.ssthresh);
    window_reduced();
}

} // namespace sluice
