// SPDX-License-Identifier: GPL-2.0
// Headers as they stand on the wire (RFC 9293 3.1, 3.2; RFC 7323; RFC 2018).
#include <criterion/criterion.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <vector>

#include "../../kmod/core/wire.h"

using namespace sluice;

namespace
{

using Bytes = std::vector<uint8_t>;

// A header of `flags` with these option bytes, padded with END.
Bytes with_options(Bytes options, uint8_t flags = SLUICE_ACK)
{
    Bytes h(20);
    h[1] = 1;
    h[3] = 2;
    h[13] = flags;
    h.insert(h.end(), options.begin(), options.end());
    h.resize((h.size() + 3) / 4 * 4);
    h[12] = static_cast<uint8_t>(h.size() / 4 << 4);
    return h;
}

// Parses from memory of exactly that size, so that a read beyond it is seen.
sluice_parse parse(const Bytes& bytes, sluice_segment& seg, uint32_t payload = 0)
{
    Bytes exact(bytes);
    exact.shrink_to_fit();
    std::memset(&seg, 0xa5, sizeof(seg));
    uint32_t size = static_cast<uint32_t>(exact.size());
    return sluice_segment_parse(exact.data(), size, size + payload, &seg);
}

sluice_segment parsed(const Bytes& bytes)
{
    sluice_segment seg;
    cr_assert_eq(parse(bytes, seg), SLUICE_PARSE_OK);
    return seg;
}

Bytes written(const HeaderFields& f)
{
    uint8_t out[SLUICE_HEADER_MAX + 4];
    std::memset(out, 0xee, sizeof(out));
    uint8_t length = write_header(out, f);
    for (size_t i = length; i < sizeof(out); i++)
        cr_assert_eq(out[i], 0xee, "wrote beyond its %u bytes", length);
    return Bytes(out, out + length);
}

void expect_options(const HeaderFields& f, Bytes expected)
{
    Bytes h = written(f);
    Bytes options(h.begin() + 20, h.end());
    cr_assert_eq(h[12] >> 4, h.size() / 4);
    cr_assert(options == expected, "options differ");
}

} // namespace

Test(wire, fixed_fields_stand_where_rfc9293_puts_them)
{
    HeaderFields f;
    f.source = 0x1234;
    f.destination = 0x5678;
    f.seq = 0x9abcdef0;
    f.ack = 0x11223344;
    f.flags = SLUICE_ACK | SLUICE_PSH;
    f.window = 0xfedc;
    Bytes expected = {0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0, 0x11, 0x22,
                      0x33, 0x44, 0x50, 0x18, 0xfe, 0xdc, 0x00, 0x00, 0x00, 0x00};
    cr_assert(written(f) == expected);
}

Test(wire, data_segment_carries_timestamps_in_one_aligned_block)
{
    HeaderFields f;
    f.flags = SLUICE_ACK;
    f.timestamp = true;
    f.ts_value = 0x01020304;
    f.ts_echo = 0x05060708;
    expect_options(f, {1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8});
}

Test(wire, syn_options_stand_in_the_order_of_linux)
{
    HeaderFields f;
    f.flags = SLUICE_SYN;
    f.mss = 1460;
    f.wscale = 7;
    f.sack_permitted = true;
    f.timestamp = true;
    f.ts_value = 0x01020304;
    expect_options(f, {2, 4, 0x05, 0xb4, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3, 7});
}

Test(wire, syn_options_may_each_be_missing)
{
    HeaderFields f;
    f.flags = SLUICE_SYN;
    expect_options(f, {});
    f.sack_permitted = true;
    expect_options(f, {1, 1, 4, 2});
    f.wscale = 0;
    expect_options(f, {1, 1, 4, 2, 1, 3, 3, 0});
    f.sack_permitted = false;
    f.timestamp = true;
    expect_options(f, {1, 1, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0, 1, 3, 3, 0});
}

