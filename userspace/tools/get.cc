// SPDX-License-Identifier: GPL-2.0
// sluice get: the defaults of this network namespace, or, after the addresses of
// both ends, what sluice set can change of a live connection.
#include "commands.h"
#include "connection.h"
#include "control.h"
#include "failure.h"
#include "output.h"
#include "table.h"
#include "units.h"

#include <linux/sock_diag.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <memory>
#include <span>

namespace sluice
{

namespace
{

struct GetOptions {
    std::vector<std::string> words;
    bool raw = false, json = false;
};

// A connection's settings have neither origin, default nor range.
enum class Of { Namespace, Connection };

std::string value_text(const Row& row)
{
    if (row.is_hidden)
        return "(hidden)";
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

nlohmann::ordered_json json_of(const Row& row, Of of)
{
    nlohmann::ordered_json entry;
    if (row.is_number)
        entry["value"] = row.value;
    else if (row.is_hidden)
        entry["value"] = nullptr;
    else
        entry["value"] = row.text;
    if (row.is_number && of == Of::Namespace)
        entry.update({{"default", row.standard}, {"min", row.min}, {"max", row.max}});
    if (row.is_number)
        entry["unit"] = row.unit;
    entry["help"] = row.help;
    if (of == Of::Namespace)
        entry["from"] = source_text(row);
    if (!row.sysctl.empty())
        entry["sysctl"] = row.sysctl;
    return entry;
}

void show_json(const std::vector<Row>& rows, Of of)
{
    auto object = nlohmann::ordered_json::object();
    for (const Row& row : rows)
        object[row.name] = json_of(row, of);
    print("{}\n", object.dump());
}

void show_table(const std::vector<Row>& rows, Of of)
{
    bool all = of == Of::Namespace;
    Table table(all ? "<><><<" : "<><");
    auto add = [&](std::vector<std::string> line, std::vector<std::string> more, std::string last) {
        if (all)
            line.insert(line.end(), more.begin(), more.end());
        line.push_back(last);
        table.add(line);
    };
    add({"Name", "Value"}, {"From", "Default", "Range"}, "Meaning");
    for (const Row& row : rows)
        add({row.name, value_text(row)}, {source_text(row), default_text(row), range_text(row)},
            row.help);
    print(table.text());
}

void show(const GetOptions& options, const std::vector<Row>& rows, Of of)
{
    if (options.json)
        return show_json(rows, of);
    if (!options.raw)
        return show_table(rows, of);
    for (const Row& row : rows)
        print("{}\n", row.is_number ? std::to_string(row.value) : row.text);
}

void get_defaults(const GetOptions& options)
{
    Control control;
    std::vector<Row> rows;
    if (options.words.empty())
        rows = control.parameters();
    for (const std::string& name : options.words)
        rows.push_back(control.parameter(name));
    show(options, rows, Of::Namespace);
}

// ---- of a connection ----

constexpr uint16_t wanted = 1 << (SLUICE_DIAG_CONG - 1) | 1 << (SLUICE_DIAG_MEMINFO - 1);

// Only what sluice set finds: no listener, and nothing that has no socket.
sluice_socket find_connection(const sluice_diag_id& id)
{
    sluice_socket found;
    int error = sluice_find_socket(Control().family(), &id, wanted, &found);
    if (error && error != -ENOENT)
        throw system_failure("sock_diag", error);
    if (error || !id.dport || !found.has_meminfo)
        throw Failure(fmt::format("{}: no such connection", connection_name(id)));
    return found;
}

Row named(const char* name, const char* help)
{
    Row row;
    row.name = name;
    row.help = help;
    return row;
}

Row buffer_row(const char* name, const char* help, uint32_t size)
{
    Row row = named(name, help);
    row.unit = "bytes";
    row.value = size;
    row.is_number = true;
    return row;
}

std::vector<Row> rows_of(const sluice_socket& s)
{
    Row cc = named("cc", "congestion-control algorithm");
    cc.text = s.cc;
    return {
        cc,
        buffer_row("sndbuf", "send buffer, as SO_SNDBUF tells it", s.meminfo[SK_MEMINFO_SNDBUF]),
        buffer_row("rcvbuf", "receive buffer, as SO_RCVBUF tells it",
                   s.meminfo[SK_MEMINFO_RCVBUF])};
}

std::vector<Row> chosen(const std::vector<Row>& rows, std::span<const std::string> names)
{
    std::vector<Row> some;
    for (const std::string& name : names) {
        auto row = std::ranges::find(rows, name, &Row::name);
        if (row == rows.end())
            throw Failure(
                fmt::format("of a connection cc, sndbuf and rcvbuf can be shown, not '{}'", name));
        some.push_back(*row);
    }
    return names.empty() ? rows : some;
}

void get_connection(const GetOptions& options)
{
    std::span<const std::string> words = options.words;
    if (words.size() < 2)
        throw usage_error("get takes names, or LOCAL:PORT REMOTE:PORT and then names "
                          "(see sluice get --help)");
    sluice_socket found = find_connection(connection_id(words[0], words[1]));
    show(options, chosen(rows_of(found), words.subspan(2)), Of::Connection);
}

// No parameter's name has a colon, every address has one.
void get(const GetOptions& options)
{
    if (!options.words.empty() && options.words[0].find(':') != std::string::npos)
        return get_connection(options);
    get_defaults(options);
}

} // namespace

void add_get(CLI::App& program)
{
    auto options = std::make_shared<GetOptions>();
    CLI::App* command = program.add_subcommand(
        "get", "Show this network namespace's defaults, or a live connection's settings");
    command->footer("  sluice get [NAME...]\n"
                    "  sluice get LOCAL:PORT REMOTE:PORT [cc] [sndbuf] [rcvbuf]");
    command
        ->add_option("words", options->words, "Only these; after a connection's addresses, of it")
        ->type_name("NAME");
    command->add_flag("-r,--raw", options->raw,
                      "Values alone, times in microseconds and sizes in bytes");
    command->add_flag("--json", options->json, "As a JSON object");
    command->callback([options] { get(*options); });
}

} // namespace sluice
