// SPDX-License-Identifier: GPL-2.0
// What ss prints, tables, and sums.
#include "expect.h"
#include "sha256.h"
#include "ss_show.h"
#include "table.h"

#include <nlohmann/json.hpp>

#include <arpa/inet.h>

#include <cstring>

using namespace sluice;

namespace
{

sluice_socket established()
{
    sluice_socket s{};
    s.msg.state = 1;
    s.msg.id.protocol = 253;
    s.msg.inode = 77;
    s.msg.timer = SLUICE_TIMER_RETRANSMIT;
    s.msg.expires = 200;
    s.msg.rqueue = 5;
    s.msg.wqueue = 1448;
    s.msg.id.sport = htons(80);
    s.msg.id.dport = htons(40000);
    inet_pton(AF_INET6, "::ffff:10.0.0.1", s.msg.id.src);
    inet_pton(AF_INET6, "2001:db8::2", s.msg.id.dst);
    std::strcpy(s.cc, "reno");
    s.has_info = true;
    s.info.snd_mss = 1448;
    s.info.cwnd = 14480;
    s.info.ssthresh = ~0u;
    s.info.rto = 204000;
    s.info.rtt = 4000;
    s.info.recovery = SLUICE_REC_RECOVERY;
    s.info.lost = 1448;
    return s;
}

bool has(const std::string& text, const char* part)
{
    return text.find(part) != text.npos;
}

} // namespace

Test(table, columns_are_as_wide_as_their_widest_cell)
{
    Table table("<><");
    table.add({"a", "1", "x"});
    table.add({"long", "1000", ""});
    table.add_line("\tbelow, however long it is");
    expect_text(table.text(), "a        1  x\nlong  1000\n\tbelow, however long it is\n");
}

Test(sha256, sums_are_those_of_the_standard)
{
    Sha256 sum;
    const uint8_t abc[] = {'a', 'b', 'c'};
    expect_text(sum.digest(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    sum.update({abc, 1});
    sum.update({abc + 1, 2});
    expect_text(sum.digest(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

Test(ss, text_has_columns_and_an_info_line)
{
    SsOptions options;
    options.info = true;
    std::string text = sockets_as_text({established()}, {{77, {{"prog", 12, 3}}}}, options);
    cr_expect(has(text, "ESTAB       5    1448  10.0.0.1:80"), "%s", text.c_str());
    cr_expect(has(text, "[2001:db8::2]:40000"));
    cr_expect(has(text, "users:((\"prog\",pid=12,fd=3))"));
    for (const char* item : {"reno timer:(retransmit,200ms,0)", "rto:204ms", "rtt:4/0ms",
                             "cwnd:10 (14480 bytes)", "recovery:recovery", "lost:1448"})
        cr_expect(has(text, item), "no '%s' in %s", item, text.c_str());
    cr_expect(!has(text, "ssthresh"));
}

Test(ss, listeners_have_no_info)
{
    SsOptions options;
    options.info = true;
    sluice_socket s = established();
    s.msg.state = 10;
    cr_expect(!has(sockets_as_text({s}, {}, options), "cwnd"));
}

Test(ss, json_parses_and_keeps_numbers)
{
    auto list = nlohmann::json::parse(sockets_as_json({established()}, {{77, {{"p\xff", 12, 3}}}}));
    cr_assert(list.size() == 1);
    cr_expect(list[0]["state"] == "ESTAB");
    cr_expect(list[0]["local"]["address"] == "10.0.0.1");
    cr_expect(list[0]["peer"]["port"] == 40000);
    cr_expect(list[0]["info"]["cwnd"] == 14480);
    cr_expect(list[0]["info"]["ssthresh"].is_null());
    cr_expect(list[0]["owners"][0]["pid"] == 12);
    cr_expect(nlohmann::json::parse(sockets_as_json({}, {})).empty());
}
