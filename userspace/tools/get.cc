// SPDX-License-Identifier: GPL-2.0
// sluice get: the defaults of this network namespace.
#include "commands.h"
#include "control.h"
#include "failure.h"
#include "output.h"
#include "table.h"
#include "units.h"

#include <nlohmann/json.hpp>

#include <memory>

namespace sluice
{

namespace
{

struct GetOptions {
    std::vector<std::string> names;
    bool raw = false, json = false;
};

std::string value_text(const Row& row)
{
    return row.is_number ? format_quantity(row.value, row.unit) : row.text;
}

std::string source_text(const Row& row)
{
    switch (row.source) {
    case SLUICE_SOURCE_SET:
        return "set";
    case SLUICE_SOURCE_SYSCTL:
        return "sysctl";
    default:
        return "default";
    }
}

std::string default_text(const Row& row)
{
    return row.is_number ? format_quantity(row.standard, row.unit) : "";
}

std::string range_text(const Row& row)
{
    if (!row.is_number)
        return "";
    return fmt::format("{}..{}", format_quantity(row.min, row.unit),
                       format_quantity(row.max, row.unit));
}

void show_json(const std::vector<Row>& rows)
{
    auto object = nlohmann::ordered_json::object();
    for (const Row& row : rows) {
        auto& entry = object[row.name];
        if (row.is_number)
            entry = {{"value", row.value}, {"default", row.standard}, {"min", row.min},
                     {"max", row.max},     {"unit", row.unit},        {"help", row.help}};
        else
            entry = {{"value", row.text}, {"help", row.help}};
        entry["from"] = source_text(row);
        if (!row.sysctl.empty())
            entry["sysctl"] = row.sysctl;
    }
    print("{}\n", object.dump());
}

void show_table(const std::vector<Row>& rows)
{
    Table table("<><><<");
    table.add({"Name", "Value", "From", "Default", "Range", "Meaning"});
    for (const Row& row : rows)
        table.add({row.name, value_text(row), source_text(row), default_text(row), range_text(row),
                   row.help});
    print(table.text());
}

void get(const GetOptions& options)
{
    Control control;
    std::vector<Row> rows;
    if (options.names.empty())
        rows = control.parameters();
    for (const std::string& name : options.names)
        rows.push_back(control.parameter(name));
    if (options.json)
        return show_json(rows);
    if (!options.raw)
        return show_table(rows);
    for (const Row& row : rows)
        print("{}\n", row.is_number ? std::to_string(row.value) : row.text);
}

} // namespace

void add_get(CLI::App& program)
{
    auto options = std::make_shared<GetOptions>();
    CLI::App* command = program.add_subcommand("get", "Show this network namespace's defaults");
    command->add_option("name", options->names, "Only these");
    command->add_flag("-r,--raw", options->raw,
                      "Values alone, times in microseconds and sizes in bytes");
    command->add_flag("--json", options->json, "As a JSON object");
    command->callback([options] { get(*options); });
}

} // namespace sluice
