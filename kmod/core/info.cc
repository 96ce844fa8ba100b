// SPDX-License-Identifier: GPL-2.0
// What the tools see of a connection, and the invariants that tests check.
#include "connection.h"

#include "sluice.h"
#include "wire.h"

namespace sluice
{

namespace
{

uint32_t ms_since(Instant then, Instant now)
{
    return then ? static_cast<uint32_t>((now - then).us() / 1000) : 0;
}

sluice_timer timer_shown(const Connection& n)
{
    Instant next = n.next_deadline();
    if (!next)
        return SLUICE_TIMER_NONE;
    if (next == n.timers.send)
        return n.timers.kind == Timers::Kind::Persist ? SLUICE_TIMER_PERSIST
                                                      : SLUICE_TIMER_RETRANSMIT;
    if (next == n.pace.waits_until)
        return SLUICE_TIMER_PACING;
    if (next == n.ack.deadline)
        return SLUICE_TIMER_DELAYED_ACK;
    return n.orphaned && n.state == State::FinWait2 ? SLUICE_TIMER_FIN_WAIT_2
                                                    : SLUICE_TIMER_KEEPALIVE;
}

void describe_windows(const Connection& n, sluice_info& i)
{
    i.snd_mss = n.snd.mss;
    i.rcv_mss = n.rcv.mss;
    // As TCP tells it, less than the option says by what timestamps take.
    i.advmss = n.rcv.advertise_mss - (n.ts.on && n.synchronized() ? TIMESTAMPS_ALIGNED : 0);
    i.pmtu = n.snd.max_payload;
    i.cwnd = n.cc.cwnd;
    i.ssthresh = n.cc.ssthresh == SLUICE_SSTHRESH_INFINITE ? ~0u : n.cc.ssthresh;
    i.snd_wnd = n.snd.wnd;
    i.rcv_wnd = n.receive_window();
    i.rcv_space = n.tune.space;
    i.pacing_rate = n.pace.rate;
}

void describe_queues(const Connection& n, sluice_info& i)
{
    i.in_flight = n.in_flight();
    i.sacked = n.board.sacked();
    i.lost = n.board.lost();
    i.unsent = n.unsent();
    i.unacked = n.outstanding();
    i.retrans_out = n.board.retransmitted();
    for (uint32_t k = 0; k < n.board.size(); k++) {
        const SentRange& r = n.board[k];
        uint32_t segments = r.segments();
        i.unacked_segs += segments;
        i.sacked_segs += r.sacked ? segments : 0;
        i.lost_segs += r.lost ? segments : 0;
        i.retrans_out_segs += r.retransmitted ? segments : 0;
    }
    i.unread = n.rcv.unread;
    i.held = n.held.bytes();
}

void describe_totals(const Connection& n, sluice_info& i)
{
    i.bytes_sent = n.tally.bytes_sent + n.tally.bytes_retrans;
    i.bytes_retrans = n.tally.bytes_retrans;
    i.bytes_acked = n.tally.bytes_acked;
    i.bytes_received = n.tally.bytes_received;
    i.segs_out = n.tally.segs_out;
    i.segs_in = n.tally.segs_in;
    i.data_segs_out = n.tally.data_out;
    i.data_segs_in = n.tally.data_in;
    i.retrans_segs = n.tally.retrans;
    i.delivered = n.rate.delivered();
    i.delivered_ce = n.tally.delivered_ce;
    i.delivery_rate = n.rate.bytes_per_second();
    i.rate_app_limited = n.rate.application_limited();
    i.out_of_order = n.tally.out_of_order;
    i.dsack_dups = n.tally.dsacks;
    i.reord_seen = n.tally.reorders;
}

void describe_times(const Connection& n, sluice_info& i, Instant now)
{
    uint64_t spent[3];
    for (uint32_t k = 0; k < 3; k++)
        spent[k] = n.chrono.spent[k];
    if (n.chrono.kind != Chrono::Idle)
        spent[n.chrono.kind - 1] += (now - n.chrono.since).us();
    i.rwnd_limited = spent[Chrono::PeerWindow - 1];
    i.sndbuf_limited = spent[Chrono::SendBuffer - 1];
    i.busy_time = spent[Chrono::Busy - 1] + i.rwnd_limited + i.sndbuf_limited;
    i.timeouts = n.tally.timeouts;
    i.timeout_rows = n.tally.timeout_rows;
    i.timeout_time = n.tally.timeout_time;
    if (n.timers.retransmits)
        i.timeout_time += (now - n.tally.timeouts_began).us();
}

void describe(const Connection& n, sluice_info& i, Instant now)
{
    i.state = static_cast<uint8_t>(n.state);
    i.recovery = static_cast<uint8_t>(n.rec.state);
    i.options = (n.ts.on ? SLUICE_OPT_TIMESTAMPS : 0) | (n.rec.sack ? SLUICE_OPT_SACK : 0) |
                (n.snd.wscale || n.rcv.wscale ? SLUICE_OPT_WSCALE : 0) |
                (n.ecn.on ? SLUICE_OPT_ECN : 0) | (n.ecn.seen ? SLUICE_OPT_ECN_SEEN : 0) |
                (n.fast.taken ? SLUICE_OPT_SYN_DATA : 0);
    i.fastopen_failure = n.fast.failure;
    i.backoff = n.timers.backoff;
    i.snd_wscale = n.snd.wscale;
    i.rcv_wscale = n.rcv.wscale;
    i.probes = greatest(n.timers.probes, n.timers.keepalive_probes);
    i.retransmits = n.timers.retransmits;
    i.rto = static_cast<uint32_t>(n.rto().us());
    i.ato = n.ack.ato;
    i.rtt = static_cast<uint32_t>(n.rtt.srtt().us());
    i.rttvar = static_cast<uint32_t>(n.rtt.rttvar().us());
    i.min_rtt = static_cast<uint32_t>(n.rtt.min_rtt().us());
    i.rcv_rtt = n.tune.rcv_rtt;
    i.reordering = n.rec.reordering;
    i.last_data_sent = ms_since(n.timers.last_send, now);
    i.last_data_recv = ms_since(n.ack.last_data, now);
    i.last_ack_recv = ms_since(n.timers.last_receive, now);
    i.timer = timer_shown(n);
    i.timer_in = (n.next_deadline() - now).us();
    describe_windows(n, i);
    describe_queues(n, i);
    describe_totals(n, i);
    describe_times(n, i, now);
}

} // namespace

const char* Connection::broken_invariant() const
{
    if (state == State::Closed || state == State::SynSent)
        return nullptr;
    if (!(snd.una <= snd.nxt))
        return "snd_una is past snd_nxt";
    if (snd.nxt > snd.write_end + 1 || (snd.nxt > snd.write_end && !snd.fin_queued))
        return "snd_nxt is past what was written";
    if (snd.buffer_start > snd.write_end || snd.buffer_start > later(snd.una, snd.iss + 1))
        return "the send buffer begins past what is acknowledged";
    if (snd.urgent && !(snd.buffer_start < snd.up && snd.up <= snd.write_end))
        return "SND.UP is not in the send buffer";
    if (rcv.urgent && !rcv.fin_taken && rcv.up <= rcv.nxt)
        return "RCV.UP is not ahead of rcv_nxt";
    if (rcv.wup > rcv.nxt)
        return "acknowledged more than was received";
    if (!rcv.fin_taken && rcv.nxt > rcv.right)
        return "received past the advertised window";
    if (state != State::SynReceived && outstanding() > 0 && board.empty())
        return "data in flight that the scoreboard doesn't know";
    if (state != State::SynReceived) {
        if (const char* broken = board.broken_invariant(snd.una, snd.nxt))
            return broken;
    }
    for (uint32_t i = 0; i < held.size(); i++) {
        if (held[i].start <= rcv.nxt || held[i].end <= held[i].start)
            return "held bytes that are not beyond rcv_nxt";
        if (i && held[i].start <= held[i - 1].end)
            return "held ranges touch or are out of order";
    }
    if (state != State::SynReceived && cc.cwnd < snd.mss)
        return "cwnd is below one segment";
    if (state != State::SynReceived && outstanding() > 0 && !timers.send)
        return "data in flight and no timer";
    return nullptr;
}

const char* broken_invariant(const sluice_conn* c)
{
    return of(c).broken_invariant();
}

} // namespace sluice

extern "C" void sluice_conn_info(const sluice_conn* c, sluice_info* info, sluice_usec now)
{
    *info = {};
    sluice::describe(sluice::of(c), *info, sluice::Instant(now));
}
