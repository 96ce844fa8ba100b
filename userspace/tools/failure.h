// SPDX-License-Identifier: GPL-2.0
// How a command fails: one line for the user, and an exit status.
#pragma once

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string>

namespace sluice
{

enum ExitStatus {
    exit_failed = 1, // the command could not do what it was asked
    exit_usage = 2,  // it was asked in the wrong way
};

class Failure : public std::runtime_error
{
public:
    explicit Failure(const std::string& line, int status = exit_failed)
        : std::runtime_error(line), status_(status)
    {
    }
    int status() const { return status_; }

private:
    int status_;
};

inline Failure usage_error(const std::string& line)
{
    return Failure(line, exit_usage);
}

// "what: why", why being errno's text. `error` is an errno, of either sign.
inline Failure system_failure(const std::string& what, int error = errno)
{
    return Failure(fmt::format("{}: {}", what, std::strerror(error < 0 ? -error : error)));
}

inline Failure module_missing()
{
    return Failure("no AF_SLUICE sockets here: is the module loaded? (modprobe sluice)");
}

} // namespace sluice
