// SPDX-License-Identifier: GPL-2.0
// What the two ways to answer a SYN share: with an object that remembers it
// (half_open.cc), and with a cookie that the peer remembers (cookie.cc).
#pragma once

#include "host.h"

namespace sluice
{

// Everything that a SYN and the listener decide, but for the initial sequence
// number and the timer. `space`: receive buffer in payload bytes.
void describe_half_open(sluice_half_open& h, const sluice_conn* listener,
                        const sluice_config* config, const sluice_path& path,
                        const sluice_segment& syn, uint32_t space);

// `ts_value` stands in the timestamps option, if there is one.
// grant: a cookie for the peer (RFC 7413), or nullptr.
void write_syn_ack(const sluice_half_open& h, uint32_t ts_value, sluice_reply& reply,
                   const sluice_fastopen_cookie* grant = nullptr);

} // namespace sluice