Test(wire, options_of_a_syn_are_not_written_later)
{
    HeaderFields f;
    f.flags = SLUICE_ACK;
    f.mss = 1460;
    f.wscale = 7;
    f.sack_permitted = true;
    expect_options(f, {});
}

Test(wire, sack_blocks_are_cut_to_what_fits)
{
    sluice_sack_block blocks[SLUICE_SACK_MAX] = {{1, 2}, {3, 4}, {5, 6}, {7, 8}};
    HeaderFields f;
    f.flags = SLUICE_ACK;
    f.sack = blocks;
    for (uint8_t n = 1; n <= SLUICE_SACK_MAX; n++) {
        f.sack_count = n;
        f.timestamp = false;
        cr_assert_eq(written(f).size(), 24u + 8u * n);
        cr_assert_eq(parsed(written(f)).sack_count, n);
        f.timestamp = true;
        sluice_segment seg = parsed(written(f));
        cr_assert_eq(seg.sack_count, std::min<int>(n, 3));
        cr_assert_eq(seg.sack[seg.sack_count - 1].end, 2u * seg.sack_count);
    }
}

Test(wire, what_is_written_is_read_back)
{
    std::mt19937 random(1);
    for (int i = 0; i < 20000; i++) {
        sluice_sack_block blocks[SLUICE_SACK_MAX];
        for (auto& b : blocks)
            b = {static_cast<uint32_t>(random()), static_cast<uint32_t>(random())};
        bool syn = random() % 2;
        HeaderFields f;
        f.source = static_cast<uint16_t>(random());
        f.destination = static_cast<uint16_t>(random());
        f.seq = static_cast<uint32_t>(random());
        f.ack = static_cast<uint32_t>(random());
        f.flags = static_cast<uint8_t>(
            syn ? SLUICE_SYN | (random() & SLUICE_ACK)
                : random() & (SLUICE_ACK | SLUICE_FIN | SLUICE_PSH | SLUICE_ECE | SLUICE_CWR));
        f.window = static_cast<uint16_t>(random());
        f.timestamp = random() % 2;
        f.urgent = static_cast<uint16_t>(random());
        f.ts_value = static_cast<uint32_t>(random());
        f.ts_echo = static_cast<uint32_t>(random());
        if (syn) {
            f.mss = static_cast<uint16_t>(random());
            f.wscale = static_cast<int8_t>(random() % 16) - 1;
            f.sack_permitted = random() % 2;
        } else {
            f.sack = blocks;
            f.sack_count = static_cast<uint8_t>(random() % 4);
        }
        sluice_segment s = parsed(written(f));
        cr_assert_eq(s.source, f.source);
        cr_assert_eq(s.destination, f.destination);
        cr_assert_eq(s.seq, f.seq);
        cr_assert_eq(s.ack, f.ack);
        cr_assert_eq(s.flags, f.flags);
        cr_assert_eq(s.window, f.window);
        cr_assert_eq(s.urgent, f.urgent);
        cr_assert_eq(s.length, 0u);
        cr_assert_eq(s.bad_option, false);
        cr_assert_eq(s.mss, f.mss);
        cr_assert_eq(s.has_wscale, f.wscale >= 0);
        cr_assert_eq(s.wscale, std::max<int>(f.wscale, 0));
        cr_assert_eq(s.sack_permitted, f.sack_permitted);
        cr_assert_eq(s.has_timestamp, f.timestamp);
        cr_assert_eq(s.ts_value, f.timestamp ? f.ts_value : 0);
        cr_assert_eq(s.ts_echo, f.timestamp ? f.ts_echo : 0);
        cr_assert_eq(s.sack_count, f.sack_count);
        cr_assert_eq(std::memcmp(s.sack, blocks, s.sack_count * sizeof(blocks[0])), 0);
    }
}

