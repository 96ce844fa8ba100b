// SPDX-License-Identifier: GPL-2.0
// A live connection, named by the addresses of both its ends.
#pragma once

#include <libsluice.h>

#include <string>

namespace sluice
{

// Failure (usage) says what is wrong with an address.
sluice_diag_id connection_id(const std::string& local, const std::string& remote);

// "LOCAL:PORT REMOTE:PORT", as sluice ss writes them.
std::string connection_name(const sluice_diag_id& id);

} // namespace sluice
