// SPDX-License-Identifier: GPL-2.0
// TIME_WAIT: what is left of a connection that we closed first, to acknowledge
// the peer's FIN again should our ACK have been lost, and to let old duplicates
// die (RFC 9293 3.10.7.4; reuse by a newer SYN: RFC 6191; the hazard of a RST
// here: RFC 1337, which as in Linux is accepted when exactly in sequence).
//
// Timer: 2MSL, the namespace's time_wait, from entering the state; a
// retransmitted FIN starts it anew. The host removes the object at `deadline`.
#include "acceptable.h"
#include "isn.h"
#include "wire.h"

namespace sluice
{

namespace
{

using TimeWait = sluice_time_wait;

// Farther than any window of the old connection reaches, so that none of its
// segments falls into the new one (RFC 9293 3.4.3).
constexpr uint32_t ISN_GAP = 65535 + 2;

// TS.Recent is no longer trusted after this time (RFC 7323 5.5).
constexpr sluice_usec PAWS_AGE = 24ull * 24 * 3600 * 1000 * 1000;

bool timestamps_valid(const TimeWait& t, sluice_usec now)
{
    return t.timestamp_ok && now < t.ts_recent_at + PAWS_AGE;
}

// RFC 6191 2: later by its timestamp, or without one by its sequence number.
bool is_newer_syn(const TimeWait& t, const sluice_segment& seg, bool timestamps)
{
    if ((seg.flags & (SLUICE_SYN | SLUICE_ACK)) != SLUICE_SYN)
        return false;
    if (Sequence(seg.seq) > Sequence(t.rcv_nxt))
        return true;
    return timestamps && seg.has_timestamp && static_cast<int32_t>(seg.ts_value - t.ts_recent) > 0;
}

bool is_retransmitted_fin(const TimeWait& t, const sluice_segment& seg)
{
    return (seg.flags & SLUICE_FIN) && segment_end(seg) == Sequence(t.rcv_nxt);
}

bool is_bare_ack_in_sequence(const TimeWait& t, const sluice_segment& seg)
{
    return seg.seq == t.rcv_nxt && segment_end(seg) == Sequence(t.rcv_nxt);
}

bool begins_anew(const TimeWait& t, const sluice_segment& seg, sluice_usec now)
{
    const bool timestamps = timestamps_valid(t, now);
    return !(seg.flags & SLUICE_RST) && !older_than(seg, timestamps, t.ts_recent) &&
           is_newer_syn(t, seg, timestamps);
}

void write_ack(const TimeWait& t, sluice_reply& reply, sluice_usec now)
{
    HeaderFields f;
    f.source = t.local_port;
    f.destination = t.remote_port;
    f.seq = t.snd_nxt;
    f.ack = t.rcv_nxt;
    f.flags = SLUICE_ACK;
    uint32_t window = t.rcv_wnd >> t.rcv_wscale;
    f.window = static_cast<uint16_t>(window < 65535 ? window : 65535);
    f.timestamp = t.timestamp_ok;
    f.ts_value = wire_timestamp(now, t.ts_offset);
    f.ts_echo = t.ts_recent;
    reply.header_length = write_header(reply.header, f);
}

// Elsewhere than at rcv_nxt a RST is an old duplicate or a guess; even there it may
// be one that a late duplicate of ours provoked (RFC 1337 2).
sluice_time_wait_result reset_received(const TimeWait& t, const sluice_config* config,
                                       const sluice_segment& seg)
{
    if (seg.seq != t.rcv_nxt) {
        sluice_host_count(config, SLUICE_CNT_out_of_window, 1);
        return SLUICE_TIME_WAIT_KEEP;
    }
    sluice_host_count(config, SLUICE_CNT_resets_in, 1);
    if (config->rfc1337)
        return SLUICE_TIME_WAIT_KEEP;
    sluice_host_count(config, SLUICE_CNT_time_wait_kills, 1);
    return SLUICE_TIME_WAIT_REMOVE;
}

} // namespace

} // namespace sluice

using namespace sluice;

extern "C" sluice_time_wait_result sluice_time_wait_segment(sluice_time_wait* t,
                                                            const sluice_config* config,
                                                            const sluice_segment* segment,
                                                            bool listened, sluice_reply* reply,
                                                            uint32_t* isn_after, sluice_usec now)
{
    const sluice_segment& seg = *segment;

    reply->header_length = 0;
    if (seg.flags & SLUICE_RST)
        return reset_received(*t, config, seg);

    if (listened && begins_anew(*t, seg, now)) {
        sluice_host_count(config, SLUICE_CNT_time_wait_reused, 1);
        *isn_after = t->snd_nxt + ISN_GAP;
        if (*isn_after == 0)
            *isn_after = 1; // 0 says that there is none
        return SLUICE_TIME_WAIT_NEW_SYN;
    }
    const bool old = older_than(seg, timestamps_valid(*t, now), t->ts_recent);
    if (!old && is_bare_ack_in_sequence(*t, seg)) {
        if (t->timestamp_ok && seg.has_timestamp) {
            t->ts_recent = seg.ts_value;
            t->ts_recent_at = now;
        }
        return SLUICE_TIME_WAIT_KEEP;
    }
    if (!old && is_retransmitted_fin(*t, seg))
        t->deadline = now + t->length;
    else
        sluice_host_count(config, old ? SLUICE_CNT_paws_rejected : SLUICE_CNT_out_of_window, 1);
    if (may_answer(seg, t->last_ack, now)) {
        sluice_host_count(config, SLUICE_CNT_segs_out, 1);
        write_ack(*t, *reply, now);
    }
    return SLUICE_TIME_WAIT_KEEP;
}

extern "C" bool sluice_time_wait_reusable(const sluice_time_wait* t, const sluice_segment* syn,
                                          sluice_usec now)
{
    return begins_anew(*t, *syn, now);
}
