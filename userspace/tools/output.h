// SPDX-License-Identifier: GPL-2.0
// Standard output whose errors are noticed.
#pragma once

#include "failure.h"

#include <cstdio>
#include <string_view>

namespace sluice
{

inline void print(std::string_view text)
{
    if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size())
        throw system_failure("standard output");
}

template<typename... Args> void print(fmt::format_string<Args...> format, Args&&... args)
{
    print(std::string_view(fmt::format(format, std::forward<Args>(args)...)));
}

// What is still in the buffer: a full disk or a closed pipe may show only now.
inline void flush_output()
{
    if (std::fflush(stdout) != 0 || std::ferror(stdout))
        throw system_failure("standard output");
}

} // namespace sluice
