// SPDX-License-Identifier: GPL-2.0
// A laboratory socket: the application's side.
#include "stack.h"

#include "sluice.h"

namespace sluice::lab
{

Socket::Socket(Stack& s) : stack(s)
{
    sluice_conn_init(&conn, &s.space.config, s.cc);
}

Socket::~Socket()
{
    auto i = stack.connections.find({local_port, remote_port});
    if (i != stack.connections.end() && i->second == this)
        stack.connections.erase(i);
    *self = nullptr;
    sluice_conn_destroy(&conn);
}

void Socket::connect(uint16_t port, uint16_t local)
{
    local_port = local ? local : stack.next_port++;
    remote_port = port;
    stack.connections[{local_port, remote_port}] = this;
    sluice_path p = stack.path(local_port, remote_port);
    sluice_conn_connect(&conn, &p, stack.sim.now());
}

size_t Socket::connect_fast(uint16_t port, const std::vector<uint8_t>& bytes, bool free)
{
    local_port = stack.next_port++;
    remote_port = port;
    stack.connections[{local_port, remote_port}] = this;
    sluice_path p = stack.path(local_port, remote_port);
    size_t n = 0;
    if (free || stack.fastopen_cookie.length)
        n = std::min<size_t>(bytes.size(), sluice_fastopen_room(&p, stack.fastopen_mss));
    sent_bytes.assign(bytes.begin(), bytes.begin() + static_cast<long>(n));
    sluice_conn_connect_fast(&conn, &p, static_cast<uint32_t>(n),
                             free ? nullptr : &stack.fastopen_cookie, stack.sim.now());
    return n;
}

void Socket::listen(uint16_t port, uint32_t most)
{
    local_port = port;
    backlog = most;
    listening = true;
    stack.listeners[port] = this;
}

Socket* Socket::accept()
{
    if (ready.empty())
        return nullptr;
    Socket* child = ready.front();
    ready.pop_front();
    child->queued = false;
    return child;
}

size_t Socket::write(const std::vector<uint8_t>& bytes, bool more)
{
    size_t n = std::min(bytes.size(), send_room());
    if (!n || sluice_conn_write_closed(&conn) || closed)
        return 0;
    write_refused = n < bytes.size();
    sent_bytes.insert(sent_bytes.end(), bytes.begin(), bytes.begin() + static_cast<long>(n));
    sluice_conn_written(&conn, static_cast<uint32_t>(n), more, stack.sim.now());
    return n;
}

size_t Socket::write_urgent(const std::vector<uint8_t>& bytes)
{
    size_t n = std::min(bytes.size(), send_room());
    if (!n || sluice_conn_write_closed(&conn) || closed)
        return 0;
    sent_bytes.insert(sent_bytes.end(), bytes.begin(), bytes.begin() + static_cast<long>(n));
    sluice_conn_written_urgent(&conn, static_cast<uint32_t>(n), stack.sim.now());
    return n;
}

std::vector<uint8_t> Socket::read(size_t most)
{
    size_t n = std::min(most, received.size());
    std::vector<uint8_t> bytes(received.begin(), received.begin() + static_cast<long>(n));
    received.erase(received.begin(), received.begin() + static_cast<long>(n));
    if (n)
        sluice_conn_read(&conn, static_cast<uint32_t>(n), stack.sim.now());
    return bytes;
}

void Socket::shutdown()
{
    sluice_conn_shutdown(&conn, stack.sim.now());
}

void Socket::close()
{
    if (listening) {
        stack.listeners.erase(local_port);
        listening = false;
        orphan = closed = true;
        return;
    }
    orphan = true;
    bool unread = !received.empty();
    received.clear();
    if (state() == SLUICE_CLOSED)
        closed = true;
    sluice_conn_close(&conn, unread, stack.sim.now());
}

void Socket::abort()
{
    sluice_conn_abort(&conn, stack.sim.now());
}

void Socket::set(sluice_option option, uint64_t value)
{
    sluice_conn_set_option(&conn, option, value, stack.sim.now());
}

sluice_info Socket::info() const
{
    sluice_info i;
    sluice_conn_info(&conn, &i, stack.sim.now());
    return i;
}

} // namespace sluice::lab
