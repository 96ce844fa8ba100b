// SPDX-License-Identifier: GPL-2.0
// What was received beyond rcv_nxt: disjoint, sorted ranges of sequence
// numbers, and the SACK blocks that tell of them (RFC 2018 section 4). The
// bytes themselves are held by the host.
#pragma once

#include "growing_array.h"
#include "sequence.h"

namespace sluice
{

struct HeldRange {
    Sequence start, end;
};

class Reassembly
{
public:
    // Most ranges held; a segment that would make one more is dropped.
    static constexpr uint32_t limit = 2048;

    bool empty() const { return ranges_.empty(); }
    uint32_t size() const { return ranges_.size(); }
    const HeldRange& operator[](uint32_t i) const { return ranges_[i]; }
    uint32_t bytes() const { return bytes_; }

    bool reserve(sluice_conn* owner) { return ranges_.reserve(owner, 1, limit); }

    // Calls fn(start, end) for each part of [start, end) that isn't held, in
    // order, until fn returns false.
    template<typename Fn> void for_each_gap(Sequence start, Sequence end, Fn fn) const
    {
        for (const HeldRange& r : ranges_) {
            if (r.end <= start)
                continue;
            if (r.start >= end)
                break;
            if (start < r.start && !fn(start, r.start))
                return;
            start = r.end;
        }
        if (start < end)
            fn(start, end);
    }

    bool holds(Sequence start, Sequence end) const;
    // Adds [start, end), merging with neighbours. Needs reserve().
    void add(Sequence start, Sequence end);
    // The range that holds `s` is told of first.
    void note_recent(Sequence s);
    // All before rcv_nxt is in order now; returns where contiguous bytes from
    // rcv_nxt end.
    Sequence advance(Sequence rcv_nxt);
    void clear();
    void release(sluice_conn* owner);

    // Fills at most `room` blocks, the most recently changed first.
    uint8_t sack_blocks(sluice_sack_block* out, uint8_t room) const;
    // The held range that contains `s`, or nullptr.
    const HeldRange* find(Sequence s) const;

private:
    static constexpr uint8_t recent_max = 4;

    GrowingArray<HeldRange, 2> ranges_;
    uint32_t bytes_ = 0;
    Sequence recent_[recent_max]; // a point inside each recently changed range
    uint8_t recent_count_ = 0;
};

} // namespace sluice
