// SPDX-License-Identifier: GPL-2.0
// What send and recv have in common.
#include "transfer.h"

#include "failure.h"
#include "units.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace sluice
{

void add_transfer_options(CLI::App& command, TransferOptions& o)
{
    command.add_flag("--sha256", o.sha256, "Print the SHA-256 sum of the data, as sha256sum does");
    command.add_flag("-p,--progress", o.progress, "Show progress even where there is no terminal");
    command.add_flag("-q,--quiet", o.quiet, "Say nothing but errors");
    command
        .add_option("--cc", o.stream.congestion_control, "Congestion control of this connection")
        ->type_name("NAME");
    command.add_option("--sndbuf", o.send_buffer_text, "Send buffer (SO_SNDBUF)")
        ->type_name("SIZE");
    command.add_option("--rcvbuf", o.receive_buffer_text, "Receive buffer (SO_RCVBUF)")
        ->type_name("SIZE");
    auto* real = command.add_flag("--tcp", o.stream.real_tcp,
                                  "Speak real TCP, which other hosts and programs do, too");
    command
        .add_flag("--tcp-kernel", o.stream.kernel_tcp,
                  "Use the kernel's TCP in place of Sluice, to compare")
        ->excludes(real);
}

namespace
{

void parse_size(const std::string& text, std::optional<uint64_t>& value)
{
    if (!text.empty())
        value = parse_quantity(text, "bytes");
}

} // namespace

void complete_transfer_options(TransferOptions& o)
{
    parse_size(o.bytes_text, o.bytes);
    parse_size(o.send_buffer_text, o.stream.send_buffer);
    parse_size(o.receive_buffer_text, o.stream.receive_buffer);
}

// ---- the source -----------------------------------------------------------------

Source::Source(const std::string& name) : name_(name)
{
    bool standard = name == "-";
    file_ = Descriptor(standard ? dup(STDIN_FILENO) : open(name.c_str(), O_RDONLY | O_CLOEXEC));
    if (standard)
        name_ = "standard input";
    if (file_.get() < 0)
        throw system_failure(name_);
}

size_t Source::read(std::span<uint8_t> bytes)
{
    for (;;) {
        ssize_t n = ::read(file_.get(), bytes.data(), bytes.size());
        if (n >= 0)
            return static_cast<size_t>(n);
        check_interrupted();
        if (errno != EINTR)
            throw system_failure(name_);
    }
}

std::optional<uint64_t> Source::size() const
{
    struct stat s;
    if (fstat(file_.get(), &s) != 0 || !S_ISREG(s.st_mode))
        return std::nullopt;
    off_t at = lseek(file_.get(), 0, SEEK_CUR);
    return at < 0 || at > s.st_size ? 0 : static_cast<uint64_t>(s.st_size - at);
}

// ---- the sink --------------------------------------------------------------------

Sink::Sink(const std::string& name) : name_(name)
{
    file_ = Descriptor(is_standard_output()
                           ? dup(STDOUT_FILENO)
                           : open(name.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
    if (file_.get() < 0)
        failed();
}

void Sink::failed() const
{
    throw system_failure(is_standard_output() ? "standard output" : name_);
}

void Sink::write(std::span<const uint8_t> bytes)
{
    while (!bytes.empty()) {
        ssize_t n = ::write(file_.get(), bytes.data(), bytes.size());
        if (n >= 0) {
            bytes = bytes.subspan(static_cast<size_t>(n));
            continue;
        }
        if (errno == EINTR)
            check_interrupted();
        else
            failed();
    }
}

void Sink::close()
{
    if (::close(file_.release()) != 0)
        failed();
}

void tell_result(const char* verb, uint64_t bytes, Progress::Clock::time_point since)
{
    double seconds = std::chrono::duration<double>(Progress::Clock::now() - since).count();
    fmt::print(stderr, "{} {} bytes in {}: {}\n", verb, bytes, human_time(seconds * 1e6),
               human_rate(seconds > 0 ? static_cast<double>(bytes) / seconds : 0));
}

} // namespace sluice
