// SPDX-License-Identifier: GPL-2.0
// Connection states (RFC 9293 3.3.2) by the names that ss uses, and sets of
// them as bits 1 << TCP_x.
#pragma once

#include <cstdint>
#include <string_view>

namespace sluice
{

constexpr uint32_t state_bit(unsigned state)
{
    return 1u << state;
}

// enum of include/net/tcp_states.h, which netinet/tcp.h has too
constexpr unsigned state_listen = 10;
constexpr uint32_t all_states = 0xffe; // TCP_ESTABLISHED (1) to TCP_CLOSING (11)
// What is shown unless something else is asked for: connections that somebody holds.
constexpr uint32_t default_states =
    all_states & ~(state_bit(state_listen) | state_bit(7 /* CLOSED */) |
                   state_bit(6 /* TIME_WAIT */) | state_bit(3 /* SYN_RECEIVED */));

// "ESTAB", "FIN-WAIT-1" ...
std::string_view state_name(unsigned state);
// One name or group in any case ("established", "connected" ...). Failure: unknown.
uint32_t parse_states(std::string_view name);

} // namespace sluice
