// SPDX-License-Identifier: GPL-2.0
// One stream connection of send or recv.
#include "stream.h"

#include "control.h"
#include "failure.h"

#include <libsluice.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <csignal>
#include <utility>

namespace sluice
{

// ---- descriptors and signals -------------------------------------------------

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept
{
    std::swap(fd_, other.fd_);
    return *this;
}

Descriptor::~Descriptor()
{
    if (fd_ >= 0)
        ::close(fd_);
}

int Descriptor::release()
{
    return std::exchange(fd_, -1);
}

namespace
{

volatile std::sig_atomic_t interrupted_by = 0;

void note_interrupt(int signal)
{
    interrupted_by = signal;
}

} // namespace

void catch_interrupts()
{
    struct sigaction action {
    };
    action.sa_handler = note_interrupt; // without SA_RESTART: blocking calls return
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
}

void check_interrupted()
{
    if (interrupted_by)
        throw Failure("interrupted", 128 + interrupted_by);
}

void wait_for(int fd, short events)
{
    pollfd p{fd, events, 0};
    if (poll(&p, 1, 200) < 0 && errno != EINTR)
        throw system_failure("poll");
    check_interrupted();
}

// ---- sockets -------------------------------------------------------------------

namespace
{

constexpr unsigned addresses_max = 16;

std::vector<sockaddr_sluice> resolve(const std::string& endpoint, bool passive)
{
    unsigned count = addresses_max;
    std::vector<sockaddr_sluice> list(count);
    if (const char* wrong = sluice_parse_address(endpoint.c_str(), passive, list.data(), &count))
        throw usage_error(fmt::format("{}: {}", endpoint, wrong));
    list.resize(count);
    return list;
}

const sockaddr* raw(const sockaddr_sluice& address)
{
    return reinterpret_cast<const sockaddr*>(&address);
}

std::string text_of(const sockaddr_sluice& a)
{
    char text[SLUICE_ADDRESS_TEXT];
    return sluice_format_address(a.ssl_addr.s6_addr, a.ssl_scope_id, a.ssl_port, text);
}

void set_number(int fd, int level, int option, const char* name, uint64_t value)
{
    int number = static_cast<int>(std::min<uint64_t>(value, INT_MAX));
    if (setsockopt(fd, level, option, &number, sizeof(number)) != 0)
        throw system_failure(name);
}

void apply(int fd, const StreamOptions& options)
{
    const std::string& cc = options.congestion_control;
    if (!cc.empty() &&
        setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, cc.data(), static_cast<socklen_t>(cc.size())))
        throw errno == ENOENT
            ? Failure(fmt::format("no congestion-control algorithm '{}' (see sluice cc)", cc))
            : system_failure(fmt::format("congestion control {}", cc));
    if (options.send_buffer)
        set_number(fd, SOL_SOCKET, SO_SNDBUF, "send buffer", *options.send_buffer);
    if (options.receive_buffer)
        set_number(fd, SOL_SOCKET, SO_RCVBUF, "receive buffer", *options.receive_buffer);
}

struct OpenSocket {
    Descriptor descriptor;
    uint16_t family;
};

OpenSocket open_socket(const StreamOptions& options)
{
    auto family = static_cast<uint16_t>(options.kernel_tcp ? AF_INET6 : family_number());
    Descriptor fd(socket(family, SOCK_STREAM | SOCK_CLOEXEC, options.real_tcp ? IPPROTO_TCP : 0));
    if (fd.get() < 0 && errno == EAFNOSUPPORT && !options.kernel_tcp)
        throw module_missing();
    if (fd.get() < 0 && errno == EPROTONOSUPPORT)
        throw Failure("real TCP is switched off here (sluice set real_tcp 1)");
    if (fd.get() < 0)
        throw system_failure("socket");
    if (options.kernel_tcp) // as Sluice: IPv4 too
        set_number(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, "IPV6_V6ONLY", 0);
    apply(fd.get(), options);
    return {std::move(fd), family};
}

} // namespace

// ---- connections ------------------------------------------------------------------

Stream::Stream(Descriptor socket, std::string peer)
    : socket_(std::move(socket)), peer_(std::move(peer))
{
}

Stream Stream::connect(const std::string& endpoint, const StreamOptions& options)
{
    int error = 0;
    for (sockaddr_sluice& address : resolve(endpoint, false)) {
        OpenSocket s = open_socket(options);
        address.ssl_family = s.family;
        if (::connect(s.descriptor.get(), raw(address), sizeof(address)) == 0)
            return Stream(std::move(s.descriptor), text_of(address));
        error = errno;
        check_interrupted();
    }
    throw system_failure(fmt::format("cannot connect to {}", endpoint), error);
}

Stream::~Stream()
{
    linger reset{1, 0};
    if (socket_.get() >= 0)
        setsockopt(socket_.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
}

void Stream::lost(int error) const
{
    throw system_failure(fmt::format("connection with {} lost", peer_), error);
}

size_t Stream::write(std::span<const uint8_t> bytes)
{
    ssize_t n = send(socket_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != EINTR)
        lost(errno);
    return n < 0 ? 0 : static_cast<size_t>(n);
}

std::optional<size_t> Stream::read(std::span<uint8_t> bytes)
{
    ssize_t n = recv(socket_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (n < 0 && errno != EAGAIN && errno != EINTR)
        lost(errno);
    if (n == 0)
        return std::nullopt;
    return n < 0 ? 0 : static_cast<size_t>(n);
}

void Stream::shut_down_writing()
{
    if (shutdown(socket_.get(), SHUT_WR) != 0)
        lost(errno);
}

uint64_t Stream::unacknowledged() const
{
    int bytes = 0;
    if (ioctl(socket_.get(), SIOCOUTQ, &bytes) != 0)
        throw system_failure("SIOCOUTQ");
    return static_cast<uint64_t>(bytes);
}

void Stream::close()
{
    if (::close(socket_.release()) != 0)
        lost(errno);
}

// ---- listeners ---------------------------------------------------------------------

Listener::Listener(const std::string& endpoint, const StreamOptions& options)
{
    OpenSocket s = open_socket(options);
    sockaddr_sluice address = resolve(endpoint, true).front();
    address.ssl_family = s.family;
    set_number(s.descriptor.get(), SOL_SOCKET, SO_REUSEADDR, "SO_REUSEADDR", 1);
    if (bind(s.descriptor.get(), raw(address), sizeof(address)) != 0 ||
        listen(s.descriptor.get(), SOMAXCONN) != 0)
        throw system_failure(fmt::format("cannot listen on {}", endpoint));
    socket_ = std::move(s.descriptor);
}

std::string Listener::address() const
{
    sockaddr_sluice a{};
    socklen_t length = sizeof(a);
    if (getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&a), &length) != 0)
        throw system_failure("getsockname");
    return text_of(a);
}

Stream Listener::accept()
{
    for (;;) {
        sockaddr_sluice peer{};
        socklen_t length = sizeof(peer);
        int fd = accept4(socket_.get(), reinterpret_cast<sockaddr*>(&peer), &length, SOCK_CLOEXEC);
        if (fd >= 0)
            return Stream(Descriptor(fd), text_of(peer));
        check_interrupted();
        if (errno != EINTR && errno != ECONNABORTED)
            throw system_failure("accept");
    }
}

} // namespace sluice
