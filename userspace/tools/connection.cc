// SPDX-License-Identifier: GPL-2.0
// A live connection, named by the addresses of both its ends.
#include "connection.h"

#include "failure.h"

#include <cstring>

namespace sluice
{

namespace
{

sockaddr_sluice endpoint(const std::string& text)
{
    sockaddr_sluice address;
    unsigned count = 1;
    if (const char* wrong = sluice_parse_address(text.c_str(), false, &address, &count))
        throw usage_error(fmt::format("{}: {}", text, wrong));
    return address;
}

} // namespace

sluice_diag_id connection_id(const std::string& local, const std::string& remote)
{
    sockaddr_sluice src = endpoint(local), dst = endpoint(remote);
    sluice_diag_id id{};
    id.sport = src.ssl_port;
    id.dport = dst.ssl_port;
    id.ifindex = src.ssl_scope_id ? src.ssl_scope_id : dst.ssl_scope_id;
    std::memcpy(id.src, &src.ssl_addr, sizeof(id.src));
    std::memcpy(id.dst, &dst.ssl_addr, sizeof(id.dst));
    return id;
}

std::string connection_name(const sluice_diag_id& id)
{
    char local[SLUICE_ADDRESS_TEXT], remote[SLUICE_ADDRESS_TEXT];
    sluice_format_address(id.src, id.ifindex, id.sport, local);
    sluice_format_address(id.dst, id.ifindex, id.dport, remote);
    return fmt::format("{} {}", local, remote);
}

} // namespace sluice
