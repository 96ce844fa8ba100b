// SPDX-License-Identifier: GPL-2.0
// F-RTO (RFC 5682 3.1, with SACK): was a retransmission timeout spurious?
// After it the oldest segment goes again (step 1), and then, in place of more
// retransmissions, what was never sent (step 2b): a peer that acknowledges
// anything that went once only, before the timeout, had it all along (3b); one
// that reports only what is new lacks the rest (3a). Timestamps tell the same
// sooner (recovery.cc); this is for connections without them, and for an echo
// that is no older than its clock can tell.
#include "connection.h"

namespace sluice
{

// Only of a loss that nothing else had shown, or of a timeout that repeats.
void Connection::begin_frto(bool alone)
{
    bool asks = config->frto && (alone || timers.retransmits) && !mtu.size;
    rec.frto = asks ? Frto::Began : Frto::Off;
}

// True: it was spurious, and everything is as before it.
bool Connection::timeout_was_spurious(const Delivery& d, bool advanced, bool duplicate, Instant now)
{
    bool original = d.original && d.original_at < rec.high;
    // Without SACK, what arrived behind a retransmission may have been held there.
    if (!rec.sack && d.retransmission_acked)
        original = false;
    if (original && rec.undo_valid) {
        count(SLUICE_CNT_frto_spurious);
        undo(now);
        return true;
    }
    if (rec.frto == Frto::Began && advanced && snd.una < rec.high) {
        rec.high = snd.nxt;
        rec.frto = Frto::NewDataDue;
    } else if (rec.frto == Frto::NewDataSent && (d.sacked_bytes || duplicate)) {
        rec.frto = Frto::Off;
    }
    return false;
}

// Step 2b. Where there is nothing new to send, the timeout counts as right.
void Connection::send_for_frto(Instant now)
{
    Sequence before = snd.nxt;
    send_new(now);
    rec.frto = snd.nxt > before ? Frto::NewDataSent : Frto::Off;
}

} // namespace sluice
