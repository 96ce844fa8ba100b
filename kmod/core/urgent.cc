// SPDX-License-Identifier: GPL-2.0
// Urgent data (RFC 9293 3.8.5): SND.UP and RCV.UP. On the wire the pointer is
// the offset from the sequence number to just behind the urgent byte, which is
// what everybody sends (RFC 6093 3.1), and not what RFC 1122 asks for. Here
// both pointers stand there, too. What a mark means to a reader is the host's.
#include "connection.h"
#include "wire.h"

namespace sluice
{

// The last of `bytes` is urgent. It doesn't wait, not even in what TCP_CORK
// holds; where the peer's window keeps it back, the pointer goes ahead of it
// (RFC 9293 3.8.6.1: a closed window closes to no URG).
void Connection::written_urgent(uint32_t bytes, Instant now)
{
    if (!bytes)
        return;
    snd.write_end += bytes;
    snd.up = snd.write_end;
    snd.urgent = true;
    snd.more = false;
    output(now);
    if (can_send_data() && !outstanding())
        tell_urgent(now);
}

// Nothing is in flight that would carry the pointer: an acknowledgment does.
void Connection::tell_urgent(Instant now)
{
    if (snd.urgent && snd.nxt < snd.up)
        send_ack(now);
}

// A pointer that can't reach as far goes as far as it can: what it points at is
// beyond this segment, and the one with that byte has a pointer of its own.
void Connection::point_at_urgent(HeaderFields& f, Sequence start) const
{
    if (start >= snd.up)
        return;
    f.flags |= SLUICE_URG;
    f.urgent = static_cast<uint16_t>(least(snd.up - start, 65535u));
}

// RFC 9293 3.10.7.4, sixth: RCV.UP moves forward only, to bytes still to come,
// and nothing stands behind a FIN. Where nobody could read it nobody is told.
void Connection::take_urgent(const sluice_segment& seg)
{
    bool readable =
        state == State::Established || state == State::FinWait1 || state == State::FinWait2;
    Sequence up = Sequence(seg.seq) + greatest<uint32_t>(seg.urgent, 1);
    if (!readable || orphaned || up <= rcv.nxt || (rcv.fin_known && up > rcv.fin))
        return;
    if (rcv.urgent && up <= rcv.up)
        return;
    rcv.up = up;
    rcv.urgent = true;
    count(SLUICE_CNT_urgent_in);
    rcv.unread -= sluice_host_urgent(handle(), (up - 1).value());
}

} // namespace sluice
