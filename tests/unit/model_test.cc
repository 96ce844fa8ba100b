// SPDX-License-Identifier: GPL-2.0
// Reassembly and scoreboard against models so simple that they can't be wrong.
#include <criterion/criterion.h>
#include <random>
#include <set>

#include "lab_test.h"
#include "reassembly.h"
#include "scoreboard.h"

using namespace sluice;

Test(reassembly, agrees_with_a_bitmap)
{
    lab::Simulation sim;
    lab::Stack stack(sim, "x");
    lab::Socket& owner = stack.socket();
    std::mt19937 random(7);
    for (int round = 0; round < 300; round++) {
        Reassembly r;
        uint32_t base = random(); // wraps now and then
        std::vector<bool> model(400, false);
        uint32_t nxt = 0;
        for (int i = 0; i < 60; i++) {
            uint32_t from = nxt + 1 + random() % 300, length = 1 + random() % 40;
            if (from + length > model.size())
                continue;
            std::vector<bool> gaps(model.size(), false);
            Sequence s = Sequence(base) + from;
            r.for_each_gap(s, s + length, [&](Sequence a, Sequence b) {
                for (uint32_t k = a - Sequence(base); k < b - Sequence(base); k++)
                    gaps[k] = true;
                return true;
            });
            for (uint32_t k = from; k < from + length; k++)
                cr_assert_eq(gaps[k], !model[k]);
            cr_assert(r.reserve(&owner.conn));
            r.add(s, s + length);
            for (uint32_t k = from; k < from + length; k++)
                model[k] = true;
            uint32_t bytes = 0;
            for (bool b : model)
                bytes += b;
            cr_assert_eq(r.bytes(), bytes);
            if (i % 13 == 12) {
                nxt += 1 + random() % 30;
                uint32_t to = nxt;
                while (to < model.size() && model[to])
                    to++;
                std::fill(model.begin(), model.begin() + to, false);
                cr_assert_eq(r.advance(Sequence(base) + nxt) - Sequence(base), to);
                nxt = to;
            }
        }
        r.release(&owner.conn);
    }
}

Test(scoreboard, agrees_with_a_byte_map)
{
    lab::Simulation sim;
    lab::Stack stack(sim, "x");
    lab::Socket& owner = stack.socket();
    std::mt19937 random(8);
    for (int round = 0; round < 300; round++) {
        Scoreboard board;
        uint32_t base = random(), una = 0, nxt = 0;
        enum { Out = 0, Sacked = 1, Lost = 2, Again = 3 };
        std::vector<int> model(2000, Out);
        for (int i = 0; i < 80; i++) {
            cr_assert(board.reserve(&owner.conn, 2));
            Delivery d;
            switch (random() % 5) {
            case 0: {
                uint32_t n = 1 + random() % 60;
                if (nxt + n > model.size())
                    break;
                SentRange s{};
                s.start = Sequence(base) + nxt;
                s.end = s.start + n;
                s.cut = 1; // segments of a byte, which any block may name
                s.sent = Instant(static_cast<uint64_t>(i) + 1);
                board.sent(s);
                nxt += n;
                break;
            }
            case 1: {
                if (nxt == una)
                    break;
                uint32_t from = una + random() % (nxt - una),
                         to = from + 1 + random() % (nxt - from);
                uint32_t expected = 0;
                for (uint32_t k = from; k < to; k++) {
                    expected += model[k] != Sacked;
                    model[k] = Sacked;
                }
                board.selectively_acknowledge(Sequence(base) + from, Sequence(base) + to, d);
                board.merge_sacked();
                cr_assert_eq(d.sacked_bytes, expected);
                break;
            }
            case 2: {
                if (nxt == una)
                    break;
                uint32_t to = una + random() % (nxt - una + 1);
                uint32_t expected = 0;
                for (uint32_t k = una; k < to; k++)
                    expected += model[k] != Sacked;
                board.acknowledge(Sequence(base) + to, d);
                cr_assert_eq(d.bytes, expected);
                una = to;
                break;
            }
            case 3:
                if (board.empty())
                    break;
                {
                    uint32_t which = random() % board.size();
                    const SentRange& r = board[which];
                    if (!r.sacked)
                        for (uint32_t k = r.start - Sequence(base); k < r.end - Sequence(base); k++)
                            model[k] = Lost;
                    board.mark_lost(which);
                }
                break;
            case 4:
                if (board.next_lost() < board.size()) {
                    uint32_t which = board.next_lost();
                    const SentRange& r = board[which];
                    for (uint32_t k = r.start - Sequence(base); k < r.end - Sequence(base); k++)
                        model[k] = Again;
                    board.retransmit(which, r);
                }
                break;
            }
            const char* wrong = board.broken_invariant(Sequence(base) + una, Sequence(base) + nxt);
            cr_assert_null(wrong, "%s", wrong);
            uint32_t flight = 0;
            for (uint32_t k = una; k < nxt; k++)
                flight += model[k] == Out || model[k] == Again;
            cr_assert_eq(board.in_flight(nxt - una), flight);
            uint32_t lost = una;
            while (lost < nxt && model[lost] != Lost)
                lost++;
            uint32_t next = board.next_lost();
            cr_assert_eq(next == board.size(), lost == nxt);
            cr_assert(next == board.size() || board[next].start == Sequence(base) + lost);
        }
        board.release(&owner.conn);
    }
}
