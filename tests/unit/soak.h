// SPDX-License-Identifier: GPL-2.0
// A soak run: everything about it follows from one seed. Two machines, a path
// with its faults, some connections, and at each end of them an application
// with habits of its own.
#ifndef SLUICE_TESTS_SOAK_H
#define SLUICE_TESTS_SOAK_H

#include "lab_test.h"

namespace sluice::test
{

// What an application means to do with its connection.
enum class Manner {
    Orderly, // writes all, shuts down, reads to the end, closes
    Closes,  // at some moment, whatever is unfinished
    Aborts,  // likewise
    Shuts,   // shuts down at some moment, then reads to the end
};

class Soak;

// One end of a connection, and the application that holds it.
struct Application {
    Soak* soak = nullptr;
    Socket* socket = nullptr;
    Bytes to_write, to_read; // to_read is all that the other end means to write
    size_t written = 0, got = 0;
    double urgency = 0;                    // chance that a write is urgent
    size_t last_urgent = 0, last_mark = 0; // behind the last urgent byte; 0: none
    Manner manner = Manner::Orderly;
    uint64_t pause = 1000; // microseconds between two looks at the socket, at most
    size_t read_most = 65536, write_most = 65536;
    uint64_t quits = 0; // when it closes, aborts or shuts down
    uint64_t lull = 1;
    uint64_t progress = 0; // when something last moved
    bool fickle = false;   // changes options as it goes
    bool done = false, lost_patience = false, shut = false;
    int error = 0;
    bool was_connected = false, saw_end = false;

    void look();

private:
    void read();
    void write();
    void change_options();
    void note_mark();
    void finish();
};

// What one end may send: as far as the other has told it, who takes nothing of
// that back (RFC 9293 3.8.6).
class WindowWatch
{
public:
    // Every packet that an end sends, and every one that reaches the other.
    // Return what is wrong, or nullptr.
    const char* sent(const Packet& packet, bool by_a);
    void arrived(const Packet& packet, bool at_a);

private:
    struct Flow {
        bool promised[2] = {};
        uint32_t promise[2] = {}; // the right edge that a, b told last
        uint32_t isn[2] = {};
        bool syn[2] = {};
        int scale[2] = {-1, -1}; // offered by a, by b
        bool known[2] = {};
        uint32_t edge[2] = {}; // a, b may send up to here
    };
    static bool takes_back(const Seen& s, Flow& f, int me);
    std::map<std::pair<uint16_t, uint16_t>, Flow> flows_; // a's port, b's port
};

class Soak
{
public:
    explicit Soak(uint64_t seed, bool verbose = false);
    // Runs to the end; empty: all is well. Else what is wrong.
    std::string run();
    // What this seed has chosen.
    std::string plan;
    std::vector<std::string>& log() { return pair_.log; }
    uint64_t bytes() const;
    uint64_t events() const { return events_; }
    size_t connections() const { return apps_.size() / 2; }
    uint64_t counter(sluice_counter which) const
    {
        return pair_.a.counter(which) + pair_.b.counter(which);
    }
    bool clean() const { return clean_ends_ > 0; }

    lab::Simulation& sim() { return pair_.sim; }
    void say(const std::string& what);
    void wrong(const std::string& what);
    void start(Application& app);

private:
    void choose_path();
    void choose_link(lab::Link& link);
    void choose_machine(lab::Stack& stack);
    void choose_applications();
    void choose_habits(Application& app, size_t bytes);
    void shrink_path(uint32_t mtu);
    void connect(Application& client, Application& server, uint16_t port);
    void connect_fast(Application& client, Socket& listener, uint16_t port);
    void accept(lab::Stack& stack);
    void check(lab::Stack& stack);
    bool finished() const;
    void check_end();
    bool maybe(double p) { return pair_.sim.chance(p); }
    uint64_t logarithmic(uint64_t low, uint64_t high);

    lab::Pair pair_;
    WindowWatch watch_;
    std::deque<Application> apps_; // client, server, client, server ...
    std::string wrong_;
    uint64_t events_ = 0, clean_ends_ = 0;
    bool simultaneous_ = false;
};

} // namespace sluice::test

#endif
