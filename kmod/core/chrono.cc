// SPDX-License-Identifier: GPL-2.0
// What a connection with something to send spends its time on, as tcp_info
// tells it: sending as the path allows, waiting for the peer's window, or
// having sent all that the send buffer took while the application waits for
// room in it (as SndLimTime of RFC 4898). And how long
// retransmission timeouts took, from the first of a row until one was answered.
#include "connection.h"

namespace sluice
{

Chrono::Kind Connection::occupation() const
{
    bool only_syn = snd.una == snd.iss && snd.nxt == snd.iss + 1;
    if (only_syn) // of the application's nothing is under way
        return Chrono::Idle;
    if (outstanding() == 0 && (unsent() == 0 || !can_send_data()))
        return Chrono::Idle;
    if (unsent() == 0)
        return sluice_host_writer_waits(handle()) ? Chrono::SendBuffer : Chrono::Busy;
    uint32_t needed = least<uint32_t>(unsent(), snd.mss);
    bool shut = snd.una + snd.wnd < snd.nxt + needed;
    return shut && in_flight() + needed <= cc.cwnd ? Chrono::PeerWindow : Chrono::Busy;
}

void Connection::keep_time(Instant now)
{
    Chrono::Kind kind = occupation();
    if (kind == chrono.kind)
        return;
    if (chrono.kind != Chrono::Idle)
        chrono.spent[chrono.kind - 1] += (now - chrono.since).us();
    chrono.kind = kind;
    chrono.since = now;
}

void Connection::note_timeout(Instant now)
{
    tally.timeouts++;
    if (timers.retransmits)
        return;
    tally.timeout_rows++;
    tally.timeouts_began = now;
}

void Connection::timeouts_over(Instant now)
{
    tally.timeout_time += (now - tally.timeouts_began).us();
}

} // namespace sluice
