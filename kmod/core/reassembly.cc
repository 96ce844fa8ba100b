// SPDX-License-Identifier: GPL-2.0
// Reassembly ranges and SACK generation (RFC 2018 section 4).
#include "reassembly.h"

namespace sluice
{

const HeldRange* Reassembly::find(Sequence s) const
{
    for (const HeldRange& r : ranges_)
        if (r.start <= s && s < r.end)
            return &r;
    return nullptr;
}

bool Reassembly::holds(Sequence start, Sequence end) const
{
    const HeldRange* r = find(start);
    return r && end <= r->end;
}

void Reassembly::add(Sequence start, Sequence end)
{
    note_recent(start);
    uint32_t first = ranges_.size();
    while (first > 0 && ranges_[first - 1].end >= start)
        first--;
    uint32_t last = first;
    while (last < ranges_.size() && ranges_[last].start <= end) {
        start = earlier(start, ranges_[last].start);
        end = later(end, ranges_[last].end);
        bytes_ -= ranges_[last].end - ranges_[last].start;
        last++;
    }
    if (last == first) {
        ranges_.insert(first, {start, end});
    } else {
        ranges_[first] = {start, end};
        ranges_.erase(first + 1, last - first - 1);
    }
    bytes_ += end - start;
}

Sequence Reassembly::advance(Sequence rcv_nxt)
{
    uint32_t n = 0;
    while (n < ranges_.size() && ranges_[n].start <= rcv_nxt) {
        rcv_nxt = later(rcv_nxt, ranges_[n].end);
        bytes_ -= ranges_[n].end - ranges_[n].start;
        n++;
    }
    ranges_.erase(0, n);
    if (ranges_.empty())
        recent_count_ = 0;
    return rcv_nxt;
}

void Reassembly::clear()
{
    ranges_.clear();
    bytes_ = 0;
    recent_count_ = 0;
}

void Reassembly::release(sluice_conn* owner)
{
    clear();
    ranges_.release(owner);
}

void Reassembly::note_recent(Sequence s)
{
    uint8_t kept = recent_count_ < recent_max ? recent_count_ : recent_max - 1;
    for (uint8_t i = kept; i > 0; i--)
        recent_[i] = recent_[i - 1];
    recent_[0] = s;
    recent_count_ = kept + 1;
}

uint8_t Reassembly::sack_blocks(sluice_sack_block* out, uint8_t room) const
{
    uint8_t n = 0;
    auto offer = [&](const HeldRange& r) {
        for (uint8_t i = 0; i < n; i++)
            if (out[i].start == r.start.value())
                return;
        out[n++] = {r.start.value(), r.end.value()};
    };
    for (uint8_t i = 0; i < recent_count_ && n < room; i++)
        if (const HeldRange* r = find(recent_[i]))
            offer(*r);
    for (uint32_t i = 0; i < ranges_.size() && n < room; i++)
        offer(ranges_[i]);
    return n;
}

} // namespace sluice
