// SPDX-License-Identifier: GPL-2.0
// What may be sent, and the segments themselves: lost ranges first, then new
// data as congestion window, peer's window, Nagle (RFC 9293 3.7.4, with
// Minshall's refinement) and silly-window avoidance (3.8.6.2.1) allow. One
// transmission carries as much as the host takes at once.
#include "connection.h"
#include "isn.h"
#include "wire.h"

namespace sluice
{

// Payload of a full segment: path and peer bound it, fixed options come off.
void Connection::update_mss()
{
    uint32_t mss = largest_segment();
    if (mtu.on) {
        bound_mtu_search();
        mss = least<uint32_t>(mss, mtu.low);
    }
    if (ts.on)
        mss -= least(mss - 36, TIMESTAMPS_ALIGNED);
    snd.mss = static_cast<uint16_t>(mss);
    cc.mss = mss;
    if (cc.cwnd < mss && cc.cwnd)
        cc.cwnd = mss;
}

// SACK blocks that fit a segment. On a very small path payload has precedence,
// or the segment would exceed it.
uint8_t Connection::sack_room(bool with_payload) const
{
    constexpr uint32_t least_payload = 8;
    if (!rec.sack)
        return 0;
    uint32_t most = ts.on ? 3 : 4;
    if (with_payload) {
        uint32_t taken = SACK_BASE_ALIGNED + least_payload;
        most = least(most, snd.mss > taken ? (snd.mss - taken) / SACK_PER_BLOCK : 0);
    }
    return static_cast<uint8_t>(most);
}

// SACK blocks that the next segment will carry take from its payload.
uint32_t Connection::effective_mss() const
{
    uint32_t blocks = held.size() + (rcv.duplicate.start != rcv.duplicate.end);
    blocks = least<uint32_t>(blocks, sack_room(true));
    return blocks ? snd.mss - SACK_BASE_ALIGNED - SACK_PER_BLOCK * blocks : snd.mss;
}

bool Connection::can_send_data() const
{
    switch (state) {
    case State::Established:
    case State::CloseWait:
    case State::FinWait1:
    case State::Closing:
    case State::LastAck:
        return true;
    case State::SynReceived:
        return fast.early;
    default:
        return false;
    }
}

// Payload bytes of one transmission. The urgent pointer is another in each
// segment, which no segmentation engine knows: they go one by one.
uint32_t Connection::transmission_max() const
{
    if (snd.urgent)
        return least(effective_mss(), snd.segment_max);
    return least(snd.segment_max, greatest<uint32_t>(pace.burst, snd.mss));
}

SentRange Connection::stamped(Sequence start, Sequence end, Instant now)
{
    SentRange r{};
    r.start = start;
    r.end = end;
    r.cut = static_cast<uint16_t>(effective_mss());
    rate.stamp(r, in_flight() == 0, now);
    return r;
}

bool Connection::transmit(Sequence start, Sequence end, bool again, Instant now)
{
    return transmit_cut(start, end, again, effective_mss(), now);
}

// [start, end) goes out in segments of mss bytes; end one past write_end means with FIN.
bool Connection::transmit_cut(Sequence start, Sequence end, bool again, uint32_t mss, Instant now)
{
    Sequence data_end = earlier(end, snd.write_end);
    uint32_t length = data_end > start ? data_end - start : 0;
    bool fin = end - start > length;
    bool new_data = length && !again;
    sluice_sack_block blocks[SLUICE_SACK_MAX];
    HeaderFields f;
    f.source = local_port;
    f.destination = remote_port;
    f.seq = start.value();
    f.ack = rcv.nxt.value();
    f.flags = SLUICE_ACK | ecn_flags(new_data);
    if (length && data_end == snd.write_end)
        f.flags |= SLUICE_PSH;
    if (fin)
        f.flags |= SLUICE_FIN;
    if (snd.urgent) [[unlikely]]
        point_at_urgent(f, start);
    f.timestamp = ts.on;
    if (ts.on) {
        f.ts_value = wire_timestamp(now.us(), ts.offset);
        f.ts_echo = ts.recent;
    }
    if (uint8_t room = sack_room(length > 0)) {
        uint8_t n = 0;
        if (rcv.duplicate.start != rcv.duplicate.end) {
            blocks[n++] = rcv.duplicate;
            count(SLUICE_CNT_dsack_out);
        }
        n += held.sack_blocks(blocks + n, static_cast<uint8_t>(room - n));
        f.sack = blocks;
        f.sack_count = n;
    }
    f.window = advertise();

    sluice_transmission t;
    t.header_length = write_header(t.header, f);
    t.ecn = new_data && ecn_capable() ? SLUICE_ECT_0 : SLUICE_NOT_ECT;
    t.retransmission = again;
    t.pure_ack = length == 0 && !fin;
    t.offset = length ? start - snd.buffer_start : 0;
    t.length = length;
    t.mss = mss;
    t.pacing_rate = pace.rate ? pace.rate : ~0ull;
    uint32_t segments = length > mss ? (length + mss - 1) / mss : 1;
    if (!sluice_host_transmit(handle(), &t)) {
        count(SLUICE_CNT_transmit_failed);
        return false;
    }
    tally.segs_out += segments;
    if (length)
        tally.data_out += segments;
    if (again) {
        tally.retrans += segments;
        tally.bytes_retrans += length;
        count(SLUICE_CNT_retrans_segs, segments);
    } else {
        count(SLUICE_CNT_segs_out, segments);
        if (length) {
            tally.bytes_sent += length;
            count(SLUICE_CNT_bytes_out, length);
        }
    }
    if (length || fin) {
        timers.last_send = now;
        if (pace.limited)
            pace_after(length, now);
        if (!again && length && ack.last_data && (now - ack.last_data).us() < ack.ato)
            ack.interactive = true;
        if (length && length % mss)
            snd.small_end = data_end;
    }
    if (new_data)
        ecn.cwr_due = false;
    ack_sent();
    return true;
}

void Connection::send_ack(Instant now)
{
    if (transmit(snd.nxt, snd.nxt, false, now))
        return;
    ack.pending = true;
    ack.deadline = now + Duration(config->delayed_ack_max);
}

bool Connection::send_control(uint8_t flags, Sequence seq, Instant now)
{
    return send_control(flags, seq, nullptr, 0, now);
}

// SYN, SYN-ACK and RST: not on the scoreboard, no payload, or in a SYN the
// first bytes of the stream, with a cookie (RFC 7413).
bool Connection::send_control(uint8_t flags, Sequence seq, const sluice_fastopen_cookie* cookie,
                              uint32_t payload, Instant now)
{
    HeaderFields f;
    f.source = local_port;
    f.destination = remote_port;
    f.seq = seq.value();
    f.flags = flags;
    if (flags & SLUICE_ACK)
        f.ack = rcv.nxt.value();
    if (flags & SLUICE_SYN) {
        uint32_t window = rcv.right - rcv.nxt;
        f.window = static_cast<uint16_t>(least(window, 65535u));
        f.mss = rcv.advertise_mss;
        f.sack_permitted = rec.sack;
        bool offer_scale =
            state == State::SynSent ? config->window_scaling != 0 : rcv.wscale || snd.wscale;
        f.wscale = offer_scale ? static_cast<int8_t>(rcv.wscale) : int8_t{-1};
        f.fastopen = cookie;
    } else {
        f.window = static_cast<uint16_t>(least(receive_window() >> rcv.wscale, 65535u));
    }
    f.timestamp = ts.on && !((flags & SLUICE_RST) && state == State::SynSent);
    if (f.timestamp) {
        f.ts_value = wire_timestamp(now.us(), ts.offset);
        f.ts_echo = flags & SLUICE_ACK ? ts.recent : 0;
    }
    sluice_transmission t{};
    t.header_length = write_header(t.header, f);
    t.length = payload;
    t.mss = payload ? payload : snd.mss;
    bool sent = sluice_host_transmit(handle(), &t);
    count(sent ? SLUICE_CNT_segs_out : SLUICE_CNT_transmit_failed);
    tally.segs_out++;
    if (payload) {
        tally.data_out++;
        tally.bytes_sent += payload;
    }
    if (flags & SLUICE_RST)
        count(SLUICE_CNT_resets_out);
    return sent;
}

void Connection::send_reset(Instant now)
{
    send_control(SLUICE_RST | SLUICE_ACK, snd.nxt, now);
}

bool Connection::retransmit_range(uint32_t i, uint32_t room, Instant now)
{
    uint32_t mss = effective_mss();
    uint32_t most = greatest(least(room, transmission_max()) / mss * mss, mss);
    // A window that shrank bounds retransmissions, but not the oldest one.
    Sequence start = board[i].start;
    Sequence wnd_end = snd.una + snd.wnd;
    if (start != snd.una && start >= wnd_end)
        return false;
    if (start != snd.una)
        most = least(most, wnd_end - start);
    else if (board[i].end > wnd_end)
        most = least(most, greatest(snd.wnd, mss));
    if (board[i].length() < mss) // small ones go again in one segment
        board.merge_following(i, least(most, mss));
    if (board[i].length() > most) {
        if (!board.reserve(handle(), 1)) {
            count(SLUICE_CNT_scoreboard_no_memory);
            return false;
        }
        board.split(i, most);
    }
    SentRange r = board[i];
    if (!timers.retrans_began)
        timers.retrans_began = now;
    SentRange stamp = stamped(r.start, r.end, now);
    bool sent = transmit(r.start, r.end, true, now);
    if (!sent)
        return false;
    board.retransmit(i, stamp);
    if (mtu.size)
        mtu_probe_retransmitted(r);
    if (rec.state >= RecoveryState::Recovery)
        note_retransmitted(r, now);
    rec.prr_out += r.length();
    return true;
}

bool Connection::retransmit_head(Instant now)
{
    return !board.empty() && retransmit_range(0, effective_mss(), now);
}

void Connection::retransmit_lost(Instant now)
{
    while (board.has_lost()) {
        if (output_waits(now))
            return;
        uint32_t flight = in_flight();
        if (flight + snd.mss > cc.cwnd && flight > 0) {
            cwnd_limited = true;
            return;
        }
        uint32_t room = cc.cwnd > flight ? cc.cwnd - flight : snd.mss;
        if (!retransmit_range(board.next_lost(), room, now))
            return;
        if (timers.kind == Timers::Kind::None || timers.kind == Timers::Kind::LossProbe)
            arm_retransmit(now);
    }
}

// A partial segment waits while an earlier partial one is unacknowledged. What
// is urgent doesn't.
bool Connection::nagle_holds(uint32_t, bool with_fin) const
{
    if (with_fin || snd.urgent)
        return false;
    if (set.cork || snd.more)
        return true;
    bool small_out = snd.small_end > snd.una && snd.small_end <= snd.nxt;
    return !set.nodelay && small_out && outstanding() > 0;
}

// How much of the unsent data goes now; 0: nothing may.
uint32_t Connection::new_segment_length(uint32_t room, uint32_t window, bool& with_fin)
{
    uint32_t mss = effective_mss();
    uint32_t left = unsent();
    uint32_t most = transmission_max();
    uint32_t length = least(least(left, room), least(window, most));
    if (length > mss && length < left)
        length -= length % mss;
    with_fin = fin_due() && length == left && window > length;
    if (length == left) {
        uint32_t tail = length % mss;
        if (tail && nagle_holds(tail, with_fin))
            length -= tail;
        return length;
    }
    if (length >= mss)
        return length;
    if (window <= room && window < left) // the peer's window cuts it
        return length >= snd.max_wnd / 2 && length > 0 && snd.max_wnd / 2 > 0 ? length : 0;
    return length == most ? length : 0;
}

// RFC 5681 4.1. To be asked when data are about to leave: once an idle spell
// true, and then the window is what a beginning has.
bool Connection::restart_after_idle(Instant now)
{
    if (!config->slow_start_after_idle || outstanding())
        return false;
    Duration idle = now - timers.last_send;
    if (idle <= rto())
        return false;
    timers.last_send = now;
    uint32_t restart = static_cast<uint32_t>(config->initial_window) * snd.mss;
    cc.cwnd = least(cc.cwnd, restart);
    if (cc.ops->resumed)
        cc.ops->resumed(&cc, idle.us(), now.us());
    return true;
}

void Connection::send_new(Instant now)
{
    if (held_by_ecn(now) || (mtu.on && probe_mtu(now)))
        return;
    while (unsent() > 0 || fin_due()) {
        if (output_waits(now))
            return;
        uint32_t flight = in_flight();
        uint32_t mss = effective_mss();
        uint32_t room = cc.cwnd > flight ? cc.cwnd - flight : 0;
        if (flight == 0)
            room = greatest(room, mss);
        if (room < least(mss, greatest(unsent(), 1u))) {
            cwnd_limited = true;
            return;
        }
        Sequence wnd_end = snd.una + snd.wnd;
        uint32_t window = wnd_end > snd.nxt ? wnd_end - snd.nxt : 0;
        bool with_fin = false;
        uint32_t length = new_segment_length(room, window, with_fin);
        // A FIN alone may go to a closed window: it takes no buffer.
        if (unsent() == 0)
            with_fin = true;
        if (length == 0 && !with_fin)
            return;
        if (better_later(length, least(room, window), now)) {
            cwnd_limited = room < window;
            return;
        }
        if (!board.reserve(handle(), 1)) {
            count(SLUICE_CNT_scoreboard_no_memory);
            return;
        }
        if (length && restart_after_idle(now) && length > cc.cwnd) {
            length = cc.cwnd / mss * mss;
            with_fin = false;
        }
        Sequence end = snd.nxt + length + (with_fin ? 1 : 0);
        SentRange r = stamped(snd.nxt, end, now);
        if (rec.state == RecoveryState::Disorder)
            count(SLUICE_CNT_limited_transmits);
        if (!transmit(snd.nxt, end, false, now))
            return;
        board.sent(r);
        snd.nxt = end;
        rec.prr_out += r.length();
        if (timers.kind == Timers::Kind::LossProbe)
            put_off_loss_probe(now);
        else if (timers.kind == Timers::Kind::None || timers.kind > Timers::Kind::LossProbe)
            arm_retransmit(now);
    }
    rate.application_limited(in_flight());
}

void Connection::output(Instant now)
{
    if (!can_send_data())
        return;
    pace.waits_until.clear();
    if (rec.frto == Frto::NewDataDue) [[unlikely]]
        send_for_frto(now);
    bool asks = rec.frto == Frto::NewDataSent; // meanwhile nothing goes again
    if (board.has_lost() && !asks)
        retransmit_lost(now);
    if (!board.has_lost() || (in_flight() < cc.cwnd && !asks))
        send_new(now);
    arm_after_output(now);
}

} // namespace sluice
