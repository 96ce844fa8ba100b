// SPDX-License-Identifier: GPL-2.0
// sluice stat: the namespace's counters, each with what it counts; with an
// interval, what was added in it.
#include "commands.h"
#include "control.h"
#include "failure.h"
#include "output.h"
#include "table.h"

#include <fnmatch.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <memory>
#include <thread>

namespace sluice
{

namespace
{

struct StatOptions {
    std::vector<std::string> patterns;
    double interval = 0;
    unsigned times = 0; // intervals; 0: until interrupted
    bool zeros = false, json = false;
};

bool wanted(const Row& row, const StatOptions& options)
{
    if (options.patterns.empty())
        return true;
    return std::ranges::any_of(options.patterns, [&](const std::string& pattern) {
        return fnmatch(pattern.c_str(), row.name.c_str(), 0) == 0;
    });
}

std::vector<Row> read_counters(Control& control, const StatOptions& options)
{
    std::vector<Row> rows = control.counters();
    std::erase_if(rows, [&](const Row& row) { return !wanted(row, options); });
    if (rows.empty())
        throw Failure(fmt::format("no counter matches {}", fmt::join(options.patterns, " ")));
    return rows;
}

void show_json(const std::vector<Row>& rows)
{
    nlohmann::ordered_json object = nlohmann::ordered_json::object();
    for (const Row& row : rows)
        object[row.name] = row.value;
    print("{}\n", object.dump());
}

void show(const std::vector<Row>& rows, const StatOptions& options)
{
    if (options.json)
        return show_json(rows);
    Table table("<><");
    for (const Row& row : rows)
        if (row.value || options.zeros)
            table.add({row.name, std::to_string(row.value), row.help});
    print(table.text());
}

// What was added since `before`, whose rows are the same.
std::vector<Row> difference(const std::vector<Row>& before, std::vector<Row> now)
{
    for (size_t i = 0; i < now.size(); i++)
        now[i].value -= before[i].value;
    return now;
}

void watch(Control& control, const StatOptions& options)
{
    auto next = std::chrono::steady_clock::now();
    auto step = std::chrono::duration_cast<std::chrono::nanoseconds>(
        std::chrono::duration<double>(options.interval));
    std::vector<Row> before = read_counters(control, options);
    for (unsigned n = 0; !options.times || n < options.times; n++) {
        std::this_thread::sleep_until(next += step);
        std::vector<Row> now = read_counters(control, options);
        if (n && !options.json)
            print("\n");
        show(difference(before, now), options);
        flush_output();
        before = std::move(now);
    }
}

void stat(const StatOptions& options)
{
    Control control;
    if (options.interval > 0)
        watch(control, options);
    else
        show(read_counters(control, options), options);
}

} // namespace

void add_stat(CLI::App& program)
{
    auto options = std::make_shared<StatOptions>();
    CLI::App* command = program.add_subcommand("stat", "Show this network namespace's counters");
    command->add_option("pattern", options->patterns, "Only counters of these names, as 'retrans*'")
        ->type_name("NAME");
    CLI::Option* watch =
        command->add_option("-w,--watch", options->interval, "Every so often, show what was added")
            ->check(CLI::Range(0.01, 1e6).description(""))
            ->type_name("SECONDS");
    command->add_option("-c,--count", options->times, "With -w: stop after so many times")
        ->needs(watch)
        ->type_name("N");
    command->add_flag("-z,--zeros", options->zeros, "Show counters that are zero too");
    command->add_flag("--json", options->json, "One JSON object, with -w one a line");
    command->callback([options] { stat(*options); });
}

} // namespace sluice
