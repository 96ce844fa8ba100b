// SPDX-License-Identifier: GPL-2.0
// How a connection begins: active open and SYN-SENT (RFC 9293 3.10.7.3),
// simultaneous open (3.5 figure 7), and the child of a listener.
#include "connection.h"
#include "ecn.h"
#include "isn.h"
#include "wire.h"

#include "errors.h"

namespace sluice
{

namespace
{
// Linux waits two jiffies; the reset must only not be overtaken.
constexpr Duration syn_behind_reset(8000);
} // namespace

void Connection::set_path(const sluice_path& path)
{
    local_port = path.local_port;
    remote_port = path.remote_port;
    snd.max_payload = greatest(path.max_payload, PAYLOAD_LEAST);
    snd.peer_mss = default_mss(path.remote);
    snd.segment_max = greatest<uint32_t>(path.gso_max, snd.max_payload);
    rcv.advertise_mss = greatest(path.advertise_mss, PAYLOAD_LEAST);
    if (set.maxseg)
        rcv.advertise_mss = least(rcv.advertise_mss, set.maxseg);
}

// cookie: as sluice_conn_connect_fast() has it, when fast.asked.
void Connection::connect(const sluice_path& path, const sluice_fastopen_cookie* cookie, Instant now)
{
    set_path(path);
    count(SLUICE_CNT_active_opens);
    snd.iss = Sequence(initial_sequence(path, now.us()));
    snd.una = snd.iss;
    snd.nxt = snd.buffer_start = snd.small_end = snd.iss + 1;
    snd.write_end = snd.nxt + fast.offered;
    ts.offset = timestamp_offset(path);
    ts.on = config->timestamps != 0;
    rec.sack = config->sack != 0;
    ecn.asked = config->ecn == ECN_REQUEST;
    choose_scale();
    rcv.right = rcv.nxt + first_window();
    change(State::SynSent);
    timers.retrans_began = now;
    send_syn(cookie, now);
    arm_send(Timers::Kind::Retransmit, now + Duration(config->rto_initial));
}

// cookie: for the option, or NULL. The first SYN carries the data offered.
void Connection::send_syn(const sluice_fastopen_cookie* cookie, Instant now)
{
    timers.last_send = now;
    uint8_t flags = state == State::SynSent ? SLUICE_SYN : SLUICE_SYN | SLUICE_ACK;
    if (state == State::SynSent)
        flags |= ecn.asked && !ecn.fell_back ? ECN_SETUP : 0;
    else
        flags |= ecn.on ? SLUICE_ECE : 0;
    bool first = state == State::SynSent && !timers.retransmits;
    send_control(flags, snd.iss, cookie, first ? fast.offered : 0, now);
}

void Connection::accept(const sluice_half_open& h, const sluice_path& path, Instant now)
{
    set_path(path);
    passive = true;
    snd.iss = Sequence(h.iss);
    snd.una = snd.iss;
    snd.nxt = snd.buffer_start = snd.write_end = snd.small_end = snd.iss + 1;
    snd.peer_mss = greatest<uint16_t>(h.peer_mss, 48);
    snd.wscale = h.wscale_ok ? h.snd_wscale : 0;
    rcv.wscale = h.wscale_ok ? h.rcv_wscale : 0;
    rcv.irs = Sequence(h.irs);
    rcv.nxt = rcv.wup = rcv.irs + 1;
    rcv.right = rcv.nxt + h.rcv_wnd;
    rcv.advertise_mss = h.advertise_mss;
    snd.wl1 = rcv.irs;
    snd.wl2 = snd.iss;
    rec.sack = h.sack_ok;
    ecn.on = h.ecn_ok;
    ecn.fell_back = h.ecn_fell_back;
    if (ecn.on)
        count(SLUICE_CNT_ecn_agreed);
    ts.on = h.timestamp_ok;
    ts.recent = h.ts_recent;
    ts.recent_at = now;
    ts.offset = h.ts_offset;
    timers.retransmits = h.retries ? h.retries : h.resent;
    timers.last_send = Instant(h.sent);
    timers.retrans_began = h.sent ? Instant(h.sent) : now;
    change(State::SynReceived);
    update_mss();
    arm_send(Timers::Kind::Retransmit, now + Duration(config->rto_initial));
}

void Connection::take_peer_options(const sluice_segment& syn)
{
    if (syn.mss)
        snd.peer_mss = greatest<uint16_t>(syn.mss, 48);
    rec.sack = rec.sack && syn.sack_permitted;
    ts.on = ts.on && syn.has_timestamp;
    if (ts.on) {
        ts.recent = syn.ts_value;
    }
    if (config->window_scaling && syn.has_wscale) {
        snd.wscale = syn.wscale;
    } else {
        snd.wscale = 0;
        rcv.wscale = 0;
    }
    rcv.irs = Sequence(syn.seq);
    rcv.nxt = rcv.wup = rcv.irs + 1;
    rcv.right = rcv.nxt + first_window();
    snd.wl1 = rcv.irs;
    snd.wl2 = snd.iss;
    negotiate_ecn(syn);
    update_mss();
}

void Connection::segment_in_syn_sent(sluice_segment& seg, Instant now)
{
    Sequence seg_ack(seg.ack);
    bool acks = seg.flags & SLUICE_ACK;
    if (acks && (seg_ack <= snd.iss || seg_ack > snd.nxt + fast.offered)) {
        if (!(seg.flags & SLUICE_RST))
            send_control(SLUICE_RST, seg_ack, now);
        count(SLUICE_CNT_future_ack);
        // An old connection of the peer's has the pair (RFC 9293 3.5.1), until that reset.
        if (!timers.retransmits)
            arm_send(Timers::Kind::Retransmit, now + syn_behind_reset);
        return;
    }
    if (seg.flags & SLUICE_RST) {
        if (!acks) {
            count(SLUICE_CNT_no_ack_flag);
            return;
        }
        count(SLUICE_CNT_resets_in);
        count(SLUICE_CNT_attempt_fails);
        fail(error::connection_refused);
        return;
    }
    if (!(seg.flags & SLUICE_SYN)) {
        count(SLUICE_CNT_no_syn_flag);
        return;
    }
    take_peer_options(seg);
    ts.recent_at = now;
    snd.wnd = snd.max_wnd = seg.window;
    if (!acks) { // simultaneous open
        change(State::SynReceived);
        send_syn(nullptr, now);
        return;
    }
    if (fast.asked)
        fast_open_answered(seg, seg_ack);
    snd.una = seg_ack;
    established(now);
    release_acked();
    if (!rtt.measured())
        take_echo(seg, now);
    seg.seq++;
    seg.flags &= static_cast<uint8_t>(~SLUICE_SYN);
    ack.pending = true;
    // Who asks for TCP_DEFER_ACCEPT sends soon: the data acknowledge, too.
    if (set.defer_accept)
        ack.deadline = now + Duration(config->delayed_ack_max);
    else
        ack.now = true;
    if (seg.length || (seg.flags & SLUICE_FIN))
        payload(seg, now);
    if (state == State::Closed)
        return;
    output(now);
    acknowledge_if_due(now);
}

// cwnd of RFC 6928, less after a lost SYN (RFC 6298 5.7, RFC 5681 3.1).
void Connection::init_windows()
{
    cc.mss = snd.mss;
    cc.cwnd = static_cast<uint32_t>(config->initial_window) * snd.mss;
    if (timers.retransmits > 1)
        cc.cwnd = snd.mss;
    cc.ssthresh = SLUICE_SSTHRESH_INFINITE;
}

void Connection::established(Instant now)
{
    if (timers.retransmits == 0 && timers.last_send)
        rtt.sample(now - timers.last_send, now);
    begin_transfer(now);
    handshake_over(now);
}

// From now on data may flow: the windows and congestion control begin.
void Connection::begin_transfer(Instant now)
{
    mtu_search_from_start();
    init_windows();
    rec.high = rec.widen_after = rec.undo_from = rec.undo_to = snd.una;
    flown.end = snd.una;
    ecn.high = snd.una - 1;
    snd.max_wnd = snd.wnd;
    cc.ops->init(&cc, now.us());
    cc_begun = true;
    timers.last_receive = now;
    timers.last_send = now;
    ack.ato = static_cast<uint32_t>(config->delayed_ack_min);
    rcv.mss = least<uint16_t>(rcv.advertise_mss, snd.mss);
    rcv.mss = greatest<uint16_t>(rcv.mss, 48);
    quick_acks();
}

void Connection::handshake_over(Instant now)
{
    stop_send_timer();
    timers.retransmits = timers.backoff = 0;
    timers.retrans_began.clear();
    timers.last_receive = now;
    change(State::Established);
    if (set.keepalive)
        arm_keepalive(now);
    update_pacing();
    events |= SLUICE_EV_CONNECTED | SLUICE_EV_WRITABLE;
}

} // namespace sluice
