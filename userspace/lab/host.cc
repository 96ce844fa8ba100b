// SPDX-License-Identifier: GPL-2.0
// The host functions of kmod/core/host.h, in the laboratory.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "stack.h"
#include "wire.h"

using namespace sluice;
using namespace sluice::lab;

namespace
{

Socket& socket_of(sluice_conn* c)
{
    return static_cast<Socket&>(*reinterpret_cast<SocketStorage*>(c));
}

Stack& stack_of(const sluice_config* config)
{
    return *reinterpret_cast<const Stack::Namespace*>(config)->stack;
}

// The nth call fails, and any with its chance.
bool fails(Stack& s, uint32_t& nth, double chance)
{
    return (nth && --nth == 0) || s.sim.chance(chance);
}

[[noreturn]] void broken(const Socket& s, const char* what)
{
    fprintf(stderr, "laboratory: %s, port %u: %s\n", s.stack.name.c_str(), s.local_port, what);
    if (s.stack.log)
        for (const std::string& line : *s.stack.log)
            fprintf(stderr, "%s\n", line.c_str());
    std::abort();
}

// One wire segment of a transmission, as a segmentation engine would cut it.
Packet cut(const Socket& s, const sluice_transmission& t, uint32_t from, uint32_t length)
{
    Packet p;
    p.ecn = t.ecn;
    p.bytes.assign(t.header, t.header + t.header_length);
    store32(&p.bytes[4], load32(&p.bytes[4]) + from);
    if (from + length < t.length)
        p.bytes[13] &= static_cast<uint8_t>(~(SLUICE_FIN | SLUICE_PSH));
    if (from)
        p.bytes[13] &= static_cast<uint8_t>(~SLUICE_CWR);
    auto first = s.sent_bytes.begin() + t.offset + from;
    p.bytes.insert(p.bytes.end(), first, first + length);
    return p;
}

} // namespace

