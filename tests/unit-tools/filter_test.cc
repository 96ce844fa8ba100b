// SPDX-License-Identifier: GPL-2.0
// The filter language of sluice ss.
#include "expect.h"
#include "filter.h"
#include "states.h"

#include <arpa/inet.h>

#include <cstring>

using namespace sluice;

namespace
{

void put_address(uint8_t out[16], const char* text)
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    if (inet_pton(AF_INET6, text, out) == 1)
        return;
    std::memcpy(out, mapped, sizeof(mapped));
    cr_assert(inet_pton(AF_INET, text, out + 12) == 1);
}

struct Sample {
    const char* src = "10.0.0.1";
    uint16_t sport = 80;
    const char* dst = "192.168.7.9";
    uint16_t dport = 40000;
    uint8_t state = 1;
    uint32_t uid = 1000;
    uint32_t protocol = SLUICE_PROTO_STREAM;
};

sluice_socket socket_of(const Sample& sample)
{
    sluice_socket s{};
    s.msg.state = sample.state;
    s.msg.uid = sample.uid;
    s.msg.id.protocol = sample.protocol;
    s.msg.id.sport = htons(sample.sport);
    s.msg.id.dport = htons(sample.dport);
    put_address(s.msg.id.src, sample.src);
    put_address(s.msg.id.dst, sample.dst);
    return s;
}

void expect_match(const char* filter, bool wanted, const Sample& sample = {})
{
    bool got = parse_filter(filter).matches(socket_of(sample));
    cr_expect(got == wanted, "'%s' %s", filter, got ? "matches" : "doesn't match");
}

} // namespace

Test(filter, empty_matches_all)
{
    expect_match("", true);
    expect_match("  ", true);
}

Test(filter, ports_compare)
{
    expect_match("sport = :80", true);
    expect_match("sport = 80", true);
    expect_match("sport = *:80", true);
    expect_match("sport :80", true);
    expect_match("sport=:80", true);
    expect_match("sport == 81", false);
    expect_match("sport != 80", false);
    expect_match("sport ne 81", true);
    expect_match("dport > 39999", true);
    expect_match("dport > 40000", false);
    expect_match("dport >= 40000", true);
    expect_match("dport ge 40001", false);
    expect_match("dport < 40000", false);
    expect_match("dport<=40000", true);
    expect_match("dport lt 40001", true);
}

Test(filter, addresses_match_by_prefix_and_port)
{
    expect_match("src 10.0.0.1", true);
    expect_match("src = 10.0.0.1:80", true);
    expect_match("src 10.0.0.1:81", false);
    expect_match("src 10.0.0.2", false);
    expect_match("src 10.0.0.0/8", true);
    expect_match("src 10.0.0.0/8:80", true);
    expect_match("src 11.0.0.0/8", false);
    expect_match("src 10.0.0.0/31", true);
    expect_match("src 10.0.0.2/31", false);
    expect_match("src 0.0.0.0/0", true);
    expect_match("dst != 192.168.0.0/16", false);
    expect_match("dst :40000", true);
    expect_match("dst *", true);
    expect_match("dst *:40000", true);
}

Test(filter, ipv6_addresses_match)
{
    Sample six{.src = "2001:db8::1", .dst = "fe80::1"};
    expect_match("src 2001:db8::1", true, six);
    expect_match("src [2001:db8::1]:80", true, six);
    expect_match("src [2001:db8::1]:81", false, six);
    expect_match("src 2001:db8::/32", true, six);
    expect_match("src [2001:db9::]/32", false, six);
    expect_match("src 2001:db8::/31", true, six);
    expect_match("dst fe80::/10", true, six);
    expect_match("src 0.0.0.0/0", false, six);
    expect_match("src ::/0", true, six);
    expect_match("src ::ffff:10.0.0.1", true);
}

Test(filter, and_binds_tighter_than_or)
{
    expect_match("sport 80 or sport 81 and dport 1", true);
    expect_match("( sport 80 or sport 81 ) and dport 1", false);
    expect_match("(sport 80|sport 81)&dport 40000", true);
    expect_match("sport 1 && dport 40000 || uid 1000", true);
}

Test(filter, and_may_be_left_out)
{
    expect_match("sport 80 dport 40000", true);
    expect_match("sport 80 dport 1", false);
    expect_match("state established sport 80", true);
}

Test(filter, not_negates_the_next_factor_only)
{
    expect_match("not sport 81", true);
    expect_match("! sport 80", false);
    expect_match("!sport 80 or dport 40000", true);
    expect_match("not not sport 80", true);
    expect_match("not ( sport 81 or dport 1 )", true);
}

Test(filter, states_by_name)
{
    expect_match("state established", true);
    expect_match("state estab", true);
    expect_match("state listening", false);
    expect_match("exclude established", false);
    expect_match("state connected", true);
    expect_match("state FIN_WAIT_1", true, {.state = 4});
    cr_expect(parse_filter("not state listening").names_states);
    cr_expect(!parse_filter("sport 80").names_states);
}

Test(filter, users)
{
    expect_match("uid 1000", true);
    expect_match("uid != 1000", false);
    expect_match("uid = 0", false);
}

Test(filter, wires)
{
    Sample real;
    real.protocol = SLUICE_PROTO_TCP;
    expect_match("wire tcp", true, real);
    expect_match("wire = native", false, real);
    expect_match("wire != tcp", false, real);
    expect_match("wire native", true);
    expect_match("wire tcp", false);
}

Test(filter, mistakes_are_named)
{
    expect_usage_error([] { parse_filter("wire copper"); }, "native or tcp");
    expect_usage_error([] { parse_filter("foo"); }, "'foo'");
    expect_usage_error([] { parse_filter("sport"); }, "a port is missing");
    expect_usage_error([] { parse_filter("sport ="); }, "a port is missing");
    expect_usage_error([] { parse_filter("sport = 65536"); }, "no port");
    expect_usage_error([] { parse_filter("sport = -1"); }, "no port");
    expect_usage_error([] { parse_filter("sport 80 or"); }, "missing at the end");
    expect_usage_error([] { parse_filter("( sport 80"); }, "')'");
    expect_usage_error([] { parse_filter("sport 80 )"); }, "not expected");
    expect_usage_error([] { parse_filter("src > 10.0.0.1"); }, "only = and !=");
    expect_usage_error([] { parse_filter("src 10.0.0"); }, "no address");
    expect_usage_error([] { parse_filter("src 10.0.0.0/33"); }, "prefix");
    expect_usage_error([] { parse_filter("src ::/129"); }, "prefix");
    expect_usage_error([] { parse_filter("src [::1"); }, "lacks");
    expect_usage_error([] { parse_filter("src /8"); }, "prefix");
    expect_usage_error([] { parse_filter("state nonsense"); }, "unknown state");
    expect_usage_error([] { parse_filter("uid x"); }, "user");
    expect_usage_error([] { parse_filter(std::string(100000, '(')); }, "nested");
    expect_usage_error([] { parse_filter(std::string(100000, '!')); }, "nested");
}

Test(states, names_and_groups)
{
    cr_expect(parse_states("all") == all_states);
    cr_expect(parse_states("established") == state_bit(1));
    cr_expect(parse_states("Time-Wait") == state_bit(6));
    cr_expect((parse_states("connected") & state_bit(state_listen)) == 0);
    cr_expect((default_states & (state_bit(state_listen) | state_bit(6))) == 0);
    for (unsigned state = 1; state <= 11; state++)
        cr_expect(parse_states(state_name(state)) == state_bit(state), "%u", state);
}
