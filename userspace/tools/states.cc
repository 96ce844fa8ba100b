// SPDX-License-Identifier: GPL-2.0
// Connection states by the names that ss uses.
#include "states.h"

#include "failure.h"

#include <algorithm>
#include <array>
#include <string>

namespace sluice
{

namespace
{

constexpr std::array<std::string_view, 12> names = {
    "UNKNOWN",   "ESTAB",  "SYN-SENT",   "SYN-RECV", "FIN-WAIT-1", "FIN-WAIT-2",
    "TIME-WAIT", "UNCONN", "CLOSE-WAIT", "LAST-ACK", "LISTEN",     "CLOSING"};

struct Alias {
    std::string_view name;
    uint32_t states;
};

constexpr uint32_t synchronized = all_states & ~(state_bit(2) | state_bit(7) | state_bit(10));

constexpr Alias aliases[] = {
    {"established", state_bit(1)},
    {"syn-received", state_bit(3)},
    {"listening", state_bit(10)},
    {"closed", state_bit(7)},
    {"all", all_states},
    {"connected", all_states & ~(state_bit(7) | state_bit(10))},
    {"synchronized", synchronized},
    {"bucket", state_bit(3) | state_bit(6)},
    {"big", all_states & ~(state_bit(3) | state_bit(6))},
};

std::string lower_case(std::string_view text)
{
    std::string lower(text);
    std::ranges::transform(lower, lower.begin(), [](unsigned char c) {
        return c == '_' ? '-' : static_cast<char>(std::tolower(c));
    });
    return lower;
}

} // namespace

std::string_view state_name(unsigned state)
{
    return state < names.size() ? names[state] : names[0];
}

uint32_t parse_states(std::string_view name)
{
    std::string wanted = lower_case(name);
    for (unsigned i = 1; i < names.size(); i++)
        if (lower_case(names[i]) == wanted)
            return state_bit(i);
    for (const Alias& alias : aliases)
        if (alias.name == wanted)
            return alias.states;
    throw usage_error(fmt::format("unknown state '{}' (see sluice ss --help)", name));
}

} // namespace sluice
