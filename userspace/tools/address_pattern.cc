// SPDX-License-Identifier: GPL-2.0
// Which addresses and ports a filter means.
#include "address_pattern.h"

#include "failure.h"

#include <arpa/inet.h>
#include <netdb.h>

#include <algorithm>
#include <charconv>
#include <string>

namespace sluice
{

namespace
{

std::optional<unsigned> parse_number(std::string_view text, unsigned most)
{
    unsigned value = 0;
    const char* end = text.data() + text.size();
    auto [rest, error] = std::from_chars(text.data(), end, value);
    if (error != std::errc() || rest != end || value > most)
        return std::nullopt;
    return value;
}

struct Parts {
    std::string host;
    std::string_view prefix, port; // with the sign before them, or empty
};

Parts split(std::string_view text)
{
    size_t end;
    Parts parts;
    if (text.starts_with('[')) {
        end = text.find(']');
        if (end == text.npos)
            throw usage_error(fmt::format("filter: '{}' lacks a ']'", text));
        parts.host = text.substr(1, end - 1);
        end++;
    } else {
        bool bare_ipv6 = std::ranges::count(text, ':') > 1;
        end = std::min(text.find_first_of(bare_ipv6 ? "/" : "/:"), text.size());
        parts.host = text.substr(0, end);
    }
    text.remove_prefix(end);
    if (text.starts_with('/')) {
        parts.prefix = text.substr(0, text.find(':'));
        text.remove_prefix(parts.prefix.size());
    }
    parts.port = text;
    return parts;
}

// Fills the address; returns the bits before it that a prefix length doesn't count.
unsigned parse_host(const std::string& host, in6_addr& address)
{
    in_addr v4;
    if (inet_pton(AF_INET6, host.c_str(), &address) == 1)
        return 0;
    if (inet_pton(AF_INET, host.c_str(), &v4) != 1)
        throw usage_error(fmt::format("filter: '{}' is no address", host));
    address = {};
    address.s6_addr[10] = address.s6_addr[11] = 0xff;
    std::copy_n(reinterpret_cast<const uint8_t*>(&v4), 4, &address.s6_addr[12]);
    return 96;
}

} // namespace

uint16_t parse_port(std::string_view text)
{
    if (auto port = parse_number(text, 65535))
        return static_cast<uint16_t>(*port);
    if (const servent* service = getservbyname(std::string(text).c_str(), "tcp"))
        return ntohs(static_cast<uint16_t>(service->s_port));
    throw usage_error(fmt::format("filter: '{}' is no port", text));
}

AddressPattern AddressPattern::parse(std::string_view text)
{
    AddressPattern pattern;
    Parts parts = split(text);
    if (!parts.host.empty() && parts.host != "*") {
        unsigned mapped = parse_host(parts.host, pattern.address);
        pattern.prefix = 128;
        if (!parts.prefix.empty()) {
            auto length = parse_number(parts.prefix.substr(1), 128 - mapped);
            if (!length)
                throw usage_error(fmt::format("filter: '{}': wrong prefix length", text));
            pattern.prefix = mapped + *length;
        }
    } else if (!parts.prefix.empty()) {
        throw usage_error(fmt::format("filter: '{}': a prefix length without an address", text));
    }
    if (parts.port.starts_with(':') && parts.port != ":*")
        pattern.port = parse_port(parts.port.substr(1));
    else if (!parts.port.empty() && parts.port != ":*")
        throw usage_error(fmt::format("filter: '{}' is no address", text));
    return pattern;
}

bool AddressPattern::matches(const uint8_t bytes[16], in_port_t network_port) const
{
    unsigned whole = prefix / 8, rest = prefix % 8;
    if (!std::equal(bytes, bytes + whole, address.s6_addr))
        return false;
    if (rest && ((bytes[whole] ^ address.s6_addr[whole]) >> (8 - rest)) != 0)
        return false;
    return !port || *port == ntohs(network_port);
}

} // namespace sluice
