// SPDX-License-Identifier: GPL-2.0
// Whether a segment is to be believed by an object that is no full connection
// (half-open, TIME_WAIT): the window check of RFC 9293 3.10.7.4, PAWS of
// RFC 7323 5.3. And the rate limit on answers, which connections have, too.
#pragma once

#include "host.h"
#include "sequence.h"

namespace sluice
{

// Two ends that each answer the other's answer would never stop: at most one
// answer in this time to segments that carry nothing, or that may be a guess
// (Linux's figure).
inline constexpr sluice_usec ANSWER_INTERVAL = 500 * 1000;

// SEG.SEQ + SEG.LEN of RFC 9293 3.4: SYN and FIN count.
inline Sequence segment_end(const sluice_segment& seg)
{
    return Sequence(seg.seq) + seg.length + !!(seg.flags & SLUICE_SYN) + !!(seg.flags & SLUICE_FIN);
}

// The four cases of RFC 9293 3.4, table 6. A segment that begins at rcv_nxt is
// always let in, since its ACK and RST count even when the window is zero.
inline bool in_window(const sluice_segment& seg, Sequence rcv_nxt, uint32_t rcv_wnd)
{
    Sequence start(seg.seq), end = segment_end(seg), right = rcv_nxt + rcv_wnd;

    if (start == rcv_nxt)
        return true;
    if (end > rcv_nxt && start < right)
        return true;
    return start == right && end == right;
}

// RFC 7323 5.3 R1. Not for a RST, which its callers judge before.
inline bool older_than(const sluice_segment& seg, bool timestamp_ok, uint32_t ts_recent)
{
    return timestamp_ok && seg.has_timestamp && static_cast<int32_t>(seg.ts_value - ts_recent) < 0;
}

inline bool answered_lately(sluice_usec last, sluice_usec now)
{
    return last && now < last + ANSWER_INTERVAL;
}

// May an unacceptable segment be answered now? Data and FIN always: their
// sender waits for an acknowledgment, and doesn't answer one.
inline bool may_answer(const sluice_segment& seg, sluice_usec& last, sluice_usec now)
{
    bool asks = seg.length || (seg.flags & SLUICE_FIN);
    if ((!asks || (seg.flags & SLUICE_SYN)) && answered_lately(last, now))
        return false;
    last = now;
    return true;
}

} // namespace sluice
