// SPDX-License-Identifier: GPL-2.0
// Retransmission by timeout (RFC 6298) and its limits.
#include <criterion/criterion.h>

#include "lab_test.h"

using namespace sluice;
using namespace sluice::test;

namespace
{

// From now on, in microseconds.
void gives_up_between(Scripted& peer, uint64_t least, uint64_t most)
{
    uint64_t begin = peer.sim.now();
    cr_assert(peer.sim.run_until([&] { return peer.socket->closed; }, 2 * most));
    uint64_t took = peer.sim.now() - begin;
    cr_assert(took >= least && took < most, "gave up after %lu us", took);
    cr_assert_eq(peer.socket->error, 110);
}

// A write of which the peer never hears.
struct Unheard : Established {
    explicit Unheard(std::function<void(lab::Stack&)> configure = {}) : Established(configure)
    {
        socket->write(pattern(100));
    }
};

} // namespace

Test(retransmit, timeout_sends_the_oldest_segment_again)
{
    Unheard peer;
    cr_assert_eq(peer.data_segments(), 1);
    peer.run(2 * second);
    cr_assert_geq(peer.data_segments(), 2);
    cr_assert_eq(peer.sent[0].seq, peer.sent[1].seq);
    cr_assert(peer.sent[0].data == peer.sent[1].data);
    cr_assert_geq(peer.stack.counter(SLUICE_CNT_rto_timeouts), 1);
}

// RFC 9293 3.8.3: from tcp_retries1 on the route is in doubt; in a handshake at once.
Test(retransmit, timeouts_cast_doubt_on_the_path)
{
    Unheard peer([](lab::Stack& s) { s.config().retries1 = 2; });
    auto& timeouts = peer.stack.counters[SLUICE_CNT_rto_timeouts];
    cr_assert(peer.sim.run_until([&] { return timeouts == 2; }, 60 * second));
    cr_assert_eq(peer.socket->path_doubts, 2);
    cr_assert_eq(peer.socket->route_doubts, 0);
    cr_assert(peer.sim.run_until([&] { return timeouts == 4; }, 60 * second));
    cr_assert_eq(peer.socket->path_doubts, 4);
    cr_assert_eq(peer.socket->route_doubts, 2);

    Scripted opening;
    opening.begin_active();
    cr_assert(opening.sim.run_until([&] { return opening.sent.size() == 4; }, 60 * second));
    cr_assert_eq(opening.socket->path_doubts, 3);
    cr_assert_eq(opening.socket->route_doubts, 2);
}

Test(retransmit, timeout_doubles)
{
    Unheard peer;
    peer.run(30 * second);
    cr_assert_geq(peer.sent.size(), 6);
    for (size_t i = 3; i < peer.sent.size(); i++) {
        uint64_t before = peer.sent[i - 1].when - peer.sent[i - 2].when;
        uint64_t after = peer.sent[i].when - peer.sent[i - 1].when;
        cr_assert_eq(after, 2 * before, "interval %zu: %lu after %lu", i, after, before);
    }
}

Test(retransmit, timeout_never_exceeds_the_greatest)
{
    Unheard peer([](lab::Stack& s) { s.config().rto_max = 2 * second; });
    peer.run(60 * second);
    for (size_t i = 1; i < peer.sent.size(); i++)
        cr_assert_leq(peer.sent[i].when - peer.sent[i - 1].when, 2 * second);
}

Test(retransmit, established_connection_gives_up_as_late_as_linux)
{
    Unheard peer;
    gives_up_between(peer, 924 * second, 1100 * second);
}

Test(retransmit, low_least_timeout_gives_up_no_sooner)
{
    Unheard peer([](lab::Stack& s) { s.config().rto_min = 1000; });
    gives_up_between(peer, 924 * second, 1100 * second);
}

Test(retransmit, user_timeout_gives_up_sooner)
{
    Established peer;
    peer.socket->set(SLUICE_OPTION_USER_TIMEOUT, 5 * second);
    peer.socket->write(pattern(100));
    gives_up_between(peer, 5 * second, 15 * second);
}

// Not only when a timeout that had doubled comes to its end (RFC 5482 3).
Test(retransmit, user_timeout_is_kept_to_the_second)
{
    Established peer;
    peer.socket->set(SLUICE_OPTION_USER_TIMEOUT, 30 * second);
    peer.socket->write(pattern(100));
    cr_assert(peer.sim.run_until([&] { return peer.data_segments() == 2; }, 2 * second));
    gives_up_between(peer, 30 * second, 31 * second);
}

Test(retransmit, user_timeout_of_a_handshake_is_kept_to_the_second)
{
    Scripted peer;
    peer.nxt = peer.isn;
    peer.socket = &peer.stack.socket();
    peer.socket->set(SLUICE_OPTION_USER_TIMEOUT, 10 * second);
    peer.socket->connect(9);
    gives_up_between(peer, 10 * second, 11 * second);
}

// An interval cut short by it brings no retransmission.
Test(retransmit, user_timeout_sends_nothing_more_often)
{
    size_t with = 0, without = 0;
    for (size_t* n : {&with, &without}) {
        Established peer;
        if (n == &with)
            peer.socket->set(SLUICE_OPTION_USER_TIMEOUT, 30 * second);
        peer.socket->write(pattern(100));
        peer.run(31 * second);
        *n = peer.data_segments();
    }
    cr_assert_eq(with, without, "%zu, not %zu", with, without);
}

