// SPDX-License-Identifier: GPL-2.0
// The subcommands. Each adds itself to the program, with a callback that runs
// it and throws Failure when it can't.
#pragma once

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include <string>
#include <vector>

namespace sluice
{

void add_send(CLI::App& program);
void add_recv(CLI::App& program);
void add_ss(CLI::App& program);
void add_stat(CLI::App& program);
void add_get(CLI::App& program);
void add_set(CLI::App& program);
void add_cc(CLI::App& program);
void add_run(CLI::App& program);
// Takes the "--" out that may stand before run's program: CLI11 would end the command there.
void drop_dashes_of_run(std::vector<std::string>& words);

} // namespace sluice
