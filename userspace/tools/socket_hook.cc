// SPDX-License-Identifier: GPL-2.0
// The BPF half of sluice run: see socket_hook.h.
#include "socket_hook.h"

#include "failure.h"

#include <array>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <poll.h>
#include <sstream>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace sluice
{

namespace
{

namespace fs = std::filesystem;

class Descriptor
{
public:
    explicit Descriptor(int number) : number_(number) {}
    ~Descriptor()
    {
        if (number_ >= 0)
            close(number_);
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;

    int number() const { return number_; }

private:
    int number_;
};

// ---- the program ---------------------------------------------------------------

constexpr const char* hooked_function = "update_socket_protocol";

bpf_insn load(uint8_t to, uint8_t from, int16_t offset)
{
    return {BPF_LDX | BPF_DW | BPF_MEM, to, from, offset, 0};
}

bpf_insn move(uint8_t to, uint8_t from)
{
    return {BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0};
}

bpf_insn set(uint8_t to, int32_t value)
{
    return {BPF_ALU64 | BPF_MOV | BPF_K, to, 0, 0, value};
}

bpf_insn mask(uint8_t which, int32_t bits)
{
    return {BPF_ALU64 | BPF_AND | BPF_K, which, 0, 0, bits};
}

// Arguments are ints: only half a register of each says something.
bpf_insn skip_if(uint8_t comparison, uint8_t left, int32_t right, int16_t count)
{
    return {static_cast<uint8_t>(BPF_JMP32 | comparison | BPF_K), left, 0, count, right};
}

enum : uint8_t { R0, R1, R2, R6 = 6 };

// Arguments (family, type, protocol) at R1. Returns the protocol to use; 0
// leaves the decision to the next program and to the kernel. Multipath TCP,
// which Go's servers ask for, is TCP wherever the other end has none.
std::array<bpf_insn, 20> changing_program(int group_map, int protocol)
{
    constexpr int32_t kind_mask = 0xf; // of SOCK_STREAM and its flags
    return {
        move(R6, R1),
        load(R2, R6, 0),
        skip_if(BPF_JEQ, R2, AF_INET, 1),
        skip_if(BPF_JNE, R2, AF_INET6, 14),
        load(R2, R6, 8),
        mask(R2, kind_mask),
        skip_if(BPF_JNE, R2, SOCK_STREAM, 11),
        load(R2, R6, 16),
        skip_if(BPF_JEQ, R2, 0, 2),
        skip_if(BPF_JEQ, R2, IPPROTO_TCP, 1),
        skip_if(BPF_JNE, R2, IPPROTO_MPTCP, 7),
        // the group's map takes two instructions
        {BPF_LD | BPF_DW | BPF_IMM, R1, BPF_PSEUDO_MAP_FD, 0, group_map},
        {0, 0, 0, 0, 0},
        set(R2, 0),
        {BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_current_task_under_cgroup},
        skip_if(BPF_JNE, R0, 1, 2),
        set(R0, protocol),
        {BPF_JMP | BPF_EXIT, 0, 0, 0, 0},
        set(R0, 0),
        {BPF_JMP | BPF_EXIT, 0, 0, 0, 0},
    };
}

// A struct bpf_sock at R1, just made in the group. Returns whether it may be.
std::array<bpf_insn, 8> guarding_program()
{
    return {{
        {BPF_LDX | BPF_W | BPF_MEM, R2, R1, offsetof(bpf_sock, type), 0},
        {BPF_LDX | BPF_W | BPF_MEM, R1, R1, offsetof(bpf_sock, protocol), 0},
        set(R0, 1),
        skip_if(BPF_JNE, R2, SOCK_STREAM, 3),
        skip_if(BPF_JEQ, R1, IPPROTO_TCP, 1),
        skip_if(BPF_JNE, R1, IPPROTO_MPTCP, 1),
        set(R0, 0),
        {BPF_JMP | BPF_EXIT, 0, 0, 0, 0},
    }};
}

std::string reason(const std::string& what, int error = errno)
{
    return system_failure(what, error).what();
}

std::string guard(int group)
{
    auto code = guarding_program();
    LIBBPF_OPTS(bpf_prog_load_opts, options);
    options.expected_attach_type = BPF_CGROUP_INET_SOCK_CREATE;
    Descriptor loaded(bpf_prog_load(BPF_PROG_TYPE_CGROUP_SOCK, "sluice_run", "GPL", code.data(),
                                    code.size(), &options));
    if (loaded.number() < 0)
        return reason("BPF program");
    // The group keeps it.
    int error =
        bpf_prog_attach(loaded.number(), group, BPF_CGROUP_INET_SOCK_CREATE, BPF_F_ALLOW_MULTI);
    return error ? reason("BPF program of a control group", error) : "";
}

// The link's descriptor in *link: the program works as long as it is open.
std::string attach(int group, int protocol, int* link)
{
    int function = libbpf_find_vmlinux_btf_id(hooked_function, BPF_MODIFY_RETURN);
    if (function < 0)
        return fmt::format("the kernel has no {} to hook (Linux 6.6 has)", hooked_function);
    Descriptor map(bpf_map_create(BPF_MAP_TYPE_CGROUP_ARRAY, "sluice_run", 4, 4, 1, nullptr));
    uint32_t index = 0;
    if (map.number() < 0 || bpf_map_update_elem(map.number(), &index, &group, BPF_ANY) != 0)
        return reason("BPF map");
    auto code = changing_program(map.number(), protocol);
    LIBBPF_OPTS(bpf_prog_load_opts, options);
    options.expected_attach_type = BPF_MODIFY_RETURN;
    options.attach_btf_id = static_cast<uint32_t>(function);
    Descriptor loaded(bpf_prog_load(BPF_PROG_TYPE_TRACING, "sluice_run", "GPL", code.data(),
                                    code.size(), &options));
    if (loaded.number() < 0)
        return reason("BPF program");
    *link = bpf_raw_tracepoint_open(nullptr, loaded.number());
    return *link < 0 ? reason(hooked_function) : "";
}

// ---- the control group ----------------------------------------------------------

std::string group_mount()
{
    std::ifstream mounts("/proc/self/mounts");
    std::string line, device, place, type;
    while (std::getline(mounts, line)) {
        std::istringstream words(line);
        if (words >> device >> place >> type && type == "cgroup2")
            return place;
    }
    return {};
}

std::string own_group()
{
    std::ifstream groups("/proc/self/cgroup");
    std::string line;
    while (std::getline(groups, line))
        if (line.starts_with("0::"))
            return line.substr(3);
    return {};
}

bool is_populated(const fs::path& group)
{
    std::ifstream events(group / "cgroup.events");
    std::string name;
    int value = 0;
    while (events >> name >> value)
        if (name == "populated")
            return value != 0;
    return false;
}

void await_end(const fs::path& group)
{
    Descriptor events(open((group / "cgroup.events").c_str(), O_RDONLY | O_CLOEXEC));
    while (is_populated(group)) {
        char byte;
        pollfd change{events.number(), POLLPRI, 0};
        if (pread(events.number(), &byte, 1, 0) < 0 || poll(&change, 1, 1000) < 0)
            break;
    }
}

// A process that has no other purpose: holds `link`, if any, while the group has members.
void keep(const fs::path& group, int link, int entered)
{
    setsid();
    if (chdir("/") != 0)
        _exit(exit_failed);
    int nothing = open("/dev/null", O_RDWR);
    for (int standard = 0; standard < 3; standard++)
        dup2(nothing, standard);
    int high = fcntl(entered, F_DUPFD, 5); // neither may stand in the other's way
    if (link < 0 || dup2(link, 3) < 0)
        close(3);
    dup2(high, 4);
    close_range(5, ~0u, 0);
    char byte;
    while (read(4, &byte, 1) < 0 && errno == EINTR)
        ;
    await_end(group);
    rmdir(group.c_str());
    _exit(0);
}

// Forked twice, so that the program doesn't find a child that it doesn't know.
std::string start_keeper(const fs::path& group, int link, const std::array<int, 2>& pipe)
{
    pid_t child = fork();
    if (child == 0) {
        close(pipe[1]);
        pid_t keeper = fork();
        if (keeper == 0)
            keep(group, link, pipe[0]);
        _exit(keeper < 0 ? exit_failed : 0);
    }
    int status = exit_failed;
    if (child > 0)
        while (waitpid(child, &status, 0) < 0 && errno == EINTR)
            ;
    return status == 0 ? "" : reason("fork");
}

// With the keeper waiting for it: into the group.
std::string enter(const fs::path& group, int link)
{
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_CLOEXEC) != 0)
        return reason("pipe");
    Descriptor read_end(ends[0]), write_end(ends[1]);
    std::string why = start_keeper(group, link, ends);
    if (!why.empty())
        return why;
    std::ofstream members(group / "cgroup.procs");
    members << getpid() << std::flush;
    return members ? "" : reason((group / "cgroup.procs").string());
}

} // namespace

SocketHook hook_sockets(int protocol)
{
    std::string mount = group_mount(), why = "no control groups (cgroup2) are mounted";
    if (mount.empty())
        return {why, why};
    fs::path group = fs::path(mount + own_group()) / fmt::format("sluice-run.{}", getpid());
    if (mkdir(group.c_str(), 0755) != 0) {
        why = reason(group.string());
        return {why, why};
    }
    Descriptor directory(open(group.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    libbpf_set_print(nullptr);
    int link = -1;
    SocketHook done{attach(directory.number(), protocol, &link), guard(directory.number())};
    Descriptor held(link);
    if (done.not_changed.empty() || done.not_guarded.empty()) {
        why = enter(group, link);
        if (why.empty())
            return done;
        done = {why, why};
    }
    rmdir(group.c_str());
    return done;
}

} // namespace sluice