Test(wire, truncated_headers_are_short)
{
    sluice_segment seg;
    Bytes h = with_options({1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2});
    for (uint32_t n = 0; n < h.size(); n++) {
        Bytes cut(h.begin(), h.begin() + n);
        cr_assert_eq(parse(cut, seg), SLUICE_PARSE_SHORT, "%u bytes", n);
        cr_assert_eq(parse(cut, seg, 1000), SLUICE_PARSE_SHORT, "%u contiguous bytes", n);
    }
    cr_assert_eq(parse(h, seg, 1000), SLUICE_PARSE_OK);
    cr_assert_eq(seg.length, 1000u);
    cr_assert_eq(seg.header_length, 32);
}

Test(wire, data_offset_below_five_words_is_short)
{
    sluice_segment seg;
    Bytes h = with_options({});
    for (int words = 0; words < 16; words++) {
        h[12] = static_cast<uint8_t>(words << 4);
        cr_assert_eq(parse(h, seg), words == 5 ? SLUICE_PARSE_OK : SLUICE_PARSE_SHORT);
    }
}

Test(wire, total_smaller_than_the_header_is_short)
{
    sluice_segment seg;
    Bytes h = with_options({1, 1, 1, 1});
    cr_assert_eq(sluice_segment_parse(h.data(), 24, 23, &seg), SLUICE_PARSE_SHORT);
    cr_assert_eq(sluice_segment_parse(h.data(), 24, 24, &seg), SLUICE_PARSE_OK);
}

Test(wire, syn_contradicts_fin_and_rst)
{
    sluice_segment seg;
    for (int flags = 0; flags < 256; flags++) {
        bool bad = (flags & SLUICE_SYN) && (flags & (SLUICE_FIN | SLUICE_RST));
        cr_assert_eq(parse(with_options({}, static_cast<uint8_t>(flags)), seg),
                     bad ? SLUICE_PARSE_FLAGS : SLUICE_PARSE_OK);
    }
}

Test(wire, every_known_option_of_wrong_length_is_bad)
{
    const struct {
        uint8_t kind;
        std::vector<int> good;
    } known[] = {{2, {4}}, {3, {3}}, {4, {2}}, {5, {10, 18, 26, 34}}, {8, {10}}};

    for (auto& k : known) {
        for (int length = 0; length <= 40; length++) {
            for (uint8_t flags : {SLUICE_SYN, SLUICE_ACK}) {
                Bytes option(40, 1);
                option[0] = k.kind;
                option[1] = static_cast<uint8_t>(length);
                bool good = std::count(k.good.begin(), k.good.end(), length);
                cr_assert_eq(parsed(with_options(option, flags)).bad_option, !good,
                             "kind %u length %d", k.kind, length);
            }
        }
    }
}

Test(wire, option_longer_than_the_header_is_bad)
{
    for (int kind = 2; kind < 256; kind++) {
        cr_assert(parsed(with_options({static_cast<uint8_t>(kind), 5, 0, 0})).bad_option);
        cr_assert(parsed(with_options({1, 1, 1, static_cast<uint8_t>(kind)})).bad_option);
        cr_assert(parsed(with_options({static_cast<uint8_t>(kind), 255, 0, 0})).bad_option);
    }
}

Test(wire, option_shorter_than_kind_and_length_is_bad)
{
    for (int kind = 2; kind < 256; kind++)
        for (uint8_t length : {0, 1})
            cr_assert(parsed(with_options({static_cast<uint8_t>(kind), length, 1, 1})).bad_option);
}

Test(wire, unknown_options_are_skipped)
{
    for (int kind = 6; kind < 256; kind++) {
        if (kind == 8)
            continue;
        sluice_segment seg = parsed(with_options(
            {static_cast<uint8_t>(kind), 6, 9, 9, 9, 9, 8, 10, 0, 0, 0, 7, 0, 0, 0, 9}));
        cr_assert_not(seg.bad_option);
        cr_assert(seg.has_timestamp);
        cr_assert_eq(seg.ts_value, 7u);
        cr_assert_eq(seg.ts_echo, 9u);
    }
}

