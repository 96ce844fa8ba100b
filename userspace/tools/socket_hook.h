// SPDX-License-Identifier: GPL-2.0
// TCP sockets of a process and its children become Sluice's inside the kernel,
// however socket() is called: by a BPF program on update_socket_protocol(),
// which Linux has from 6.6 on, for the tasks of a control group.
#pragma once

#include <string>

namespace sluice
{

// Puts this process into a control group of its own, below the one it is in,
// where TCP sockets get `protocol`. Group and program go when the last process
// of the group has ended. Empty when done; else the reason why it can't be done
// here, and nothing has changed.
std::string hook_sockets(int protocol);

} // namespace sluice
