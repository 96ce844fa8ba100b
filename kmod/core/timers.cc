// SPDX-License-Identifier: GPL-2.0
// Every deadline of a connection. The host runs one timer, for the earliest.
//
//   Retransmit   RFC 6298: the oldest unacknowledged byte is overdue. Doubles
//                up to rto_max; gives up as `gave_up` says. Also SYN, SYN-ACK;
//                a SYN's first timeouts may all be alike (syn_linear_timeouts).
//   Reordering   RFC 8985 6.3: a hole stayed open for RACK's reordering window.
//   LossProbe    RFC 8985 7: the tail may be lost; ask with one more segment.
//   Persist      RFC 9293 3.8.6.1: the peer's window is closed; probe it, for
//                as long as it answers and no user timeout is over, or,
//                without a socket, until the doublings are used up: no peer
//                may keep an orphan for ever.
//   Cork         a partial segment held by TCP_CORK or MSG_MORE goes after all.
//   Held         RFC 3168 6.1.2: a mark was echoed at a window of one segment,
//                so the next goes as if it had waited for a retransmission.
//   delayed ACK  RFC 9293 3.8.6.3.
//   keepalive    RFC 9293 3.8.4; in FIN_WAIT_2 without a socket, its end.
//   pacing       more may leave: what was sent is over at its rate (pacing.cc).
//   2MSL         is not here: TIME_WAIT is an object of its own (time_wait.cc).
//
// The first six exclude each other and share `timers.send`.
#include "connection.h"
#include "errors.h"
#include "isn.h"
#include "wire.h"

