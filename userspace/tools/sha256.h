// SPDX-License-Identifier: GPL-2.0
// A SHA-256 sum (FIPS 180-4) of bytes that pass by, computed by nettle.
#pragma once

#include <nettle/sha2.h>

#include <cstdint>
#include <span>
#include <string>

namespace sluice
{

class Sha256
{
public:
    Sha256() { sha256_init(&state_); }
    void update(std::span<const uint8_t> bytes)
    {
        sha256_update(&state_, bytes.size(), bytes.data());
    }
    // In hexadecimal; the sum begins anew.
    std::string digest();

private:
    sha256_ctx state_;
};

} // namespace sluice
