// SPDX-License-Identifier: GPL-2.0
// Any bytes as a segment: parsing stays inside them, what is parsed can be
// written and parsed again, and no object without a connection (half-open,
// TIME_WAIT, the reset for nobody) answers with nonsense.
#include <cstring>

#include "input.h"
#include "stack.h"
#include "wire.h"

using namespace sluice;
using namespace sluice::fuzz;

namespace
{

bool same_options(const sluice_segment& a, const sluice_segment& b)
{
    bool same = a.mss == b.mss && a.has_wscale == b.has_wscale && a.wscale == b.wscale &&
                a.sack_permitted == b.sack_permitted && a.has_timestamp == b.has_timestamp &&
                a.ts_value == b.ts_value && a.ts_echo == b.ts_echo && a.sack_count == b.sack_count;
    for (uint8_t i = 0; same && i < a.sack_count; i++)
        same = a.sack[i].start == b.sack[i].start && a.sack[i].end == b.sack[i].end;
    return same;
}

// Writes what was parsed; what comes back must be the same.
void round_trip(const sluice_segment& s)
{
    HeaderFields f;
    f.source = s.source;
    f.destination = s.destination;
    f.seq = s.seq;
    f.ack = s.ack;
    f.flags = s.flags;
    f.window = static_cast<uint16_t>(s.window);
    f.mss = s.mss;
    f.wscale = s.has_wscale ? static_cast<int8_t>(s.wscale) : int8_t{-1};
    f.sack_permitted = s.sack_permitted;
    f.timestamp = s.has_timestamp;
    f.ts_value = s.ts_value;
    f.ts_echo = s.ts_echo;
    f.sack = s.sack;
    f.sack_count = s.sack_count;
    // Aligned, the options may need more than a header has; then SACK blocks are left out.
    uint32_t size = HEADER_MIN + 4u * (s.mss != 0) + 4u * s.has_wscale + 4u * s.sack_permitted +
                    TIMESTAMPS_ALIGNED * s.has_timestamp +
                    (s.sack_count ? SACK_BASE_ALIGNED + SACK_PER_BLOCK * s.sack_count : 0);
    uint8_t bytes[SLUICE_HEADER_MAX];
    uint8_t length = write_header(bytes, f);
    must(length >= HEADER_MIN && length <= SLUICE_HEADER_MAX && length % 4 == 0,
         "a header of impossible length");
    sluice_segment again{};
    must(sluice_segment_parse(bytes, length, length, &again) == SLUICE_PARSE_OK,
         "a written header doesn't parse");
    must(!again.bad_option, "a written option doesn't parse");
    must(again.source == s.source && again.destination == s.destination && again.seq == s.seq &&
             again.ack == s.ack && again.flags == s.flags && again.window == s.window &&
             again.length == 0,
         "a header changed between writing and parsing");
    must(size > SLUICE_HEADER_MAX || same_options(s, again),
         "options changed between writing and parsing");
}

void check_reply(const sluice_reply& reply, const sluice_segment& to)
{
    if (!reply.header_length)
        return;
    sluice_segment s{};
    must(sluice_segment_parse(reply.header, reply.header_length, reply.header_length, &s) ==
             SLUICE_PARSE_OK,
         "a reply doesn't parse");
    must(!(to.flags & s.flags & SLUICE_RST), "a reset was answered by a reset");
    must(s.length == 0 && !s.bad_option, "a malformed reply");
}

sluice_path path_of(const sluice_segment& s)
{
    sluice_path p{};
    p.local_port = s.destination;
    p.remote_port = s.source;
    p.max_payload = p.advertise_mss = 1460;
    p.gso_max = 65535;
    return p;
}

void offer_to_half_open(lab::Stack& stack, const sluice_segment& s, uint64_t now)
{
    sluice_segment syn = s;
    syn.flags = SLUICE_SYN;
    sluice_path path = path_of(s);
    sluice_reply reply{};
    sluice_half_open h;
    lab::Socket& listener = stack.socket();
    sluice_half_open_init(&h, &listener.conn, &stack.config(), &path, &syn, 65535, s.ack, nullptr,
                          &reply, now);
    check_reply(reply, syn);
    must(reply.header_length, "a SYN without an answer");
    // As it is; and as the answer to what was just sent.
    for (uint32_t ack : {s.ack, h.iss + 1}) {
        sluice_segment next = s;
        next.ack = ack;
        sluice_half_open_segment(&h, &stack.config(), &next, &reply, now + s.window);
        check_reply(reply, next);
    }
    sluice_half_open_time(&h, &stack.config(), &reply, h.deadline);
    check_reply(reply, syn);
}

void offer_to_time_wait(lab::Stack& stack, const sluice_segment& s, Input& in, uint64_t now)
{
    sluice_time_wait t{};
    t.snd_nxt = s.ack + in.byte() - 128;
    t.rcv_nxt = s.seq + in.byte() - 128;
    t.rcv_wnd = in.half();
    t.ts_recent = s.ts_value + in.byte() - 128;
    t.timestamp_ok = in.bit();
    t.rcv_wscale = in.byte() % 15;
    t.local_port = s.destination;
    t.remote_port = s.source;
    t.ts_recent_at = now;
    t.length = 60000000;
    t.deadline = now + t.length;
    sluice_reply reply{};
    uint32_t isn = 0;
    auto r = sluice_time_wait_segment(&t, &stack.config(), &s, in.bit(), &reply, &isn, now + 1);
    check_reply(reply, s);
    must(t.deadline <= now + 1 + t.length, "TIME_WAIT longer than 2MSL");
    must((r == SLUICE_TIME_WAIT_NEW_SYN) == (isn != 0), "a new SYN and no least ISN");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    if (size < 1)
        return 0;
    // The last byte says how much of it is payload that isn't contiguous.
    uint32_t total = static_cast<uint32_t>(size - 1);
    uint32_t available = total - (total ? data[size - 1] % (total + 1) : 0);
    // A copy of the exact size, so that the sanitizer sees a byte read too far.
    uint8_t* bytes = new uint8_t[available];
    memcpy(bytes, data, available);
    sluice_segment s{};
    auto parsed = sluice_segment_parse(bytes, available, total, &s);
    delete[] bytes;
    if (parsed != SLUICE_PARSE_OK)
        return 0;
    must(s.header_length >= HEADER_MIN && s.header_length <= available &&
             s.header_length + s.length == total,
         "header and payload don't add up");
    must(s.sack_count <= SLUICE_SACK_MAX && s.wscale <= WSCALE_MAX, "an option out of range");
    round_trip(s);
    lab::Simulation sim;
    lab::Stack stack(sim, "machine");
    sluice_reply reply{};
    sluice_reset_reply(&s, &reply);
    check_reply(reply, s);
    offer_to_half_open(stack, s, 1000000);
    Input in(data, size);
    offer_to_time_wait(stack, s, in, 1000000);
    return 0;
}
