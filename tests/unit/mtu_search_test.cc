// SPDX-License-Identifier: GPL-2.0
// The path asked for its MTU (RFC 4821): paths that drop what is too large
// without a word.
#include <algorithm>
#include <tuple>
#include <utility>

#include <criterion/criterion.h>

#include "lab_test.h"

using namespace sluice;
using namespace sluice::test;

namespace
{

constexpr uint32_t timestamps = 12, header = 20 + timestamps;
constexpr uint32_t most = 1460 - timestamps; // that Ethernet takes

// A connection of which one direction drops segments with more payload than `takes`.
struct Path : lab::Pair {
    explicit Path(uint64_t probing, uint32_t takes = most, uint64_t base = 1024)
        : Pair(1, {.rate = 12.5e6, .delay = 10000, .queue = 1000})
    {
        a.config().mtu_probing = probing;
        a.config().base_mss = base;
        std::tie(client, server) = connected();
        limit(takes);
    }

    void limit(uint32_t payload) { forth.set.mtu = payload + header; }
    bool send(size_t bytes, uint64_t within = 3600 * second)
    {
        return transfer(*this, *client, *server, pattern(bytes), within);
    }
    uint32_t mss() const { return client->info().snd_mss; }
    uint64_t count(sluice_counter c) const { return a.counter(c); }
    void expect_found(uint32_t takes) const
    {
        cr_assert_leq(mss(), takes);
        cr_assert_gt(mss() + 8, takes);
    }
    void expect_no_congestion() const
    {
        cr_assert_eq(count(SLUICE_CNT_fast_retransmits), 0);
        cr_assert_eq(count(SLUICE_CNT_rto_timeouts), 0);
    }

    Socket *client, *server;
};

} // namespace

// ---- black holes (7.7) ----

Test(mtu_search, black_hole_swallows_everything_by_default)
{
    Path p(0, 1300);
    cr_assert_not(p.send(100000, 60 * second));
    cr_assert_eq(p.server->info().bytes_received, 0);
    cr_assert_eq(p.count(SLUICE_CNT_mtu_probes), 0);
}

Test(mtu_search, black_hole_is_left_by_smaller_segments)
{
    Path p(1, 1300);
    cr_assert(p.send(3000000, 60 * second));
    cr_assert_eq(p.count(SLUICE_CNT_mtu_black_holes), 1);
    p.expect_found(1300);
}

Test(mtu_search, segments_are_halved_until_they_arrive)
{
    Path p(1, 300);
    cr_assert(p.send(1000000, 600 * second));
    cr_assert_eq(p.count(SLUICE_CNT_mtu_black_holes), 3, "1024, 512, 256");
    p.expect_found(300);
}

Test(mtu_search, segments_get_no_smaller_than_the_floor)
{
    Path p(1, 47);
    p.a.config().retries2 = 8;
    p.a.config().mtu_probe_floor = 100;
    cr_assert_not(p.send(10000));
    cr_assert_eq(p.client->error, 110);
    cr_assert_eq(p.mss(), 100);
}

Test(mtu_search, segments_get_no_smaller_than_any_may_be)
{
    Path p(1, 47);
    p.a.config().retries2 = 8;
    p.a.config().min_snd_mss = 100;
    cr_assert_not(p.send(10000));
    cr_assert_eq(p.mss(), 100);
}

Test(mtu_search, path_that_works_is_asked_nothing)
{
    Path p(1);
    cr_assert(p.send(3000000));
    cr_assert_eq(p.count(SLUICE_CNT_mtu_probes), 0);
    cr_assert_eq(p.mss(), most);
}

Test(mtu_search, black_hole_is_left_for_the_base_that_is_set)
{
    Path p(1, 650, 600);
    cr_assert(p.send(10000, 60 * second));
    cr_assert_eq(p.count(SLUICE_CNT_mtu_black_holes), 1);
    cr_assert(p.mss() >= 600 && p.mss() <= 650, "%u", p.mss());
}

// tcp_retries1
Test(mtu_search, black_hole_is_suspected_after_as_many_timeouts_as_told)
{
    for (uint64_t retries : {1, 5}) {
        Path p(1, 1300);
        p.a.config().retries1 = retries;
        uint64_t timeouts = 0;
        p.client->write(pattern(10000));
        cr_assert(p.sim.run_until(
            [&] {
                timeouts = p.count(SLUICE_CNT_rto_timeouts);
                return p.count(SLUICE_CNT_mtu_black_holes) > 0;
            },
            60 * second));
        cr_assert_eq(timeouts, retries + 1, "%lu, not %lu", timeouts, retries + 1);
    }
}

// ---- probes (7.2 to 7.6) ----

Test(mtu_search, begins_with_the_base_and_ends_at_what_the_route_says)
{
    Path p(2);
    cr_assert_eq(p.mss(), 1024);
    cr_assert(p.send(10000000));
    p.expect_found(most);
    cr_assert_geq(p.count(SLUICE_CNT_mtu_probe_successes), 5);
    cr_assert_eq(p.count(SLUICE_CNT_mtu_probe_failures), 0);
    p.expect_no_congestion();
}

