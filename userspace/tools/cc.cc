// SPDX-License-Identifier: GPL-2.0
// sluice cc: the congestion-control algorithms that can be chosen.
#include "commands.h"
#include "control.h"
#include "output.h"

#include <nlohmann/json.hpp>

#include <memory>

namespace sluice
{

namespace
{

void list_algorithms(bool json)
{
    std::vector<Row> rows = Control().algorithms();
    auto array = nlohmann::ordered_json::array();
    for (const Row& row : rows) {
        array.push_back({{"name", row.name}, {"default", row.is_default}});
        if (!json)
            print("{}{}\n", row.name, row.is_default ? " (default)" : "");
    }
    if (json)
        print("{}\n", array.dump());
}

} // namespace

void add_cc(CLI::App& program)
{
    auto json = std::make_shared<bool>(false);
    CLI::App* command = program.add_subcommand("cc", "List the congestion-control algorithms");
    command->footer("'sluice set congestion_control NAME' chooses the default of this namespace.");
    command->add_flag("--json", *json, "As a JSON array");
    command->callback([json] { list_algorithms(*json); });
}

} // namespace sluice
