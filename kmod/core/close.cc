// SPDX-License-Identifier: GPL-2.0
// How a connection ends from this side (RFC 9293 3.10.4, 3.10.5): half-close,
// close, abort, FIN_WAIT_2 and the step into TIME_WAIT.
#include "connection.h"
#include "errors.h"

namespace sluice
{

void Connection::shutdown_write(Instant now)
{
    if (snd.fin_queued)
        return;
    switch (state) {
    case State::SynReceived:
        snd.fin_queued = true; // FIN_WAIT_1 begins when the handshake ends
        return;
    case State::Established:
        snd.fin_queued = true;
        change(State::FinWait1);
        break;
    case State::CloseWait:
        snd.fin_queued = true;
        change(State::LastAck);
        break;
    default:
        return;
    }
    snd.more = false;
    output(now);
}

void Connection::close(bool unread, Instant now)
{
    orphaned = true;
    if (state == State::Closed)
        return;
    if (state == State::SynSent) {
        count(SLUICE_CNT_attempt_fails);
        closed();
        return;
    }
    bool input_dropped = unread || rcv.unread > 0;
    if (input_dropped) {
        count(SLUICE_CNT_unread_at_close);
        send_reset(now);
        closed();
        return;
    }
    shutdown_write(now);
    if (state == State::FinWait2)
        arm_fin_wait_2(now);
}

void Connection::abort(Instant now)
{
    if (state == State::Closed)
        return;
    // RFC 9293 3.10.5: when both have closed, there is nobody to tell ...
    bool over = (state == State::Closing || state == State::LastAck) && fin_sent();
    if (synchronized() && !over) // ... unless output never left
        send_reset(now);
    closed();
}

// Without a socket nobody would notice if the peer never closes (Linux bounds it too).
void Connection::arm_fin_wait_2(Instant now)
{
    if (set.linger2_s == ~0u) {
        send_reset(now);
        closed();
        return;
    }
    Duration life =
        set.linger2_s ? Duration(set.linger2_s * 1000000ull) : Duration(config->fin_timeout);
    timers.keep = now + life;
}

void Connection::enter_time_wait(Instant now)
{
    count(SLUICE_CNT_time_wait_entered);
    sluice_time_wait t{};
    t.snd_nxt = snd.nxt.value();
    t.rcv_nxt = rcv.nxt.value();
    t.rcv_wnd = receive_window();
    t.ts_recent = ts.recent;
    t.ts_offset = ts.offset;
    t.local_port = local_port;
    t.remote_port = remote_port;
    t.rcv_wscale = rcv.wscale;
    t.timestamp_ok = ts.on;
    t.ts_recent_at = ts.recent_at.us();
    t.length = config->time_wait;
    t.deadline = (now + Duration(t.length)).us();
    sluice_host_time_wait(handle(), &t);
    closed();
}

} // namespace sluice
