// SPDX-License-Identifier: GPL-2.0
// The scoreboard: SACK bookkeeping (RFC 2018, RFC 6675) over ranges.
#include "scoreboard.h"

namespace sluice
{

void Scoreboard::note_delivered(const SentRange& r, uint32_t bytes, Delivery& d) const
{
    d.bytes += bytes;
    if (r.sent > d.newest_sent || (r.sent == d.newest_sent && r.end > d.newest_end)) {
        d.newest_sent = r.sent;
        d.newest_end = r.end;
        d.newest_retransmitted = r.ever_retransmitted;
    }
    if (r.ever_retransmitted) {
        d.retransmission_acked = true;
    } else {
        if (r.sent > d.sample_sent)
            d.sample_sent = r.sent;
        if (!d.original || r.start < d.original_at) {
            d.original = true;
            d.original_at = r.start;
        }
    }
    if (!d.has_rate || r.delivered > d.prior_delivered) {
        d.has_rate = true;
        d.prior_delivered = r.delivered;
        d.prior_delivered_at = r.delivered_at;
        d.prior_first_sent = r.first_sent;
        d.prior_sent = r.sent;
        d.prior_app_limited = r.app_limited;
    }
    if (sacked_ > 0 && !r.ever_retransmitted && r.start < highest_sacked_ &&
        (!d.reordered || r.start < d.reordered_at)) {
        d.reordered = true;
        d.reordered_at = r.start;
    }
}

void Scoreboard::uncount(const SentRange& r, uint32_t bytes)
{
    if (r.lost)
        lost_ -= bytes;
    if (r.retransmitted)
        retransmitted_ -= bytes;
    if (r.lost && r.retransmitted)
        lost_retransmitted_ -= bytes;
}

void Scoreboard::acknowledge(Sequence una, Delivery& d)
{
    uint32_t whole = 0;
    for (SentRange& r : ranges_) {
        if (r.start >= una)
            break;
        uint32_t bytes = earlier(una, r.end) - r.start;
        if (r.sacked)
            sacked_ -= bytes;
        else
            note_delivered(r, bytes, d);
        uncount(r, bytes);
        if (r.end > una) {
            r.start = una;
            break;
        }
        whole++;
    }
    ranges_.erase(0, whole);
    first_lost_ -= least(first_lost_, whole);
}

void Scoreboard::mark_sacked(SentRange& r, Delivery& d)
{
    note_delivered(r, r.length(), d);
    uncount(r, r.length());
    r.lost = r.retransmitted = false;
    r.sacked = true;
    d.sacked_bytes += r.length();
}

void Scoreboard::selectively_acknowledge(Sequence start, Sequence end, Delivery& d)
{
    // Reordering is judged against what was SACKed before this block.
    uint32_t newly = d.sacked_bytes;
    for (uint32_t i = 0; i < ranges_.size(); i++) {
        if (ranges_[i].end <= start || ranges_[i].sacked)
            continue;
        if (ranges_[i].start >= end)
            break;
        uint32_t cut = ranges_[i].cut;
        if (ranges_[i].start < start) {
            uint32_t before = (start - ranges_[i].start + cut - 1) / cut * cut;
            if (before < ranges_[i].length())
                split(i, before);
            continue;
        }
        if (ranges_[i].end > end) {
            uint32_t whole = (end - ranges_[i].start) / cut * cut;
            if (!whole)
                break;
            split(i, whole);
        }
        mark_sacked(ranges_[i], d);
    }
    newly = d.sacked_bytes - newly;
    if (newly > 0 && (sacked_ == 0 || end > highest_sacked_))
        highest_sacked_ = end;
    sacked_ += newly;
}

void Scoreboard::merge_sacked()
{
    uint32_t kept = 0, lost_from = first_lost_;
    for (uint32_t i = 1; i < ranges_.size(); i++) {
        SentRange& last = ranges_[kept];
        const SentRange& r = ranges_[i];
        if (last.sacked && r.sacked) {
            // So many segments as before; where they began matters no more.
            uint32_t segments = last.segments() + r.segments();
            last.end = r.end;
            last.cut = static_cast<uint16_t>((last.length() + segments - 1) / segments);
            last.sent = greatest(last.sent, r.sent);
            last.ever_retransmitted |= r.ever_retransmitted;
            first_lost_ -= i < lost_from;
        } else if (++kept != i) {
            ranges_[kept] = r;
        }
    }
    if (!ranges_.empty())
        ranges_.erase(kept + 1, ranges_.size() - kept - 1);
}

uint32_t Scoreboard::next_lost()
{
    if (!has_lost())
        return ranges_.size();
    uint32_t i = first_lost_;
    while (i < ranges_.size() && !(ranges_[i].lost && !ranges_[i].retransmitted))
        i++;
    first_lost_ = i;
    return i;
}

void Scoreboard::split(uint32_t i, uint32_t bytes)
{
    SentRange rest = ranges_[i];
    ranges_[i].end = ranges_[i].start + bytes;
    rest.start = ranges_[i].end;
    ranges_.insert(i + 1, rest);
}

void Scoreboard::merge_following(uint32_t i, uint32_t most)
{
    SentRange& r = ranges_[i];
    uint32_t next = i + 1;
    while (next < ranges_.size() && ranges_[next].sacked == r.sacked &&
           ranges_[next].lost == r.lost && ranges_[next].retransmitted == r.retransmitted &&
           ranges_[next].end - r.start <= most) {
        r.end = ranges_[next].end;
        r.ever_retransmitted |= ranges_[next].ever_retransmitted;
        next++;
    }
    uint32_t merged = next - i - 1;
    if (!merged)
        return;
    ranges_.erase(i + 1, merged);
    if (first_lost_ > i)
        first_lost_ = greatest(first_lost_, next) - merged;
}

void Scoreboard::retransmit(uint32_t i, const SentRange& stamp)
{
    SentRange& r = ranges_[i];
    r.sent = stamp.sent;
    r.delivered = stamp.delivered;
    r.delivered_at = stamp.delivered_at;
    r.first_sent = stamp.first_sent;
    r.app_limited = stamp.app_limited;
    r.cut = stamp.cut;
    r.ever_retransmitted = true;
    if (!r.retransmitted) {
        retransmitted_ += r.length();
        if (r.lost)
            lost_retransmitted_ += r.length();
    }
    r.retransmitted = true;
}

// Also takes back a retransmission that was itself lost.
void Scoreboard::mark_lost(uint32_t i)
{
    SentRange& r = ranges_[i];
    if (r.sacked)
        return;
    if (!r.lost || r.retransmitted)
        newly_lost_ += r.length();
    uncount(r, r.length());
    r.lost = true;
    r.retransmitted = false;
    lost_ += r.length();
    first_lost_ = least(first_lost_, i);
}

void Scoreboard::mark_all_lost()
{
    for (uint32_t i = 0; i < ranges_.size(); i++)
        mark_lost(i);
}

bool Scoreboard::mark_overtaken_lost(uint32_t bytes, uint32_t separate)
{
    uint32_t above = 0, ranges = 0;
    bool newly = false;
    for (uint32_t i = ranges_.size(); i-- > 0;) {
        SentRange& r = ranges_[i];
        if (r.sacked) {
            above += r.length();
            ranges++;
            continue;
        }
        if (r.lost || r.retransmitted || (above <= bytes && ranges < separate))
            continue;
        mark_lost(i);
        newly = true;
    }
    return newly;
}

void Scoreboard::mark_head_lost(uint32_t bytes)
{
    for (uint32_t i = 0; i < ranges_.size() && bytes > 0; i++) {
        if (ranges_[i].sacked)
            continue;
        if (ranges_[i].length() > bytes)
            split(i, bytes);
        bytes -= ranges_[i].length();
        if (!ranges_[i].lost || ranges_[i].retransmitted)
            mark_lost(i);
    }
}

void Scoreboard::forget_losses()
{
    for (SentRange& r : ranges_) {
        uncount(r, r.length());
        r.lost = r.retransmitted = false;
    }
}

void Scoreboard::forget_sacks()
{
    for (SentRange& r : ranges_)
        r.sacked = false;
    sacked_ = 0;
}

void Scoreboard::clear()
{
    ranges_.clear();
    first_lost_ = 0;
    sacked_ = lost_ = retransmitted_ = lost_retransmitted_ = newly_lost_ = 0;
}

const char* Scoreboard::broken_invariant(Sequence una, Sequence nxt) const
{
    uint32_t sacked = 0, lost = 0, retransmitted = 0;
    Sequence at = una;
    for (const SentRange& r : ranges_) {
        if (r.start != at || r.end <= r.start)
            return "scoreboard ranges leave a gap or overlap";
        if (!r.cut)
            return "a range of no segments";
        at = r.end;
        if (r.sacked && (r.lost || r.retransmitted))
            return "a range is both SACKed and lost";
        sacked += r.sacked ? r.length() : 0;
        lost += r.lost ? r.length() : 0;
        retransmitted += r.retransmitted ? r.length() : 0;
    }
    if (!ranges_.empty() && at != nxt)
        return "scoreboard does not end at snd_nxt";
    if (sacked != sacked_ || lost != lost_ || retransmitted != retransmitted_)
        return "scoreboard sums are wrong";
    return nullptr;
}

} // namespace sluice
