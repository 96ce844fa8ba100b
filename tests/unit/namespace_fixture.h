// SPDX-License-Identifier: GPL-2.0
// A namespace to test small objects in: its configuration and its counters,
// without sockets or links.
#pragma once

#include "stack.h"

struct NamespaceFixture {
    sluice::lab::Simulation simulation;
    sluice::lab::Stack stack{simulation, "namespace"};

    sluice_config* config() { return &stack.config(); }
    uint64_t count(sluice_counter which) const { return stack.counter(which); }
    void forbid_challenges() { config()->challenge_ack_limit = 0; }
};
