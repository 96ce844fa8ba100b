// SPDX-License-Identifier: GPL-2.0
// What the peer's options, and their absence, mean to a connection (RFC 9293
// 3.7.1); and what congestion control is told.
#include <criterion/criterion.h>

#include "lab_test.h"

using namespace sluice;
using namespace sluice::test;

static uint32_t mss_without_option(bool ipv4)
{
    Scripted peer([&](lab::Stack& s) {
        s.ipv4 = ipv4;
        s.config().timestamps = 0;
    });
    peer.mss = 0;
    peer.open_active();
    return sluice_conn_mss(&peer.socket->conn);
}

Test(peer_options, absent_mss_means_536_on_ipv4)
{
    cr_assert_eq(mss_without_option(true), 536);
}

Test(peer_options, absent_mss_means_1220_on_ipv6)
{
    cr_assert_eq(mss_without_option(false), 1220);
}

static uint32_t mss_of(uint16_t asked, uint64_t least_mss, bool active, uint64_t maxseg = 0)
{
    Scripted peer([&](lab::Stack& s) {
        s.config().timestamps = 0;
        s.config().min_snd_mss = least_mss;
    });
    peer.mss = asked;
    if (active)
        peer.open_active();
    else
        peer.open_passive();
    if (maxseg) {
        peer.socket->set(SLUICE_OPTION_MAXSEG, maxseg);
        of(&peer.socket->conn).update_mss();
    }
    return sluice_conn_mss(&peer.socket->conn);
}

Test(peer_options, segments_are_no_smaller_than_the_namespace_says)
{
    for (bool active : {true, false}) {
        cr_assert_eq(mss_of(100, 48, active), 100);
        cr_assert_eq(mss_of(100, 400, active), 400);
        cr_assert_eq(mss_of(500, 400, active), 500);
        cr_assert_eq(mss_of(0, 1300, active), 1300, "without the option");
        cr_assert_eq(mss_of(100, 2000, active), 1460, "what the path takes");
        cr_assert_eq(mss_of(1460, 400, active, 300), 400, "TCP_MAXSEG");
    }
}

Test(peer_options, malformed_option_is_counted_once)
{
    Established peer;
    HeaderFields f = peer.fields(SLUICE_ACK);
    f.timestamp = true;
    uint8_t header[SLUICE_HEADER_MAX];
    uint8_t length = write_header(header, f);
    Packet p;
    p.bytes.assign(header, header + length);
    p.bytes[23] = 99; // the option's length
    peer.stack.receive(std::move(p));
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_bad_option), 1);
}

static std::vector<sluice_cc_ack> told;

static void note_ack(sluice_cc*, const sluice_cc_ack* ack)
{
    told.push_back(*ack);
}

Test(congestion_control, is_told_of_losses_and_recovery)
{
    static sluice_cc_ops ops = *sluice_cc_builtin[0];
    ops.acked = note_ack;
    Scripted peer([](lab::Stack& s) { s.cc = &ops; });
    peer.sack = true;
    peer.open_passive();
    peer.socket->write(pattern(10 * 1460));
    peer.run(3 * second); // nobody answers: a probe, then a timeout
    peer.ack();
    cr_assert_geq(told.size(), 1);
    cr_assert_geq(told.back().lost, 10 * 1460);
    told.clear();
    peer.socket->write(pattern(1460));
    peer.ack();
    cr_assert_eq(told.size(), 1);
    cr_assert_eq(told.back().lost, 0);
    cr_assert_not(told.back().in_recovery);
}
