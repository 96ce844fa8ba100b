// SPDX-License-Identifier: GPL-2.0
// libsluice: addresses as text.
#include "expect.h"

#include <libsluice.h>

#include <arpa/inet.h>

#include <cstring>

using namespace sluice;

namespace
{

sockaddr_sluice parse(const char* text, bool passive)
{
    sockaddr_sluice list[4] = {};
    unsigned count = 4;
    const char* wrong = sluice_parse_address(text, passive, list, &count);
    cr_assert(!wrong, "'%s': %s", text, wrong);
    cr_assert(count >= 1 && count <= 4);
    return list[0];
}

void expect_round_trip(const char* text, bool passive, const char* wanted)
{
    sockaddr_sluice a = parse(text, passive);
    char formatted[SLUICE_ADDRESS_TEXT];
    expect_text(sluice_format_address(a.ssl_addr.s6_addr, a.ssl_scope_id, a.ssl_port, formatted),
                wanted);
}

void expect_refused(const char* text, bool passive)
{
    sockaddr_sluice list[1];
    unsigned count = 1;
    cr_expect(sluice_parse_address(text, passive, list, &count) != nullptr, "accepted '%s'", text);
}

} // namespace

Test(address, ipv4_becomes_v4_mapped)
{
    sockaddr_sluice a = parse("192.0.2.1:80", false);
    cr_expect(IN6_IS_ADDR_V4MAPPED(&a.ssl_addr));
    cr_expect(ntohs(a.ssl_port) == 80);
    expect_round_trip("192.0.2.1:80", false, "192.0.2.1:80");
}

Test(address, ipv6_stands_in_brackets)
{
    expect_round_trip("[2001:db8::1]:443", false, "[2001:db8::1]:443");
    expect_refused("2001:db8::1:443", false);
    expect_refused("[2001:db8::1]", false);
    expect_refused("[2001:db8::1", false);
}

Test(address, any_address_only_to_listen)
{
    expect_round_trip("5000", true, "*:5000");
    expect_round_trip(":5000", true, "*:5000");
    expect_round_trip("*:5000", true, "*:5000");
    expect_refused("5000", false);
    expect_refused(":5000", false);
}

Test(address, link_local_scope_survives)
{
    sockaddr_sluice a = parse("[fe80::1%lo]:9", false);
    cr_expect(a.ssl_scope_id != 0);
    expect_round_trip("[fe80::1%lo]:9", false, "[fe80::1%lo]:9");
}

Test(address, nonsense_is_refused)
{
    for (const char* text : {"", "host:", "10.0.0.1:", "10.0.0.1:x", "[::1]x:5", "[]:5"})
        expect_refused(text, false);
    expect_refused(std::string(5000, 'a').append(":1").c_str(), false);
}

Test(address, room_in_the_list_is_kept_to)
{
    sockaddr_sluice list[2];
    std::memset(list, 0x5a, sizeof(list));
    unsigned count = 1;
    cr_expect(sluice_parse_address("localhost:1", false, list, &count) == nullptr);
    cr_expect(count == 1);
    cr_expect(list[1].ssl_port == 0x5a5a);
}

Test(address, what_is_missing_is_named)
{
    for (auto [text, wanted] : {std::pair{"192.0.2.1", "HOST:PORT is wanted"},
                                {"7000", "HOST:PORT is wanted"},
                                {":7000", "the host is missing"},
                                {"192.0.2.1:", "the port is missing"},
                                {"192.0.2.1:65536", "a port is at most 65535"},
                                {"192.0.2.1:4294967376", "a port is at most 65535"},
                                {"192.0.2.1:99999999999999999999", "a port is at most 65535"},
                                {"192.0.2.1:nonesuch", "no such port"},
                                {"192.0.2.1:-1", "a port is at most 65535"},
                                {"::1:7000", "an IPv6 address is written [address]:port"}}) {
        sockaddr_sluice list[1];
        unsigned count = 1;
        const char* wrong = sluice_parse_address(text, false, list, &count);
        cr_assert(wrong, "accepted '%s'", text);
        expect_text(wrong, wanted);
    }
}
