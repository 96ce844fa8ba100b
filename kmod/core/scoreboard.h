// SPDX-License-Identifier: GPL-2.0
// What was sent and not yet cumulatively acknowledged, as ranges of sequence
// numbers: when each was sent, whether the peer has it (RFC 2018 SACK),
// whether it counts as lost, whether it was retransmitted. From it come the
// bytes in flight (RFC 6675 "pipe") and what to retransmit next.
#pragma once

#include "growing_array.h"
#include "instant.h"
#include "sequence.h"

namespace sluice
{

struct SentRange {
    Sequence start, end;
    Instant sent; // last transmission
    // For the delivery rate (draft-ietf-ccwg-bbr 4.1): the connection's
    // counters when this was sent.
    uint64_t delivered;
    Instant delivered_at, first_sent;
    bool app_limited;
    bool sacked;
    bool lost;
    bool retransmitted;      // the retransmission counts as in flight
    bool ever_retransmitted; // no round-trip sample from it (Karn)
    uint16_t cut;            // payload bytes of its segments when last sent, > 0

    uint32_t length() const { return end - start; }
    uint32_t segments() const { return (length() + cut - 1) / cut; }
};

// What one acknowledgment told; filled by the scoreboard.
struct Delivery {
    uint32_t bytes = 0;        // newly acknowledged or SACKed
    uint32_t sacked_bytes = 0; // of which by SACK
    // The most recently sent range among them (RFC 8985 RACK.segment).
    Instant newest_sent;
    Sequence newest_end;
    bool newest_retransmitted = false;
    // The most recently sent one that was never retransmitted: RTT sample.
    Instant sample_sent;
    bool retransmission_acked = false;
    // The lowest one that was never retransmitted (F-RTO).
    bool original = false;
    Sequence original_at;
    // For the delivery rate.
    bool has_rate = false;
    uint64_t prior_delivered = 0;
    Instant prior_delivered_at, prior_first_sent, prior_sent;
    bool prior_app_limited = false;
    // Reordering: the lowest never-retransmitted range that was delivered
    // although something above it had been SACKed before.
    bool reordered = false;
    Sequence reordered_at;
};

class Scoreboard
{
public:
    static constexpr uint32_t limit = 16384;

    bool empty() const { return ranges_.empty(); }
    uint32_t size() const { return ranges_.size(); }
    const SentRange& operator[](uint32_t i) const { return ranges_[i]; }

    uint32_t sacked() const { return sacked_; }
    uint32_t lost() const { return lost_; }
    uint32_t retransmitted() const { return retransmitted_; }
    // Bytes thought to be in the network; `outstanding` is snd_nxt - snd_una.
    uint32_t in_flight(uint32_t outstanding) const
    {
        return outstanding - sacked_ - lost_ + retransmitted_;
    }
    Sequence highest_sacked() const { return highest_sacked_; }

    // Room for `n` more ranges; false: no memory.
    bool reserve(sluice_conn* owner, uint32_t n) { return ranges_.reserve(owner, n, limit); }
    // A first transmission, at the end. Needs room.
    void sent(const SentRange& range) { ranges_.push_back(range); }

    // Everything before `una` is acknowledged.
    void acknowledge(Sequence una, Delivery& d);
    // One SACK block within (una, nxt]. Needs room for two. It counts from segment
    // to segment: a peer that names single bytes makes no range for each.
    void selectively_acknowledge(Sequence start, Sequence end, Delivery& d);
    // All SACK blocks of one segment were given.
    void merge_sacked();

    // The first lost and not yet retransmitted range, or size().
    uint32_t next_lost();
    // Bytes that mark_lost() found since this was last asked.
    uint32_t take_newly_lost()
    {
        uint32_t bytes = newly_lost_;
        newly_lost_ = 0;
        return bytes;
    }
    bool has_lost() const { return lost_ > lost_retransmitted_; }
    // Splits range i so that its first `bytes` stand alone. Needs room for one.
    void split(uint32_t i, uint32_t bytes);
    // Takes ranges that follow and share its state into range i, up to `most` bytes.
    void merge_following(uint32_t i, uint32_t most);
    // Range i goes out again.
    void retransmit(uint32_t i, const SentRange& stamp);

    void mark_lost(uint32_t i);
    void mark_all_lost();
    // What more than `bytes` were SACKed above of, or so many separate ranges,
    // counts as lost (RFC 6675 4, IsLost; after merge_sacked()); a retransmission
    // isn't judged. True: something newly does.
    bool mark_overtaken_lost(uint32_t bytes, uint32_t separate);
    // The first `bytes` of what isn't SACKed count as lost (no SACK: RFC 6582).
    void mark_head_lost(uint32_t bytes);
    // A spurious timeout: nothing is lost after all.
    void forget_losses();
    // The peer took its SACKs back (RFC 2018 section 8).
    void forget_sacks();
    bool head_sacked() const { return !ranges_.empty() && ranges_[0].sacked; }

    void clear();
    void release(sluice_conn* owner)
    {
        clear();
        ranges_.release(owner);
    }
    // Name of what is wrong, or nullptr.
    const char* broken_invariant(Sequence una, Sequence nxt) const;

private:
    void note_delivered(const SentRange& r, uint32_t bytes, Delivery& d) const;
    void uncount(const SentRange& r, uint32_t bytes);
    void mark_sacked(SentRange& r, Delivery& d);

    GrowingArray<SentRange, 2> ranges_;
    uint32_t sacked_ = 0;
    uint32_t lost_ = 0;
    uint32_t retransmitted_ = 0;
    uint32_t lost_retransmitted_ = 0;
    uint32_t newly_lost_ = 0;
    Sequence highest_sacked_; // meaningful while sacked_ > 0
    // No range before this one is to be retransmitted; without it, a flight of n
    // lost ranges would take n squared steps.
    uint32_t first_lost_ = 0;
};

} // namespace sluice
