// SPDX-License-Identifier: GPL-2.0
// Which processes hold a socket, found by its inode among their descriptors.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

namespace sluice
{

struct Owner {
    std::string program;
    int pid, fd;
};

using Owners = std::unordered_map<uint32_t, std::vector<Owner>>; // by inode

// Of the processes that the caller may look into.
Owners find_owners();

} // namespace sluice
