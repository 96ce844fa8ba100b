// SPDX-License-Identifier: GPL-2.0
// sluice ss: the connections and listeners of this network namespace.
#include "commands.h"
#include "control.h"
#include "failure.h"
#include "filter.h"
#include "output.h"
#include "ss_show.h"
#include "states.h"

#include <unistd.h>

#include <chrono>
#include <memory>
#include <set>
#include <thread>
#include <tuple>

namespace sluice
{

namespace
{

constexpr uint16_t extension(unsigned attribute)
{
    return static_cast<uint16_t>(1 << (attribute - 1));
}

uint32_t wanted_states(const SsOptions& options, const Filter& filter)
{
    uint32_t states = 0;
    for (const std::string& name : options.states)
        states |= parse_states(name);
    if (options.listening)
        states |= state_bit(state_listen);
    if (options.all || (!states && filter.names_states))
        return all_states;
    return states ? states : default_states;
}

uint16_t wanted_extensions(const SsOptions& options)
{
    uint16_t wanted = extension(SLUICE_DIAG_LISTEN);
    if (options.info || options.json)
        wanted |= extension(SLUICE_DIAG_INFO) | extension(SLUICE_DIAG_CONG);
    if (options.memory || options.json)
        wanted |= extension(SLUICE_DIAG_MEMINFO);
    if (options.extended || options.json)
        wanted |= extension(SLUICE_DIAG_MARK) | extension(SLUICE_DIAG_SHUTDOWN) |
                  extension(SLUICE_DIAG_V6ONLY);
    return wanted;
}

// What a dump has told: sockets by cookie, what has no socket by its addresses.
class Collector
{
public:
    Collector(const Filter& filter, uint32_t states) : filter_(filter), states_(states) {}

    static void take(const sluice_socket* socket, void* self)
    {
        static_cast<Collector*>(self)->add(*socket);
    }

    std::vector<sluice_socket> sockets;

private:
    using Identity = std::tuple<uint64_t, std::string>;

    void add(const sluice_socket& s)
    {
        auto id = reinterpret_cast<const char*>(&s.msg.id);
        Identity identity{s.msg.cookie, s.msg.cookie ? "" : std::string(id, sizeof(s.msg.id))};
        if (!(states_ & state_bit(s.msg.state)) || !filter_.matches(s))
            return;
        if (seen_.insert(std::move(identity)).second)
            sockets.push_back(s);
    }

    const Filter& filter_;
    uint32_t states_;
    std::set<Identity> seen_;
};

void list_once(const SsOptions& options, const Filter& filter, uint16_t family)
{
    uint32_t states = wanted_states(options, filter);
    Collector found(filter, states);
    int error =
        sluice_each_socket(family, states, wanted_extensions(options), Collector::take, &found);
    if (error == -ENOENT)
        throw module_missing();
    if (error)
        throw system_failure("sock_diag", error);
    Owners owners;
    if (options.processes)
        owners = find_owners();
    print(options.json ? sockets_as_json(found.sockets, owners)
                       : sockets_as_text(found.sockets, owners, options));
}

std::string joined(const std::vector<std::string>& words)
{
    return fmt::format("{}", fmt::join(words, " "));
}

void list(const SsOptions& options)
{
    Filter filter = parse_filter(joined(options.filter));
    wanted_states(options, filter); // complains before anything is asked
    uint16_t family = Control().family();
    auto step = std::chrono::duration<double>(options.interval);
    for (;;) {
        if (options.interval > 0 && !options.json && isatty(STDOUT_FILENO))
            print("\033[H\033[2J");
        list_once(options, filter, family);
        flush_output();
        if (options.interval <= 0)
            return;
        std::this_thread::sleep_for(step);
    }
}

} // namespace

void add_ss(CLI::App& program)
{
    auto options = std::make_shared<SsOptions>();
    SsOptions& o = *options;
    CLI::App* command = program.add_subcommand("ss", "Show connections and listeners");
    command->add_option("-t,--state", o.states, "Only these states (a list with commas)")
        ->type_name("STATE")
        ->delimiter(',')
        ->allow_extra_args(false);
    command->add_flag("-l,--listening", o.listening, "Show listeners");
    command->add_flag("-a,--all", o.all, "Show all states: listeners, half-open, TIME-WAIT too");
    command->add_flag("-i,--info", o.info, "Show what each connection knows of itself");
    command->add_flag("-m,--memory", o.memory, "Show socket memory");
    command->add_flag("-o,--timers", o.timers, "Show the timer that is due next");
    command->add_flag("-e,--extended", o.extended, "Show user, inode and cookie");
    command->add_flag("-p,--processes", o.processes, "Show who holds each socket");
    command->add_flag("-H,--no-header", o.no_header, "Leave the heading out");
    command->add_flag("-n,--numeric")->description("Show numbers for ports, as ss does always");
    command->add_flag("--json", o.json, "One JSON array with everything (with -p, processes)");
    command->add_option("-w,--watch", o.interval, "Again and again")
        ->check(CLI::Range(0.01, 1e6).description(""))
        ->type_name("SECONDS");
    command->add_option("filter", o.filter, "As for ss(8): 'dport = :80 and src 10.0.0.0/8'")
        ->type_name("CONDITION");
    command->footer(
        "Conditions: sport, dport = != < <= > >= PORT; src, dst ADDRESS[/PREFIX][:PORT];\n"
        "state NAME, exclude NAME, uid NUMBER, wire = native or tcp; joined by and, or,\n"
        "not and ( ).\n"
        "States: established, syn-sent, syn-recv, fin-wait-1, fin-wait-2, time-wait,\n"
        "unconn, close-wait, last-ack, listen, closing; all, connected, synchronized.");
    command->callback([options] { list(*options); });
}

} // namespace sluice
