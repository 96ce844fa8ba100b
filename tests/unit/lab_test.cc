// SPDX-License-Identifier: GPL-2.0
// Shared parts of the tests.
#include "lab_test.h"

namespace sluice::test
{

Bytes pattern(size_t size, uint32_t salt)
{
    Bytes bytes(size);
    uint32_t x = salt * 2654435761u + 12345;
    for (uint8_t& b : bytes) {
        x = x * 1664525 + 1013904223;
        b = static_cast<uint8_t>(x >> 24);
    }
    return bytes;
}

bool transfer(lab::Pair& pair, Socket& from, Socket& to, const Bytes& bytes, uint64_t limit)
{
    size_t written = 0;
    Bytes got;
    auto pump = [&] {
        if (written < bytes.size() && from.send_room() > 0) {
            size_t n = std::min<size_t>(bytes.size() - written, 65536);
            auto first = bytes.begin() + static_cast<long>(written);
            written += from.write(Bytes(first, first + static_cast<long>(n)));
        }
        if (to.readable()) {
            Bytes part = to.read(1 << 20);
            got.insert(got.end(), part.begin(), part.end());
        }
        return got.size() >= bytes.size() || from.closed || to.closed;
    };
    pair.sim.run_until(pump, limit);
    return got == bytes;
}

Seen parse(const Packet& packet)
{
    Seen s{};
    uint32_t size = static_cast<uint32_t>(packet.bytes.size());
    sluice_segment_parse(packet.bytes.data(), size, size, &s);
    s.ecn = packet.ecn;
    s.data.assign(packet.bytes.begin() + s.header_length, packet.bytes.end());
    return s;
}

Scripted::Scripted(std::function<void(lab::Stack&)> configure)
    : wire(sim, LinkSettings{.delay = 0}), stack(sim, "machine")
{
    if (configure)
        configure(stack);
    stack.out = &wire;
    wire.observer = [this](const Packet& p) {
        Seen s = parse(p);
        s.when = sim.now();
        sent.push_back(s);
        uint32_t end = s.seq + s.length + !!(s.flags & SLUICE_SYN) + !!(s.flags & SLUICE_FIN);
        if (follow && static_cast<int32_t>(end - rcv) > 0)
            rcv = end;
        if (s.has_timestamp)
            ts_echo = s.ts_value;
    };
}

HeaderFields Scripted::fields(uint8_t flags) const
{
    HeaderFields f;
    f.source = 9;
    f.destination = socket ? socket->local_port : 80;
    f.seq = nxt;
    f.ack = flags & SLUICE_ACK ? rcv : 0;
    f.flags = flags;
    f.window = window;
    f.timestamp = timestamps;
    f.ts_value = ts_value + static_cast<uint32_t>(sim.now() / 1000);
    f.ts_echo = ts_echo;
    f.sack = blocks.data();
    f.sack_count = static_cast<uint8_t>(blocks.size());
    if (flags & SLUICE_SYN) {
        f.mss = mss;
        f.wscale = wscale;
        f.sack_permitted = sack;
    }
    return f;
}

void Scripted::raw(HeaderFields f, const Bytes& data)
{
    Packet p;
    uint8_t header[SLUICE_HEADER_MAX];
    uint8_t length = write_header(header, f);
    p.bytes.assign(header, header + length);
    p.bytes.insert(p.bytes.end(), data.begin(), data.end());
    p.ecn = ecn;
    stack.receive(std::move(p));
}

void Scripted::send(uint8_t flags, const Bytes& data, int32_t seq_offset, int32_t ack_offset)
{
    HeaderFields f = fields(flags);
    f.seq += static_cast<uint32_t>(seq_offset);
    f.ack += static_cast<uint32_t>(ack_offset);
    if (!seq_offset)
        nxt += static_cast<uint32_t>(data.size()) + !!(flags & SLUICE_SYN) + !!(flags & SLUICE_FIN);
    raw(f, data);
}

void Scripted::open_passive()
{
    Socket& listener = stack.socket();
    listener.listen(80);
    nxt = isn;
    send(SLUICE_SYN | setup);
    rcv = last().seq + 1;
    run(rtt);
    send(SLUICE_ACK);
    socket = listener.accept();
    sent.clear();
}

void Scripted::begin_active()
{
    nxt = isn;
    socket = &stack.socket();
    socket->connect(9);
    rcv = last().seq + 1;
}

void Scripted::open_active()
{
    begin_active();
    run(rtt);
    send(SLUICE_SYN | SLUICE_ACK | setup);
    sent.clear();
}

size_t Scripted::data_segments() const
{
    size_t n = 0;
    for (const Seen& s : sent)
        n += s.length > 0;
    return n;
}

} // namespace sluice::test
