// SPDX-License-Identifier: GPL-2.0
// What the flags of a handshake say of ECN (RFC 3168 6.1.1).
#pragma once

#include "host.h"

namespace sluice
{

// The parameter `ecn`, with the numbers of Linux's net.ipv4.tcp_ecn.
enum : uint64_t {
    ECN_NEVER = 0,
    ECN_REQUEST = 1, // ask, and agree when asked
    ECN_ACCEPT = 2,  // agree when asked
};

inline constexpr uint8_t ECN_SETUP = SLUICE_ECE | SLUICE_CWR;

// An ECN-setup SYN. One that is ECT, which no SYN may be, comes from a path
// that writes into that field, and says nothing (as in Linux).
inline bool asks_for_ecn(const sluice_segment& syn)
{
    return (syn.flags & ECN_SETUP) == ECN_SETUP && syn.ecn == SLUICE_NOT_ECT;
}

// An ECN-setup SYN-ACK. Both flags come from a host that sends back what it doesn't know.
inline bool agrees_to_ecn(const sluice_segment& syn_ack)
{
    return (syn_ack.flags & ECN_SETUP) == SLUICE_ECE;
}

} // namespace sluice
