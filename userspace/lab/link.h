// SPDX-License-Identifier: GPL-2.0
// One direction of a path: a rate with a queue, a delay, and everything that
// can happen to a packet on the way.
#ifndef SLUICE_LAB_LINK_H
#define SLUICE_LAB_LINK_H

#include <deque>
#include <memory>
#include <string>

#include "simulation.h"

namespace sluice::lab
{

// A segment as it travels: header and payload. The checksum is the laboratory's.
struct Packet {
    std::vector<uint8_t> bytes;
    bool corrupted = false; // somebody changed it: the receiver's checksum fails
    uint8_t ecn = 0;        // enum sluice_ecn
    uint16_t gso_size = 0, gso_segs = 0;
};

struct LinkSettings {
    double rate = 0;       // bytes per second; 0: infinite
    uint64_t delay = 1000; // microseconds
    uint64_t jitter = 0;   // uniform, added; reorders when it exceeds the spacing
    uint32_t queue = 1000; // packets that wait for the rate
    uint32_t mtu = 0;      // header + payload at most; 0: any
    double loss = 0;
    double burst_loss = 0; // takes each following one with 1/2 too, for 100 ms at most
    double duplicate = 0;
    double reorder = 0; // overtakes: no delay
    double corrupt = 0;
    // Packets that are ECT are marked CE (RFC 3168): when at least so many wait
    // before them, and by chance.
    uint32_t mark_queue = 0; // 0: never
    double mark = 0;
};

class Link
{
public:
    Link(Simulation& sim, LinkSettings settings) : sim_(sim), set(settings) {}

    // What arrives goes here.
    std::function<void(Packet)> receiver;
    // True drops the packet: tests choose their losses by hand.
    std::function<bool(const Packet&)> drop;
    // True marks the packet, if it is ECT.
    std::function<bool(const Packet&)> congested;
    // Sees every packet that was sent.
    std::function<void(const Packet&)> observer;
    // Sees every packet that was lost on the way, for whatever reason.
    std::function<void(const Packet&)> mourner;

    void send(Packet packet);

private:
    Simulation& sim_;

public:
    LinkSettings set;
    bool down = false; // everything sent is lost
    uint64_t sent = 0, lost = 0, queue_drops = 0, marked = 0;

private:
    void deliver(Packet packet, uint64_t when);
    bool marks(const Packet& packet);
    uint64_t free_at_ = 0;
    uint64_t bursting_until_ = 0;
    std::shared_ptr<uint32_t> waiting_ = std::make_shared<uint32_t>(0);
};

} // namespace sluice::lab

#endif
