// SPDX-License-Identifier: GPL-2.0
// How commands explain themselves, and what is said of words that they don't take.
#pragma once

#include "failure.h"

#include <CLI/App.hpp>
#include <CLI/Formatter.hpp>

namespace sluice
{

// Names what is given by what it is (HOST:PORT, FILE), in --help as in complaints.
class Help : public CLI::Formatter
{
public:
    std::string make_usage(const CLI::App* command, std::string name) const override;
    std::string make_option_usage(const CLI::Option* option) const override;
    std::string make_option_name(const CLI::Option* option, bool is_positional) const override;
    std::string make_option_opts(const CLI::Option* option) const override;
};

// In one line, with a pointer to the help of the command that it was about.
Failure wrong_words(CLI::App& program, const CLI::ParseError& error);

} // namespace sluice
