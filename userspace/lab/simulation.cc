// SPDX-License-Identifier: GPL-2.0
// The event loop.
#include "simulation.h"

namespace sluice::lab
{

bool Simulation::step()
{
    if (events_.empty())
        return false;
    Event e = std::move(const_cast<Event&>(events_.top()));
    events_.pop();
    now_ = e.when;
    e.what();
    if (after_each)
        after_each();
    return true;
}

bool Simulation::run_until(const std::function<bool()>& done, uint64_t microseconds)
{
    uint64_t end = now_ + microseconds;
    while (!done()) {
        if (events_.empty() || events_.top().when > end)
            return false;
        step();
    }
    return true;
}

void Simulation::run_for(uint64_t microseconds)
{
    uint64_t end = now_ + microseconds;
    while (!events_.empty() && events_.top().when <= end)
        step();
    now_ = end;
}

} // namespace sluice::lab
