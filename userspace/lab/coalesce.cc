// SPDX-License-Identifier: GPL-2.0
// The rules by which the kernel coalesces TCP: same ports, flags, ACK and
// options, next sequence number, full segments but for the last.
#include "coalesce.h"

#include "host.h"
#include "wire.h"

namespace sluice::lab
{

namespace
{

constexpr size_t most_bytes = 65535;
constexpr uint8_t last_flags = SLUICE_PSH | SLUICE_FIN;
constexpr uint8_t first_flags = SLUICE_CWR;

size_t header_length(const Packet& p)
{
    return p.bytes.size() < HEADER_MIN ? 0 : (p.bytes[12] >> 4) * size_t{4};
}

size_t payload(const Packet& p)
{
    return p.bytes.size() - header_length(p);
}

// Data, intact, and nothing in its flags that asks for attention of its own.
bool may_be_held(const Packet& p)
{
    size_t header = header_length(p);
    return header >= HEADER_MIN && p.bytes.size() > header && !p.corrupted &&
           (p.bytes[13] & ~(SLUICE_PSH | SLUICE_ECE | SLUICE_CWR)) == SLUICE_ACK;
}

bool same_header(const Packet& a, const Packet& b)
{
    size_t header = header_length(a);
    return header_length(b) == header && a.ecn == b.ecn &&
           std::equal(a.bytes.begin(), a.bytes.begin() + 4, b.bytes.begin()) &&          // ports
           std::equal(a.bytes.begin() + 8, a.bytes.begin() + 13, b.bytes.begin() + 8) && // ack
           !(b.bytes[13] & first_flags) &&
           ((a.bytes[13] ^ b.bytes[13]) & ~(last_flags | first_flags)) == 0 &&
           std::equal(a.bytes.begin() + HEADER_MIN, a.bytes.begin() + static_cast<long>(header),
                      b.bytes.begin() + HEADER_MIN);
}

} // namespace

bool Coalescer::append(const Packet& next)
{
    uint16_t size = held_.gso_size;
    if (!next.bytes.size() || next.corrupted || header_length(next) < HEADER_MIN ||
        next.bytes.size() <= header_length(next) || !same_header(held_, next))
        return false;
    if (payload(held_) % size || payload(next) > size ||
        held_.bytes.size() + payload(next) > most_bytes)
        return false;
    if (load32(&next.bytes[4]) != load32(&held_.bytes[4]) + payload(held_))
        return false;
    held_.bytes[13] |= next.bytes[13] & last_flags;
    std::copy(&next.bytes[14], &next.bytes[16], &held_.bytes[14]); // the newer window
    held_.bytes.insert(held_.bytes.end(),
                       next.bytes.begin() + static_cast<long>(header_length(next)),
                       next.bytes.end());
    held_.gso_segs++;
    merged++;
    return true;
}

void Coalescer::flush()
{
    if (!holding_)
        return;
    holding_ = false;
    if (held_.gso_segs == 1)
        held_.gso_segs = held_.gso_size = 0;
    receiver(std::move(held_));
}

void Coalescer::receive(Packet packet)
{
    if (holding_ && append(packet)) {
        if (payload(held_) % held_.gso_size || (held_.bytes[13] & last_flags))
            flush();
        return;
    }
    flush();
    if (!wait || !may_be_held(packet)) {
        receiver(std::move(packet));
        return;
    }
    held_ = std::move(packet);
    held_.gso_size = static_cast<uint16_t>(payload(held_));
    held_.gso_segs = 1;
    holding_ = true;
    sim_.after(wait, [this, mine = ++generation_] {
        if (mine == generation_)
            flush();
    });
}

} // namespace sluice::lab
