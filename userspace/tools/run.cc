// SPDX-License-Identifier: GPL-2.0
// sluice run: an unmodified program with its TCP sockets on Sluice. A library
// that goes before libc (userspace/preload) changes one argument of socket();
// where the kernel lets a BPF program do the same (socket_hook.h), sockets that
// don't come through libc are Sluice's too.
#include "commands.h"
#include "control.h"
#include "failure.h"
#include "socket_hook.h"

#include <sluice.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <elf.h>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <memory>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <vector>

namespace sluice
{

namespace
{

namespace fs = std::filesystem;

constexpr const char* library_name = "libsluice-run.so";

struct RunOptions {
    bool native = false, tcp = false;
    std::string congestion_control;
    std::vector<std::string> command;
};

// Beside the program in the build, in lib/sluice beside bin when installed.
fs::path library()
{
    fs::path here = fs::read_symlink("/proc/self/exe").parent_path();
    for (const fs::path& place : {here / library_name, here / "../lib/sluice" / library_name})
        if (fs::exists(place))
            return fs::canonical(place);
    throw Failure(fmt::format("{} is missing beside {}", library_name, here.string()));
}

// What LD_PRELOAD is to say: the library, and what it says already.
std::string preload()
{
    std::string list = library().string();
    if (list.find_first_of(" :") != std::string::npos)
        throw Failure(
            fmt::format("{}: LD_PRELOAD can't name a place with a space or a colon", list));
    const char* others = std::getenv("LD_PRELOAD");
    return others && *others ? list + " " + others : list;
}

// The file that execvp() would run.
fs::path find_program(const std::string& name)
{
    if (name.find('/') != std::string::npos)
        return name;
    const char* path = std::getenv("PATH");
    std::string list = path ? path : "/usr/bin:/bin", entry;
    for (size_t begin = 0, end; begin <= list.size(); begin = end + 1) {
        end = std::min(list.find(':', begin), list.size());
        entry = list.substr(begin, end - begin);
        fs::path file = fs::path(entry.empty() ? "." : entry) / name;
        if (access(file.c_str(), X_OK) == 0 && !fs::is_directory(file))
            return file;
    }
    throw Failure(fmt::format("{}: not found", name), 127);
}

std::string interpreter_of(std::ifstream& file)
{
    std::string line;
    file.seekg(2);
    std::getline(file, line);
    size_t begin = line.find_first_not_of(" \t");
    if (begin == std::string::npos)
        return {};
    return line.substr(begin, line.find_first_of(" \t", begin) - begin);
}

// Go's linker leaves a note in what it makes, which calls the kernel itself.
bool is_of_go(std::ifstream& file, const Elf64_Phdr& part)
{
    constexpr size_t most = 1 << 16;
    constexpr Elf64_Word build_id = 4;
    std::string notes(std::min<size_t>(part.p_filesz, most), '\0');
    file.seekg(static_cast<std::streamoff>(part.p_offset));
    if (!file.read(notes.data(), static_cast<std::streamsize>(notes.size())))
        file.clear();
    auto padded = [](size_t size) { return (size + 3) & ~size_t{3}; };
    for (size_t at = 0; at + sizeof(Elf64_Nhdr) + 4 <= notes.size();) {
        Elf64_Nhdr note;
        std::memcpy(&note, &notes[at], sizeof(note));
        at += sizeof(note);
        if (note.n_type == build_id && note.n_namesz == 4 && notes.compare(at, 4, "Go\0", 4) == 0)
            return true;
        at += padded(note.n_namesz) + padded(note.n_descsz);
    }
    return false;
}

// What the kernel loads: of a script, its interpreter.
fs::path loaded_file(fs::path program)
{
    for (int depth = 0; depth < 5; depth++) {
        std::ifstream file(program, std::ios::binary);
        if (file.get() != '#' || file.get() != '!')
            break;
        program = interpreter_of(file);
    }
    return program;
}

// Why a library before libc doesn't reach its sockets; null: it does.
const char* beyond_libc(const fs::path& program)
{
    std::ifstream file(program, std::ios::binary);
    Elf64_Ehdr elf{};
    if (!file.read(reinterpret_cast<char*>(&elf), sizeof(elf)))
        file.clear();
    if (std::memcmp(elf.e_ident, ELFMAG, SELFMAG) != 0)
        return nullptr; // execv() will say what is wrong with it
    if (elf.e_ident[EI_CLASS] != ELFCLASS64)
        return "a program of 32 bits";
    const char* why = "linked statically";
    for (unsigned i = 0; i < elf.e_phnum; i++) {
        Elf64_Phdr part{};
        file.seekg(static_cast<std::streamoff>(elf.e_phoff + i * sizeof(part)));
        file.read(reinterpret_cast<char*>(&part), sizeof(part));
        if (part.p_type == PT_INTERP)
            why = nullptr; // unless a later part says more
        if (part.p_type == PT_NOTE && is_of_go(file, part))
            return "written in Go";
    }
    return why;
}

// Why its linker is in secure mode, in which it ignores libraries that the
// user names; null: it isn't.
const char* privilege_of(const fs::path& program)
{
    struct stat file = {};
    if (stat(program.c_str(), &file) != 0)
        return nullptr;
    constexpr mode_t set_group = S_ISGID | S_IXGRP;
    if (((file.st_mode & S_ISUID) && file.st_uid != getuid()) ||
        ((file.st_mode & set_group) == set_group && file.st_gid != getgid()))
        return "runs as another user";
    bool has = getxattr(program.c_str(), "security.capability", nullptr, 0) > 0;
    return has && getuid() != 0 ? "has capabilities" : nullptr;
}

Failure no_program(const fs::path& program, int error)
{
    bool nowhere = error == ENOENT || error == ENOTDIR;
    return Failure(
        fmt::format("{}: {}", program.string(), nowhere ? "not found" : std::strerror(error)),
        nowhere ? 127 : 126);
}

// What execv() would refuse is better told before anything else is.
void check_program(const fs::path& program)
{
    struct stat file = {};
    if (stat(program.c_str(), &file) != 0)
        throw no_program(program, errno);
    if (S_ISDIR(file.st_mode))
        throw no_program(program, EISDIR);
    if (access(program.c_str(), X_OK) != 0)
        throw no_program(program, errno);
}

// The library doesn't reach it: the kernel must do it, or nobody can. What
// nobody does is at least told.
void check_reach(const RunOptions& o, const fs::path& program, const SocketHook& hook)
{
    fs::path loaded = loaded_file(program);
    const char* what = beyond_libc(loaded);
    if (!what)
        what = privilege_of(loaded);
    if (what && !hook.not_changed.empty())
        throw Failure(fmt::format("{}: {}, so its sockets can't be changed here: {}",
                                  program.string(), what, hook.not_changed));
    if (what && !o.congestion_control.empty())
        throw Failure(fmt::format(
            "{}: {}, so --cc doesn't reach it (sluice set congestion_control NAME is for all)",
            program.string(), what));
    if (!hook.not_guarded.empty())
        fmt::print(stderr, "sluice: warning: sockets made {} stay with the kernel's TCP: {}\n",
                   hook.not_changed.empty() ? "by io_uring" : "without libc (by io_uring, Go)",
                   hook.not_guarded);
}

// What each socket of the program will meet, met here first.
void try_socket(const RunOptions& o, int protocol)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, protocol);
    if (fd < 0 && errno == EPROTONOSUPPORT) {
        Control control; // says so where the module is missing
        throw Failure("real TCP is switched off here (sluice set real_tcp 1)");
    }
    if (fd < 0)
        throw system_failure("socket");
    const std::string& cc = o.congestion_control;
    int error = cc.empty() ? 0
                           : setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, cc.data(),
                                        static_cast<socklen_t>(cc.size()));
    int why = errno;
    close(fd);
    if (error && why == ENOENT)
        throw Failure(fmt::format("no congestion-control algorithm '{}' (see sluice cc)", cc));
    if (error)
        throw system_failure(fmt::format("congestion control {}", cc), why);
}

