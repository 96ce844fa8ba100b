// SPDX-License-Identifier: GPL-2.0
// One stream connection of send or recv, over Sluice or, for comparison, over
// the kernel's TCP: the same calls, another family.
#pragma once

#include <sluice.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace sluice
{

// What both ends can be told.
struct StreamOptions {
    bool kernel_tcp = false;                             // not Sluice
    bool real_tcp = false;                               // Sluice with TCP's IP protocol
    std::string congestion_control;                      // empty: the namespace's default
    std::optional<uint64_t> send_buffer, receive_buffer; // bytes, as SO_SNDBUF
};

// A file descriptor that closes itself.
class Descriptor
{
public:
    explicit Descriptor(int fd = -1) : fd_(fd) {}
    Descriptor(Descriptor&& other) noexcept : fd_(other.release()) {}
    Descriptor& operator=(Descriptor&& other) noexcept;
    ~Descriptor();
    int get() const { return fd_; }
    int release();

private:
    int fd_;
};

// SIGINT and SIGTERM end a transfer in good order: blocking calls return, and
// the next check throws Failure.
void catch_interrupts();
void check_interrupted();

// Waits until `events` (POLLIN, POLLOUT) or a fifth of a second has passed.
void wait_for(int fd, short events);

class Stream
{
public:
    // Tries each address of the host in turn. Failure: the last one's error.
    static Stream connect(const std::string& endpoint, const StreamOptions& options);

    // Unless close() was called before, the peer gets a reset, so that it
    // can't take what arrived for the whole.
    ~Stream();
    Stream(Stream&&) = default;

    // Bytes taken or given, 0 when there was no room or nothing to read just
    // now; Failure when the connection is over. read: none at the peer's end.
    size_t write(std::span<const uint8_t> bytes);
    std::optional<size_t> read(std::span<uint8_t> bytes);

    void wait(short events) { wait_for(socket_.get(), events); }
    void shut_down_writing();
    uint64_t unacknowledged() const; // bytes written that the peer has not acknowledged
    void close();
    const std::string& peer() const { return peer_; }

private:
    friend class Listener;
    Stream(Descriptor socket, std::string peer);
    [[noreturn]] void lost(int error) const;

    Descriptor socket_;
    std::string peer_;
};

class Listener
{
public:
    Listener(const std::string& endpoint, const StreamOptions& options);
    std::string address() const; // with the port, when it was left to the kernel
    Stream accept();

private:
    Descriptor socket_;
};

} // namespace sluice
