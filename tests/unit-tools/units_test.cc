// SPDX-License-Identifier: GPL-2.0
// Times, sizes and rates as text.
#include "expect.h"
#include "units.h"

#include <limits>

using namespace sluice;

namespace
{

void expect_quantity(const char* text, const char* unit, uint64_t wanted)
{
    uint64_t got = parse_quantity(text, unit);
    cr_expect(got == wanted, "'%s' is %lu, wanted %lu", text, got, wanted);
}

} // namespace

Test(units, times_take_units)
{
    expect_quantity("7", "us", 7);
    expect_quantity("7us", "us", 7);
    expect_quantity("200ms", "us", 200'000);
    expect_quantity("2s", "us", 2'000'000);
    expect_quantity("2sec", "us", 2'000'000);
    expect_quantity("3min", "us", 180'000'000);
}

Test(units, sizes_are_powers_of_1024)
{
    expect_quantity("4096", "bytes", 4096);
    expect_quantity("64K", "bytes", 65536);
    expect_quantity("64k", "bytes", 65536);
    expect_quantity("64KiB", "bytes", 65536);
    expect_quantity("1M", "bytes", 1048576);
    expect_quantity("2G", "bytes", 2147483648);
}

Test(units, fractions_are_exact)
{
    expect_quantity("1.5s", "us", 1'500'000);
    expect_quantity("0.000001s", "us", 1);
    expect_quantity("1.234567s", "us", 1'234'567);
    expect_quantity("2.5ms", "us", 2'500);
    expect_quantity("1.5K", "bytes", 1536);
    expect_quantity("0.5M", "bytes", 524288);
    expect_quantity("2.0", "bytes", 2);
}

Test(units, fractions_of_sizes_round_to_the_nearest_byte)
{
    expect_quantity("1.1K", "bytes", 1126);
    expect_quantity("0.25M", "bytes", 262144);
    expect_quantity("1.75M", "bytes", 1835008);
    expect_quantity("0.001K", "bytes", 1);
}

Test(units, plain_numbers_take_no_unit)
{
    expect_quantity("15", "", 15);
    expect_quantity("10", "segments", 10);
    expect_usage_error([] { parse_quantity("10K", "segments"); }, "plain number");
    expect_usage_error([] { parse_quantity("1s", ""); }, "plain number");
}

Test(units, nonsense_is_refused)
{
    for (const char* text : {"", "x", "-1", "+1", " 1", "1.", "1.s", ".5s", "1..5s", "0x10"})
        expect_usage_error([=] { parse_quantity(text, "us"); }, "");
    expect_usage_error([] { parse_quantity("5x", "bytes"); }, "unknown unit 'x'");
    expect_usage_error([] { parse_quantity("1.5us", "us"); }, "whole number");
    expect_usage_error([] { parse_quantity("1.5", "segments"); }, "whole number");
    expect_usage_error([] { parse_quantity("0.1234567890123456789s", "us"); }, "too many");
}

Test(units, overflow_is_refused)
{
    expect_quantity("18446744073709551615", "us", std::numeric_limits<uint64_t>::max());
    expect_usage_error([] { parse_quantity("18446744073709551616", "us"); }, "too large");
    expect_usage_error([] { parse_quantity("18446744073709551615s", "us"); }, "too large");
    expect_usage_error([] { parse_quantity("18446744073709551615.9K", "bytes"); }, "too large");
}

Test(units, formatting_keeps_the_exact_value)
{
    for (uint64_t value : {0ull, 1ull, 999ull, 1000ull, 1500ull, 60'000'000ull, 7'200'000'000ull,
                           1'234'567ull, 4096ull, 131072ull, 2147483647ull, 6291456ull}) {
        for (const char* unit : {"us", "bytes", "segments", ""})
            expect_quantity(format_quantity(value, unit).c_str(), unit, value);
    }
    expect_text(format_quantity(1'500'000, "us"), "1500ms");
    expect_text(format_quantity(131072, "bytes"), "128K");
}

Test(units, human_figures_have_three_digits)
{
    expect_text(human_bytes(0), "0 B");
    expect_text(human_bytes(999), "999 B");
    expect_text(human_bytes(1000), "1.00 kB");
    expect_text(human_bytes(43'310'000), "43.3 MB");
    expect_text(human_bytes(999'900), "1.00 MB");
    expect_text(human_time(204'000), "204 ms");
    expect_text(human_bits(1'250'000), "10.0 Mbit/s");
    expect_text(human_rate(45'400'000), "45.4 MB/s (363 Mbit/s)");
}