Test(retransmit, window_falls_to_one_segment_and_grows_again)
{
    lab::Pair p(3, {.delay = 10000});
    auto [client, server] = p.connected();
    transfer(p, *client, *server, pattern(500000));
    p.forth.set.loss = 1;
    client->write(pattern(50000));
    p.sim.run_for(3 * second);
    cr_assert_eq(client->info().recovery, SLUICE_REC_LOSS);
    cr_assert_eq(client->info().cwnd, client->info().snd_mss);
    p.forth.set.loss = 0;
    cr_assert(p.sim.run_until([&] { return client->info().unacked == 0; }, 60 * second));
    cr_assert_gt(client->info().cwnd, client->info().snd_mss);
}

Test(retransmit, no_round_trip_sample_from_a_retransmission)
{
    Unheard peer;
    uint32_t before = peer.socket->info().rtt;
    peer.run(5 * second);
    peer.ack();
    cr_assert_eq(peer.socket->info().rtt, before);
}

// RFC 6298 5: a backed-off timeout collapses once a new round trip is measured,
// which an acknowledgment of what was sent twice can't do (Karn) ...
Test(retransmit, backoff_lasts_until_a_round_trip_is_measured)
{
    Unheard peer;
    peer.run(10 * second);
    uint8_t backoff = peer.socket->info().backoff;
    cr_assert_gt(backoff, 2);
    peer.ack();
    cr_assert_eq(peer.socket->info().backoff, backoff);
    cr_assert_eq(peer.socket->info().retransmits, 0);
    peer.socket->write(pattern(100));
    peer.run(1000);
    peer.ack();
    cr_assert_eq(peer.socket->info().backoff, 0);
}

// ... unless a timestamp tells which transmission it was.
Test(retransmit, timestamp_ends_the_backoff_at_once)
{
    Scripted peer;
    peer.timestamps = true;
    peer.open_passive();
    peer.socket->write(pattern(100));
    peer.run(10 * second);
    cr_assert_gt(peer.socket->info().backoff, 2);
    peer.ack();
    cr_assert_eq(peer.socket->info().backoff, 0);
}

// RFC 8985 7.2: new data puts a loss probe off, but never beyond the timeout.
Test(retransmit, steady_small_writes_do_not_put_the_loss_probe_off_for_ever)
{
    Scripted peer;
    peer.sack = true;
    peer.rtt = 100000;
    peer.open_passive();
    peer.socket->set(SLUICE_OPTION_NODELAY, 1);
    for (int i = 0; i < 12; i++) {
        peer.socket->write(pattern(100));
        peer.run(50000);
    }
    cr_assert_geq(peer.stack.counter(SLUICE_CNT_loss_probes) +
                      peer.stack.counter(SLUICE_CNT_rto_timeouts),
                  1);
}

// Nor does it hurry it: an acknowledgment began the timeout anew.
Test(retransmit, loss_probe_is_not_hurried_by_new_data)
{
    Scripted peer;
    peer.sack = true;
    peer.rtt = 100000;
    peer.open_passive();
    peer.socket->set(SLUICE_OPTION_NODELAY, 1);
    peer.socket->write(pattern(100));
    uint32_t first = peer.rcv;
    peer.socket->write(pattern(100));
    peer.run(peer.rtt);
    peer.follow = false;
    peer.rcv = first;
    peer.ack();
    peer.run(peer.rtt);
    peer.socket->write(pattern(100));
    uint64_t sent = peer.last().when;
    size_t before = peer.data_segments();
    cr_assert(peer.sim.run_until([&] { return peer.data_segments() > before; }, second));
    uint64_t waited = peer.last().when - sent;
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_loss_probes), 1);
    cr_assert(waited >= 200000 && waited < 210000, "%lu us: RTO is 300 ms", waited);
}

// RFC 6298 5.7
Test(retransmit, timeout_is_three_seconds_after_a_lost_syn)
{
    Scripted peer;
    peer.begin_active();
    peer.run(second + second / 2);
    cr_assert_eq(peer.stack.counter(SLUICE_CNT_syn_retrans), 1);
    peer.send(SLUICE_SYN | SLUICE_ACK);
    peer.sent.clear();
    peer.socket->write(pattern(100));
    peer.run(2900000);
    cr_assert_eq(peer.data_segments(), 1);
    peer.run(200000);
    cr_assert_eq(peer.data_segments(), 2);
}

Test(retransmit, round_trip_longer_than_the_first_timeout_is_learnt)
{
    lab::Pair p(1, {.delay = 2 * second});
    p.a.config().timestamps = 0;
    auto [client, server] = p.connected();
    cr_assert(transfer(p, *client, *server, pattern(200000)));
    cr_assert_gt(client->info().rtt, 3 * second);
    uint64_t before = p.a.counter(SLUICE_CNT_rto_timeouts);
    cr_assert_leq(before, 3);
    cr_assert(transfer(p, *client, *server, pattern(200000)));
    cr_assert_eq(p.a.counter(SLUICE_CNT_rto_timeouts), before);
}

Test(retransmit, spurious_timeout_is_undone)
{
    lab::Pair p(1, {.delay = 20000});
    auto [client, server] = p.connected();
    transfer(p, *client, *server, pattern(400000));
    uint32_t before = client->info().cwnd;
    // The path stalls for a while and loses nothing.
    p.forth.set.delay = p.back.set.delay = 900000;
    client->write(pattern(30000));
    p.sim.run_until([&] { return client->info().unacked == 0; }, 60 * second);
    cr_assert_geq(p.a.counter(SLUICE_CNT_rto_timeouts), 1);
    cr_assert_geq(p.a.counter(SLUICE_CNT_spurious_undone), 1);
    cr_assert_geq(client->info().cwnd, before / 2);
}
