// SPDX-License-Identifier: GPL-2.0
// The host's entry points into a connection, its changes of state and its end.
#include "connection.h"
#include "isn.h"

#include <new>

namespace sluice
{

namespace
{
constexpr Instant at(sluice_usec now)
{
    return Instant(now);
}
} // namespace

bool Connection::synchronized() const
{
    return state != State::Closed && state != State::SynSent && state != State::TimeWait;
}

void Connection::finish(Instant now)
{
    if (chrono.kind != Chrono::Idle || snd.una < snd.write_end)
        keep_time(now);
    if (state != State::Closed) {
        Instant deadline = next_deadline();
        if (deadline && (!timers.armed || deadline < timers.armed)) {
            timers.armed = deadline;
            sluice_host_arm(handle(), deadline.us());
        }
    }
    uint32_t told = events;
    events = 0;
    if (told)
        sluice_host_wake(handle(), told);
}

void Connection::change(State to)
{
    State from = state;
    state = to;
    sluice_host_state(handle(), static_cast<sluice_state>(from), static_cast<sluice_state>(to));
}

void Connection::closed()
{
    if (state == State::Closed)
        return;
    timers.send.clear();
    timers.keep.clear();
    timers.armed.clear();
    pace.waits_until.clear();
    ack.deadline.clear();
    sluice_host_arm(handle(), 0);
    if (!held.empty())
        sluice_host_drop_held(handle());
    held.release(handle());
    board.release(handle());
    snd.nxt = snd.una;
    fast.early = false;
    change(State::Closed);
    events |= SLUICE_EV_CLOSED;
}

void Connection::fail(int error)
{
    sluice_host_fail(handle(), error);
    closed();
}

void Connection::leave_cc()
{
    if (cc_begun && cc.ops->release)
        cc.ops->release(&cc);
    cc_begun = false;
}

void Connection::inherit(const Connection& listener)
{
    set = listener.set;
    snd.segment_max = listener.snd.segment_max;
    cc.ops = listener.cc.ops;
}

} // namespace sluice

using namespace sluice;

