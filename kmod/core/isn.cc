// SPDX-License-Identifier: GPL-2.0
// Keyed hashes of who talks to whom (RFC 6528 3, RFC 7323 5.4).
#include "isn.h"

namespace sluice
{

namespace
{

// What is hashed. `purpose` keeps the two uses apart: one says nothing of the other.
struct HashedPath {
    uint8_t local[16], remote[16];
    uint16_t local_port, remote_port;
    uint32_t purpose;
};
static_assert(sizeof(HashedPath) == 40, "no padding may be hashed");

enum : uint32_t { FOR_SEQUENCE = 1, FOR_TIMESTAMPS = 2 };

uint32_t hash(const sluice_path& path, bool ports, uint32_t purpose)
{
    HashedPath h;
    __builtin_memcpy(h.local, path.local, sizeof(h.local));
    __builtin_memcpy(h.remote, path.remote, sizeof(h.remote));
    h.local_port = ports ? path.local_port : uint16_t{0};
    h.remote_port = ports ? path.remote_port : uint16_t{0};
    h.purpose = purpose;
    return static_cast<uint32_t>(sluice_host_keyed_hash(&h, sizeof(h)));
}

} // namespace

uint32_t initial_sequence(const sluice_path& path, sluice_usec now)
{
    return static_cast<uint32_t>(now / 4) + hash(path, true, FOR_SEQUENCE);
}

uint32_t timestamp_offset(const sluice_path& path)
{
    return hash(path, false, FOR_TIMESTAMPS);
}

} // namespace sluice
