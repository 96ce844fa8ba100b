// SPDX-License-Identifier: GPL-2.0
// The path's behaviour.
#include "link.h"

#include "host.h"

namespace sluice::lab
{

namespace
{
constexpr uint32_t ip_header = 20;
constexpr uint64_t burst_length = 100000; // microseconds
} // namespace

void Link::deliver(Packet packet, uint64_t when)
{
    sim_.at(when, [this, p = std::move(packet)]() mutable {
        if (receiver)
            receiver(std::move(p));
    });
}

bool Link::marks(const Packet& packet)
{
    if (packet.ecn != SLUICE_ECT_0 && packet.ecn != SLUICE_ECT_1)
        return false;
    return (set.mark_queue && *waiting_ >= set.mark_queue) || (congested && congested(packet)) ||
           sim_.chance(set.mark);
}

void Link::send(Packet packet)
{
    sent++;
    if (observer)
        observer(packet);
    bool bursting = sim_.now() < bursting_until_ && sim_.chance(0.5);
    if (!bursting && sim_.chance(set.burst_loss)) {
        bursting = true;
        bursting_until_ = sim_.now() + burst_length;
    } else if (!bursting) {
        bursting_until_ = 0;
    }
    bool too_big = set.mtu && packet.bytes.size() > set.mtu;
    if (too_big || down || bursting || (drop && drop(packet)) || sim_.chance(set.loss)) {
        lost++;
        if (mourner)
            mourner(packet);
        return;
    }
    if (marks(packet)) {
        packet.ecn = SLUICE_CE;
        marked++;
    }
    uint64_t leaves = sim_.now();
    if (set.rate > 0) {
        if (*waiting_ >= set.queue) {
            queue_drops++;
            if (mourner)
                mourner(packet);
            return;
        }
        double takes = (packet.bytes.size() + ip_header) * 1e6 / set.rate;
        leaves = std::max(leaves, free_at_) + static_cast<uint64_t>(takes);
        free_at_ = leaves;
        ++*waiting_;
        sim_.at(leaves, [waiting = waiting_] { --*waiting; });
    }
    if (sim_.chance(set.corrupt)) {
        packet.bytes[sim_.below(packet.bytes.size())] ^= 1u << sim_.below(8);
        packet.corrupted = true;
    }
    uint64_t arrives = leaves + set.delay + sim_.below(set.jitter + 1);
    if (sim_.chance(set.reorder))
        arrives = leaves;
    if (sim_.chance(set.duplicate))
        deliver(packet, arrives + sim_.below(1000));
    deliver(std::move(packet), arrives);
}

} // namespace sluice::lab
