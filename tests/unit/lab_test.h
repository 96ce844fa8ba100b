// SPDX-License-Identifier: GPL-2.0
// What the tests share: bytes that tell their place, transfers to the end, and
// a peer whose every segment is written by hand.
#ifndef SLUICE_TESTS_LAB_TEST_H
#define SLUICE_TESTS_LAB_TEST_H

#include <array>
#include <vector>

#include "sluice.h"
#include "stack.h"
#include "wire.h"

namespace sluice::test
{

using lab::LinkSettings;
using lab::Packet;
using lab::Socket;
using Bytes = std::vector<uint8_t>;

constexpr uint64_t second = 1000000;

// Bytes that differ for a long way, so that a misplaced one shows.
Bytes pattern(size_t size, uint32_t salt = 0);

// Writes all of `bytes` as room appears, reads at the other end as they come.
// True when all arrived, and equal, within `limit` microseconds.
bool transfer(lab::Pair& pair, Socket& from, Socket& to, const Bytes& bytes,
              uint64_t limit = 3600 * second);

// Parsed form of a packet, with its payload.
struct Seen : sluice_segment {
    Bytes data;
    uint64_t when = 0;
};
Seen parse(const Packet& packet);

// One real machine; the other end is the test.
class Scripted
{
public:
    explicit Scripted(std::function<void(lab::Stack&)> configure = {});

    // The test opens, or the machine does; both leave an established connection
    // and an empty `sent`. mss 0, sack/ts/wscale off: the option is absent.
    void open_passive();
    void open_active();
    // The machine has sent its SYN, which `sent` keeps.
    void begin_active();
    // Flags of the test's SYN or SYN-ACK beside those.
    uint8_t setup = 0;

    // A segment from the test; seq and ack 0 mean what is right now.
    void send(uint8_t flags, const Bytes& data = {}, int32_t seq_offset = 0,
              int32_t ack_offset = 0);
    void raw(HeaderFields f, const Bytes& data = {});
    HeaderFields fields(uint8_t flags) const;
    // Acknowledges everything that the machine has sent.
    void ack() { send(SLUICE_ACK); }
    void run(uint64_t microseconds) { sim.run_for(microseconds); }
    Seen last() const { return sent.empty() ? Seen{} : sent.back(); }
    size_t data_segments() const;

    lab::Simulation sim;
    lab::Link wire;
    lab::Stack stack;
    Socket* socket = nullptr;
    std::vector<Seen> sent; // what the machine sent, in order

    // The test's side.
    uint32_t isn = 1000000;
    uint32_t nxt = 0; // next sequence number of ours
    uint32_t rcv = 0; // next one expected from the machine
    uint16_t window = 65535;
    uint16_t mss = 1460;
    int8_t wscale = -1;
    bool sack = false, timestamps = false;
    uint8_t ecn = SLUICE_NOT_ECT; // of what the test sends
    uint32_t ts_value = 5000, ts_echo = 0;
    std::vector<sluice_sack_block> blocks;
    uint64_t rtt = 0;   // taken by the handshake
    bool follow = true; // rcv follows what the machine sends
};

// One to which the test has opened a connection with no option but the MSS.
struct Established : Scripted {
    explicit Established(std::function<void(lab::Stack&)> configure = {}) : Scripted(configure)
    {
        open_passive();
    }
};

// Five clients at a listener that holds two half-open connections, and for now
// no handshake ends.
struct Crowd : lab::Pair {
    explicit Crowd(bool cookies)
    {
        b.config().max_syn_backlog = 2;
        b.config().syncookies = cookies;
        listener.listen(80);
        back.down = true;
        for (Socket*& client : clients) {
            client = &a.socket();
            client->connect(80);
        }
        sim.run_for(100000);
    }
    Socket& listener = b.socket();
    std::array<Socket*, 5> clients{};
};

} // namespace sluice::test

#endif
