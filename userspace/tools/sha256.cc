// SPDX-License-Identifier: GPL-2.0
// A SHA-256 sum in the form that sha256sum prints.
#include "sha256.h"

#include <fmt/format.h>

#include <array>

namespace sluice
{

std::string Sha256::digest()
{
    std::array<uint8_t, SHA256_DIGEST_SIZE> sum;
    sha256_digest(&state_, sum.size(), sum.data());
    return fmt::format("{:02x}", fmt::join(sum, ""));
}

} // namespace sluice
