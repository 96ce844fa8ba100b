// SPDX-License-Identifier: GPL-2.0
//
// Headers written and read (wire.h has the picture): RFC 9293 3.1 and 3.2,
// RFC 7323 2 and 3, RFC 2018 2 and 3.
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
    store32(out + 16, 0);
    return length;
}

} // namespace sluice
