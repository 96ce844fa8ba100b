// SPDX-License-Identifier: GPL-2.0
// sluice recv: listens, and writes what comes to a file or standard output. A
// transfer that breaks off, or can't be written, fails, and the peer is reset.
#include "commands.h"
#include "failure.h"
#include "output.h"
#include "transfer.h"

#include <poll.h>

#include <memory>
#include <vector>

namespace sluice
{

namespace
{

class Receiving
{
public:
    Receiving(const TransferOptions& options, Stream stream, Sink& sink)
        : options_(options), stream_(std::move(stream)), sink_(sink),
          progress_(Progress::mode(options.progress, options.quiet), options.bytes),
          buffer_(transfer_chunk)
    {
    }

    void run(bool last)
    {
        while (std::optional<size_t> n = stream_.read(buffer_)) {
            take({buffer_.data(), *n});
            progress_.update(received_);
            if (*n == 0)
                stream_.wait(POLLIN);
            check_interrupted();
        }
        if (options_.bytes && received_ < *options_.bytes)
            throw Failure(fmt::format("{} closed after {} of {} bytes", stream_.peer(), received_,
                                      *options_.bytes));
        if (last)
            sink_.close(); // before the peer sees our end
        stream_.close();
        progress_.finish(received_);
        tell();
    }

private:
    void take(std::span<const uint8_t> bytes)
    {
        if (options_.sha256)
            sum_.update(bytes);
        sink_.write(bytes);
        received_ += bytes.size();
        if (options_.bytes && received_ > *options_.bytes)
            throw Failure(
                fmt::format("{} sent more than {} bytes", stream_.peer(), *options_.bytes));
    }

    // The sum goes where the data doesn't.
    void tell()
    {
        if (!options_.quiet)
            tell_result("received", received_, start_);
        if (!options_.sha256)
            return;
        std::string line = fmt::format("{}  {}\n", sum_.digest(), sink_.name());
        if (sink_.is_standard_output())
            fmt::print(stderr, "{}", line);
        else
            print(line);
    }

    const TransferOptions& options_;
    Stream stream_;
    Sink& sink_;
    Progress progress_;
    std::vector<uint8_t> buffer_;
    Progress::Clock::time_point start_ = Progress::Clock::now();
    Sha256 sum_;
    uint64_t received_ = 0;
};

void receive(TransferOptions& options, unsigned connections)
{
    complete_transfer_options(options);
    catch_interrupts();
    std::optional<Listener> listener(std::in_place, options.endpoint, options.stream);
    Sink sink(options.file);
    if (!options.quiet)
        fmt::print(stderr, "listening on {}\n", listener->address());
    for (unsigned i = 1; i <= connections; i++) {
        Stream stream = listener->accept();
        if (i == connections)
            listener.reset(); // who comes now is refused rather than left waiting
        if (!options.quiet)
            fmt::print(stderr, "connection from {}\n", stream.peer());
        Receiving(options, std::move(stream), sink).run(i == connections);
    }
}

} // namespace

void add_recv(CLI::App& program)
{
    auto options = std::make_shared<TransferOptions>();
    auto connections = std::make_shared<unsigned>(1);
    CLI::App* command = program.add_subcommand(
        "recv", "Listen, and write what arrives to a file or standard output");
    command
        ->add_option("address", options->endpoint, "Where to listen; PORT alone: at every address")
        ->required()
        ->type_name("[ADDRESS:]PORT");
    command->add_option("file", options->file, "File to write; - is standard output (the default)")
        ->type_name("FILE");
    command->add_flag("-l,--listen")->description("Wait for a connection, as recv always does");
    command->add_option("-n,--connections", *connections, "Take so many, one after the other (1)")
        ->check(CLI::Range(1, 1000000).description(""))
        ->type_name("N");
    command->add_option("-b,--bytes", options->bytes_text, "Fail unless so many bytes arrive")
        ->type_name("SIZE");
    add_transfer_options(*command, *options);
    command->callback([options, connections] { receive(*options, *connections); });
}

} // namespace sluice
