// SPDX-License-Identifier: GPL-2.0
// The errors that a connection can report, with Linux's numbers.
#pragma once

namespace sluice::error
{

inline constexpr int broken_pipe = 32;         // EPIPE
inline constexpr int invalid = 22;             // EINVAL
inline constexpr int connection_reset = 104;   // ECONNRESET
inline constexpr int timed_out = 110;          // ETIMEDOUT
inline constexpr int connection_refused = 111; // ECONNREFUSED

} // namespace sluice::error
