// SPDX-License-Identifier: GPL-2.0
// A listener under load, and its peers: what a full accept queue and a full
// half-open queue mean to those who connect.
#include <criterion/criterion.h>

#include "lab_test.h"

using namespace sluice;
using namespace sluice::test;

Test(listen, connections_beyond_the_backlog_wait_until_somebody_accepts)
{
    lab::Pair p;
    Socket& listener = p.b.socket();
    listener.listen(80, 1);
    std::vector<Socket*> clients;
    for (int i = 0; i < 4; i++) {
        clients.push_back(&p.a.socket());
        clients.back()->connect(80);
    }
    p.sim.run_for(500000);
    cr_assert_eq(listener.ready.size(), 2, "backlog + 1, as Linux counts");
    cr_assert_geq(p.b.counter(SLUICE_CNT_listen_overflows), 1);
    std::vector<Socket*> children;
    cr_assert(p.sim.run_until(
        [&] {
            if (Socket* child = listener.accept())
                children.push_back(child);
            return children.size() == 4;
        },
        60 * second));
    for (size_t i = 0; i < 4; i++)
        cr_assert_eq(clients[i]->state(), SLUICE_ESTABLISHED);
}

// Whoever completed the handshake while the queue was full has sent already.
Test(listen, data_sent_while_the_queue_was_full_arrives)
{
    lab::Pair p;
    Socket& listener = p.b.socket();
    listener.listen(80, 0);
    Socket& first = p.a.socket();
    Socket& late = p.a.socket();
    first.connect(80);
    late.connect(80);
    p.sim.run_until([&] { return late.connected; }, second);
    late.write(pattern(3000));
    p.sim.run_for(2 * second);
    cr_assert_eq(listener.ready.size(), 1);
    cr_assert(listener.accept());
    Socket* child = nullptr;
    cr_assert(p.sim.run_until([&] { return (child = listener.accept()) != nullptr; }, 60 * second));
    cr_assert(p.sim.run_until([&] { return child->readable() == 3000; }, 60 * second));
    cr_assert(child->read(3000) == pattern(3000));
}

Test(listen, syns_beyond_the_half_open_limit_are_dropped_and_served_later)
{
    Crowd p(false);
    cr_assert_eq(p.b.half_opens.size(), 2);
    cr_assert_eq(p.b.counter(SLUICE_CNT_half_open_overflows), 3);
    p.back.down = false;
    cr_assert(p.sim.run_until([&] { return std::ranges::all_of(p.clients, &Socket::connected); },
                              60 * second));
}

Test(listen, child_serves_what_came_with_the_last_ack)
{
    Scripted peer;
    Socket& listener = peer.stack.socket();
    listener.listen(80);
    peer.nxt = peer.isn;
    peer.send(SLUICE_SYN);
    peer.rcv = peer.last().seq + 1;
    peer.send(SLUICE_ACK | SLUICE_FIN, pattern(100));
    Socket* child = listener.accept();
    cr_assert(child);
    cr_assert_eq(child->readable(), 100);
    cr_assert_eq(child->state(), SLUICE_CLOSE_WAIT);
    peer.run(second / 10);
    cr_assert_eq(peer.last().ack, peer.nxt);
}