void run_program(RunOptions& o)
{
    int protocol = o.native ? SLUICE_PROTO_STREAM : SLUICE_PROTO_TCP;
    fs::path program = find_program(o.command[0]);
    check_program(program);
    std::string libraries = preload();
    try_socket(o, protocol);
    check_reach(o, program, hook_sockets(protocol));
    setenv("LD_PRELOAD", libraries.c_str(), 1);
    setenv("SLUICE_RUN_PROTOCOL", std::to_string(protocol).c_str(), 1);
    if (o.congestion_control.empty())
        unsetenv("SLUICE_RUN_CC");
    else
        setenv("SLUICE_RUN_CC", o.congestion_control.c_str(), 1);
    std::vector<char*> words;
    for (std::string& word : o.command)
        words.push_back(word.data());
    words.push_back(nullptr);
    signal(SIGPIPE, SIG_DFL);
    execv(program.c_str(), words.data());
    if (errno == ENOENT)
        throw Failure(fmt::format("{}: its interpreter is not found", program.string()), 127);
    throw no_program(program, errno);
}

} // namespace

void drop_dashes_of_run(std::vector<std::string>& words)
{
    auto word = words.begin();
    if (word == words.end() || *word++ != "run")
        return;
    while (word != words.end() && word->starts_with('-') && *word != "--")
        word += *word == "--cc" && word + 1 != words.end() ? 2 : 1;
    if (word != words.end() && *word == "--")
        words.erase(word);
}

void add_run(CLI::App& program)
{
    auto o = std::make_shared<RunOptions>();
    CLI::App* command =
        program.add_subcommand("run", "Run an unmodified program with its TCP sockets on Sluice");
    command->footer("Real TCP unless --native says otherwise, so that peers need no Sluice.\n"
                    "Its children too; sockets that are not TCP stay as they are.");
    auto* native = command->add_flag(
        "--native", o->native, "On Sluice's own IP protocol: the peer must be on Sluice, too");
    command->add_flag("--tcp", o->tcp, "As real TCP (the default)")->excludes(native);
    command->add_option("--cc", o->congestion_control, "Congestion control of its sockets")
        ->type_name("NAME");
    command->prefix_command(); // what follows the program's name is its own
    command->callback([o, command] {
        o->command = command->remaining();
        if (o->command.empty())
            throw usage_error("run: which program? (see sluice run --help)");
        if (o->command[0].starts_with('-'))
            throw usage_error(
                fmt::format("run: {} is no option (see sluice run --help)", o->command[0]));
        run_program(*o);
    });
}

} // namespace sluice
