// SPDX-License-Identifier: GPL-2.0
// Numbers that a stranger must not guess: the initial sequence number
// (RFC 6528) and the offset of the timestamp clock (RFC 7323 5.4).
#pragma once

#include "host.h"

namespace sluice
{

// RFC 6528 3: ISN = M + F(4-tuple), M ticking every 4 microseconds.
uint32_t initial_sequence(const sluice_path& path, sluice_usec now);

// One offset for a pair of addresses, whatever the ports: timestamps of
// successive connections then go on rising, as RFC 6191 needs.
uint32_t timestamp_offset(const sluice_path& path);

// TSval at `now`: milliseconds.
inline uint32_t wire_timestamp(sluice_usec now, uint32_t offset)
{
    return static_cast<uint32_t>(now / 1000) + offset;
}

} // namespace sluice