namespace sluice
{

namespace
{
constexpr Duration cork_limit{200 * 1000};
constexpr Duration patience_step{200 * 1000};
constexpr Duration after_lost_syn{3 * 1000 * 1000};
constexpr Duration seconds(uint32_t s)
{
    return Duration(s * 1000000ull);
}

// What a timeout and so many that double it take together.
constexpr Duration doublings(Duration first, uint64_t retries, Duration most)
{
    uint64_t total = 0;
    for (uint64_t i = 0, step = first.us(); i <= retries; i++) {
        total += step;
        step = least(step * 2, most.us());
    }
    return Duration(total);
}
} // namespace

Duration Connection::rto() const
{
    Duration most(config->rto_max), initial(config->rto_initial);
    // Still unmeasured after the handshake: a SYN was lost (RFC 6298 5.7).
    if (state != State::SynSent && state != State::SynReceived)
        initial = greatest(initial, after_lost_syn);
    return rtt.rto(least(initial, most), Duration(config->rto_min), most);
}

Duration Connection::backed_off() const
{
    return least(rto() * (1ull << timers.backoff), Duration(config->rto_max));
}

void Connection::arm_send(Timers::Kind kind, Instant when)
{
    timers.kind = kind;
    timers.send = when;
}

void Connection::stop_send_timer()
{
    timers.kind = Timers::Kind::None;
    timers.send.clear();
}

Instant Connection::next_deadline() const
{
    Instant next = timers.send;
    if (ack.deadline && (!next || ack.deadline < next))
        next = ack.deadline;
    if (timers.keep && (!next || timers.keep < next))
        next = timers.keep;
    if (pace.waits_until && (!next || pace.waits_until < next))
        next = pace.waits_until;
    return next;
}

// A doubled interval ends when the user timeout does, if that is earlier.
Instant Connection::user_timeout_cuts(Instant when, Instant began) const
{
    if (!set.user_timeout_ms || !began)
        return when;
    return least(when, began + Duration(set.user_timeout_ms * 1000ull));
}

bool Connection::user_timeout_over(Instant began, Instant now) const
{
    return set.user_timeout_ms && began && now - began >= Duration(set.user_timeout_ms * 1000ull);
}

// Something is in flight: a loss probe first where that makes sense, else RTO.
void Connection::arm_retransmit(Instant now)
{
    if (timers.kind == Timers::Kind::Reordering && timers.send > now)
        return;
    Duration timeout = backed_off();
    if (pace.next)
        timeout = timeout + pacing_delay(now);
    bool calm = rec.state == RecoveryState::Open || rec.state == RecoveryState::Cwr;
    bool probe = config->early_retrans >= 3 && rec.sack && calm && rtt.measured() &&
                 !rec.probe_outstanding && timers.backoff == 0 && !board.has_lost() &&
                 !held_by_ecn(now);
    if (probe) {
        Duration wait = rtt.srtt() * 2;
        if (outstanding() <= snd.mss)
            wait = wait + Duration(config->delayed_ack_max);
        else
            wait = wait + Duration(2000);
        arm_send(Timers::Kind::LossProbe, now + least(wait, timeout));
        return;
    }
    arm_send(Timers::Kind::Retransmit, user_timeout_cuts(now + timeout, timers.retrans_began));
}

// New data went out. They put the probe off, but not beyond the timeout of the
// oldest (RFC 8985 7.2), or steady small writes would do so for ever.
void Connection::put_off_loss_probe(Instant now)
{
    Instant pending = timers.send;
    arm_retransmit(now);
    if (timers.send > pending)
        timers.send = least(timers.send, greatest(pending, board[0].sent + rto()));
}

void Connection::arm_after_output(Instant now)
{
    if (outstanding()) {
        if (timers.kind == Timers::Kind::None || timers.kind >= Timers::Kind::Persist)
            arm_retransmit(now);
        return;
    }
    if (state == State::SynReceived)
        return; // the timer is the SYN-ACK's
    bool waiting = unsent() > 0 || fin_due();
    if (!waiting) {
        stop_send_timer();
        return;
    }
    if (timers.kind != Timers::Kind::None || pace.waits_until)
        return;
    bool held_back = (set.cork || snd.more) && unsent() < snd.mss && snd.wnd >= unsent();
    if (held_by_ecn(now))
        arm_send(Timers::Kind::Held, ecn.held_until);
    else if (held_back)
        arm_send(Timers::Kind::Cork, now + cork_limit);
    else
        arm_send(Timers::Kind::Persist, user_timeout_cuts(now + backed_off(), timers.probes_began));
}

// As Linux: the count of doublings stands for the time that so many of the
// default least RTO would take (924.6 s for 15), and a user timeout (RFC 5482)
// for itself. A lower rto_min is for short paths, not for less patience.
bool Connection::gave_up(Instant now) const
{
    if (set.user_timeout_ms)
        return user_timeout_over(timers.retrans_began, now);
    if (!timers.retrans_began)
        return false;
    uint64_t retries = orphaned ? config->orphan_retries : config->retries2;
    return now - timers.retrans_began >=
           doublings(patience_step, retries, Duration(config->rto_max));
}

// As Linux: timeouts that don't double come on top of the retries, but take
// none of the time that the retries alone would have taken.
bool Connection::syn_gave_up(Instant now) const
{
    uint64_t retries = set.syn_count ? set.syn_count : config->syn_retries;
    if (timers.retransmits >= retries + config->syn_linear_timeouts)
        return true;
    if (set.user_timeout_ms || !timers.retransmits)
        return false;
    return now - timers.retrans_began >=
           doublings(Duration(config->rto_initial), retries, Duration(config->rto_max));
}

void Connection::time_passed(Instant now)
{
    timers.armed.clear();
    if (state == State::Closed)
        return;
    if (timers.send.due(now)) {
        Timers::Kind kind = timers.kind;
        stop_send_timer();
        switch (kind) {
        case Timers::Kind::Retransmit:
            retransmit_timeout(now);
            break;
        case Timers::Kind::Reordering:
            reordering_timeout(now);
            break;
        case Timers::Kind::LossProbe:
            loss_probe_timeout(now);
            break;
        case Timers::Kind::Persist:
            persist_timeout(now);
            break;
        case Timers::Kind::Cork:
            send_held_back(now);
            break;
        case Timers::Kind::Held:
            output(now);
            break;
        case Timers::Kind::None:
            break;
        }
    }
    if (state != State::Closed && ack.deadline.due(now)) {
        ack.deadline.clear();
        // The answer that was to carry it didn't come in time.
        if (ack.interactive) {
            ack.interactive = false;
            ack.ato = static_cast<uint32_t>(config->delayed_ack_min);
        } else {
            ack.ato =
                static_cast<uint32_t>(least<uint64_t>(ack.ato * 2ull, config->delayed_ack_max));
        }
        count(SLUICE_CNT_delayed_acks);
        send_ack(now);
    }
    if (state != State::Closed && pace.waits_until.due(now))
        wait_is_over(now);
    if (state != State::Closed && timers.keep.due(now)) {
        timers.keep.clear();
        keepalive_timeout(now);
    }
}

void Connection::handshake_timeout(Instant now)
{
    bool enough =
        state == State::SynSent ? syn_gave_up(now) : timers.retransmits >= config->synack_retries;
    if (enough || user_timeout_over(timers.retrans_began, now)) {
        count(SLUICE_CNT_attempt_fails);
        count(SLUICE_CNT_give_ups);
        fail(error::timed_out);
        return;
    }
    note_timeout(now);
    sluice_host_doubt_path(handle(), timers.retransmits > 0);
    timers.retransmits++;
    if (state != State::SynSent || timers.retransmits > config->syn_linear_timeouts)
        timers.backoff++;
    count(SLUICE_CNT_syn_retrans);
    // The path may drop what asks for ECN (RFC 3168 6.1.1.1).
    if (state == State::SynSent && ecn.asked && !ecn.fell_back && config->ecn_fallback) {
        ecn.fell_back = true;
        count(SLUICE_CNT_ecn_fallbacks);
    }
    fast_open_lost();
    send_syn(nullptr, now);
    uint8_t shift = least<uint8_t>(timers.backoff, 20);
    Duration timeout =
        least(Duration(config->rto_initial) * (1ull << shift), Duration(config->rto_max));
    arm_send(Timers::Kind::Retransmit, user_timeout_cuts(now + timeout, timers.retrans_began));
}

void Connection::retransmit_timeout(Instant now)
{
    if (state == State::SynSent || state == State::SynReceived) {
        handshake_timeout(now);
        return;
    }
    if (!outstanding())
        return;
    count(SLUICE_CNT_rto_timeouts);
    note_timeout(now);
    // A peer that closed its window but still answers is alive, for as long as
    // no user timeout says otherwise.
    bool peer_blocks =
        !orphaned && snd.wnd == 0 && now - timers.last_receive < Duration(config->rto_max);
    if ((!peer_blocks || set.user_timeout_ms) && gave_up(now)) {
        count(SLUICE_CNT_give_ups);
        fail(error::timed_out);
        return;
    }
    if (!timers.retrans_began)
        timers.retrans_began = now;
    sluice_host_doubt_path(handle(), timers.retransmits >= config->retries1);
    suspect_black_hole();
    enter_loss(now);
    retransmit_head(now);
    if (timers.retransmits < 255)
        timers.retransmits++;
    if (timers.backoff < 20)
        timers.backoff++;
    arm_retransmit(now);
}

void Connection::reordering_timeout(Instant now)
{
    if (detect_losses(now) && rec.state < RecoveryState::Recovery && !mtu_probe_lost(now)) {
        enter_recovery(now);
        proportional_rate(Delivery{}, false, true);
    }
    if (timers.kind != Timers::Kind::Reordering)
        arm_retransmit(now);
    output(now);
}

void Connection::loss_probe_timeout(Instant now)
{
    if (!outstanding())
        return;
    rec.probe_outstanding = true;
    rec.probe_retransmitted = false;
    uint32_t mss = effective_mss();
    Sequence wnd_end = snd.una + snd.wnd;
    uint32_t window = wnd_end > snd.nxt ? wnd_end - snd.nxt : 0;
    uint32_t length = least(unsent(), mss);
    if (length && window >= length && board.reserve(handle(), 1)) {
        SentRange r = stamped(snd.nxt, snd.nxt + length, now);
        if (transmit(r.start, r.end, false, now)) {
            board.sent(r);
            snd.nxt = r.end;
            count(SLUICE_CNT_loss_probes);
        }
    } else if (board.reserve(handle(), 1) && !board.empty()) {
        uint32_t last = board.size() - 1;
        if (!board[last].sacked && board[last].length() > mss) {
            board.split(last, board[last].length() - mss);
            last++;
        }
        if (!board[last].sacked)
            rec.probe_retransmitted = retransmit_range(last, mss, now);
        if (rec.probe_retransmitted)
            count(SLUICE_CNT_loss_probes);
    }
    rec.probe_high = snd.nxt;
    arm_retransmit(now);
}

// A partial segment has waited long enough for the rest.
void Connection::send_held_back(Instant now)
{
    bool cork = set.cork;
    set.cork = snd.more = false;
    output(now);
    set.cork = cork;
}

// A segment just below the window: the peer must answer with its state.
void Connection::send_probe(Instant now)
{
    HeaderFields f;
    f.source = local_port;
    f.destination = remote_port;
    f.seq = (snd.una - 1).value();
    f.ack = rcv.nxt.value();
    f.flags = SLUICE_ACK | ecn_flags(false);
    f.window = advertise();
    f.timestamp = ts.on;
    if (ts.on) {
        f.ts_value = wire_timestamp(now.us(), ts.offset);
        f.ts_echo = ts.recent;
    }
    sluice_transmission t{};
    t.header_length = write_header(t.header, f);
    t.mss = snd.mss;
    t.pure_ack = true;
    count(sluice_host_transmit(handle(), &t) ? SLUICE_CNT_segs_out : SLUICE_CNT_transmit_failed);
    tally.segs_out++;
}

void Connection::persist_timeout(Instant now)
{
    if (outstanding() || (unsent() == 0 && !(snd.fin_queued && !fin_sent())))
        return;
    uint64_t most = orphaned ? config->orphan_retries : config->retries2;
    bool abandoned =
        orphaned && timers.backoff >= most && backed_off() >= Duration(config->rto_max);
    if (timers.probes >= most || abandoned || user_timeout_over(timers.probes_began, now)) {
        count(SLUICE_CNT_probe_give_ups);
        fail(error::timed_out);
        return;
    }
    if (!timers.probes_began)
        timers.probes_began = now;
    if (snd.wnd > 0 && unsent() > 0 && board.reserve(handle(), 1)) {
        // The silly window has lasted long enough (RFC 9293 3.8.6.2.1).
        uint32_t length = least(least(unsent(), snd.wnd), effective_mss());
        restart_after_idle(now);
        SentRange r = stamped(snd.nxt, snd.nxt + length, now);
        if (transmit(r.start, r.end, false, now)) {
            board.sent(r);
            snd.nxt = r.end;
            count(SLUICE_CNT_silly_windows);
            arm_retransmit(now);
            return;
        }
    }
    tell_urgent(now);
    count(SLUICE_CNT_window_probes);
    send_probe(now);
    if (timers.probes < 255)
        timers.probes++;
    if (timers.backoff < 20)
        timers.backoff++;
    arm_after_output(now);
}

void Connection::arm_keepalive(Instant now)
{
    if (orphaned && state == State::FinWait2)
        return;
    Duration idle = set.keep_idle_s ? seconds(set.keep_idle_s) : Duration(config->keepalive_time);
    timers.keep = greatest(now, timers.last_receive) + idle;
}

void Connection::keepalive_timeout(Instant now)
{
    if (orphaned && state == State::FinWait2) {
        count(SLUICE_CNT_fin_wait_2_timeouts);
        closed();
        return;
    }
    if (!set.keepalive || !synchronized() || state == State::SynReceived)
        return;
    Duration idle = set.keep_idle_s ? seconds(set.keep_idle_s) : Duration(config->keepalive_time);
    Duration interval =
        set.keep_interval_s ? seconds(set.keep_interval_s) : Duration(config->keepalive_interval);
    if (outstanding() || unsent()) {
        timers.keep = now + idle;
        return;
    }
    Instant due = timers.last_receive + idle;
    if (due > now) {
        timers.keep = due;
        return;
    }
    uint64_t most = set.keep_count ? set.keep_count : config->keepalive_probes;
    bool user_timeout = set.user_timeout_ms && timers.keepalive_probes > 0 &&
                        now - timers.last_receive >= Duration(set.user_timeout_ms * 1000ull);
    if (user_timeout || (!set.user_timeout_ms && timers.keepalive_probes >= most)) {
        count(SLUICE_CNT_keepalive_give_ups);
        send_reset(now);
        fail(error::timed_out);
        return;
    }
    count(SLUICE_CNT_keepalive_probes);
    send_probe(now);
    timers.keepalive_probes++;
    timers.keep = now + interval;
}

} // namespace sluice
