// SPDX-License-Identifier: GPL-2.0
// Sequence numbers (RFC 9293 3.4): 32 bits that wrap. Comparison is by signed
// distance, so it holds for numbers less than 2^31 apart. No implicit
// conversion in either direction.
#pragma once

#include <cstdint>

namespace sluice
{

class Sequence
{
public:
    constexpr Sequence() = default;
    constexpr explicit Sequence(uint32_t value) : value_(value) {}

    constexpr uint32_t value() const { return value_; }

    friend constexpr Sequence operator+(Sequence s, uint32_t n) { return Sequence(s.value_ + n); }
    friend constexpr Sequence operator-(Sequence s, uint32_t n) { return Sequence(s.value_ - n); }
    // Bytes from b to a; a is at or after b.
    friend constexpr uint32_t operator-(Sequence a, Sequence b) { return a.value_ - b.value_; }
    constexpr Sequence& operator+=(uint32_t n)
    {
        value_ += n;
        return *this;
    }

    friend constexpr bool operator==(Sequence, Sequence) = default;
    friend constexpr bool operator<(Sequence a, Sequence b)
    {
        return static_cast<int32_t>(a.value_ - b.value_) < 0;
    }
    friend constexpr bool operator>(Sequence a, Sequence b) { return b < a; }
    friend constexpr bool operator<=(Sequence a, Sequence b) { return !(b < a); }
    friend constexpr bool operator>=(Sequence a, Sequence b) { return !(a < b); }

private:
    uint32_t value_ = 0;
};

constexpr Sequence earlier(Sequence a, Sequence b)
{
    return a < b ? a : b;
}
constexpr Sequence later(Sequence a, Sequence b)
{
    return a < b ? b : a;
}

} // namespace sluice
