// SPDX-License-Identifier: GPL-2.0
// Receive coalescing (GRO): segments of one stream that follow each other
// closely reach the core as one, as a network card or the kernel would make
// of them.
#ifndef SLUICE_LAB_COALESCE_H
#define SLUICE_LAB_COALESCE_H

#include "link.h"

namespace sluice::lab
{

class Coalescer
{
public:
    explicit Coalescer(Simulation& sim) : sim_(sim) {}

    uint64_t wait = 0; // microseconds that a segment waits for its successor; 0: off
    std::function<void(Packet)> receiver;
    uint64_t merged = 0; // segments that were appended to another

    // Takes a packet off the link; `receiver` sees it at once, or as part of a larger one.
    void receive(Packet packet);

private:
    bool append(const Packet& next);
    void flush();

    Simulation& sim_;
    Packet held_;
    bool holding_ = false;
    uint64_t generation_ = 0;
};

} // namespace sluice::lab

#endif
