// SPDX-License-Identifier: GPL-2.0
// A soak run: the choices that its seed makes, and what must hold during and
// after it.
#include <cmath>

#include "soak.h"

namespace sluice::test
{

namespace
{
constexpr uint16_t first_port = 80;
constexpr uint64_t longest = 5 * 3600 * second; // all timers of a dying connection fit
constexpr uint64_t most_events = 20000000;
constexpr uint32_t ip_header = 20;
} // namespace

// A SYN's window isn't scaled, and a reset promises nothing.
bool WindowWatch::takes_back(const Seen& s, Flow& f, int me)
{
    if (!(s.flags & SLUICE_ACK) || (s.flags & (SLUICE_SYN | SLUICE_RST)))
        return false;
    uint32_t edge = s.ack + (s.window << (f.scale[0] >= 0 && f.scale[1] >= 0 ? f.scale[me] : 0));
    bool back = f.promised[me] && static_cast<int32_t>(edge - f.promise[me]) < 0;
    f.promised[me] = true;
    f.promise[me] = edge;
    return back;
}

const char* WindowWatch::sent(const Packet& packet, bool by_a)
{
    Seen s = parse(packet);
    Flow& f =
        flows_[by_a ? std::pair(s.source, s.destination) : std::pair(s.destination, s.source)];
    int me = by_a ? 0 : 1;
    if (s.flags & SLUICE_SYN) {
        if (!f.syn[me] || f.isn[me] != s.seq) {
            // A new connection: nothing is known of it.
            f.known[0] = f.known[1] = f.promised[0] = f.promised[1] = false;
            if (!(s.flags & SLUICE_ACK))
                f.syn[1 - me] = false;
        }
        f.syn[me] = true;
        f.isn[me] = s.seq;
        f.scale[me] = s.has_wscale ? s.wscale : -1;
    }
    if (takes_back(s, f, me))
        return "a window whose right edge moved left";
    if (!s.length || !f.known[me])
        return nullptr;
    bool beyond = static_cast<int32_t>(s.seq + s.length - f.edge[me]) > 0;
    return beyond ? "payload beyond the peer's window" : nullptr;
}

void WindowWatch::arrived(const Packet& packet, bool at_a)
{
    if (packet.corrupted)
        return;
    Seen s = parse(packet);
    Flow& f =
        flows_[at_a ? std::pair(s.destination, s.source) : std::pair(s.source, s.destination)];
    int me = at_a ? 0 : 1, peer = 1 - me;
    if (!(s.flags & SLUICE_ACK) || (s.flags & SLUICE_RST) || !f.syn[peer])
        return;
    bool scaled = !(s.flags & SLUICE_SYN) && f.scale[0] >= 0 && f.scale[1] >= 0;
    uint32_t edge = s.ack + (s.window << (scaled ? f.scale[peer] : 0));
    // A listener's child may also send what the SYN promised, before any ACK.
    if (!f.known[me] || static_cast<int32_t>(edge - f.edge[me]) > 0)
        f.edge[me] = edge;
    f.known[me] = true;
}

uint64_t Soak::logarithmic(uint64_t low, uint64_t high)
{
    double x = std::uniform_real_distribution<>(
        std::log(static_cast<double>(low)), std::log(static_cast<double>(high)))(sim().random());
    return static_cast<uint64_t>(std::exp(x));
}

Soak::Soak(uint64_t seed, bool verbose) : pair_(seed)
{
    if (verbose)
        pair_.verbose();
    choose_path();
    choose_machine(pair_.a);
    choose_machine(pair_.b);
    choose_applications();
    pair_.sim.after_each = [this] {
        events_++;
        check(pair_.a);
        check(pair_.b);
    };
}

void Soak::say(const std::string& what)
{
    if (pair_.a.log)
        pair_.a.log->push_back(std::to_string(static_cast<double>(sim().now()) / 1e6) + " " + what);
}

void Soak::wrong(const std::string& what)
{
    if (wrong_.empty())
        wrong_ = what;
    say("WRONG: " + what);
}

void Soak::choose_link(lab::Link& link)
{
    LinkSettings& set = link.set;
    set.rate = maybe(0.5) ? 0 : static_cast<double>(logarithmic(20000, 100000000));
    set.delay = logarithmic(1, 200000);
    set.queue = static_cast<uint32_t>(logarithmic(4, 2000));
    if (maybe(0.3))
        set.jitter = logarithmic(1, 100000);
    if (maybe(0.5))
        set.loss = std::uniform_real_distribution<>(0, 0.1)(sim().random());
    if (maybe(0.3))
        set.burst_loss = std::uniform_real_distribution<>(0, 0.03)(sim().random());
    if (maybe(0.3))
        set.duplicate = std::uniform_real_distribution<>(0, 0.2)(sim().random());
    if (maybe(0.3))
        set.reorder = std::uniform_real_distribution<>(0, 0.3)(sim().random());
    if (maybe(0.2))
        set.corrupt = std::uniform_real_distribution<>(0, 0.05)(sim().random());
    if (maybe(0.3))
        set.mark = std::uniform_real_distribution<>(0, 0.5)(sim().random());
    if (maybe(0.3))
        set.mark_queue = static_cast<uint32_t>(logarithmic(1, set.queue));
    char text[200];
    snprintf(
        text, sizeof(text),
        "link rate %.0f delay %lu jitter %lu queue %u loss %.3f burst %.3f dup %.2f reorder %.2f "
        "corrupt %.3f mark %.2f/%u; ",
        set.rate, set.delay, set.jitter, set.queue, set.loss, set.burst_loss, set.duplicate,
        set.reorder, set.corrupt, set.mark, set.mark_queue);
    plan += text;
}

// Packets larger than this are dropped from now on, and their sender told.
void Soak::shrink_path(uint32_t mtu)
{
    auto too_big = [this, mtu](lab::Stack& from) {
        return [this, mtu, &from](const Packet& p) {
            if (p.bytes.size() + ip_header <= mtu)
                return false;
            Seen s = parse(p);
            say("too big: " + std::to_string(p.bytes.size()));
            pair_.sim.after(1000, [this, mtu, &from, key = std::pair(s.source, s.destination)] {
                if (auto c = from.connections.find(key); c != from.connections.end())
                    sluice_conn_path_mtu(&c->second->conn, static_cast<uint16_t>(mtu - 40),
                                         pair_.sim.now());
            });
            return true;
        };
    };
    pair_.forth.drop = too_big(pair_.a);
    pair_.back.drop = too_big(pair_.b);
    plan += "path mtu " + std::to_string(mtu) + "; ";
}

void Soak::choose_path()
{
    choose_link(pair_.forth);
    choose_link(pair_.back);
    if (maybe(0.4)) {
        pair_.into_a.wait = logarithmic(1, 1000);
        pair_.into_b.wait = logarithmic(1, 1000);
        plan += "coalescing; ";
    }
    // An end that has closed gives up after 102 s: where timeouts have grown, two losses.
    pair_.a.config().orphan_retries = pair_.b.config().orphan_retries = 255;
    if (maybe(0.1)) {
        uint64_t from = logarithmic(1000, 10 * second), length = logarithmic(1000, 20 * second);
        plan += "outage; ";
        sim().after(from, [this] { pair_.forth.down = pair_.back.down = true; });
        sim().after(from + length, [this] { pair_.forth.down = pair_.back.down = false; });
    }
}

void Soak::choose_machine(lab::Stack& stack)
{
    static const uint16_t mtus[] = {88, 296, 576, 1280, 1500, 1500, 1500, 1500, 9000, 65535};
    sluice_config& c = stack.config();
    stack.mtu = mtus[sim().below(std::size(mtus))];
    stack.gso_max = maybe(0.5) ? 65535 : static_cast<uint32_t>(logarithmic(1, 65535));
    stack.cc = sluice_cc_builtin[sim().below(2)];
    stack.ipv4 = maybe(0.5);
    c.sack = maybe(0.8);
    c.dsack = maybe(0.8);
    c.timestamps = maybe(0.7);
    c.window_scaling = maybe(0.8);
    c.ecn = sim().below(3);
    c.mtu_probing = sim().below(3);
    c.recovery = sim().below(8);
    c.early_retrans = maybe(0.8) ? 3 : 0;
    c.frto = maybe(0.8) ? 2 : 0;
    c.initial_window = 1 + sim().below(20);
    c.rto_min = maybe(0.3) ? logarithmic(1000, 200000) : c.rto_min;
    c.delayed_ack_min = maybe(0.3) ? logarithmic(1000, 40000) : c.delayed_ack_min;
    c.time_wait = logarithmic(60 * second, 240 * second);
    c.slow_start_after_idle = maybe(0.5);
    c.challenge_ack_limit = maybe(0.2) ? 1 : 1000;
    if (maybe(0.3)) {
        double most = 0.05;
        stack.faults.transmit_chance = maybe(0.5) ? most : 0;
        stack.faults.deliver_chance = maybe(0.5) ? most : 0;
        stack.faults.resize_chance = maybe(0.5) ? 0.3 : 0;
    }
    char text[200];
    snprintf(text, sizeof(text),
             "%s: mtu %u gso %u %s%s%s%s%s recovery %lu probes %lu frto %lu ecn %lu probing %lu iw "
             "%lu faults %.2f/%.2f/%.2f; ",
             stack.name.c_str(), stack.mtu, stack.gso_max, stack.cc->name, c.sack ? " sack" : "",
             c.dsack ? " dsack" : "", c.timestamps ? " ts" : "", c.window_scaling ? " ws" : "",
             c.recovery, c.early_retrans, c.frto, c.ecn, c.mtu_probing, c.initial_window,
             stack.faults.transmit_chance, stack.faults.deliver_chance, stack.faults.resize_chance);
    plan += text;
}

void Soak::choose_habits(Application& app, size_t bytes)
{
    app.soak = this;
    app.to_write = pattern(bytes, static_cast<uint32_t>(sim().below(1u << 30)));
    app.manner = maybe(0.6) ? Manner::Orderly : static_cast<Manner>(sim().below(4));
    app.pause = logarithmic(100, maybe(0.2) ? 300000 : 10000);
    app.read_most = logarithmic(app.pause / 20 + 50, 100000);
    app.write_most = logarithmic(app.pause / 20 + 50, 100000);
    app.quits = sim().now() + logarithmic(1, 20 * second);
    app.fickle = maybe(0.2);
    app.urgency = maybe(0.2) ? 0.1 : 0;
    plan += "app writes " + std::to_string(bytes) + " manner " +
            std::to_string(static_cast<int>(app.manner)) + "; ";
}

void Soak::choose_applications()
{
    simultaneous_ = maybe(0.05);
    uint32_t mtu = std::min(pair_.a.mtu, pair_.b.mtu);
    size_t most = std::min<size_t>(mtu * 200u, 150000);
    double slowest = 1e18;
    for (lab::Link* link : {&pair_.forth, &pair_.back})
        slowest = link->set.rate > 0 ? std::min(slowest, link->set.rate) : slowest;
    if (slowest < 1e6)
        most = std::min<size_t>(most, 40000);
    shrink_path(mtu);
    for (uint64_t i = 0, n = simultaneous_ ? 1 : 1 + sim().below(3); i < n; i++) {
        for (int end = 0; end < 2; end++)
            choose_habits(apps_.emplace_back(), maybe(0.1)   ? 0
                                                : maybe(0.3) ? logarithmic(1, most)
                                                             : logarithmic(most / 10, most));
        Application &client = apps_[2 * i], &server = apps_[2 * i + 1];
        client.to_read = server.to_write;
        server.to_read = client.to_write;
    }
    if (mtu > 300 && maybe(0.1))
        sim().after(logarithmic(1000, 5 * second), [this, smaller = 88 + sim().below(mtu - 88)] {
            shrink_path(static_cast<uint32_t>(smaller));
        });
}

void Soak::start(Application& app)
{
    app.progress = sim().now();
    app.look();
}

void Soak::connect(Application& client, Application& server, uint16_t port)
{
    lab::Stack &a = pair_.a, &b = pair_.b;
    size_t buffers[4];
    for (size_t& size : buffers)
        size = logarithmic(maybe(0.2) ? 200 : 4000, 300000);
    client.socket = &a.socket();
    client.socket->send_buffer = buffers[0];
    client.socket->receive_buffer = buffers[1];
    Socket& other = b.socket();
    other.send_buffer = buffers[2];
    other.receive_buffer = buffers[3];
    if (simultaneous_) {
        server.socket = &other;
        client.socket->connect(port, 4000);
        other.connect(4000, port);
        start(server);
    } else {
        other.set(SLUICE_OPTION_NODELAY, sim().below(2));
        other.set(SLUICE_OPTION_MAXSEG, maybe(0.1) ? 88 + sim().below(1000) : 0);
        other.listen(port);
        if (maybe(0.3))
            connect_fast(client, other, port);
        else
            client.socket->connect(port);
    }
    start(client);
}

// Without a cookie, or asking for one; the listener may not know of it.
void Soak::connect_fast(Application& client, Socket& listener, uint16_t port)
{
    pair_.b.config().fastopen = maybe(0.8) ? 2 : 0;
    listener.set(SLUICE_OPTION_FASTOPEN, sim().below(3));
    listener.set(SLUICE_OPTION_FASTOPEN_NO_COOKIE, maybe(0.9));
    client.written = client.socket->connect_fast(port, client.to_write, maybe(0.8));
    plan += "fast open with " + std::to_string(client.written) + "; ";
}

void Soak::accept(lab::Stack& stack)
{
    for (auto& [port, listener] : stack.listeners)
        if (Socket* child = listener->accept()) {
            Application& server = apps_[2u * (port - first_port) + 1];
            if ((server.socket || server.done) && stack.config().fastopen == 2) {
                child->abort(); // of a duplicate of the SYN: applications must bear it (RFC
                                // 7413 2.1)
                child->close();
                return;
            }
            if (server.socket || server.done) {
                wrong("a second child of one connection");
                return;
            }
            server.socket = child;
            start(server);
        }
}

// What holds after every event.
void Soak::check(lab::Stack& stack)
{
    if (!stack.listeners.empty())
        accept(stack);
    for (const Socket& s : stack.sockets) {
        if (s.listening || s.state() == SLUICE_CLOSED || s.state() == SLUICE_SYN_SENT)
            continue;
        const Connection& c = of(&s.conn);
        if (const char* broken = broken_invariant(&s.conn))
            wrong(broken);
        if (s.held_bytes != c.held.bytes())
            wrong("the host holds other bytes than the core knows of");
        if (!s.orphan && s.received.size() != c.rcv.unread)
            wrong("unread bytes are miscounted");
        if (s.sent_bytes.size() != c.snd.write_end - c.snd.buffer_start)
            wrong("the send buffer's ends don't fit its contents");
        Instant next = c.next_deadline();
        if (next && (!s.armed || next.us() < s.armed))
            wrong("a deadline that the host was not told of");
    }
    stack.collect();
}

bool Soak::finished() const
{
    for (const Application& app : apps_)
        if (app.socket)
            return false;
    for (const lab::Stack* s : {&pair_.a, &pair_.b})
        if (!s->connections.empty() || !s->half_opens.empty() || !s->time_waits.empty())
            return false;
    return true;
}

// What holds when all is over.
void Soak::check_end()
{
    if (!finished())
        wrong(wrong_.empty() && events_ > most_events ? "endless" : "not finished in time");
    for (const lab::Stack* s : {&pair_.a, &pair_.b})
        for (const Socket& left : s->sockets)
            if (left.state() != SLUICE_CLOSED)
                wrong("a connection that never ended");
    for (size_t i = 0; i < apps_.size(); i += 2) {
        Application &client = apps_[i], &server = apps_[i + 1];
        if (client.manner != Manner::Orderly || server.manner != Manner::Orderly)
            continue;
        if (!client.was_connected)
            continue; // the SYN, or its answer, was lost each time
        if (client.lost_patience || server.lost_patience)
            wrong("nothing moved for very long");
        if (client.error || server.error)
            wrong("an orderly connection failed with " + std::to_string(client.error) + ", " +
                  std::to_string(server.error));
        for (const Application* app : {&client, &server})
            if (app->got != app->to_read.size() || !app->saw_end)
                wrong("an orderly end got " + std::to_string(app->got) + " of " +
                      std::to_string(app->to_read.size()));
        if (client.last_mark != server.last_urgent || server.last_mark != client.last_urgent)
            wrong("an orderly end was told of another urgent byte than the last");
        clean_ends_++;
    }
    for (lab::Stack* s : {&pair_.a, &pair_.b}) {
        s->sockets.clear();
        if (!s->memory.empty())
            wrong("memory of the core was not given back");
    }
}

std::string Soak::run()
{
    auto observe = [this](lab::Link& link, lab::Coalescer& into, bool by_a) {
        link.observer = [this, by_a](const Packet& p) {
            if (const char* broken = watch_.sent(p, by_a))
                wrong(broken);
        };
        link.mourner = [this](const Packet& p) {
            say("lost: seq " + std::to_string(parse(p).seq));
        };
        link.receiver = [this, by_a, &into](Packet p) {
            watch_.arrived(p, !by_a);
            into.receive(std::move(p));
        };
    };
    observe(pair_.forth, pair_.into_b, true);
    observe(pair_.back, pair_.into_a, false);
    for (size_t i = 0; i < apps_.size(); i += 2)
        connect(apps_[i], apps_[i + 1], static_cast<uint16_t>(first_port + i / 2));
    sim().run_until([this] { return !wrong_.empty() || events_ > most_events || finished(); },
                    longest);
    check_end();
    return wrong_;
}

uint64_t Soak::bytes() const
{
    uint64_t sum = 0;
    for (const Application& app : apps_)
        sum += app.got;
    return sum;
}

} // namespace sluice::test
