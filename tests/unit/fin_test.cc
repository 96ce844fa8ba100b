// SPDX-License-Identifier: GPL-2.0
// Where a FIN stands, when what was received contradicts it; and the oldest
// hole, which can always be filled.
#include <criterion/criterion.h>

#include "lab_test.h"

using namespace sluice;
using namespace sluice::test;

Test(fin, nothing_is_taken_from_behind_it)
{
    Established peer;
    uint32_t start = of(&peer.socket->conn).rcv.nxt.value();
    peer.send(SLUICE_ACK | SLUICE_FIN, pattern(10), 90); // ends at 100
    peer.nxt = start;
    peer.send(SLUICE_ACK, pattern(200));
    cr_assert_eq(peer.socket->readable(), 100);
    cr_assert_eq(of(&peer.socket->conn).rcv.nxt.value(), start + 101);
    cr_assert_eq(peer.socket->state(), SLUICE_CLOSE_WAIT);
}

Test(fin, before_what_was_received_is_ignored)
{
    Established peer;
    peer.send(SLUICE_ACK, pattern(100), 100); // held
    peer.send(SLUICE_ACK | SLUICE_FIN, {}, 50);
    peer.send(SLUICE_ACK, pattern(100));
    cr_assert_eq(peer.socket->readable(), 200);
    cr_assert_eq(peer.socket->state(), SLUICE_ESTABLISHED);
}

Test(reassembly, oldest_hole_is_filled_without_memory)
{
    Established peer;
    for (int i = 1; i <= 2; i++)
        peer.send(SLUICE_ACK, pattern(10), i * 20);
    peer.stack.faults.resize_chance = 1;
    peer.send(SLUICE_ACK, pattern(10), 60);
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_reassembly_full), 1);
    peer.send(SLUICE_ACK, pattern(20));
    cr_assert_eq(peer.socket->readable(), 30);
}
