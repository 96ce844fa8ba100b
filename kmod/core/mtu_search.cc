// SPDX-License-Identifier: GPL-2.0
// Packetization-layer path MTU discovery (RFC 4821): the path itself is asked
// how large a segment it takes, where routers drop what is too large and tell
// nobody. Segments are as large as has been proven (`low`); now and then one in
// the midst of a flight is larger, and its loss, alone, says nothing of
// congestion (7.6.2). The search halves the interval up to `high`, rests when
// that is small, and begins anew later, for paths change (7.7).
//
// With mtu_probing 1 it begins when a connection times out again and again, as
// one does whose large segments go into a black hole (7.7, and RFC 2923 2.1).
//
// Sizes count TCP's options in, as the peer's MSS option does.
#include "connection.h"
#include "wire.h"

namespace sluice
{

namespace
{
enum : uint64_t { PROBING_NEVER, PROBING_IN_BLACK_HOLES, PROBING_ALWAYS };
// Fewer segments in flight wouldn't tell the loss of one from a bad path (as Linux).
constexpr uint32_t least_window = 11;
// Before the next attempt of a connection that had too little to send.
constexpr uint64_t patience = 1000 * 1000;
} // namespace

uint32_t Connection::option_bytes() const
{
    return ts.on ? TIMESTAMPS_ALIGNED : 0;
}

// A peer, or TCP_MAXSEG, asks for small segments in vain below min_snd_mss; but
// the path has the last word.
uint32_t Connection::largest_segment() const
{
    uint32_t asked = set.maxseg ? least(snd.peer_mss, set.maxseg) : snd.peer_mss;
    return least<uint32_t>(snd.max_payload, greatest<uint32_t>(asked, config->min_snd_mss));
}

void Connection::begin_mtu_search()
{
    uint64_t base = greatest(config->base_mss + option_bytes(), config->min_snd_mss);
    mtu.on = true;
    mtu.high = static_cast<uint16_t>(largest_segment());
    mtu.low = static_cast<uint16_t>(least<uint64_t>(base, mtu.high));
}

void Connection::mtu_search_from_start()
{
    if (config->mtu_probing >= PROBING_ALWAYS) {
        begin_mtu_search();
        update_mss();
    }
}

// Nothing has arrived for several timeouts: smaller segments may.
void Connection::suspect_black_hole()
{
    if (config->mtu_probing == PROBING_NEVER || timers.retransmits < config->retries1)
        return;
    uint16_t before = snd.mss;
    if (!mtu.on) {
        begin_mtu_search();
    } else {
        uint64_t floor = greatest(config->mtu_probe_floor, config->min_snd_mss) + option_bytes();
        floor = least<uint64_t>(floor, mtu.low);
        mtu.low = static_cast<uint16_t>(greatest<uint64_t>(mtu.low / 2, floor));
    }
    mtu.size = 0;
    mtu.rest_until.clear();
    update_mss();
    if (snd.mss < before)
        count(SLUICE_CNT_mtu_black_holes);
}

// The route's MTU or TCP_MAXSEG changed.
void Connection::bound_mtu_search()
{
    uint32_t most = largest_segment();
    if (mtu.high <= most)
        return;
    mtu.high = static_cast<uint16_t>(most);
    mtu.low = least(mtu.low, mtu.high);
}

// Payload of the next probe; 0: nothing is to be found out now.
uint32_t Connection::next_mtu_probe(Instant now)
{
    bool calm = rec.state == RecoveryState::Open && !board.sacked() && rec.duplicate_acks == 0;
    if (mtu.size || !calm || now < mtu.rest_until || now < mtu.tries_again ||
        effective_mss() != snd.mss)
        return 0;
    if (mtu.rest_until) { // time to see whether the path has changed
        mtu.rest_until.clear();
        mtu.high = static_cast<uint16_t>(greatest<uint32_t>(largest_segment(), mtu.low));
    }
    if (mtu.high - mtu.low < static_cast<int>(config->mtu_probe_threshold)) {
        mtu.rest_until = now + Duration(config->mtu_probe_interval);
        return 0;
    }
    return (mtu.low + mtu.high + 1u) / 2 - option_bytes();
}

// `needed`: the probe, and as much behind it as it takes for SACKs or duplicate
// ACKs to tell of its loss.
bool Connection::room_for_mtu_probe(uint32_t payload, uint32_t needed) const
{
    Sequence wnd_end = snd.una + snd.wnd;
    bool window = wnd_end > snd.nxt && wnd_end - snd.nxt >= needed;
    return window && unsent() >= needed && in_flight() + payload <= cc.cwnd;
}

// A sender that is limited by a window or its buffer always has a little less.
// So new data waits, while no more than twice that much of a long flight drains.
bool Connection::wait_for_mtu_probe(uint32_t needed, Instant now)
{
    if (outstanding() < 3 * needed && !mtu.waiting)
        return false;
    if (!mtu.waiting)
        mtu.waits_from = snd.una;
    mtu.waiting = snd.una - mtu.waits_from < 2 * needed && outstanding() > 0;
    if (!mtu.waiting)
        mtu.tries_again = now + Duration(patience);
    return mtu.waiting;
}

// Sends a probe when it is time for one. True: it is, but new data has to wait.
bool Connection::probe_mtu(Instant now)
{
    uint32_t payload = next_mtu_probe(now);
    if (!payload || cc.cwnd < least_window * snd.mss)
        return false;
    uint32_t needed = payload + (rec.reordering + 1u) * snd.mss;
    if (!room_for_mtu_probe(payload, needed))
        return wait_for_mtu_probe(needed, now);
    mtu.waiting = false;
    if (restart_after_idle(now))
        return false;
    if (!board.reserve(handle(), 1))
        return false;
    SentRange r = stamped(snd.nxt, snd.nxt + payload, now);
    r.cut = static_cast<uint16_t>(payload);
    if (!transmit_cut(r.start, r.end, false, payload, now)) {
        mtu.rest_until = now + Duration(config->mtu_probe_interval);
        return false;
    }
    board.sent(r);
    snd.nxt = r.end;
    mtu.size = static_cast<uint16_t>(payload + option_bytes());
    mtu.start = r.start;
    mtu.end = r.end;
    count(SLUICE_CNT_mtu_probes);
    return false;
}

// Everything up to snd.una has arrived.
void Connection::mtu_probe_acked()
{
    if (snd.una < mtu.end)
        return;
    mtu.low = least(mtu.size, mtu.high);
    mtu.size = 0;
    count(SLUICE_CNT_mtu_probe_successes);
    update_mss();
}

// What goes out again says no more than that something was lost.
void Connection::mtu_probe_retransmitted(const SentRange& r)
{
    if (r.start < mtu.end && r.end > mtu.start)
        mtu.size = 0;
}

// Is the probe all that was lost? Then the path doesn't take that size: what it
// carried goes out again, in segments that the path takes, and no window is
// reduced (7.6.2).
bool Connection::mtu_probe_lost(Instant now)
{
    if (!mtu.size || board.lost() != static_cast<uint32_t>(mtu.end - mtu.start) ||
        board[board.next_lost()].start != mtu.start)
        return false;
    mtu.high = least(mtu.high, static_cast<uint16_t>(mtu.size - 1));
    mtu.size = 0;
    count(SLUICE_CNT_mtu_probe_failures);
    if (!rec.sack)
        rec.high = snd.nxt; // the duplicate ACKs that are still to come mean nothing else
    while (board.has_lost() && retransmit_range(board.next_lost(), snd.mss, now))
        ;
    return true;
}

} // namespace sluice
