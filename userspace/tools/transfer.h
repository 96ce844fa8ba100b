// SPDX-License-Identifier: GPL-2.0
// What send and recv have in common: their options, the file at this end, and
// what is told at the end.
#pragma once

#include "progress.h"
#include "sha256.h"
#include "stream.h"

#include <CLI/App.hpp>

#include <optional>
#include <span>
#include <string>

namespace sluice
{

struct TransferOptions {
    std::string endpoint, file = "-";
    std::string bytes_text, send_buffer_text, receive_buffer_text;
    std::optional<uint64_t> bytes;
    bool sha256 = false, progress = false, quiet = false;
    StreamOptions stream;
};

constexpr size_t transfer_chunk = 256 * 1024;

void add_transfer_options(CLI::App& command, TransferOptions& options);
// What the options say in words becomes numbers.
void complete_transfer_options(TransferOptions& options);

// A file, or standard input ("-").
class Source
{
public:
    explicit Source(const std::string& name);
    // Bytes read; 0 at the end.
    size_t read(std::span<uint8_t> bytes);
    // Bytes from here to the end, of a regular file.
    std::optional<uint64_t> size() const;
    const std::string& name() const { return name_; }

private:
    std::string name_;
    Descriptor file_;
};

// A file, made or emptied, or standard output ("-").
class Sink
{
public:
    explicit Sink(const std::string& name);
    void write(std::span<const uint8_t> bytes);
    // Some file systems tell of a full disk only now.
    void close();
    bool is_standard_output() const { return name_ == "-"; }
    const std::string& name() const { return name_; }

private:
    [[noreturn]] void failed() const;
    std::string name_;
    Descriptor file_;
};

// "sent 104857600 bytes in 2.31 s: 45.4 MB/s (363 Mbit/s)", on standard error.
void tell_result(const char* verb, uint64_t bytes, Progress::Clock::time_point since);

} // namespace sluice
