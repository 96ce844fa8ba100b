// SPDX-License-Identifier: GPL-2.0
// Virtual time and seeded chance: everything that happens in the laboratory is
// an event at a microsecond, and a seed replays it exactly.
#ifndef SLUICE_LAB_SIMULATION_H
#define SLUICE_LAB_SIMULATION_H

#include <cstdint>
#include <functional>
#include <queue>
#include <random>
#include <vector>

namespace sluice::lab
{

class Simulation
{
public:
    explicit Simulation(uint64_t seed = 1) : random_(seed) {}

    uint64_t now() const { return now_; }
    std::mt19937_64& random() { return random_; }
    // True with the given probability.
    bool chance(double probability)
    {
        return probability > 0 && std::uniform_real_distribution<>(0, 1)(random_) < probability;
    }
    uint64_t below(uint64_t n) { return n ? random_() % n : 0; }

    void at(uint64_t when, std::function<void()> what)
    {
        events_.push({when < now_ ? now_ : when, serial_++, std::move(what)});
    }
    void after(uint64_t delay, std::function<void()> what) { at(now_ + delay, std::move(what)); }

    // Called after every event; for invariants.
    std::function<void()> after_each;

    // One event; false: there is none.
    bool step();
    // Until `done` holds (true), or virtual time or events run out (false).
    bool run_until(const std::function<bool()>& done, uint64_t microseconds);
    // Lets this much time pass.
    void run_for(uint64_t microseconds);

private:
    struct Event {
        uint64_t when, serial;
        std::function<void()> what;
        bool operator<(const Event& o) const
        {
            return when != o.when ? when > o.when : serial > o.serial;
        }
    };
    std::priority_queue<Event> events_;
    std::mt19937_64 random_;
    uint64_t now_ = 1000000;
    uint64_t serial_ = 0;
};

} // namespace sluice::lab

#endif
