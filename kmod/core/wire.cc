// SPDX-License-Identifier: GPL-2.0
//
// Headers written and read (wire.h has the picture): RFC 9293 3.1 and 3.2,
// RFC 7323 2 and 3, RFC 2018 2 and 3, RFC 7413 4.1.1.
//
// Options are laid out in whole words, timestamps first, in the one order that
// receivers' fast paths look for (RFC 7323 appendix A).
#include "wire.h"

namespace sluice
{

namespace
{

constexpr uint32_t word(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
    return uint32_t{a} << 24 | uint32_t{b} << 16 | uint32_t{c} << 8 | d;
}

constexpr uint8_t MSS_LENGTH = 4;
constexpr uint8_t WINDOW_SCALE_LENGTH = 3;
constexpr uint8_t SACK_PERMITTED_LENGTH = 2;
constexpr uint8_t TIMESTAMPS_LENGTH = 10;
constexpr uint8_t SACK_BASE_LENGTH = 2;
constexpr uint8_t FAST_OPEN_BASE_LENGTH = 2;
constexpr uint8_t FASTOPEN_COOKIE_MIN = 4;

constexpr uint32_t ALIGNED_TIMESTAMPS =
    word(OPTION_NOP, OPTION_NOP, OPTION_TIMESTAMPS, TIMESTAMPS_LENGTH);
constexpr uint32_t SACK_PERMITTED_AND_TIMESTAMPS =
    word(OPTION_SACK_PERMITTED, SACK_PERMITTED_LENGTH, OPTION_TIMESTAMPS, TIMESTAMPS_LENGTH);

uint8_t* put32(uint8_t* p, uint32_t v)
{
    store32(p, v);
    return p + 4;
}

uint8_t* put_timestamps(uint8_t* p, uint32_t first_word, const HeaderFields& f)
{
    p = put32(p, first_word);
    p = put32(p, f.ts_value);
    return put32(p, f.ts_echo);
}

// Padding first, so that all of a SYN's options and the longest cookie fit exactly.
uint8_t* put_fastopen(uint8_t* p, const sluice_fastopen_cookie& cookie)
{
    uint8_t length = static_cast<uint8_t>(FAST_OPEN_BASE_LENGTH + cookie.length);
    for (uint32_t padding = -length & 3u; padding; padding--)
        *p++ = OPTION_NOP;
    *p++ = OPTION_FAST_OPEN;
    *p++ = length;
    __builtin_memcpy(p, cookie.bytes, cookie.length);
    return p + cookie.length;
}

// Options that only a SYN carries, timestamps among them.
uint8_t* put_syn_options(uint8_t* p, const HeaderFields& f)
{
    if (f.mss)
        p = put32(p, word(OPTION_MSS, MSS_LENGTH, 0, 0) | f.mss);
    if (f.timestamp)
        p = put_timestamps(p, f.sack_permitted ? SACK_PERMITTED_AND_TIMESTAMPS : ALIGNED_TIMESTAMPS,
                           f);
    else if (f.sack_permitted)
        p = put32(p, word(OPTION_NOP, OPTION_NOP, OPTION_SACK_PERMITTED, SACK_PERMITTED_LENGTH));
    if (f.wscale >= 0)
        p = put32(p, word(OPTION_NOP, OPTION_WINDOW_SCALE, WINDOW_SCALE_LENGTH,
                          static_cast<uint8_t>(f.wscale)));
    if (f.fastopen)
        p = put_fastopen(p, *f.fastopen);
    return p;
}

uint8_t* put_sack(uint8_t* p, const uint8_t* limit, const HeaderFields& f)
{
    uint32_t room = static_cast<uint32_t>(limit - p);
    if (room < SACK_BASE_ALIGNED + SACK_PER_BLOCK)
        return p;

    uint32_t fit = (room - SACK_BASE_ALIGNED) / SACK_PER_BLOCK;
    uint32_t count = f.sack_count < fit ? f.sack_count : fit;
    p = put32(p, word(OPTION_NOP, OPTION_NOP, OPTION_SACK,
                      static_cast<uint8_t>(SACK_BASE_LENGTH + count * SACK_PER_BLOCK)));
    for (uint32_t i = 0; i < count; i++) {
        p = put32(p, f.sack[i].start);
        p = put32(p, f.sack[i].end);
    }
    return p;
}

bool read_sack(const uint8_t* value, uint8_t length, sluice_segment& seg)
{
    uint32_t bytes = length - SACK_BASE_LENGTH;
    if (bytes == 0 || bytes % SACK_PER_BLOCK)
        return false;
    if (seg.flags & SLUICE_SYN)
        return true; // nothing can be out of order yet

    // 38 bytes of value at most, so never more than SLUICE_SACK_MAX blocks
    seg.sack_count = static_cast<uint8_t>(bytes / SACK_PER_BLOCK);
    for (uint32_t i = 0; i < seg.sack_count; i++) {
        seg.sack[i].start = load32(value + i * SACK_PER_BLOCK);
        seg.sack[i].end = load32(value + i * SACK_PER_BLOCK + 4);
    }
    return true;
}

// RFC 7413 4.1.1: what can't be a cookie is as if it weren't there; the other options hold.
void read_fastopen(const uint8_t* value, uint8_t length, sluice_segment& seg)
{
    uint8_t bytes = static_cast<uint8_t>(length - FAST_OPEN_BASE_LENGTH);
    if (bytes && (bytes < FASTOPEN_COOKIE_MIN || bytes > SLUICE_FASTOPEN_COOKIE_MAX || bytes % 2)) {
        seg.bad_option = true;
        return;
    }
    seg.has_fastopen = true;
    seg.fastopen.length = bytes;
    __builtin_memcpy(seg.fastopen.bytes, value, bytes);
}

// Takes in one option of `length` bytes, kind and length included. False: no
// such option has that length.
bool read_option(const uint8_t* option, uint8_t length, sluice_segment& seg)
{
    const uint8_t* value = option + 2;
    const bool syn = seg.flags & SLUICE_SYN;

    switch (option[0]) {
    case OPTION_MSS:
        if (length != MSS_LENGTH)
            return false;
        if (syn)
            seg.mss = load16(value);
        return true;
    case OPTION_WINDOW_SCALE:
        if (length != WINDOW_SCALE_LENGTH)
            return false;
        if (syn) {
            seg.has_wscale = true;
            seg.wscale = value[0] < WSCALE_MAX ? value[0] : WSCALE_MAX;
        }
        return true;
    case OPTION_SACK_PERMITTED:
        if (length != SACK_PERMITTED_LENGTH)
            return false;
        seg.sack_permitted |= syn;
        return true;
    case OPTION_SACK:
        return read_sack(value, length, seg);
    case OPTION_TIMESTAMPS:
        if (length != TIMESTAMPS_LENGTH)
            return false;
        seg.has_timestamp = true;
        seg.ts_value = load32(value);
        seg.ts_echo = load32(value + 4);
        return true;
    case OPTION_FAST_OPEN:
        if (syn)
            read_fastopen(value, length, seg);
        return true;
    default:
        return true; // RFC 9293 3.1, MUST-6: what isn't known is skipped
    }
}

// RFC 9293 3.2. Stops at the first option that can't be; those before it hold.
void read_options(const uint8_t* p, const uint8_t* end, sluice_segment& seg)
{
    while (p < end) {
        if (*p == OPTION_END)
            return;
        if (*p == OPTION_NOP) {
            p++;
            continue;
        }
        if (end - p < 2 || p[1] < 2 || p[1] > end - p || !read_option(p, p[1], seg)) {
            seg.bad_option = true;
            return;
        }
        p += p[1];
    }
}

void clear_options(sluice_segment& seg)
{
    seg.has_timestamp = false;
    seg.sack_permitted = false;
    seg.has_wscale = false;
    seg.bad_option = false;
    seg.has_fastopen = false;
    seg.wscale = 0;
    seg.sack_count = 0;
    seg.mss = 0;
    seg.ts_value = 0;
    seg.ts_echo = 0;
}

} // namespace

uint8_t write_header(uint8_t* out, const HeaderFields& f)
{
    uint8_t* p = out + HEADER_MIN;

    if (f.flags & SLUICE_SYN) [[unlikely]]
        p = put_syn_options(p, f);
    else if (f.timestamp)
        p = put_timestamps(p, ALIGNED_TIMESTAMPS, f);
    if (f.sack_count) [[unlikely]]
        p = put_sack(p, out + SLUICE_HEADER_MAX, f);

    uint8_t length = static_cast<uint8_t>(p - out);
    store32(out, uint32_t{f.source} << 16 | f.destination);
    store32(out + 4, f.seq);
    store32(out + 8, f.ack);
    store32(out + 12, word(static_cast<uint8_t>(length << 2), f.flags, 0, 0) | f.window);
    store32(out + 16, f.urgent);
    return length;
}

} // namespace sluice

