// SPDX-License-Identifier: GPL-2.0
// The fuzzer's bytes, read as numbers; zeroes when they have run out.
#ifndef SLUICE_FUZZ_INPUT_H
#define SLUICE_FUZZ_INPUT_H

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace sluice::fuzz
{

class Input
{
public:
    Input(const uint8_t* data, size_t size) : data_(data), size_(size) {}

    bool empty() const { return at_ >= size_; }
    uint8_t byte() { return empty() ? 0 : data_[at_++]; }
    uint16_t half() { return static_cast<uint16_t>(byte() | byte() << 8); }
    uint32_t word() { return half() | static_cast<uint32_t>(half()) << 16; }
    bool bit() { return byte() & 1; }
    // A number of any size, small ones more often.
    uint32_t some()
    {
        uint8_t b = byte();
        return b < 128 ? b : b < 220 ? half() : word();
    }

private:
    const uint8_t* data_;
    size_t size_, at_ = 0;
};

// A property that doesn't hold is a crash, so that the fuzzer keeps the input.
inline void must(bool holds, const char* what)
{
    if (holds)
        return;
    fprintf(stderr, "fuzz: %s\n", what);
    abort();
}

} // namespace sluice::fuzz

#endif
