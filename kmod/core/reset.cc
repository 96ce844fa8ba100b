// SPDX-License-Identifier: GPL-2.0
// The reset that answers a segment nobody waits for (RFC 9293 3.10.7.1 and
// 3.5.2 group 1).
#include "acceptable.h"
#include "wire.h"

using namespace sluice;

extern "C" void sluice_reset_reply(const sluice_segment* seg, sluice_reply* reply)
{
    reply->header_length = 0;
    if (seg->flags & SLUICE_RST)
        return;

    HeaderFields f;
    f.source = seg->destination;
    f.destination = seg->source;
    if (seg->flags & SLUICE_ACK) {
        f.seq = seg->ack;
        f.flags = SLUICE_RST;
    } else {
        f.ack = segment_end(*seg).value();
        f.flags = SLUICE_RST | SLUICE_ACK;
    }
    reply->header_length = write_header(reply->header, f);
}