Test(wire, options_before_a_bad_one_hold_and_those_after_do_not)
{
    sluice_segment seg = parsed(with_options({2, 4, 5, 0xb4, 3, 2, 3, 3, 7, 4, 2, 1}, SLUICE_SYN));
    cr_assert(seg.bad_option);
    cr_assert_eq(seg.mss, 1460);
    cr_assert_not(seg.has_wscale);
    cr_assert_not(seg.sack_permitted);
}

Test(wire, end_of_options_ends_them)
{
    sluice_segment seg = parsed(with_options({1, 0, 2, 0, 2, 4, 5, 0xb4}, SLUICE_SYN));
    cr_assert_not(seg.bad_option);
    cr_assert_eq(seg.mss, 0);
}

Test(wire, timestamps_are_read_at_any_alignment)
{
    for (size_t nops = 0; nops < 12; nops++) {
        Bytes options(nops, 1);
        Bytes ts = {8, 10, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08};
        options.insert(options.end(), ts.begin(), ts.end());
        sluice_segment seg = parsed(with_options(options));
        cr_assert(seg.has_timestamp);
        cr_assert_eq(seg.ts_value, 0x01020304u);
        cr_assert_eq(seg.ts_echo, 0x05060708u);
    }
}

Test(wire, options_of_a_syn_are_ignored_later)
{
    Bytes options = {2, 4, 5, 0xb4, 3, 3, 7, 4, 2};
    sluice_segment seg = parsed(with_options(options, SLUICE_ACK));
    cr_assert_not(seg.bad_option);
    cr_assert_eq(seg.mss, 0);
    cr_assert_not(seg.has_wscale);
    cr_assert_not(seg.sack_permitted);
    seg = parsed(with_options(options, SLUICE_SYN));
    cr_assert_eq(seg.mss, 1460);
    cr_assert_eq(seg.wscale, 7);
    cr_assert(seg.sack_permitted);
}

Test(wire, sack_blocks_of_a_syn_are_ignored)
{
    Bytes options = {5, 10, 0, 0, 0, 1, 0, 0, 0, 2};
    cr_assert_eq(parsed(with_options(options, SLUICE_SYN)).sack_count, 0);
    sluice_segment seg = parsed(with_options(options, SLUICE_ACK));
    cr_assert_eq(seg.sack_count, 1);
    cr_assert_eq(seg.sack[0].start, 1u);
    cr_assert_eq(seg.sack[0].end, 2u);
}

Test(wire, window_scale_above_14_becomes_14)
{
    for (int shift = 0; shift < 256; shift++) {
        sluice_segment seg = parsed(with_options({3, 3, static_cast<uint8_t>(shift)}, SLUICE_SYN));
        cr_assert(seg.has_wscale);
        cr_assert_eq(seg.wscale, std::min(shift, 14));
    }
}

Test(wire, chosen_window_scale_is_the_least_that_fits)
{
    cr_assert_eq(choose_wscale(0), 0);
    cr_assert_eq(choose_wscale(65535), 0);
    cr_assert_eq(choose_wscale(65536), 1);
    cr_assert_eq(choose_wscale(6291456), 7);
    cr_assert_eq(choose_wscale(~0ull), 14);
    for (uint64_t max = 1; max < 1ull << 30; max = max * 5 / 4 + 1) {
        uint64_t shift = choose_wscale(max);
        cr_assert_leq(max >> shift, 65535u);
        cr_assert(shift == 0 || max >> (shift - 1) > 65535);
    }
}

Test(wire, noise_never_reads_outside_the_header)
{
    std::mt19937 random(2);
    for (int i = 0; i < 200000; i++) {
        Bytes noise(20 + random() % 41);
        for (auto& b : noise)
            b = static_cast<uint8_t>(random() % 3 ? random() % 12 : random());
        if (random() % 4)
            noise[12] = static_cast<uint8_t>(noise.size() / 4 << 4);
        sluice_segment seg;
        if (parse(noise, seg) == SLUICE_PARSE_SHORT)
            continue;
        cr_assert_leq(seg.header_length, noise.size());
        cr_assert_eq(seg.header_length + seg.length, noise.size());
    }
}
