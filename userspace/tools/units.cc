// SPDX-License-Identifier: GPL-2.0
// Times, sizes and rates as people write and read them.
#include "units.h"

#include "failure.h"

#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <span>

namespace sluice
{

namespace
{

struct Unit {
    std::string_view name;
    uint64_t factor;
};

constexpr std::array times = {Unit{"min", 60'000'000}, Unit{"s", 1'000'000}, Unit{"ms", 1'000},
                              Unit{"us", 1}};
constexpr std::array sizes = {Unit{"G", 1ull << 30}, Unit{"M", 1ull << 20}, Unit{"K", 1ull << 10},
                              Unit{"", 1}};

std::span<const Unit> units_of(std::string_view unit)
{
    if (unit == "us")
        return times;
    if (unit == "bytes")
        return sizes;
    return {};
}

// "KiB" and "k" are K, "sec" is s; what is left must be a unit's name.
std::string_view simplified(std::string_view name, std::string_view unit)
{
    if (unit != "bytes")
        return name == "sec" ? "s" : name;
    if (name == "k")
        return "K";
    if (name.ends_with("iB"))
        name.remove_suffix(2);
    return name == "B" ? "" : name;
}

uint64_t factor_of(std::string_view name, std::string_view unit, std::string_view text)
{
    if (name.empty() || name == unit)
        return 1;
    std::string known;
    for (const Unit& u : units_of(unit)) {
        if (u.name == simplified(name, unit))
            return u.factor;
        if (!u.name.empty())
            known += fmt::format("{}{}", known.empty() ? "" : ", ", u.name);
    }
    if (known.empty())
        throw usage_error(fmt::format("'{}': a plain number is wanted here", text));
    throw usage_error(fmt::format("'{}': unknown unit '{}' (there are {})", text, name, known));
}

[[noreturn]] void not_a_number(std::string_view text)
{
    throw usage_error(fmt::format("'{}' is not a number", text));
}

// What the digits behind a decimal point add to the whole part, to the nearest whole.
uint64_t parse_fraction(std::string_view digits, uint64_t factor, std::string_view text)
{
    __uint128_t numerator = 0, denominator = 1;
    if (digits.size() > 18)
        throw usage_error(fmt::format("'{}' has too many digits", text));
    for (char digit : digits) {
        numerator = numerator * 10 + static_cast<unsigned>(digit - '0');
        denominator *= 10;
    }
    return static_cast<uint64_t>((numerator * factor + denominator / 2) / denominator);
}

} // namespace

uint64_t parse_quantity(std::string_view text, std::string_view unit)
{
    uint64_t whole = 0;
    const char* end = text.data() + text.size();
    auto [rest, error] = std::from_chars(text.data(), end, whole);

    if (error == std::errc::result_out_of_range)
        throw usage_error(fmt::format("'{}' is too large", text));
    if (error != std::errc())
        not_a_number(text);

    std::string_view tail(rest, static_cast<size_t>(end - rest)), fraction;
    if (tail.starts_with('.')) {
        size_t length = tail.find_first_not_of("0123456789", 1);
        fraction = tail.substr(1, length == tail.npos ? length : length - 1);
        tail = length == tail.npos ? std::string_view() : tail.substr(length);
        if (fraction.empty())
            not_a_number(text);
    }
    uint64_t factor = factor_of(tail, unit, text), value;
    if (factor == 1 && fraction.find_first_not_of('0') != fraction.npos)
        throw usage_error(fmt::format("'{}': a whole number is wanted here", text));
    if (__builtin_mul_overflow(whole, factor, &value) ||
        __builtin_add_overflow(value, parse_fraction(fraction, factor, text), &value))
        throw usage_error(fmt::format("'{}' is too large", text));
    return value;
}

std::string format_quantity(uint64_t value, std::string_view unit)
{
    for (const Unit& u : units_of(unit))
        if (value && value % u.factor == 0 && u.name != "min")
            return fmt::format("{}{}", value / u.factor, u.name);
    return std::to_string(value);
}

namespace
{

// Three significant digits.
std::string three_digits(double value)
{
    return fmt::format("{:.{}f}", value, value < 9.995 ? 2 : value < 99.95 ? 1 : 0);
}

std::string scaled(double value, std::span<const std::string_view> names)
{
    size_t step = 0;
    while (value >= 999.5 && step + 1 < names.size()) {
        value /= 1000;
        step++;
    }
    bool whole = step == 0 && value == std::floor(value);
    return fmt::format("{} {}", whole ? fmt::format("{:.0f}", value) : three_digits(value),
                       names[step]);
}

} // namespace

std::string human_bytes(double bytes)
{
    static constexpr std::string_view names[] = {"B", "kB", "MB", "GB", "TB"};
    return scaled(bytes, names);
}

std::string human_time(double microseconds)
{
    static constexpr std::string_view names[] = {"us", "ms", "s"};
    return scaled(microseconds, names);
}

std::string human_bits(double bytes_per_second)
{
    static constexpr std::string_view names[] = {"bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"};
    return scaled(bytes_per_second * 8, names);
}

std::string human_rate(double bytes_per_second)
{
    return fmt::format("{}/s ({})", human_bytes(bytes_per_second), human_bits(bytes_per_second));
}

} // namespace sluice
