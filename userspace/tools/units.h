// SPDX-License-Identifier: GPL-2.0
// Times, sizes and rates as people write and read them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace sluice
{

// A number with a unit that fits what is measured in `unit`: "us" takes us, ms,
// s and min ("1.5s"), "bytes" takes K, M and G (powers of 1024); no unit means
// `unit` itself. Throws Failure when it is no such number, or no whole one.
uint64_t parse_quantity(std::string_view text, std::string_view unit);

// Exactly the value, in the greatest unit that needs no fraction: 1500000 us is 1500ms.
std::string format_quantity(uint64_t value, std::string_view unit);

// Rounded for reading: "1.50 MB" (powers of 1000), "204 ms".
std::string human_bytes(double bytes);
std::string human_time(double microseconds);
// "43.3 MB/s (346 Mbit/s)"
std::string human_rate(double bytes_per_second);
// "1.21 Gbit/s"
std::string human_bits(double bytes_per_second);

} // namespace sluice
