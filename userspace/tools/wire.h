// SPDX-License-Identifier: GPL-2.0
// The two wires that a socket may speak: Sluice's own IP protocol, and TCP's.
#pragma once

#include <libsluice.h>

#include <string_view>

namespace sluice
{

inline std::string_view wire_name(const sluice_socket& s)
{
    return s.msg.id.protocol == SLUICE_PROTO_TCP ? "tcp" : "native";
}

} // namespace sluice
