// SPDX-License-Identifier: GPL-2.0
//
// The wire format of a segment: the header of RFC 9293 3.1 and the options of
// RFC 9293 3.2 (MSS), RFC 7323 (window scale, timestamps), RFC 2018 (SACK) and
// RFC 7413 (Fast Open).
//
//      0                   1                   2                   3
//      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//     +-------------------------------+-------------------------------+
//   0 |          source port          |       destination port        |
//     +-------------------------------+-------------------------------+
//   4 |                        sequence number                        |
//     +---------------------------------------------------------------+
//   8 |                    acknowledgment number                      |
//     +-------+-------+---------------+-------------------------------+
//  12 | words |  zero |CEUAPRSF flags |            window             |
//     +-------+-------+---------------+-------------------------------+
//  16 |           checksum            |        urgent pointer         |
//     +-------------------------------+-------------------------------+
//  20 |              options, padded to a multiple of 4               |
//     +---------------------------------------------------------------+
#pragma once

#include <bit>
#include <cstdint>

#include "host.h"

namespace sluice
{

enum : uint8_t {
    OPTION_END = 0,
    OPTION_NOP = 1,
    OPTION_MSS = 2,
    OPTION_WINDOW_SCALE = 3,
    OPTION_SACK_PERMITTED = 4,
    OPTION_SACK = 5,
    OPTION_TIMESTAMPS = 8,
    OPTION_FAST_OPEN = 34,
};

// Bytes of an option as it stands in a header, alignment included.
inline constexpr uint32_t HEADER_MIN = 20;
inline constexpr uint32_t TIMESTAMPS_ALIGNED = 12;
inline constexpr uint32_t SACK_BASE_ALIGNED = 4;
inline constexpr uint32_t SACK_PER_BLOCK = 8;

// RFC 7323 2.3: a greater shift is used as this one.
inline constexpr uint8_t WSCALE_MAX = 14;

// What a header says, in host byte order.
struct HeaderFields {
    uint16_t source = 0, destination = 0; // ports
    uint32_t seq = 0, ack = 0;
    uint8_t flags = 0;   // enum sluice_flag
    uint16_t window = 0; // as on the wire: scaled already
    uint16_t urgent = 0; // offset from seq to behind the urgent byte; with SLUICE_URG
    uint16_t mss = 0;    // bytes; 0: no option
    int8_t wscale = -1;  // 0..14; negative: no option
    bool sack_permitted = false;
    bool timestamp = false;
    uint32_t ts_value = 0, ts_echo = 0;
    const sluice_fastopen_cookie* fastopen = nullptr; // of a SYN; length 0 asks for one
    const sluice_sack_block* sack = nullptr;
    uint8_t sack_count = 0; // those that don't fit are left out, last first
};

// Writes a header with checksum 0 into SLUICE_HEADER_MAX
// bytes at `out`; returns its length: 20..60, a multiple of 4.
uint8_t write_header(uint8_t* out, const HeaderFields& f);

// The shift that lets a window of `max` bytes be advertised (RFC 7323 2.3).
constexpr uint8_t choose_wscale(uint64_t max)
{
    int shift = static_cast<int>(std::bit_width(max)) - 16;
    return shift < 0 ? 0 : shift > WSCALE_MAX ? WSCALE_MAX : static_cast<uint8_t>(shift);
}

// RFC 9293 3.7.1: the MSS assumed of a peer whose SYN has no such option.
inline constexpr uint16_t MSS_DEFAULT_IPV4 = 536;
inline constexpr uint16_t MSS_DEFAULT_IPV6 = 1220;

// `remote` is IPv6 or v4-mapped.
constexpr uint16_t default_mss(const uint8_t (&remote)[16])
{
    for (int i = 0; i < 10; i++)
        if (remote[i])
            return MSS_DEFAULT_IPV6;
    return remote[10] == 0xff && remote[11] == 0xff ? MSS_DEFAULT_IPV4 : MSS_DEFAULT_IPV6;
}

// Big-endian loads and stores at any alignment.
inline uint16_t load16(const uint8_t* p)
{
    uint16_t v;
    __builtin_memcpy(&v, p, sizeof(v));
    return std::endian::native == std::endian::little ? __builtin_bswap16(v) : v;
}

inline uint32_t load32(const uint8_t* p)
{
    uint32_t v;
    __builtin_memcpy(&v, p, sizeof(v));
    return std::endian::native == std::endian::little ? __builtin_bswap32(v) : v;
}

inline void store16(uint8_t* p, uint16_t v)
{
    if (std::endian::native == std::endian::little)
        v = __builtin_bswap16(v);
    __builtin_memcpy(p, &v, sizeof(v));
}

inline void store32(uint8_t* p, uint32_t v)
{
    if (std::endian::native == std::endian::little)
        v = __builtin_bswap32(v);
    __builtin_memcpy(p, &v, sizeof(v));
}

} // namespace sluice