extern "C" {

void sluice_conn_init(sluice_conn* c, const sluice_config* config, const sluice_cc_ops* cc)
{
    Connection* n = new (c) Connection{};
    n->config = config;
    n->cc.ops = cc;
    n->cc.ssthresh = SLUICE_SSTHRESH_INFINITE;
    n->rec.reordering = static_cast<uint16_t>(config->reordering);
}

void sluice_conn_destroy(sluice_conn* c)
{
    Connection& n = of(c);
    n.held.release(c);
    n.board.release(c);
    n.leave_cc();
    n.cc.ops = nullptr;
}

void sluice_conn_inherit(sluice_conn* child, const sluice_conn* listener)
{
    sluice_conn_init(child, of(listener).config, of(listener).cc.ops);
    of(child).inherit(of(listener));
}

void sluice_conn_connect(sluice_conn* c, const sluice_path* path, sluice_usec now)
{
    of(c).connect(*path, nullptr, at(now));
    of(c).finish(at(now));
}

void sluice_conn_accept(sluice_conn* c, const sluice_half_open* h, const sluice_path* path,
                        sluice_usec now)
{
    of(c).accept(*h, *path, at(now));
    of(c).finish(at(now));
}

void sluice_conn_segment(sluice_conn* c, sluice_segment* seg, sluice_usec now)
{
    of(c).segment(*seg, at(now));
    of(c).finish(at(now));
}

void sluice_conn_written(sluice_conn* c, uint32_t bytes, bool more, sluice_usec now)
{
    Connection& n = of(c);
    n.snd.write_end += bytes;
    n.snd.more = more;
    if (!n.corks_itself(at(now)))
        n.output(at(now));
    n.finish(at(now));
}

void sluice_conn_written_urgent(sluice_conn* c, uint32_t bytes, sluice_usec now)
{
    of(c).written_urgent(bytes, at(now));
    of(c).finish(at(now));
}

void sluice_conn_push(sluice_conn* c, sluice_usec now)
{
    of(c).snd.more = false;
    of(c).output(at(now));
    of(c).finish(at(now));
}

void sluice_conn_drained(sluice_conn* c, sluice_usec now)
{
    of(c).queue_drained(at(now));
    of(c).finish(at(now));
}

void sluice_conn_read(sluice_conn* c, uint32_t bytes, sluice_usec now)
{
    of(c).application_read(bytes, at(now));
    of(c).finish(at(now));
}

void sluice_conn_shutdown(sluice_conn* c, sluice_usec now)
{
    of(c).shutdown_write(at(now));
    of(c).finish(at(now));
}

void sluice_conn_close(sluice_conn* c, bool unread, sluice_usec now)
{
    of(c).close(unread, at(now));
    of(c).finish(at(now));
}

void sluice_conn_abort(sluice_conn* c, sluice_usec now)
{
    of(c).abort(at(now));
    of(c).finish(at(now));
}

void sluice_conn_time(sluice_conn* c, sluice_usec now)
{
    of(c).time_passed(at(now));
    of(c).finish(at(now));
}

void sluice_conn_path_mtu(sluice_conn* c, uint16_t max_payload, sluice_usec now)
{
    Connection& n = of(c);
    uint16_t before = n.snd.mss;
    n.snd.max_payload = greatest(max_payload, PAYLOAD_LEAST);
    n.snd.segment_max = greatest<uint32_t>(n.snd.segment_max, n.snd.max_payload);
    n.update_mss();
    bool smaller = n.snd.mss < before;
    if (smaller && n.synchronized() && n.outstanding() > 0) {
        // What is out was cut too large: send it again, no congestion meant.
        n.count(SLUICE_CNT_mtu_reductions);
        n.board.mark_all_lost();
        n.output(at(now));
    }
    n.finish(at(now));
}

uint32_t sluice_conn_timestamp(const sluice_conn* c, sluice_usec now)
{
    return wire_timestamp(now, of(c).ts.offset);
}

bool sluice_conn_in_flight(const sluice_conn* c, uint32_t seq)
{
    const Connection& n = of(c);
    return n.state != State::Closed && n.snd.una <= Sequence(seq) && Sequence(seq) <= n.snd.nxt;
}

void sluice_conn_icmp(sluice_conn* c, int error, bool hard, sluice_usec now)
{
    Connection& n = of(c);
    if (n.state == State::Closed)
        return;
    n.count(SLUICE_CNT_icmp_errors);
    if (hard && (n.state == State::SynSent || n.state == State::SynReceived)) {
        n.count(SLUICE_CNT_attempt_fails);
        n.fail(error);
    } else {
        sluice_host_soft_error(c, error);
    }
    n.finish(at(now));
}

void sluice_conn_drop_held(sluice_conn* c)
{
    Connection& n = of(c);
    if (n.held.empty())
        return;
    n.count(SLUICE_CNT_held_dropped, n.held.bytes());
    n.held.clear();
    n.rcv.fin_known = n.rcv.fin_taken;
    sluice_host_drop_held(c);
}

sluice_state sluice_conn_state(const sluice_conn* c)
{
    return static_cast<sluice_state>(of(c).state);
}

uint32_t sluice_conn_unsent(const sluice_conn* c)
{
    return of(c).unsent();
}

uint32_t sluice_conn_unacked(const sluice_conn* c)
{
    const auto& snd = of(c).snd;
    bool fin = snd.fin_queued && snd.una <= snd.write_end;
    return snd.write_end - snd.buffer_start + fin;
}

bool sluice_conn_fin_unsent(const sluice_conn* c)
{
    return of(c).snd.fin_queued && !of(c).fin_sent();
}

sluice_usec sluice_conn_heard(const sluice_conn* c)
{
    return of(c).timers.last_receive.us();
}

bool sluice_conn_window_used(sluice_conn* c)
{
    return of(c).window_used();
}

bool sluice_conn_fin_received(const sluice_conn* c)
{
    return of(c).rcv.fin_taken;
}

bool sluice_conn_write_closed(const sluice_conn* c)
{
    return of(c).snd.fin_queued;
}

uint32_t sluice_conn_rcv_nxt(const sluice_conn* c)
{
    return of(c).rcv.nxt.value();
}

uint32_t sluice_conn_mss(const sluice_conn* c)
{
    return of(c).snd.mss;
}

void sluice_conn_set_cc(sluice_conn* c, const sluice_cc_ops* cc, sluice_usec now)
{
    Connection& n = of(c);
    if (n.cc.ops == cc)
        return;
    bool running = n.synchronized() && n.state != State::SynReceived;
    n.leave_cc();
    n.cc.ops = cc;
    __builtin_memset(n.cc.priv, 0, sizeof(n.cc.priv));
    n.cc.pacing_rate = 0;
    if (running) {
        cc->init(&n.cc, now);
        n.cc_begun = true;
    }
}

const sluice_cc_ops* sluice_conn_cc(const sluice_conn* c)
{
    return of(c).cc.ops;
}

} // extern "C"