extern "C" {

bool sluice_host_transmit(sluice_conn* c, const sluice_transmission* t)
{
    Socket& s = socket_of(c);
    if (fails(s.stack, s.stack.faults.transmit, s.stack.faults.transmit_chance))
        return false;
    s.stack.rate_told = t->pacing_rate;
    if (t->length && t->offset + t->length > s.sent_bytes.size())
        broken(s, "transmission beyond the send buffer");
    if (t->length && !t->mss)
        broken(s, "payload without a segment size");
    if (t->length > t->mss && (t->header[13] & SLUICE_URG))
        broken(s, "segments that would share an urgent pointer");
    if (!s.stack.out)
        return true;
    uint32_t done = 0;
    do {
        uint32_t length = std::min(t->mss, t->length - done);
        Packet p = cut(s, *t, done, length);
        done += length;
        sluice_segment parsed{};
        if (s.stack.log) {
            uint32_t size = static_cast<uint32_t>(p.bytes.size());
            sluice_segment_parse(p.bytes.data(), size, size, &parsed);
            char line[200];
            snprintf(line, sizeof(line), "%12.6f %s > flags %02x seq %u ack %u len %u win %u",
                     s.stack.sim.now() / 1e6, s.stack.name.c_str(), parsed.flags, parsed.seq,
                     parsed.ack, parsed.length, parsed.window);
            s.stack.log->push_back(line);
        }
        s.stack.out->send(std::move(p));
    } while (done < t->length);
    return true;
}

bool sluice_host_paces(const sluice_conn* c)
{
    return socket_of(const_cast<sluice_conn*>(c)).stack.paces;
}

uint32_t sluice_host_queued(const sluice_conn* c)
{
    return socket_of(const_cast<sluice_conn*>(c)).stack.queued;
}

bool sluice_host_writer_waits(const sluice_conn* c)
{
    return socket_of(const_cast<sluice_conn*>(c)).write_refused;
}

bool sluice_host_await_queue(sluice_conn* c)
{
    Socket& s = socket_of(c);
    s.awaits_queue = true;
    return s.stack.queued > 0;
}

bool sluice_host_deliver(sluice_conn* c, sluice_segment* seg, uint32_t skip, uint32_t length,
                         uint32_t position, bool in_order)
{
    Socket& s = socket_of(c);
    if (fails(s.stack, s.stack.faults.deliver, s.stack.faults.deliver_chance))
        return false;
    if (!length || skip + length > seg->length)
        broken(s, "delivery outside its segment");
    const uint8_t* from = static_cast<uint8_t*>(seg->payload) + seg->header_length + skip;
    if (in_order) {
        s.received.insert(s.received.end(), from, from + length);
        return true;
    }
    for (const auto& [at, bytes] : s.held)
        if (Sequence(at) < Sequence(position) + length &&
            Sequence(position) < Sequence(at) + static_cast<uint32_t>(bytes.size()))
            broken(s, "held pieces overlap");
    s.held[position].assign(from, from + length);
    s.held_bytes += length;
    return true;
}

void sluice_host_join(sluice_conn* c, uint32_t up_to)
{
    Socket& s = socket_of(c);
    for (;;) {
        auto first = s.held.end();
        for (auto i = s.held.begin(); i != s.held.end(); ++i)
            if (Sequence(i->first) < Sequence(up_to) &&
                (first == s.held.end() || Sequence(i->first) < Sequence(first->first)))
                first = i;
        if (first == s.held.end())
            return;
        s.received.insert(s.received.end(), first->second.begin(), first->second.end());
        s.held_bytes -= first->second.size();
        s.held.erase(first);
    }
}

uint32_t sluice_host_urgent(sluice_conn* c, uint32_t position)
{
    socket_of(c).marks.push_back(position);
    return 0;
}

void sluice_host_fastopen_cookie(const sluice_conn* c, const sluice_path* path, unsigned which,
                                 sluice_fastopen_cookie* cookie)
{
    const Stack& stack = socket_of(const_cast<sluice_conn*>(c)).stack;
    struct {
        uint8_t remote[16];
        uint64_t key;
    } hashed;
    cookie->length = 0;
    hashed.key = stack.fastopen_keys.at(which);
    if (!hashed.key)
        return;
    memcpy(hashed.remote, path->remote, sizeof(hashed.remote));
    uint64_t value = sluice_host_keyed_hash(&hashed, sizeof(hashed));
    memcpy(cookie->bytes, &value, sizeof(value));
    cookie->length = sizeof(value);
}

void sluice_host_fastopen_learned(sluice_conn* c, const sluice_fastopen_cookie* cookie,
                                  uint16_t mss)
{
    Stack& stack = socket_of(c).stack;
    if (cookie->length)
        stack.fastopen_cookie = *cookie;
    if (mss)
        stack.fastopen_mss = mss;
}

void sluice_host_fastopen_lost(sluice_conn* c)
{
    socket_of(c).stack.fastopen_lost++;
}

void sluice_host_drop_held(sluice_conn* c)
{
    socket_of(c).held.clear();
    socket_of(c).held_bytes = 0;
}

void sluice_host_release(sluice_conn* c, uint32_t bytes)
{
    Socket& s = socket_of(c);
    if (bytes > s.sent_bytes.size())
        broken(s, "more acknowledged than was written");
    s.sent_bytes.erase(s.sent_bytes.begin(), s.sent_bytes.begin() + bytes);
    s.write_refused = s.write_refused && s.send_room() < s.send_buffer / 3; // as Linux wakes
}

uint32_t sluice_host_receive_space(sluice_conn* c, uint32_t* full)
{
    Socket& s = socket_of(c);
    size_t used = s.received.size() + s.held_bytes;
    *full = static_cast<uint32_t>(s.receive_buffer);
    return used < s.receive_buffer ? static_cast<uint32_t>(s.receive_buffer - used) : 0;
}

void sluice_host_wake(sluice_conn* c, unsigned int events)
{
    Socket& s = socket_of(c);
    s.events |= events;
    if (events & SLUICE_EV_CONNECTED)
        s.connected = true;
    if (events & SLUICE_EV_FIN)
        s.fin = true;
    if (events & SLUICE_EV_CLOSED)
        s.closed = true;
    if (s.stack.check_invariants)
        if (const char* wrong = broken_invariant(c))
            broken(s, wrong);
    if (s.on_event)
        s.stack.sim.at(s.stack.sim.now(), [self = s.self, fn = s.on_event] {
            if (*self)
                fn(**self);
        });
}

void sluice_host_state(sluice_conn* c, sluice_state from, sluice_state to)
{
    Socket& s = socket_of(c);
    s.states.emplace_back(from, to);
    if (to == SLUICE_CLOSED) {
        auto i = s.stack.connections.find({s.local_port, s.remote_port});
        if (i != s.stack.connections.end() && i->second == &s)
            s.stack.connections.erase(i);
    }
}

void sluice_host_fail(sluice_conn* c, int error)
{
    socket_of(c).error = error;
}

void sluice_host_soft_error(sluice_conn* c, int error)
{
    socket_of(c).soft_error = error;
}

void sluice_host_doubt_path(sluice_conn* c, bool route)
{
    Socket& s = socket_of(c);
    s.path_doubts++;
    s.route_doubts += route;
}

void sluice_host_time_wait(sluice_conn* c, const sluice_time_wait* t)
{
    Socket& s = socket_of(c);
    s.time_wait = true;
    s.stack.keep_time_wait({s.local_port, s.remote_port}, *t);
}

void sluice_host_arm(sluice_conn* c, sluice_usec deadline)
{
    Socket& s = socket_of(c);
    uint64_t mine = ++s.timer_generation;
    s.armed = deadline;
    if (!deadline)
        return;
    s.stack.sim.at(deadline, [self = s.self, mine] {
        if (*self && (*self)->timer_generation == mine)
            sluice_conn_time(&(*self)->conn, (*self)->stack.sim.now());
    });
}

void sluice_host_want_receive_buffer(sluice_conn* c, uint32_t payload)
{
    socket_of(c).wanted_receive_buffer = payload;
}

void sluice_host_want_send_buffer(sluice_conn* c, uint32_t payload)
{
    socket_of(c).wanted_send_buffer = payload;
}

void* sluice_host_resize(sluice_conn* c, void* old, size_t old_size, size_t size)
{
    Socket& socket = socket_of(c);
    Stack& s = socket.stack;
    auto lent = s.memory.find(old);
    if (old ? lent == s.memory.end() || lent->second != old_size : old_size != 0)
        broken(socket, "memory given back that was not lent so");
    if (size && fails(s, s.faults.resize, s.faults.resize_chance))
        return nullptr;
    // Always elsewhere, so that a pointer kept too long is found.
    void* fresh = size ? malloc(size) : nullptr;
    if (fresh) {
        s.memory[fresh] = size;
        if (old)
            memcpy(fresh, old, std::min(old_size, size));
    }
    if (old)
        s.memory.erase(old);
    free(old);
    return fresh;
}

uint32_t sluice_host_random(void)
{
    static uint32_t state = 1;
    return state = state * 1664525 + 1013904223;
}

// FNV: a fixed key, so that a seed replays.
uint64_t sluice_host_keyed_hash(const void* data, size_t length)
{
    uint64_t hash = 14695981039346656037ull;
    const uint8_t* bytes = static_cast<const uint8_t*>(data);
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ bytes[i]) * 1099511628211ull;
    return hash;
}

void sluice_host_count(const sluice_config* config, sluice_counter counter, uint32_t n)
{
    stack_of(config).counters[counter] += n;
}

bool sluice_host_challenge_allowed(const sluice_config* config)
{
    Stack& s = stack_of(config);
    if (s.sim.now() / 1000000 != s.challenge_second) {
        s.challenge_second = s.sim.now() / 1000000;
        s.challenges = 0;
    }
    return s.challenges++ < config->challenge_ack_limit;
}

} // extern "C"
