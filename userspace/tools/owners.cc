// SPDX-License-Identifier: GPL-2.0
// Which processes hold a socket: /proc/PID/fd/N are links that read "socket:[INODE]".
#include "owners.h"

#include <charconv>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string_view>

namespace sluice
{

namespace
{

namespace fs = std::filesystem;

template<typename Number> std::optional<Number> number_of(std::string_view text)
{
    Number value{};
    auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || rest != text.data() + text.size())
        return std::nullopt;
    return value;
}

std::optional<uint32_t> inode_of(std::string_view link)
{
    constexpr std::string_view before = "socket:[";
    if (!link.starts_with(before) || !link.ends_with(']'))
        return std::nullopt;
    return number_of<uint32_t>(link.substr(before.size(), link.size() - before.size() - 1));
}

std::string program_of(const fs::path& process)
{
    std::string name;
    std::getline(std::ifstream(process / "comm"), name);
    return name;
}

// Processes and descriptors vanish while they are read: that is no error.
void add_process(Owners& owners, const fs::path& process, int pid)
{
    std::error_code error;
    std::string program;
    fs::directory_iterator fd(process / "fd", error), end;
    for (; !error && fd != end; fd.increment(error)) {
        std::error_code gone;
        auto inode = inode_of(fs::read_symlink(fd->path(), gone).native());
        auto number = number_of<int>(fd->path().filename().native());
        if (!inode || !number)
            continue;
        if (program.empty())
            program = program_of(process);
        owners[*inode].push_back({program, pid, *number});
    }
}

} // namespace

Owners find_owners()
{
    Owners owners;
    std::error_code error;
    fs::directory_iterator process("/proc", error), end;
    for (; !error && process != end; process.increment(error))
        if (auto pid = number_of<int>(process->path().filename().native()))
            add_process(owners, process->path(), *pid);
    return owners;
}

} // namespace sluice
