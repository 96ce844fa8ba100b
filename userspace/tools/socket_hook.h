// SPDX-License-Identifier: GPL-2.0
// TCP sockets of a process and its children become Sluice's inside the kernel,
// however socket() is called: by a BPF program on update_socket_protocol(),
// which Linux has from 6.6 on, for the tasks of a control group. Sockets of the
// kernel's TCP that are made all the same (by io_uring; on older kernels by
// what doesn't come through libc) are refused by a second program, the group's.
#pragma once

#include <string>

namespace sluice
{

// Each is empty when it is done, else the reason why it can't be done here.
struct SocketHook {
    std::string not_changed; // TCP sockets get `protocol`
    std::string not_guarded; // sockets of the kernel's TCP are refused
};

// Puts this process into a control group of its own, below the one it is in,
// for what of it can be done. Group and programs go when the last process of
// the group has ended.
SocketHook hook_sockets(int protocol);

} // namespace sluice
