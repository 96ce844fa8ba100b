// SPDX-License-Identifier: GPL-2.0
// SYN cookies (RFC 4987 3.6): when there is no room for another half-open
// connection, the SYN-ACK's sequence number holds what must be remembered, and
// the ACK that ends the handshake brings it back.
//
//     31      27 26    24 23                                     0
//     +---------+--------+----------------------------------------+
//     |  time   |  MSS   |          authentication code           |
//     +---------+--------+----------------------------------------+
//
// time counts periods of 64 s; MSS is an index. Both are veiled, so that the
// number tells a stranger nothing of the next. The code covers them, the pair
// of addresses and ports, the peer's sequence number and the options.
//
// The options travel in the last bits of our timestamp (RFC 7323 3), which the
// peer echoes: bits 0..3 its window scale (15: there is none), bits 4..7 ours,
// bit 8 SACK permitted, bit 9 ECN agreed. Without timestamps there is none of them.
#include <array>

#include "half_open.h"
#include "instant.h"
#include "isn.h"
#include "sequence.h"
#include "wire.h"

namespace sluice
{

namespace
{

constexpr sluice_usec PERIOD = 64 * 1000000ull;
constexpr uint32_t TIME_MASK = 0x1f, MSS_MASK = 7, CODE_MASK = 0xffffff;
constexpr uint32_t OPTION_MASK = 0x3ff, NO_WSCALE = 15, SACK_BIT = 0x100, ECN_BIT = 0x200;

// What peers offer in practice: the least a connection uses, IPv4's and IPv6's defaults,
// tunnels, DSL and Ethernet, jumbo frames.
constexpr std::array<uint16_t, 8> mss_table = {48, 536, 1220, 1360, 1380, 1440, 1460, 8940};

// No padding: all of it is hashed.
struct Hashed {
    uint8_t local[16], remote[16];
    uint16_t local_port, remote_port;
    uint32_t irs;
    uint32_t period;
    uint32_t options; // and whether there are timestamps
    uint32_t mss;     // index
    uint32_t purpose;
};
static_assert(sizeof(Hashed) == 56);

// Other uses of the same key have 1 and 2 (isn.cc), in objects of another size.
enum : uint32_t { FOR_CODE = 3, FOR_VEIL = 4 };

Hashed describe(const sluice_path& path, uint32_t irs, uint32_t purpose)
{
    Hashed d{};
    __builtin_memcpy(d.local, path.local, sizeof(d.local));
    __builtin_memcpy(d.remote, path.remote, sizeof(d.remote));
    d.local_port = path.local_port;
    d.remote_port = path.remote_port;
    d.irs = irs;
    d.purpose = purpose;
    return d;
}

// Of the eight bits above the code.
uint32_t veil(const sluice_path& path, uint32_t irs)
{
    Hashed d = describe(path, irs, FOR_VEIL);
    return static_cast<uint32_t>(sluice_host_keyed_hash(&d, sizeof(d))) & ~CODE_MASK;
}

uint32_t code(const sluice_path& path, uint32_t irs, uint32_t period, uint32_t mss,
              uint32_t options)
{
    Hashed d = describe(path, irs, FOR_CODE);
    d.period = period;
    d.options = options;
    d.mss = mss;
    return static_cast<uint32_t>(sluice_host_keyed_hash(&d, sizeof(d))) & CODE_MASK;
}

// The greatest that doesn't exceed the peer's; the least one, if all do.
uint32_t mss_index(uint16_t mss)
{
    uint32_t i = mss_table.size() - 1;
    while (i && mss_table[i] > mss)
        i--;
    return i;
}

// Of a connection without timestamps, which can't carry any: like no wire value.
constexpr uint32_t NO_OPTIONS = ~0u;

uint32_t pack_options(const sluice_half_open& h)
{
    if (!h.timestamp_ok)
        return NO_OPTIONS;
    uint32_t scales =
        h.wscale_ok ? least(h.snd_wscale, WSCALE_MAX) | uint32_t{h.rcv_wscale} << 4 : NO_WSCALE;
    return scales | (h.sack_ok ? SACK_BIT : 0) | (h.ecn_ok ? ECN_BIT : 0);
}

uint32_t options_of(const sluice_segment& ack)
{
    return ack.has_timestamp ? ack.ts_echo & OPTION_MASK : NO_OPTIONS;
}

void unpack_options(sluice_half_open& h, uint32_t options)
{
    h.timestamp_ok = options != NO_OPTIONS;
    h.sack_ok = h.timestamp_ok && (options & SACK_BIT);
    h.ecn_ok = h.timestamp_ok && (options & ECN_BIT);
    h.wscale_ok = h.timestamp_ok && (options & 15) != NO_WSCALE;
    h.snd_wscale = h.wscale_ok ? options & 15 : 0;
    h.rcv_wscale = h.wscale_ok ? options >> 4 & 15 : 0;
}

// A timestamp that ends in `options` and isn't later than `value`.
uint32_t stamp_with(uint32_t value, uint32_t options)
{
    uint32_t stamp = (value & ~OPTION_MASK) | options;
    return Sequence(stamp) > Sequence(value) ? stamp - OPTION_MASK - 1 : stamp;
}

// The eight bits above the code, unveiled: time and MSS.
uint32_t head_of(const sluice_path& path, const sluice_segment& ack)
{
    return ((ack.ack - 1) ^ veil(path, ack.seq - 1)) >> 24;
}

} // namespace

} // namespace sluice

