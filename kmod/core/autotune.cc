// SPDX-License-Identifier: GPL-2.0
// Buffers that follow the path. Receiving: dynamic right-sizing (Fisk and
// Feng): room for twice what the application read in one round trip, and for
// twice the growth since the round trip before (slow start). Sending: room for
// twice the congestion window.
#include "connection.h"

namespace sluice
{

// From an acknowledgment to the first full segment that echoes it; without
// timestamps, one window's worth, which is never less than a round trip.
void Connection::measure_receive_rtt(const sluice_segment& seg, Instant now)
{
    if (Duration age = echo_age(seg, now)) {
        if (seg.length < rcv.mss || seg.ts_echo == tune.last_echo)
            return;
        tune.last_echo = seg.ts_echo;
        uint32_t sample = static_cast<uint32_t>(age.us());
        tune.rcv_rtt = tune.rcv_rtt ? tune.rcv_rtt - tune.rcv_rtt / 8 + sample / 8 : sample;
        return;
    }
    if (tune.rtt_since && rcv.nxt < tune.rtt_seq)
        return;
    if (tune.rtt_since) {
        uint64_t most = tune.rcv_rtt ? tune.rcv_rtt : 10000000;
        uint64_t sample = clamped<uint64_t>((now - tune.rtt_since).us(), 1, most);
        tune.rcv_rtt = static_cast<uint32_t>(sample);
    }
    tune.rtt_since = now;
    tune.rtt_seq = rcv.nxt + receive_window();
}

void Connection::autotune_receive(Instant now)
{
    if (tune.space_since && (!tune.rcv_rtt || (now - tune.space_since).us() < tune.rcv_rtt))
        return;
    uint64_t copied = least<uint64_t>(tune.copied - tune.space_copied, 1u << 30);
    if (tune.space_since && copied > tune.space) {
        uint64_t room = 2 * copied + 16u * rcv.mss;
        if (tune.space)
            room += 2 * room * (copied - tune.space) / tune.space;
        tune.space = static_cast<uint32_t>(copied);
        if (config->moderate_rcvbuf)
            sluice_host_want_receive_buffer(handle(),
                                            static_cast<uint32_t>(least<uint64_t>(room, 1u << 30)));
    }
    tune.space_since = now;
    tune.space_copied = tune.copied;
}

void Connection::autotune_send()
{
    uint32_t window = greatest(cc.cwnd, static_cast<uint32_t>(config->initial_window) * snd.mss);
    sluice_host_want_send_buffer(handle(), 2 * least(window, 1u << 30));
}

} // namespace sluice
