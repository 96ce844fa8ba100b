// SPDX-License-Identifier: GPL-2.0
// sluice send: a file or standard input to a listening peer. It is done when
// the peer has closed after everything was acknowledged; until then, whatever
// goes wrong resets the connection.
#include "commands.h"
#include "failure.h"
#include "output.h"
#include "transfer.h"

#include <poll.h>

#include <algorithm>
#include <memory>
#include <vector>

namespace sluice
{

namespace
{

class Sending
{
public:
    explicit Sending(const TransferOptions& options)
        : options_(options), source_(options.file),
          stream_(Stream::connect(options.endpoint, options.stream)), total_(expected()),
          progress_(Progress::mode(options.progress, options.quiet), total_),
          buffer_(transfer_chunk)
    {
    }

    void run()
    {
        while (size_t n = fill())
            send_all({buffer_.data(), n});
        if (options_.bytes && sent_ < *options_.bytes)
            throw Failure(fmt::format("{} ended after {} of {} bytes", source_.name(), sent_,
                                      *options_.bytes));
        check_interrupted(); // as the input may be, too: what wrote it ended early
        stream_.shut_down_writing();
        wait_for_close();
        stream_.close();
        progress_.finish(sent_);
        tell();
    }

private:
    std::optional<uint64_t> expected() const
    {
        auto size = source_.size();
        if (size && options_.bytes)
            return std::min(*size, *options_.bytes);
        return size ? size : options_.bytes;
    }

    size_t fill()
    {
        uint64_t left = options_.bytes ? *options_.bytes - sent_ : buffer_.size();
        size_t n = std::min<uint64_t>(left, buffer_.size());
        n = n ? source_.read({buffer_.data(), n}) : 0;
        if (options_.sha256)
            sum_.update({buffer_.data(), n});
        return n;
    }

    void send_all(std::span<const uint8_t> bytes)
    {
        while (!bytes.empty()) {
            check_interrupted();
            size_t n = stream_.write(bytes);
            sent_ += n;
            bytes = bytes.subspan(n);
            show();
            if (n == 0)
                stream_.wait(POLLOUT);
        }
    }

    // What the peer says meanwhile is not asked for.
    void wait_for_close()
    {
        while (std::optional<size_t> n = stream_.read(buffer_)) {
            show();
            if (*n == 0)
                stream_.wait(POLLIN);
        }
        if (uint64_t missing = stream_.unacknowledged())
            throw Failure(
                fmt::format("{} closed with {} bytes not acknowledged", stream_.peer(), missing));
    }

    void show()
    {
        if (progress_.due())
            progress_.update(sent_ - std::min(sent_, stream_.unacknowledged()));
    }

    void tell()
    {
        if (!options_.quiet)
            tell_result("sent", sent_, start_);
        if (options_.sha256)
            print("{}  {}\n", sum_.digest(), options_.file);
    }

    const TransferOptions& options_;
    Source source_;
    Stream stream_;
    Progress::Clock::time_point start_ = Progress::Clock::now();
    std::optional<uint64_t> total_;
    Progress progress_;
    std::vector<uint8_t> buffer_;
    Sha256 sum_;
    uint64_t sent_ = 0;
};

} // namespace

void add_send(CLI::App& program)
{
    auto options = std::make_shared<TransferOptions>();
    CLI::App* command = program.add_subcommand("send", "Send a file or standard input to a peer");
    command->add_option("address", options->endpoint, "The peer; IPv6 as [ADDRESS]:PORT")
        ->required()
        ->type_name("HOST:PORT");
    command->add_option("file", options->file, "File to send; - is standard input (the default)")
        ->type_name("FILE");
    command
        ->add_option("-b,--bytes", options->bytes_text, "Send so many bytes, no more and no less")
        ->type_name("SIZE");
    add_transfer_options(*command, *options);
    command->callback([options] {
        complete_transfer_options(*options);
        catch_interrupts();
        Sending(*options).run();
    });
}

} // namespace sluice