using namespace sluice;

extern "C" void sluice_cookie_answer(const sluice_conn* listener, const sluice_config* config,
                                     const sluice_path* path, const sluice_segment* syn,
                                     uint32_t space, sluice_reply* syn_ack, sluice_usec now)
{
    sluice_half_open h;
    sluice_segment kept = *syn;
    if (!config->timestamps || !syn->has_timestamp) { // nothing would bring the rest back
        kept.has_wscale = kept.sack_permitted = false;
        kept.flags = SLUICE_SYN;
    }
    describe_half_open(h, listener, config, *path, kept, space);
    uint32_t options = pack_options(h);
    uint32_t period = static_cast<uint32_t>(now / PERIOD), mss = mss_index(h.peer_mss);
    uint32_t head = ((period & TIME_MASK) << 3 | mss) << 24;
    h.iss = (head ^ veil(*path, h.irs)) | code(*path, h.irs, period, mss, options);
    sluice_host_count(config, SLUICE_CNT_segs_out, 1);
    sluice_host_count(config, SLUICE_CNT_cookies_sent, 1);
    write_syn_ack(h, stamp_with(wire_timestamp(now, h.ts_offset), options), *syn_ack);
}

extern "C" bool sluice_cookie_good(const sluice_path* path, const sluice_segment* ack,
                                   sluice_usec now)
{
    uint32_t head = head_of(*path, *ack);
    uint32_t period = static_cast<uint32_t>(now / PERIOD);
    uint32_t age = (period - (head >> 3)) & TIME_MASK;
    return age <= 1 && code(*path, ack->seq - 1, period - age, head & MSS_MASK, options_of(*ack)) ==
                           ((ack->ack - 1) & CODE_MASK);
}

extern "C" bool sluice_cookie_open(sluice_half_open* h, const sluice_conn* listener,
                                   const sluice_config* config, const sluice_path* path,
                                   sluice_segment* ack, uint32_t space, sluice_usec now)
{
    if (!sluice_cookie_good(path, ack, now))
        return false;
    sluice_segment syn{}; // as much of it as the ACK tells
    syn.seq = ack->seq - 1;
    describe_half_open(*h, listener, config, *path, syn, space);
    h->iss = ack->ack - 1;
    h->peer_mss = mss_table[head_of(*path, *ack) & MSS_MASK];
    unpack_options(*h, options_of(*ack));
    h->ts_recent = h->timestamp_ok ? ack->ts_value : 0;
    h->sent = 0;      // when the SYN-ACK went out is forgotten
    ack->ts_echo = 0; // and its timestamp wasn't true
    h->defer = 0;
    h->deadline = now + config->rto_initial;
    return true;
}
