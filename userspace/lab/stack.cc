// SPDX-License-Identifier: GPL-2.0
// Demultiplexing, listeners and TIME_WAIT of a laboratory machine.
#include <utility>

#include "stack.h"

#include <cstdio>
#include <cstdlib>

namespace sluice::lab
{

namespace
{

void set_defaults(sluice_config& c)
{
#define SLUICE_PARAM(name, def, min, max, unit, help) c.name = def;
#include "config.def"
#undef SLUICE_PARAM
}

std::string flags_text(uint8_t flags)
{
    static const char letters[] = "FSRPAUEC";
    std::string text;
    for (int i = 0; i < 8; i++)
        if (flags & (1 << i))
            text += letters[i];
    return text;
}

} // namespace

Stack::Stack(Simulation& s, std::string n) : sim(s), name(std::move(n))
{
    set_defaults(space.config);
    space.stack = this;
}

Stack::~Stack()
{
    sockets.clear();
}

Socket& Stack::socket()
{
    sockets.emplace_back(*this);
    return sockets.back();
}

sluice_path Stack::path(uint16_t local, uint16_t remote) const
{
    sluice_path p{};
    p.local_port = local;
    p.remote_port = remote;
    p.local[15] = name.empty() ? 1 : static_cast<uint8_t>(name[0]);
    p.remote[15] = 1;
    if (ipv4)
        for (uint8_t* address : {p.local, p.remote})
            address[10] = address[11] = 0xff;
    p.max_payload = static_cast<uint16_t>(mtu - 40);
    p.advertise_mss = static_cast<uint16_t>(mtu - 40);
    p.gso_max = std::max<uint32_t>(gso_max, p.max_payload);
    return p;
}

void Stack::transmit(const sluice_reply& reply)
{
    if (!reply.header_length)
        return;
    Packet p;
    p.bytes.assign(reply.header, reply.header + reply.header_length);
    note(">", p);
    if (out)
        out->send(std::move(p));
}

void Stack::note(const char* way, const Packet& packet)
{
    if (!log)
        return;
    sluice_segment s{};
    uint32_t size = static_cast<uint32_t>(packet.bytes.size());
    if (sluice_segment_parse(packet.bytes.data(), size, size, &s))
        return;
    char line[256];
    snprintf(line, sizeof(line), "%12.6f %s %s %s seq %u ack %u len %u win %u ts %u/%u sack %u%s",
             sim.now() / 1e6, name.c_str(), way, flags_text(s.flags).c_str(), s.seq, s.ack,
             s.length, s.window, s.ts_value, s.ts_echo, s.sack_count,
             packet.corrupted ? " CORRUPT" : "");
    log->push_back(line);
}

void Stack::receive(Packet packet)
{
    note("<", packet);
    sluice_host_count(&space.config, SLUICE_CNT_segs_in, 1);
    if (packet.corrupted) {
        sluice_host_count(&space.config, SLUICE_CNT_bad_checksum, 1);
        return;
    }
    sluice_segment seg{};
    uint32_t size = static_cast<uint32_t>(packet.bytes.size());
    switch (sluice_segment_parse(packet.bytes.data(), size, size, &seg)) {
    case SLUICE_PARSE_OK:
        break;
    case SLUICE_PARSE_SHORT:
        sluice_host_count(&space.config, SLUICE_CNT_bad_header, 1);
        return;
    case SLUICE_PARSE_FLAGS:
        sluice_host_count(&space.config, SLUICE_CNT_bad_flags, 1);
        return;
    }
    if (seg.bad_option)
        sluice_host_count(&space.config, SLUICE_CNT_bad_option, 1);
    seg.payload = packet.bytes.data();
    seg.ecn = packet.ecn;
    seg.gso_size = packet.gso_size;
    seg.gso_segs = packet.gso_segs;
    Pair pair{seg.destination, seg.source};
    if (auto c = connections.find(pair); c != connections.end()) {
        sluice_conn_segment(&c->second->conn, &seg, sim.now());
        return;
    }
    if (half_opens.count(pair)) {
        to_half_open(pair, seg);
        return;
    }
    if (time_waits.count(pair) && to_time_wait(pair, seg))
        return;
    auto l = listeners.find(seg.destination);
    uint8_t kind = seg.flags & (SLUICE_SYN | SLUICE_ACK | SLUICE_RST);
    if (l != listeners.end() && kind == SLUICE_SYN) {
        to_listener(*l->second, pair, seg, 0);
        return;
    }
    if (l != listeners.end() && kind == SLUICE_ACK && take_cookie(*l->second, pair, seg))
        return;
    sluice_host_count(&space.config, SLUICE_CNT_no_socket, 1);
    sluice_reply reply{};
    sluice_reset_reply(&seg, &reply);
    transmit(reply);
}

void Stack::to_listener(Socket& listener, Pair pair, sluice_segment& seg, uint32_t isn_after)
{
    if (listener.ready.size() > listener.backlog) {
        sluice_host_count(&space.config, SLUICE_CNT_listen_overflows, 1);
        return;
    }
    sluice_path p = path(pair.first, pair.second);
    uint32_t buffer = static_cast<uint32_t>(listener.receive_buffer);
    sluice_reply reply{};
    bool full = half_opens.size() >= config().max_syn_backlog;
    if (!isn_after && (config().syncookies == 2 || (config().syncookies && full))) {
        cookies_sent = true;
        sluice_cookie_answer(&listener.conn, &space.config, &p, &seg, buffer, &reply, sim.now());
        transmit(reply);
        return;
    }
    if (full) {
        sluice_host_count(&space.config, SLUICE_CNT_half_open_overflows, 1);
        return;
    }
    sluice_fastopen_cookie grant;
    bool early = sluice_fastopen_judge(&listener.conn, &space.config, &p, &seg, &grant);
    if ((early || grant.length) && !room_for_early(listener)) {
        sluice_host_count(&space.config, SLUICE_CNT_fastopen_overflows, 1);
        early = false;
        grant.length = 0;
    }
    HalfOpen& h = half_opens[pair];
    h.listener = &listener;
    sluice_half_open_init(&h.core, &listener.conn, &space.config, &p, &seg, buffer, isn_after,
                          &grant, early ? nullptr : &reply, sim.now());
    transmit(reply);
    if (!early) {
        arm_half_open(pair);
        return;
    }
    Socket& child = child_of(listener, pair, sluice_half_open(h.core));
    sluice_conn_accept_early(&child.conn, &seg, grant.length ? &grant : nullptr, sim.now());
    if (listener.on_event)
        listener.on_event(listener);
}

bool Stack::room_for_early(const Socket& listener) const
{
    uint64_t early = 0;
    for (const Socket& s : sockets)
        early += s.listener == &listener && sluice_conn_open_early(&s.conn);
    return early < sluice_conn_option(&listener.conn, SLUICE_OPTION_FASTOPEN) ||
           (space.config.fastopen & 0x400);
}

// In the place of its half-open connection, and in the accept queue.
Socket& Stack::child_of(Socket& listener, Pair pair, const sluice_half_open& h)
{
    Socket& child = socket();
    child.local_port = pair.first;
    child.remote_port = pair.second;
    child.send_buffer = listener.send_buffer;
    child.receive_buffer = listener.receive_buffer;
    child.on_event = listener.on_event;
    child.listener = &listener;
    sluice_conn_inherit(&child.conn, &listener.conn);
    sluice_path p = path(pair.first, pair.second);
    half_opens.erase(pair);
    connections[pair] = &child;
    sluice_conn_accept(&child.conn, &h, &p, sim.now());
    child.queued = true;
    listener.ready.push_back(&child);
    return child;
}

// False: the ACK holds no cookie of ours.
bool Stack::take_cookie(Socket& listener, Pair pair, sluice_segment& seg)
{
    sluice_half_open core;
    sluice_path p = path(pair.first, pair.second);
    if (!cookies_sent)
        return false;
    if (!sluice_cookie_open(&core, &listener.conn, &space.config, &p, &seg,
                            static_cast<uint32_t>(listener.receive_buffer), sim.now())) {
        sluice_host_count(&space.config, SLUICE_CNT_cookies_failed, 1);
        return false;
    }
    sluice_host_count(&space.config, SLUICE_CNT_cookies_received, 1);
    HalfOpen& h = half_opens[pair];
    h.listener = &listener;
    h.core = core;
    arm_half_open(pair);
    to_half_open(pair, seg);
    return true;
}

void Stack::to_half_open(Pair pair, sluice_segment& seg)
{
    HalfOpen& h = half_opens[pair];
    sluice_reply reply{};
    sluice_half_open_result result =
        sluice_half_open_segment(&h.core, &space.config, &seg, &reply, sim.now());
    transmit(reply);
    if (result == SLUICE_HALF_OPEN_DROP) {
        half_opens.erase(pair);
        return;
    }
    if (result == SLUICE_HALF_OPEN_KEEP) {
        arm_half_open(pair);
        return;
    }
    Socket* listener = h.listener;
    if (listener->ready.size() > listener->backlog) {
        sluice_host_count(&space.config, SLUICE_CNT_listen_overflows, 1);
        h.core.acked_but_full = true;
        return;
    }
    Socket& child = child_of(*listener, pair, sluice_half_open(h.core));
    sluice_conn_segment(&child.conn, &seg, sim.now());
    if (listener->on_event)
        listener->on_event(*listener);
}

void Stack::arm_half_open(Pair pair)
{
    HalfOpen& h = half_opens[pair];
    uint64_t mine = h.generation = generation++;
    sim.at(h.core.deadline, [this, pair, mine] {
        auto i = half_opens.find(pair);
        if (i == half_opens.end() || i->second.generation != mine)
            return;
        sluice_reply reply{};
        sluice_half_open_result r =
            sluice_half_open_time(&i->second.core, &space.config, &reply, sim.now());
        transmit(reply);
        if (r == SLUICE_HALF_OPEN_DROP)
            half_opens.erase(pair);
        else
            arm_half_open(pair);
    });
}

bool Stack::to_time_wait(Pair pair, sluice_segment& seg)
{
    TimeWait& t = time_waits[pair];
    auto l = listeners.find(pair.first);
    sluice_reply reply{};
    uint32_t isn_after = 0;
    sluice_time_wait_result r = sluice_time_wait_segment(
        &t.core, &space.config, &seg, l != listeners.end(), &reply, &isn_after, sim.now());
    transmit(reply);
    if (r == SLUICE_TIME_WAIT_KEEP) {
        arm_time_wait(pair);
        return true;
    }
    if (r == SLUICE_TIME_WAIT_REMOVE) {
        time_waits.erase(pair);
        return true;
    }
    time_waits.erase(pair);
    to_listener(*l->second, pair, seg, isn_after);
    return true;
}

void Stack::keep_time_wait(Pair pair, const sluice_time_wait& t)
{
    time_waits[pair].core = t;
    arm_time_wait(pair);
}

void Stack::arm_time_wait(Pair pair)
{
    TimeWait& t = time_waits[pair];
    uint64_t mine = t.generation = generation++;
    sim.at(t.core.deadline, [this, pair, mine] {
        auto i = time_waits.find(pair);
        if (i != time_waits.end() && i->second.generation == mine)
            time_waits.erase(i);
    });
}

void Stack::collect()
{
    sockets.remove_if([](const Socket& s) { return s.orphan && s.closed; });
}

void Stack::drain()
{
    queued = 0;
    for (Socket& s : sockets)
        if (std::exchange(s.awaits_queue, false))
            sluice_conn_drained(&s.conn, sim.now());
}

Pair::Pair(uint64_t seed, LinkSettings settings)
    : sim(seed), forth(sim, settings), back(sim, settings), into_a(sim), into_b(sim), a(sim, "a"),
      b(sim, "b")
{
    a.out = &forth;
    b.out = &back;
    forth.receiver = [this](Packet p) { into_b.receive(std::move(p)); };
    back.receiver = [this](Packet p) { into_a.receive(std::move(p)); };
    into_b.receiver = [this](Packet p) { b.receive(std::move(p)); };
    into_a.receiver = [this](Packet p) { a.receive(std::move(p)); };
}

void Pair::verbose()
{
    a.log = b.log = &log;
}

std::pair<Socket*, Socket*> Pair::connected(uint16_t port)
{
    Socket& listener = b.socket();
    listener.listen(port);
    Socket& client = a.socket();
    client.connect(port);
    Socket* server = nullptr;
    sim.run_until([&] { return client.connected && (server = listener.accept()); }, 300000000);
    return {&client, server};
}

} // namespace sluice::lab
