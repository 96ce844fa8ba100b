// SPDX-License-Identifier: GPL-2.0
// Seeded soak: thousands of connections over paths that do everything that a
// path may do, between applications that end as they like. What must hold is
// in soak.cc. SLUICE_SEED=n replays one seed with its packets printed,
// SLUICE_SEEDS=n sets how many run, SLUICE_FIRST_SEED=n where they begin.
#include <criterion/criterion.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <unistd.h>

#include "soak.h"

using namespace sluice;
using namespace sluice::test;

extern "C" void __sanitizer_set_death_callback(void (*)());

namespace
{

uint64_t current_seed;

uint64_t number(const char* name, uint64_t otherwise)
{
    const char* text = getenv(name);
    return text ? strtoull(text, nullptr, 0) : otherwise;
}

// The simulator aborts where the core breaks the host's contract.
void tell_seed()
{
    char text[80];
    int n = snprintf(text, sizeof(text), "soak: replay this with SLUICE_SEED=%lu\n", current_seed);
    (void)!write(2, text, static_cast<size_t>(n));
}

void tell_seed_and_die(int signal_number)
{
    tell_seed();
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

struct Sums {
    uint64_t connections = 0, bytes = 0, events = 0, clean = 0;
    uint64_t retransmitted = 0, timeouts = 0;
};

std::string soak(uint64_t seed, bool verbose, Sums& sums)
{
    current_seed = seed;
    Soak run(seed, verbose);
    std::string wrong = run.run();
    sums.connections += run.connections();
    sums.bytes += run.bytes();
    sums.events += run.events();
    sums.clean += run.clean();
    sums.retransmitted += run.counter(SLUICE_CNT_retrans_segs);
    sums.timeouts += run.counter(SLUICE_CNT_rto_timeouts);
    if (verbose || !wrong.empty())
        fprintf(stderr, "soak: SLUICE_SEED=%lu: %s\n", seed, run.plan.c_str());
    if (verbose)
        for (const std::string& line : run.log())
            fprintf(stderr, "%s\n", line.c_str());
    return wrong;
}

} // namespace

Test(soak, every_stream_arrives_as_it_was_sent)
{
    signal(SIGABRT, tell_seed_and_die);
    __sanitizer_set_death_callback(tell_seed);
    Sums sums;
    uint64_t failures = 0;
    bool replay = getenv("SLUICE_SEED");
    uint64_t first = number("SLUICE_SEED", number("SLUICE_FIRST_SEED", 1));
    uint64_t count = replay ? 1 : number("SLUICE_SEEDS", 1500);
    for (uint64_t seed = first; seed < first + count; seed++) {
        std::string wrong = soak(seed, replay, sums);
        if (!wrong.empty()) {
            fprintf(stderr, "soak: SLUICE_SEED=%lu: %s\n", seed, wrong.c_str());
            failures++;
        }
    }
    fprintf(stderr,
            "soak: %lu seeds, %lu connections, %lu MB, %lu events, %lu segments retransmitted, "
            "%lu timeouts, %lu seeds with an orderly end\n",
            count, sums.connections, sums.bytes >> 20, sums.events, sums.retransmitted,
            sums.timeouts, sums.clean);
    cr_assert_eq(failures, 0, "%lu seeds failed", failures);
    if (count >= 1000) {
        cr_assert_gt(sums.clean, count / 5, "too few orderly connections to mean anything");
        cr_assert_gt(sums.retransmitted, count, "too little was lost to mean anything");
    }
}
