// SPDX-License-Identifier: GPL-2.0
// Sequence numbers wrap (RFC 9293 3.4), and nothing may notice.
#include <criterion/criterion.h>

#include "isn.h"
#include "lab_test.h"

using namespace sluice;
using namespace sluice::test;

Test(sequence, compares_around_the_wrap)
{
    Sequence before(0xfffffff0), after(0x10);
    cr_assert(before < after && after > before && before <= after && !(after <= before));
    cr_assert_eq(after - before, 0x20);
    cr_assert((before + 0x20) == after);
    cr_assert(earlier(before, after) == before);
    cr_assert(later(before, after) == after);
}

Test(sequence, peers_bytes_arrive_across_the_wrap)
{
    Scripted peer;
    peer.isn = 0xfffff000;
    peer.sack = true;
    peer.open_active();
    Bytes all = pattern(20000);
    for (size_t at = 0; at < all.size(); at += 2000) {
        auto piece = all.begin() + static_cast<long>(at);
        peer.send(SLUICE_ACK, Bytes(piece + 1000, piece + 2000), 1000); // swapped halves
        peer.send(SLUICE_ACK, Bytes(piece, piece + 1000));
        peer.nxt += 1000;
    }
    cr_assert(peer.socket->read(1 << 20) == all);
    cr_assert_eq(peer.last().ack, peer.nxt);
}

namespace
{
// A local port whose connection begins less than `reach` before the wrap.
uint16_t port_near_the_wrap(lab::Pair& p, uint32_t reach)
{
    for (uint16_t port = 1024; port != 0; port++) {
        sluice_path path = p.a.path(port, 80);
        if (0 - initial_sequence(path, p.sim.now()) < reach)
            return port;
    }
    return 0;
}
} // namespace

Test(sequence, ours_wrap_in_mid_transfer_under_loss_and_reordering)
{
    int wrapped = 0;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        lab::Pair p(seed, {.rate = 2e6, .delay = 10000, .loss = 0.02, .reorder = 0.05});
        // Seeds differ in when they begin, and so in the sequence number.
        p.sim.run_for(seed * 1234567);
        uint16_t port = port_near_the_wrap(p, 1 << 18);
        cr_assert_neq(port, 0);
        Socket& listener = p.b.socket();
        listener.listen(80);
        Socket& client = p.a.socket();
        client.connect(80, port);
        Socket* server = nullptr;
        p.sim.run_until([&] { return (server = listener.accept()) != nullptr; }, 60 * second);
        uint32_t iss = of(&client.conn).snd.iss.value();
        cr_assert(transfer(p, client, *server, pattern(600000, static_cast<uint32_t>(seed))));
        p.sim.run_until([&] { return client.info().unacked == 0; }, 60 * second);
        wrapped += of(&client.conn).snd.una.value() < iss;
    }
    cr_assert_eq(wrapped, 8);
}

namespace
{
// As if `bytes` had been sent and acknowledged since: moves all that moves with them.
void pass(Scripted& peer, uint32_t bytes)
{
    SendState& snd = of(&peer.socket->conn).snd;
    for (Sequence* s : {&snd.una, &snd.nxt, &snd.buffer_start, &snd.write_end, &snd.wl2})
        *s += bytes;
    peer.rcv += bytes;
    peer.socket->write(pattern(1460));
    peer.ack();
    peer.sent.clear();
}
} // namespace

Test(sequence, fast_retransmit_without_sack_works_after_gigabytes_without_loss)
{
    Scripted peer;
    peer.open_active();
    for (int i = 0; i < 5; i++)
        pass(peer, 1u << 29);
    peer.socket->write(pattern(10 * 1460));
    uint32_t first = peer.sent.front().seq;
    peer.follow = false;
    peer.rcv = first;
    peer.sent.clear();
    for (int i = 0; i < 3; i++)
        peer.ack();
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_fast_retransmits), 1);
    bool again = false;
    for (const Seen& s : peer.sent)
        again |= s.seq == first && s.length;
    cr_assert(again);
}

Test(sequence, nagle_forgets_a_partial_segment_of_long_ago)
{
    Scripted peer;
    peer.open_active();
    peer.socket->write(pattern(10)); // the last partial one
    peer.ack();
    for (int i = 0; i < 5; i++)
        pass(peer, 1u << 29);
    peer.socket->write(pattern(1460));
    peer.socket->write(pattern(10));
    cr_assert_eq(peer.data_segments(), 2, "no partial segment is out: nothing to wait for");
}
