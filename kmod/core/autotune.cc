// SPDX-License-Identifier: GPL-2.0
// Buffers that follow the path. Receiving: dynamic right-sizing (Fisk and
// Feng): room for twice what the application read in one round trip. Sending:
// room for twice the congestion window.
#include "connection.h"

namespace sluice
{

// With timestamps each echo tells a round trip; without, one window's worth.
void Connection::measure_receive_rtt(const sluice_segment&, Instant now)
{
    if (!tune.rtt_since) {
        tune.rtt_since = now;
        tune.rtt_seq = rcv.nxt + receive_window();
        return;
    }
    if (rcv.nxt < tune.rtt_seq)
        return;
    uint64_t sample = greatest<uint64_t>((now - tune.rtt_since).us(), 1);
    uint32_t bounded = static_cast<uint32_t>(least<uint64_t>(sample, 10000000));
    if (!tune.rcv_rtt || bounded < tune.rcv_rtt)
        tune.rcv_rtt = bounded;
    else
        tune.rcv_rtt += (bounded - tune.rcv_rtt) / 8;
    tune.rtt_since = now;
    tune.rtt_seq = rcv.nxt + receive_window();
}

void Connection::autotune_receive(Instant now)
{
    uint32_t round = rtt.measured() ? static_cast<uint32_t>(rtt.srtt().us()) : tune.rcv_rtt;
    if (tune.rcv_rtt && (!round || tune.rcv_rtt < round))
        round = tune.rcv_rtt;
    if (!tune.space_since) {
        tune.space_since = now;
        tune.space_copied = tune.copied;
        return;
    }
    if (!round || (now - tune.space_since).us() < round)
        return;
    uint32_t copied =
        static_cast<uint32_t>(least<uint64_t>(tune.copied - tune.space_copied, 1u << 30));
    if (copied > tune.space) {
        tune.space = copied;
        if (config->moderate_rcvbuf)
            sluice_host_want_receive_buffer(handle(), 2 * copied + 16u * rcv.mss);
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