using namespace sluice;

extern "C" sluice_parse sluice_segment_parse(const uint8_t* bytes, uint32_t available,
                                             uint32_t total, sluice_segment* out)
{
    if (available < HEADER_MIN || total < HEADER_MIN) [[unlikely]]
        return SLUICE_PARSE_SHORT;

    const uint32_t length = (bytes[12] >> 4) * 4u;
    if (length < HEADER_MIN || length > available || length > total) [[unlikely]]
        return SLUICE_PARSE_SHORT;

    sluice_segment& seg = *out;
    seg.source = load16(bytes);
    seg.destination = load16(bytes + 2);
    seg.seq = load32(bytes + 4);
    seg.ack = load32(bytes + 8);
    seg.flags = bytes[13];
    seg.window = load16(bytes + 14);
    seg.urgent = load16(bytes + 18);
    seg.header_length = static_cast<uint8_t>(length);
    seg.length = total - length;
    clear_options(seg);

    if ((seg.flags & SLUICE_SYN) && (seg.flags & (SLUICE_FIN | SLUICE_RST))) [[unlikely]]
        return SLUICE_PARSE_FLAGS;

    const uint8_t* options = bytes + HEADER_MIN;
    if (length == HEADER_MIN + TIMESTAMPS_ALIGNED && load32(options) == ALIGNED_TIMESTAMPS) {
        seg.has_timestamp = true;
        seg.ts_value = load32(options + 4);
        seg.ts_echo = load32(options + 8);
    } else if (length > HEADER_MIN) {
        read_options(options, bytes + length, seg);
    }
    return SLUICE_PARSE_OK;
}