Test(mtu_search, begins_no_smaller_than_any_may_be)
{
    lab::Pair p;
    p.a.config().mtu_probing = 2;
    p.a.config().base_mss = 600;
    p.a.config().min_snd_mss = 700;
    auto [client, server] = p.connected();
    cr_assert_eq(client->info().snd_mss, 700 - timestamps);
}

Test(mtu_search, loss_of_a_probe_alone_is_no_congestion)
{
    for (uint64_t sack : {1, 0}) {
        Path p(2, 1200);
        if (!sack) {
            p.a.config().sack = 0;
            p.b.config().sack = 0;
            std::tie(p.client, p.server) = p.connected();
        }
        cr_assert(p.send(30000000));
        p.expect_found(1200);
        cr_assert_gt(p.count(SLUICE_CNT_mtu_probe_failures), 0);
        cr_assert_eq(p.count(SLUICE_CNT_mtu_probe_failures) +
                         p.count(SLUICE_CNT_mtu_probe_successes),
                     p.count(SLUICE_CNT_mtu_probes));
        p.expect_no_congestion();
    }
}

Test(mtu_search, loss_of_more_than_the_probe_is_congestion)
{
    Path p(2, 1200);
    bool before = false; // the one before was too large
    p.limit(most);
    p.forth.drop = [&](const Packet& packet) {
        bool too_large = packet.bytes.size() > 1200 + header;
        return std::exchange(before, too_large) || too_large;
    };
    cr_assert(p.send(5000000));
    cr_assert_gt(p.count(SLUICE_CNT_fast_retransmits), 0);
    cr_assert_leq(p.mss(), 1200, "what arrives in smaller pieces proves nothing");
}

Test(mtu_search, probe_is_one_segment_of_its_own)
{
    Path p(2);
    std::vector<uint32_t> lengths;
    p.forth.observer = [&](const Packet& packet) { lengths.push_back(parse(packet).length); };
    cr_assert(p.send(200000));
    uint32_t first = (1024 + most + 1) / 2;
    auto it = std::find_if(lengths.begin(), lengths.end(), [](uint32_t n) { return n > 1024; });
    cr_assert(it != lengths.end());
    cr_assert_eq(*it, first);
    for (int i = 1; i <= 3; i++)
        cr_assert_eq(it[i], 1024, "what shows its loss follows it");
}

Test(mtu_search, little_data_is_no_probe)
{
    Path p(2);
    for (int i = 0; i < 50; i++)
        cr_assert(p.send(4000));
    cr_assert_eq(p.count(SLUICE_CNT_mtu_probes), 0);
    cr_assert_eq(p.mss(), 1024);
}

Test(mtu_search, goes_on_when_the_path_may_have_changed)
{
    Path p(2, 1200);
    p.a.config().mtu_probe_interval = 60 * second;
    cr_assert(p.send(10000000));
    p.expect_found(1200);
    uint64_t probes = p.count(SLUICE_CNT_mtu_probes);
    p.limit(most);
    cr_assert(p.send(1000000));
    cr_assert_eq(p.count(SLUICE_CNT_mtu_probes), probes, "the search rests");
    p.sim.run_for(60 * second);
    cr_assert(p.send(5000000));
    p.expect_found(most);
}

// ---- what bounds it ----

Test(mtu_search, routers_that_tell_are_heard)
{
    Path p(2);
    cr_assert(p.send(3000000));
    p.limit(800 - timestamps);
    sluice_conn_path_mtu(&p.client->conn, 800, p.sim.now());
    cr_assert_eq(p.mss(), 800 - timestamps);
    cr_assert(p.send(1000000, 60 * second));
    cr_assert_eq(p.mss(), 800 - timestamps);
}

Test(mtu_search, peers_mss_is_never_exceeded)
{
    lab::Pair p(1, {.delay = 10000});
    p.a.config().mtu_probing = 2;
    p.b.mtu = 1240;
    auto [client, server] = p.connected();
    uint32_t largest = 0;
    p.forth.observer = [&](const Packet& packet) {
        largest = std::max(largest, parse(packet).length);
    };
    cr_assert(transfer(p, *client, *server, pattern(3000000)));
    cr_assert_gt(largest, 1180);
    cr_assert_leq(largest, 1200 - timestamps);
}

Test(mtu_search, bad_paths_lose_nothing)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        lab::Pair p(seed, {.delay = 5000, .jitter = 2000, .loss = 0.02, .reorder = 0.05});
        p.a.config().mtu_probing = p.b.config().mtu_probing = 1 + seed % 2;
        p.a.config().sack = seed % 4 < 2;
        auto [client, server] = p.connected();
        p.forth.set.mtu = static_cast<uint32_t>(400 + seed * 50);
        cr_assert(transfer(p, *client, *server, pattern(1000000)), "seed %lu", seed);
        cr_assert(transfer(p, *server, *client, pattern(1000000)), "seed %lu", seed);
    }
}
