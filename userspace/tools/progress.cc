// SPDX-License-Identifier: GPL-2.0
// How far a transfer is, on standard error.
#include "progress.h"

#include "units.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace sluice
{

using namespace std::chrono_literals;

namespace
{

constexpr auto rate_window = 3s;

size_t terminal_width()
{
    winsize size{};
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        return 80;
    return size.ws_col;
}

std::string clock_text(double seconds)
{
    auto whole = static_cast<uint64_t>(seconds + 0.5);
    if (whole >= 3600)
        return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
    return fmt::format("{}:{:02}", whole / 60, whole % 60);
}

double seconds(Progress::Clock::duration time)
{
    return std::chrono::duration<double>(time).count();
}

} // namespace

Progress::Mode Progress::mode(bool wanted, bool quiet)
{
    if (quiet)
        return Mode::Silent;
    if (isatty(STDERR_FILENO))
        return Mode::Bar;
    return wanted ? Mode::Lines : Mode::Silent;
}

Progress::Progress(Mode mode, std::optional<uint64_t> total) : mode_(mode), total_(total)
{
    samples_.push_back({Clock::now(), 0});
    next_ = samples_.front().when + (mode == Mode::Bar ? 200ms : 1000ms);
}

double Progress::recent_rate() const
{
    double time = seconds(samples_.back().when - samples_.front().when);
    return time > 0 ? static_cast<double>(samples_.back().done - samples_.front().done) / time : 0;
}

std::string Progress::describe(uint64_t done) const
{
    double rate = recent_rate();
    std::string text = fmt::format("{:>8}", human_bytes(static_cast<double>(done)));
    if (total_)
        text += fmt::format(" of {}", human_bytes(static_cast<double>(*total_)));
    text += fmt::format("  {:>9}/s", human_bytes(rate));
    if (total_ && rate > 0 && done < *total_)
        text += fmt::format("  {} left", clock_text(static_cast<double>(*total_ - done) / rate));
    return text;
}

std::string Progress::bar(uint64_t done, size_t width) const
{
    size_t filled = *total_ ? std::min<uint64_t>(width, done * width / *total_) : width;
    return fmt::format("[{}{}]", std::string(filled, '#'), std::string(width - filled, '.'));
}

void Progress::show(uint64_t done)
{
    std::string text = describe(done);
    if (total_) {
        unsigned percent = *total_ ? static_cast<unsigned>(done * 100.0 / *total_) : 100;
        text = fmt::format("{:>3}%  {}", percent, text);
    }
    if (mode_ == Mode::Lines) {
        fmt::print(stderr, "{}\n", text);
        return;
    }
    size_t room = terminal_width();
    if (total_ && text.size() + 16 < room)
        text = fmt::format("{} {}", bar(done, std::min<size_t>(40, room - text.size() - 4)), text);
    fmt::print(stderr, "\r{}\033[K", text.substr(0, room - 1));
}

void Progress::update(uint64_t done)
{
    if (!due())
        return;
    auto now = Clock::now();
    next_ = now + (mode_ == Mode::Bar ? 200ms : 1000ms);
    samples_.push_back({now, done});
    while (samples_.size() > 2 && now - samples_[1].when > rate_window)
        samples_.pop_front();
    show(done);
}

void Progress::finish(uint64_t done)
{
    if (mode_ == Mode::Silent)
        return;
    samples_.push_back({Clock::now(), done});
    show(done);
    if (mode_ == Mode::Bar)
        fmt::print(stderr, "\n");
}

} // namespace sluice
