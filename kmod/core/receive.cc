// SPDX-License-Identifier: GPL-2.0
// Payload and FIN (RFC 9293 3.10.7.4, seventh and eighth): trimming to the
// window, reassembly, delivery to the host, and D-SACK for what came twice
// (RFC 2883).
#include "connection.h"

namespace sluice
{

// The size of the peer's full segments, which paces acknowledgments: what
// comes coalesced says it, else the largest seen.
void Connection::measure_peer_mss(const sluice_segment& seg)
{
    uint32_t size = seg.gso_size ? seg.gso_size : seg.length;
    if (size >= rcv.mss)
        rcv.mss = static_cast<uint16_t>(least(size, 65535u));
    else if (seg.gso_size || (seg.length >= 536 && !(seg.flags & SLUICE_PSH)))
        rcv.mss = static_cast<uint16_t>(greatest(size, 48u));
}

void Connection::report_duplicate(Sequence start, Sequence end)
{
    count(SLUICE_CNT_duplicate_data, end - start);
    quick_acks();
    if (rec.sack && config->dsack)
        rcv.duplicate = {start.value(), end.value()};
}

// [start, end) is inside the window and not wholly known. Hands each unknown
// part to the host; true when something is kept.
bool Connection::keep_payload(sluice_segment& seg, Sequence start, Sequence end)
{
    Sequence first(seg.seq);
    bool in_order = start == rcv.nxt;
    if (in_order && held.empty()) {
        if (!sluice_host_deliver(handle(), &seg, start - first, end - start, start.value(), true)) {
            count(SLUICE_CNT_receive_no_memory);
            return false;
        }
        rcv.nxt = end;
        return true;
    }
    // What is next in order never needs room, so the oldest hole can always be filled.
    if (!in_order && !held.reserve(handle())) {
        count(SLUICE_CNT_reassembly_full);
        return false;
    }
    Sequence kept = start;
    uint32_t unknown = 0;
    bool failed = false;
    held.for_each_gap(start, end, [&](Sequence from, Sequence to) {
        failed = !sluice_host_deliver(handle(), &seg, from - first, to - from, from.value(),
                                      from == rcv.nxt);
        if (!failed) {
            kept = to;
            unknown += to - from;
        }
        return !failed;
    });
    if (failed) {
        count(SLUICE_CNT_receive_no_memory);
        if (kept == start)
            return false;
    } else {
        kept = end;
    }
    if (uint32_t known = kept - start - unknown)
        count(SLUICE_CNT_duplicate_data, known);
    if (!in_order) {
        held.add(start, kept);
        count(SLUICE_CNT_out_of_order);
        tally.out_of_order++;
        return true;
    }
    Sequence joined = held.advance(kept);
    rcv.nxt = joined;
    ack.now = true; // it filled a gap (RFC 5681 4.2)
    if (joined > start)
        sluice_host_join(handle(), joined.value());
    return true;
}

// FIN stands at `at`. One that contradicts what was received is ignored.
void Connection::note_fin(Sequence at)
{
    if (rcv.fin_known || at < rcv.nxt || (!held.empty() && held[held.size() - 1].end > at))
        return;
    rcv.fin_known = true;
    rcv.fin = at;
}

void Connection::payload(sluice_segment& seg, Instant now)
{
    Sequence start(seg.seq), end = start + seg.length;
    if (rcv.fin_known && end > rcv.fin) // nothing stands behind a FIN
        end = later(rcv.fin, start);
    Sequence before = rcv.nxt;
    bool readable = state == State::Established || state == State::FinWait1 ||
                    state == State::FinWait2 || fast.early;
    if (orphaned && seg.length && end > rcv.nxt) {
        count(SLUICE_CNT_data_after_close);
        send_reset(now);
        closed();
        return;
    }
    take_cwr(seg);
    bool whole = true;
    if (seg.length && (!readable || end <= rcv.nxt || start == end)) {
        if (end <= rcv.nxt)
            report_duplicate(start, end);
        ack.now = ack.pending = true;
    } else if (seg.length) {
        measure_peer_mss(seg);
        if (start < rcv.nxt) {
            report_duplicate(start, rcv.nxt);
            start = rcv.nxt;
        } else if (held.holds(start, end)) {
            report_duplicate(start, end);
            held.note_recent(start); // behind the report (RFC 2883 4)
        }
        if (end > rcv.right) {
            count(SLUICE_CNT_beyond_window, end - later(rcv.right, start));
            end = later(rcv.right, start);
            whole = false;
        }
        if (start < end)
            take_mark(seg);
        if (start < end && !held.holds(start, end))
            whole = keep_payload(seg, start, end) && whole;
        else if (start == end)
            ack.now = true;
        schedule_ack(seg, now);
    }
    if (rcv.nxt != before) {
        uint32_t bytes = rcv.nxt - before;
        if (rcv.urgent && rcv.nxt >= rcv.up) [[unlikely]]
            rcv.urgent = false;
        rcv.unread += bytes;
        tally.bytes_received += bytes;
        count(SLUICE_CNT_bytes_in, bytes);
        events |= SLUICE_EV_READABLE;
        measure_receive_rtt(seg, now);
    }
    if (seg.flags & SLUICE_FIN) {
        ack.pending = true;
        if (whole && readable)
            note_fin(Sequence(seg.seq) + seg.length);
    }
    if (rcv.fin_known && !rcv.fin_taken && rcv.nxt >= rcv.fin)
        take_fin(now);
    else if (seg.flags & SLUICE_FIN)
        ack.now = true;
}

void Connection::take_fin(Instant now)
{
    rcv.nxt = rcv.fin + 1;
    if (!held.empty()) {
        held.clear();
        sluice_host_drop_held(handle());
    }
    rcv.fin_taken = true;
    events |= SLUICE_EV_FIN | SLUICE_EV_READABLE;
    ack.pending = true;
    switch (state) {
    case State::SynReceived:
    case State::Established:
        ack.interactive = true; // what the application says to it, mostly a FIN
        change(State::CloseWait);
        break;
    case State::FinWait1:
        ack.now = true;
        change(State::Closing);
        break;
    case State::FinWait2:
        send_ack(now);
        enter_time_wait(now);
        break;
    default:
        break;
    }
}

} // namespace sluice
