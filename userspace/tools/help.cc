// SPDX-License-Identifier: GPL-2.0
#include "help.h"

namespace sluice
{

std::string Help::make_usage(const CLI::App* command, std::string name) const
{
    std::string line = Formatter::make_usage(command, std::move(name));
    if (command->get_prefix_command())
        line.insert(line.find_last_not_of('\n') + 1, " PROGRAM [ARGUMENT...]");
    return line;
}

std::string Help::make_option_usage(const CLI::Option* option) const
{
    std::string name = make_option_name(option, true);
    return option->get_required() ? name : fmt::format("[{}]", name);
}

std::string Help::make_option_name(const CLI::Option* option, bool is_positional) const
{
    if (!is_positional)
        return option->get_name(false, true);
    return option->get_type_name() + (option->get_expected_max() > 1 ? "..." : "");
}

// The value's kind. What excludes or needs another says so when it is missed.
std::string Help::make_option_opts(const CLI::Option* option) const
{
    bool says_more = option->nonpositional() && option->get_type_size() != 0;
    return says_more ? " " + option->get_type_name() : "";
}

namespace
{

// CLI11 may say a thing in several lines.
std::string first_line(const std::string& text)
{
    return text.substr(0, text.find('\n'));
}

std::string missing_word(const CLI::App& command)
{
    for (const CLI::Option* option : command.get_options())
        if (option->get_required() && option->count() == 0)
            return option->get_type_name();
    return "a word";
}

std::string unexpected(const CLI::App& command, bool is_program)
{
    std::vector<std::string> words = command.remaining(true);
    std::string word = words.empty() ? "a word" : words[0];
    return (is_program && !word.starts_with('-') ? "no such command: " : "not expected: ") + word;
}

} // namespace

Failure wrong_words(CLI::App& program, const CLI::ParseError& error)
{
    std::vector<CLI::App*> parsed = program.get_subcommands();
    const CLI::App& command = parsed.empty() ? program : *parsed[0];
    std::string line = first_line(error.what());
    if (dynamic_cast<const CLI::RequiredError*>(&error))
        line = missing_word(command) + " is missing";
    else if (dynamic_cast<const CLI::ExtrasError*>(&error))
        line = unexpected(command, parsed.empty());
    std::string name = parsed.empty() ? "" : " " + command.get_name();
    return usage_error(fmt::format("{} (see sluice{} --help)", line, name));
}

} // namespace sluice
