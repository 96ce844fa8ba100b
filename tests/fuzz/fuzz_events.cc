// SPDX-License-Identifier: GPL-2.0
// Bytes drive one connection: API calls, time, faults, and segments of a peer
// that keeps to no rule but whose numbers are near the windows, where it
// matters. After each step every invariant must hold; at the end nothing may
// be left. What the connection sends is cut into packets and goes nowhere.
#include "ecn.h"
#include "input.h"
#include "sluice.h"
#include "stack.h"
#include "wire.h"

using namespace sluice;
using namespace sluice::fuzz;
using lab::Packet;
using lab::Socket;

namespace
{

constexpr size_t most_steps = 400;

class Driver
{
public:
    explicit Driver(Input& in);
    void run();

private:
    void open_active(uint8_t flags);
    void open_passive();
    void step();
    void segment();
    uint32_t near_receive();
    uint32_t near_send();
    void send(HeaderFields f, uint32_t length);
    HeaderFields header(uint8_t flags);
    void faults();
    void check();
    Connection& conn() { return of(&socket_->conn); }

    Input& in_;
    lab::Simulation sim_;
    lab::Stack stack_;
    Socket* socket_ = nullptr;
    size_t send_buffer_; // a hundred ranges do what thousands do, sooner
};

Driver::Driver(Input& in) : in_(in), stack_(sim_, "machine")
{
    uint8_t bits = in_.byte();
    sluice_config& c = stack_.config();
    c.sack = bits & 1;
    c.timestamps = !!(bits & 2);
    c.window_scaling = !!(bits & 4);
    c.dsack = !!(bits & 8);
    stack_.cc = sluice_cc_builtin[!!(bits & 16)];
    stack_.mtu = bits & 32 ? 88 : 1500;
    stack_.gso_max = bits & 64 ? 1 : 65535;
    send_buffer_ = 50u * stack_.mtu;
    if (bits & 128)
        open_passive();
    else
        open_active(in_.byte());
}

HeaderFields Driver::header(uint8_t flags)
{
    HeaderFields f;
    f.source = 9;
    f.destination = socket_ ? socket_->local_port : 80;
    f.flags = flags;
    f.window = 5000;
    return f;
}

void Driver::send(HeaderFields f, uint32_t length)
{
    Packet p;
    p.bytes.resize(SLUICE_HEADER_MAX);
    uint8_t header = write_header(p.bytes.data(), f);
    p.bytes.resize(header + length);
    if (length > 1 && in_.bit()) {
        p.gso_size = static_cast<uint16_t>(length / 2);
        p.gso_segs = static_cast<uint16_t>((length + p.gso_size - 1) / p.gso_size);
    }
    if (socket_ && conn().ecn.on)
        p.ecn = in_.byte() & SLUICE_CE;
    stack_.receive(std::move(p));
}

// A SYN-ACK, or whatever `flags` make of it.
void Driver::open_active(uint8_t flags)
{
    stack_.config().ecn = flags & 32 ? ECN_REQUEST : ECN_ACCEPT;
    socket_ = &stack_.socket();
    if (flags & 64)
        socket_->connect_fast(9, std::vector<uint8_t>(in_.byte() * 10u), in_.bit());
    else
        socket_->connect(9);
    if (flags & 0x80)
        return; // the steps may answer, or not
    HeaderFields f = header(flags & 1 ? SLUICE_SYN : SLUICE_SYN | SLUICE_ACK);
    if (flags & 32)
        f.flags |= flags & 1 ? ECN_SETUP : SLUICE_ECE;
    f.seq = 1000;
    f.ack = conn().snd.nxt.value() + (flags & 64 ? in_.byte() * 10u : 0);
    f.mss = flags & 2 ? 1460 : 48;
    f.wscale = flags & 4 ? 7 : -1;
    f.sack_permitted = flags & 8;
    f.timestamp = flags & 16;
    f.ts_value = 77;
    send(f, 0);
}

void Driver::open_passive()
{
    Socket& listener = stack_.socket();
    listener.listen(80);
    uint8_t flags = in_.byte();
    bool early = flags & 64;
    if (early)
        stack_.config().fastopen = 0x602;
    HeaderFields f = header(flags & 32 ? SLUICE_SYN | ECN_SETUP : SLUICE_SYN);
    f.seq = in_.word();
    f.mss = flags & 2 ? 1460 : 48;
    f.wscale = flags & 4 ? 7 : -1;
    f.sack_permitted = flags & 8;
    f.timestamp = flags & 16;
    f.ts_value = 77;
    send(f, early ? 1 + in_.byte() * 10u : 0);
    if (early) {
        socket_ = listener.accept();
        must(socket_, "no child of a SYN with data");
        return;
    }
    f.seq++;
    f.flags = SLUICE_ACK;
    f.ack = stack_.half_opens.begin()->second.core.iss + 1;
    f.mss = 0;
    f.wscale = -1;
    f.sack_permitted = false;
    send(f, 0);
    socket_ = listener.accept();
    must(socket_, "no child of a good handshake");
}

// Where something begins or ends, and a little beside it.
uint32_t Driver::near_receive()
{
    const Connection& c = conn();
    uint8_t where = in_.byte();
    uint32_t beside = in_.byte();
    uint32_t from = c.rcv.nxt.value();
    if (where % 8 == 1)
        from = c.rcv.right.value();
    else if (where % 8 == 2 && !c.held.empty())
        from = c.held[where % c.held.size()].end.value();
    else if (where % 8 == 3 && !c.held.empty())
        from = c.held[where % c.held.size()].start.value();
    else if (where % 8 == 4)
        from = c.rcv.nxt.value() + in_.half();
    else if (where % 8 == 5)
        from = in_.word();
    return where & 8 ? from + beside : where & 16 ? from - beside : from;
}

uint32_t Driver::near_send()
{
    const Connection& c = conn();
    uint8_t where = in_.byte();
    uint32_t beside = in_.byte();
    uint32_t from = c.snd.nxt.value();
    if (where % 8 == 1)
        from = c.snd.una.value();
    else if (where % 8 == 2 && !c.board.empty())
        from = c.board[where % c.board.size()].end.value();
    else if (where % 8 == 3 && !c.board.empty())
        from = c.board[where % c.board.size()].start.value();
    else if (where % 8 == 4)
        from = c.snd.una.value() + in_.half();
    else if (where % 8 == 5)
        from = in_.word();
    return where & 8 ? from + beside : where & 16 ? from - beside : from;
}

void Driver::segment()
{
    uint8_t kind = in_.byte();
    HeaderFields f = header(SLUICE_ACK);
    if ((kind & 7) == 7)
        f.flags = in_.byte();
    else if ((kind & 7) == 6)
        f.flags |= SLUICE_FIN;
    f.seq = near_receive();
    f.ack = near_send();
    f.window = in_.half();
    uint32_t length = kind & 8 ? in_.some() % 3000 : 0;
    sluice_sack_block blocks[SLUICE_SACK_MAX];
    if (kind & 16) {
        f.sack_count = in_.byte() % (SLUICE_SACK_MAX + 1);
        f.sack = blocks;
        for (uint8_t i = 0; i < f.sack_count; i++)
            blocks[i] = {near_send(), near_send()};
    }
    if (conn().ts.on && !(kind & 32)) {
        f.timestamp = true;
        f.ts_value = conn().ts.recent + in_.byte() - (kind & 64 ? 128 : 0);
        f.ts_echo = static_cast<uint32_t>(sim_.now() / 1000) + conn().ts.offset - in_.byte();
    }
    if ((f.flags & (SLUICE_SYN | SLUICE_FIN)) == (SLUICE_SYN | SLUICE_FIN))
        f.flags &= static_cast<uint8_t>(~SLUICE_FIN);
    send(f, length);
}

void Driver::faults()
{
    lab::Faults& f = stack_.faults;
    uint8_t which = in_.byte();
    if (which >= 0xf0) {
        stack_.paces = which & 1;
        stack_.queued = which & 2 ? 1 << 20 : 0;
        return;
    }
    (which % 3 == 0 ? f.deliver : which % 3 == 1 ? f.resize : f.transmit) = 1 + which / 32;
}

void Driver::step()
{
    sluice_conn* c = &socket_->conn;
    switch (in_.byte() % 20) {
    case 0: {
        uint32_t n = in_.some() % 20000;
        socket_->write(std::vector<uint8_t>(n), in_.bit());
        break;
    }
    case 1:
        socket_->read(in_.some());
        break;
    case 2:
        sim_.run_for(in_.some());
        break;
    case 3:
        sim_.run_for(in_.half() * 1000ull);
        break;
    case 4:
        faults();
        break;
    case 5:
        socket_->shutdown();
        break;
    case 6:
        if (in_.byte() < 32 && !socket_->orphan)
            socket_->close();
        break;
    case 7:
        if (in_.byte() < 16)
            socket_->abort();
        break;
    case 8:
        sluice_conn_set_option(c, static_cast<sluice_option>(in_.byte() % SLUICE_OPTION_MAX),
                               in_.some(), sim_.now());
        break;
    case 9:
        sluice_conn_path_mtu(c, static_cast<uint16_t>(in_.half()), sim_.now());
        break;
    case 10:
        sluice_conn_icmp(c, 113, in_.bit(), sim_.now());
        break;
    case 11:
        sluice_conn_drop_held(c);
        break;
    case 12:
        sluice_conn_push(c, sim_.now());
        break;
    case 13:
        sluice_conn_time(c, sim_.now());
        break;
    case 14:
        sluice_conn_set_cc(c, sluice_cc_builtin[in_.bit()], sim_.now());
        break;
    case 15:
        socket_->receive_buffer = in_.some() % 300000;
        break;
    default:
        segment();
        break;
    }
}

void Driver::check()
{
    const char* broken = broken_invariant(&socket_->conn);
    must(!broken, broken);
    sluice_info info = socket_->info();
    must(info.state == static_cast<uint32_t>(socket_->state()), "info tells of another state");
    if (socket_->state() == SLUICE_CLOSED)
        return;
    must(socket_->held_bytes == conn().held.bytes(), "held bytes are miscounted");
    must(socket_->sent_bytes.size() == conn().snd.write_end - conn().snd.buffer_start,
         "the send buffer's ends don't fit its contents");
    Instant next = conn().next_deadline();
    must(!next || (socket_->armed && socket_->armed <= next.us()),
         "the host wasn't told a deadline");
}

void Driver::run()
{
    socket_->send_buffer = send_buffer_;
    check();
    for (size_t i = 0; i < most_steps && !in_.empty(); i++) {
        step();
        check();
    }
    if (socket_->state() != SLUICE_CLOSED && !socket_->orphan)
        socket_->close();
    // Nobody answers any more: all must end by itself.
    stack_.faults = {};
    stack_.queued = 0;
    must(sim_.run_until([&] { return socket_->state() == SLUICE_CLOSED; }, 24 * 3600ull * 1000000),
         "a closed socket's connection goes on without an answer");
    stack_.sockets.clear();
    must(stack_.memory.empty(), "memory was not given back");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    Input in(data, size);
    Driver(in).run();
    return 0;
}
