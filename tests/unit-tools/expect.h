// SPDX-License-Identifier: GPL-2.0
// What tests of the tools say often.
#pragma once

#include "failure.h"

#include <criterion/criterion.h>

#include <string>

namespace sluice
{

template<typename Text> void expect_text(const Text& got, const std::string& wanted)
{
    cr_expect(std::string(got) == wanted, "got '%s', wanted '%s'", std::string(got).c_str(),
              wanted.c_str());
}

// The call must be refused as wrong usage, in one line that contains `words`.
template<typename Call> void expect_usage_error(Call&& call, const std::string& words)
{
    try {
        call();
        cr_expect_fail("accepted, but '%s' was to be said", words.c_str());
    } catch (const Failure& failure) {
        std::string line = failure.what();
        cr_expect(failure.status() == exit_usage);
        cr_expect(line.find('\n') == line.npos, "more than one line: %s", line.c_str());
        cr_expect(line.find(words) != line.npos, "got '%s', wanted '%s' in it", line.c_str(),
                  words.c_str());
    }
}

} // namespace sluice
