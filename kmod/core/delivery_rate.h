// SPDX-License-Identifier: GPL-2.0
// Delivery rate estimation (draft-ietf-ccwg-bbr section 4.1): each sent range
// remembers how much had been delivered when it left; its acknowledgment
// gives a rate over the longer of the send and the ACK interval.
#pragma once

#include "scoreboard.h"

namespace sluice
{

class DeliveryRate
{
public:
    uint64_t delivered() const { return delivered_; }
    uint64_t bytes_per_second() const { return rate_; }
    // Was that all that the application gave, not all that the path took?
    bool application_limited() const { return rate_app_limited_; }

    // Fills the stamp of a range that is about to be sent.
    void stamp(SentRange& r, bool nothing_in_flight, Instant now)
    {
        if (nothing_in_flight || !delivered_at_) {
            first_sent_ = now;
            delivered_at_ = now;
        }
        r.sent = now;
        r.delivered = delivered_;
        r.delivered_at = delivered_at_;
        r.first_sent = first_sent_;
        r.app_limited = app_limited_until_ != 0;
    }

    // The application has nothing more to send: samples until what is in
    // flight now has arrived say nothing of the path.
    void application_limited(uint32_t in_flight)
    {
        app_limited_until_ = delivered_ + in_flight + 1;
    }

    // Takes one acknowledgment in; returns the sample, 0 when there is none.
    uint64_t acknowledged(const Delivery& d, Duration min_rtt, Instant now)
    {
        delivered_ += d.bytes;
        if (d.bytes)
            delivered_at_ = now;
        if (app_limited_until_ && delivered_ >= app_limited_until_)
            app_limited_until_ = 0;
        if (!d.has_rate)
            return 0;
        first_sent_ = d.prior_sent;
        Duration interval = greatest(d.prior_sent - d.prior_first_sent, now - d.prior_delivered_at);
        if (interval.us() == 0 || interval < min_rtt)
            return 0;
        uint64_t sample = (delivered_ - d.prior_delivered) * 1000000 / interval.us();
        if (!d.prior_app_limited || sample > rate_) {
            rate_ = sample;
            rate_app_limited_ = d.prior_app_limited;
        }
        return sample;
    }

private:
    uint64_t delivered_ = 0;
    uint64_t rate_ = 0;
    bool rate_app_limited_ = false;
    uint64_t app_limited_until_ = 0;
    Instant delivered_at_, first_sent_;
};

} // namespace sluice
