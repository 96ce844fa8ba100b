// SPDX-License-Identifier: GPL-2.0
// The sluice program: picks the subcommand, and turns every way to fail into
// one line on standard error and an exit status (1 failed, 2 wrong usage).
#include "commands.h"
#include "control.h"
#include "failure.h"
#include "help.h"
#include "output.h"

#include <algorithm>
#include <clocale>
#include <csignal>
#include <cstdio>

namespace sluice
{

namespace
{

// The tools' version and, where the module is loaded, what it says of itself.
std::string version_text()
{
    std::string text = "sluice 0.1\n";
    try {
        Control control;
        std::string module = control.module_version();
        text += fmt::format("module {}, AF_SLUICE is {}\n", module.empty() ? "loaded" : module,
                            control.family());
    } catch (const Failure&) {
        text += "the module is not loaded\n";
    }
    return text;
}

int complain(const std::string& line, int status)
{
    fmt::print(stderr, "sluice: {}\n", line);
    return status;
}

// "help COMMAND" is what a user of other programs may type.
std::vector<std::string> words_of(int argc, char** argv)
{
    std::vector<std::string> words(argv + 1, argv + argc);
    if (!words.empty() && words[0] == "help") {
        words.erase(words.begin());
        words.push_back("--help");
    }
    drop_dashes_of_run(words);
    return words;
}

int run(int argc, char** argv)
{
    CLI::App program("Moves data over Sluice, and looks into and steers its connections.",
                     "sluice");
    program.formatter(std::make_shared<Help>());
    program.set_version_flag("-V,--version", "");
    program.require_subcommand(0, 1); // a wrong one is better named than asked for
    add_send(program);
    add_recv(program);
    add_run(program);
    add_ss(program);
    add_stat(program);
    add_get(program);
    add_set(program);
    add_cc(program);
    program.footer("'sluice COMMAND --help' explains a command.");
    bool asked = false; // for help or the version
    try {
        std::vector<std::string> words = words_of(argc, argv);
        std::reverse(words.begin(), words.end()); // as CLI11 wants them
        program.parse(std::move(words));
    } catch (const CLI::CallForHelp&) {
        if (program.get_subcommands().empty() && program.remaining_size() > 0)
            throw wrong_words(program, CLI::ExtrasError("sluice", program.remaining()));
        asked = true;
        print(program.help());
    } catch (const CLI::CallForVersion&) {
        asked = true;
        print(version_text());
    } catch (const CLI::ParseError& error) {
        throw wrong_words(program, error);
    }
    if (program.get_subcommands().empty() && !asked)
        throw usage_error("which command? (see sluice --help)");
    flush_output();
    return 0;
}

} // namespace

} // namespace sluice

int main(int argc, char** argv)
{
    std::signal(SIGPIPE, SIG_IGN);
    try {
        return sluice::run(argc, argv);
    } catch (const sluice::Failure& failure) {
        return sluice::complain(failure.what(), failure.status());
    } catch (const std::exception& error) {
        return sluice::complain(error.what(), sluice::exit_failed);
    }
}
