// SPDX-License-Identifier: GPL-2.0
// How far a transfer is, on standard error: a bar on a terminal, one line a
// second elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>

namespace sluice
{

class Progress
{
public:
    using Clock = std::chrono::steady_clock;
    enum class Mode { Silent, Bar, Lines };

    // Bar on a terminal, Lines when asked for elsewhere, else Silent.
    static Mode mode(bool wanted, bool quiet);

    // `total`: bytes that will come, when that is known.
    Progress(Mode mode, std::optional<uint64_t> total);
    // Is it time to print again? (For when finding `done` out is not for free.)
    bool due() const { return mode_ != Mode::Silent && Clock::now() >= next_; }
    // `done` bytes until now. Cheap: prints only when it is time to.
    void update(uint64_t done);
    // Prints the last state; the line is then the caller's again.
    void finish(uint64_t done);

private:
    struct Sample {
        Clock::time_point when;
        uint64_t done;
    };

    double recent_rate() const;
    std::string describe(uint64_t done) const;
    std::string bar(uint64_t done, size_t width) const;
    void show(uint64_t done);

    Mode mode_;
    std::optional<uint64_t> total_;
    Clock::time_point next_;
    std::deque<Sample> samples_; // of the last seconds
};

} // namespace sluice
