// SPDX-License-Identifier: GPL-2.0
// Which addresses and ports a filter means: "10.0.0.0/8", "[::1]:80", ":80", "*".
#pragma once

#include <netinet/in.h>

#include <cstdint>
#include <optional>
#include <string_view>

namespace sluice
{

// A number or a service's name. Failure (usage) when it is neither.
uint16_t parse_port(std::string_view text);

struct AddressPattern {
    in6_addr address{};  // IPv4 as v4-mapped
    unsigned prefix = 0; // leading bits that count; 0: any address
    std::optional<uint16_t> port;

    static AddressPattern parse(std::string_view text);
    bool matches(const uint8_t bytes[16], in_port_t network_port) const;
};

} // namespace sluice
