// SPDX-License-Identifier: GPL-2.0
// What sluice ss shows of each socket, as text and as JSON.
#pragma once

#include "owners.h"

#include <libsluice.h>

#include <string>
#include <vector>

namespace sluice
{

struct SsOptions {
    std::vector<std::string> states, filter;
    bool listening = false, all = false, info = false, memory = false, processes = false;
    bool extended = false, timers = false, json = false, no_header = false;
    double interval = 0;
};

std::string sockets_as_text(const std::vector<sluice_socket>& sockets, const Owners& owners,
                            const SsOptions& options);
// One array, on one line.
std::string sockets_as_json(const std::vector<sluice_socket>& sockets, const Owners& owners);

// Names of enum sluice_timer and enum sluice_recovery.
const char* timer_name(unsigned timer);
const char* recovery_name(unsigned recovery);

} // namespace sluice
