// SPDX-License-Identifier: GPL-2.0
// Points in time and spans between them, in microseconds of the host's
// monotonic clock. An Instant of zero means "never": deadlines that are off.
#pragma once

#include <compare>
#include <cstdint>

namespace sluice
{

class Duration
{
public:
    constexpr Duration() = default;
    constexpr explicit Duration(uint64_t us) : us_(us) {}

    constexpr uint64_t us() const { return us_; }
    constexpr explicit operator bool() const { return us_ != 0; }

    friend constexpr Duration operator+(Duration a, Duration b) { return Duration(a.us_ + b.us_); }
    friend constexpr Duration operator*(Duration a, uint64_t n) { return Duration(a.us_ * n); }
    friend constexpr Duration operator/(Duration a, uint64_t n) { return Duration(a.us_ / n); }
    friend constexpr auto operator<=>(Duration, Duration) = default;

private:
    uint64_t us_ = 0;
};

class Instant
{
public:
    constexpr Instant() = default;
    constexpr explicit Instant(uint64_t us) : us_(us) {}

    constexpr uint64_t us() const { return us_; }
    constexpr explicit operator bool() const { return us_ != 0; }
    // A set deadline that is due at `now`.
    constexpr bool due(Instant now) const { return us_ != 0 && us_ <= now.us_; }
    constexpr void clear() { us_ = 0; }

    friend constexpr Instant operator+(Instant t, Duration d) { return Instant(t.us_ + d.us()); }
    // Zero when b is later than a.
    friend constexpr Duration operator-(Instant a, Instant b)
    {
        return Duration(a.us_ > b.us_ ? a.us_ - b.us_ : 0);
    }
    friend constexpr auto operator<=>(Instant, Instant) = default;

private:
    uint64_t us_ = 0;
};

template<typename T> constexpr T least(T a, T b)
{
    return b < a ? b : a;
}
template<typename T> constexpr T greatest(T a, T b)
{
    return a < b ? b : a;
}
template<typename T> constexpr T clamped(T v, T low, T high)
{
    return greatest(low, least(v, high));
}

} // namespace sluice
