// SPDX-License-Identifier: GPL-2.0
// The second host of the core, in virtual time: a machine (Stack) with its
// tables, and its sockets. It does what kmod/linux does, on byte vectors.
#ifndef SLUICE_LAB_STACK_H
#define SLUICE_LAB_STACK_H

#include <array>
#include <deque>
#include <list>
#include <map>
#include <string>

#include "cc.h"
#include "coalesce.h"
#include "connection.h"
#include "host.h"
#include "link.h"
#include "simulation.h"

namespace sluice::lab
{

class Stack;

// The core's object first: host functions get from it to the socket.
struct SocketStorage {
    sluice_conn conn;
};

class Socket : public SocketStorage
{
public:
    explicit Socket(Stack& stack);
    ~Socket();
    Socket(const Socket&) = delete;
    Socket& operator=(const Socket&) = delete;

    // local 0: the next free one.
    void connect(uint16_t remote_port, uint16_t local = 0);
    // By TCP Fast Open: with data, if there is a cookie (or `free` of one), or
    // asking for one. Returns how many bytes went with the SYN; the rest is still
    // the caller's.
    size_t connect_fast(uint16_t remote_port, const std::vector<uint8_t>& bytes, bool free = false);
    void listen(uint16_t port, uint32_t backlog = 128);
    Socket* accept(); // nullptr: nothing there
    // Takes what fits the send buffer; returns how much.
    size_t write(const std::vector<uint8_t>& bytes, bool more = false);
    size_t write_urgent(const std::vector<uint8_t>& bytes); // the last byte taken is
    std::vector<uint8_t> read(size_t most);
    void shutdown();
    // The application is done with it; the stack keeps it while it must.
    void close();
    void abort();
    void set(sluice_option option, uint64_t value);

    sluice_state state() const { return sluice_conn_state(&conn); }
    sluice_info info() const;
    size_t readable() const { return received.size(); }
    size_t send_room() const
    {
        return sent_bytes.size() < send_buffer ? send_buffer - sent_bytes.size() : 0;
    }
    bool end_of_input() const { return fin && received.empty(); }

    Stack& stack;
    uint16_t local_port = 0, remote_port = 0;
    size_t send_buffer = 1 << 18;
    size_t receive_buffer = 1 << 18;
    int error = 0, soft_error = 0;
    unsigned path_doubts = 0, route_doubts = 0;
    bool connected = false, fin = false, closed = false, orphan = false, time_wait = false;
    unsigned events = 0;
    std::function<void(Socket&)> on_event;
    std::vector<std::pair<sluice_state, sluice_state>> states; // every transition

    // What the core's host functions work on.
    std::deque<uint8_t> sent_bytes;
    std::deque<uint8_t> received;
    std::map<uint32_t, std::vector<uint8_t>> held;
    size_t held_bytes = 0;
    std::vector<uint32_t> marks; // of urgent bytes, sequence numbers as they were told
    uint64_t armed = 0;
    uint64_t timer_generation = 0;
    uint32_t wanted_send_buffer = 0, wanted_receive_buffer = 0;

    bool awaits_queue = false;  // sluice_host_await_queue()
    bool write_refused = false; // the last write found no room for all, and none was made since

    // A listener.
    bool listening = false;
    uint32_t backlog = 0;
    std::deque<Socket*> ready;
    bool queued = false;        // in a listener's accept queue
    Socket* listener = nullptr; // whose child this is

    // Events that are still to come hold it, and find nullptr once this is gone.
    std::shared_ptr<Socket*> self = std::make_shared<Socket*>(this);
};

// Faults: the nth call from now on fails, once; 0: none.
struct Faults {
    uint32_t deliver = 0, resize = 0, transmit = 0;
    double deliver_chance = 0, resize_chance = 0, transmit_chance = 0;
};

class Stack
{
public:
    Stack(Simulation& sim, std::string name);
    ~Stack();

    // The core finds the stack by the address of its configuration.
    struct Namespace {
        sluice_config config;
        Stack* stack;
    } space;
    sluice_config& config() { return space.config; }
    uint64_t counter(sluice_counter which) const { return counters[which]; }

    Socket& socket();
    void receive(Packet packet);
    // Puts header and payload on the wire.
    void transmit(const sluice_reply& reply);
    sluice_path path(uint16_t local, uint16_t remote) const;
    // Removes what is closed and nobody owns.
    void collect();
    // What was queued has left, which those who wait for it are told.
    void drain();

    Simulation& sim;
    std::string name;
    Link* out = nullptr;
    uint16_t mtu = 1500;
    uint32_t gso_max = 65535;
    bool paces = false;     // some queueing discipline does
    uint32_t queued = 0;    // bytes of each connection in this host's queues
    uint64_t rate_told = 0; // with the last transmission, bytes per second
    bool ipv4 = false;      // addresses are v4-mapped
    const sluice_cc_ops* cc = sluice_cc_builtin[0];
    Faults faults;
    bool check_invariants = true;
    bool time_wait_holds = true;
    std::vector<std::string>* log = nullptr; // packets as text
    std::array<uint64_t, SLUICE_CNT_MAX> counters{};
    std::map<void*, size_t> memory; // what sluice_host_resize() lent
    // TCP Fast Open: keys, 0 for none; the cookie that the other machine gave.
    std::array<uint64_t, 2> fastopen_keys{1, 0};
    sluice_fastopen_cookie fastopen_cookie{};
    uint16_t fastopen_mss = 0;
    uint32_t fastopen_lost = 0;
    // Of this second (RFC 5961 7).
    uint64_t challenge_second = 0, challenges = 0;

    struct HalfOpen {
        sluice_half_open core;
        Socket* listener;
        uint64_t generation;
    };
    struct TimeWait {
        sluice_time_wait core;
        uint64_t generation;
    };
    using Pair = std::pair<uint16_t, uint16_t>; // local, remote port
    std::map<Pair, Socket*> connections;
    std::map<Pair, HalfOpen> half_opens;
    bool cookies_sent = false; // ever, by any listener
    std::map<Pair, TimeWait> time_waits;
    std::map<uint16_t, Socket*> listeners;
    std::list<Socket> sockets;
    uint16_t next_port = 40000;
    uint64_t generation = 1;

    void keep_time_wait(Pair pair, const sluice_time_wait& t);

private:
    void to_half_open(Pair pair, sluice_segment& seg);
    void to_listener(Socket& listener, Pair pair, sluice_segment& seg, uint32_t isn_after);
    bool room_for_early(const Socket& listener) const;
    Socket& child_of(Socket& listener, Pair pair, const sluice_half_open& h);
    bool take_cookie(Socket& listener, Pair pair, sluice_segment& seg);
    bool to_time_wait(Pair pair, sluice_segment& seg);
    void arm_half_open(Pair pair);
    void arm_time_wait(Pair pair);
    void note(const char* way, const Packet& packet);
};

// Two machines and the path between them.
struct Pair {
    explicit Pair(uint64_t seed = 1, LinkSettings settings = {});

    Simulation sim;
    Link forth, back;         // a -> b, b -> a
    Coalescer into_a, into_b; // behind the links; off unless told
    Stack a, b;
    std::vector<std::string> log;

    // Connects; returns both ends (client on a).
    std::pair<Socket*, Socket*> connected(uint16_t port = 80);
    void verbose(); // logs packets
};

} // namespace sluice::lab

#endif
