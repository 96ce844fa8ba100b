// SPDX-License-Identifier: GPL-2.0
// Filters of sluice ss, in the language of ss:
//
//	expression:  term { or term }
//	term:        factor { [and] factor }
//	factor:      not factor | ( expression ) | condition
//	condition:   sport|dport OPERATOR [:]PORT        = != < <= > >=
//	             src|dst [= | !=] ADDRESS[/PREFIX][:PORT]
//	             state NAME | exclude NAME | uid [= | !=] NUMBER
//	             wire [= | !=] native|tcp
//
// with &, &&, |, || and ! as other spellings, and eq, ne, lt, le, gt, ge.
#pragma once

#include <libsluice.h>

#include <functional>
#include <string_view>

namespace sluice
{

using Predicate = std::function<bool(const sluice_socket&)>;

struct Filter {
    Predicate matches;
    bool names_states = false; // so that it alone decides on states
};

// Empty text matches all. Failure (usage) says what is wrong, and where.
Filter parse_filter(std::string_view text);

} // namespace sluice
