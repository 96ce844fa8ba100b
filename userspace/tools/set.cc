// SPDX-License-Identifier: GPL-2.0
// sluice set: a default of this network namespace, or, after the addresses of
// both ends, something of a live connection.
#include "commands.h"
#include "connection.h"
#include "control.h"
#include "failure.h"
#include "units.h"

#include <climits>
#include <iostream>
#include <memory>
#include <span>

namespace sluice
{

namespace
{

// "-": from standard input, as every user can read what commands are given.
std::string value_of(const std::string& word)
{
    if (word != "-")
        return word;
    std::string line;
    if (!std::getline(std::cin, line))
        throw usage_error("'-' takes the value from standard input, and there is none");
    return line;
}

void set_default(const std::string& name, const std::string& word)
{
    Control control;
    std::string value = value_of(word);
    if (value == "default")
        return control.reset(name);
    Row row = control.parameter(name);
    if (!row.is_number)
        return control.set(name, value);
    uint64_t number = parse_quantity(value, row.unit);
    if (number < row.min || number > row.max)
        throw Failure(fmt::format("{}: {} is out of range ({} to {})", name, value,
                                  format_quantity(row.min, row.unit),
                                  format_quantity(row.max, row.unit)));
    control.set(name, number);
}

uint32_t buffer_size(const std::string& text)
{
    uint64_t size = parse_quantity(text, "bytes");
    if (size == 0 || size > INT_MAX)
        throw usage_error(fmt::format("'{}' is no size of a buffer", text));
    return static_cast<uint32_t>(size);
}

void set_connection(std::span<const std::string> words)
{
    sluice_diag_id id = connection_id(words[0], words[1]);
    std::string cc;
    uint32_t send_buffer = 0, receive_buffer = 0;
    for (size_t i = 2; i < words.size(); i += 2) {
        const std::string &what = words[i], &value = words[i + 1];
        if (what == "cc")
            cc = value;
        else if (what == "sndbuf")
            send_buffer = buffer_size(value);
        else if (what == "rcvbuf")
            receive_buffer = buffer_size(value);
        else
            throw usage_error(
                fmt::format("of a connection cc, sndbuf and rcvbuf can be set, not '{}'", what));
    }
    Control().set_connection(id, cc, send_buffer, receive_buffer);
}

void set(const std::vector<std::string>& words)
{
    if (words.size() == 2)
        return set_default(words[0], words[1]);
    if (words.size() < 4 || words.size() % 2)
        throw usage_error("set takes NAME VALUE, or LOCAL:PORT REMOTE:PORT and then "
                          "cc NAME, sndbuf SIZE or rcvbuf SIZE (see sluice set --help)");
    set_connection(words);
}

} // namespace

void add_set(CLI::App& program)
{
    auto words = std::make_shared<std::vector<std::string>>();
    CLI::App* command = program.add_subcommand(
        "set", "Change a default of this network namespace, or a live connection");
    command->footer("  sluice set NAME VALUE\n"
                    "  sluice set NAME default\n"
                    "  sluice set LOCAL:PORT REMOTE:PORT [cc NAME] [sndbuf SIZE] [rcvbuf SIZE]\n\n"
                    "Names are those of 'sluice get', algorithms those of 'sluice cc'; 'default'\n"
                    "takes back what was set, and the sysctl, if there is one, counts again.\n"
                    "A VALUE of '-' is read from standard input: for secrets.\n"
                    "Times take us, ms, s or min (1.5s), sizes K, M or G (1M is 1048576 bytes).\n"
                    "Needs CAP_NET_ADMIN in the network namespace.");
    command->add_option("words", *words, "What to set, and to what")->type_name("WORD");
    command->callback([words] { set(*words); });
}

} // namespace sluice
