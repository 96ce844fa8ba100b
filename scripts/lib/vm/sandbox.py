# SPDX-License-Identifier: GPL-2.0
"""Holds a machine's process: it ends with scripts/vm, and can be denied all writing.

User-mode Linux reads the file system through the host's own system calls, so
root inside could mount it writable. It therefore runs in a mount namespace in
which every file system is read-only, but for one empty tmpfs.
"""

import ctypes
import os
import resource
import signal

CLONE_NEWNS, CLONE_NEWUSER = 0x00020000, 0x10000000
AT_FDCWD, AT_RECURSIVE = -100, 0x8000
MOUNT_ATTR_RDONLY = 1
MS_PRIVATE = 1 << 18
PR_SET_PDEATHSIG = 1

libc = ctypes.CDLL(None, use_errno=True)


class MountAttributes(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("set", "clear", "propagation", "userns")]


def check(result):
    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def enter_namespace():
    """A mount namespace; without privilege it takes a user namespace to make one."""
    uid, gid = os.geteuid(), os.getegid()
    if uid == 0:
        check(libc.unshare(CLONE_NEWNS))
        return
    check(libc.unshare(CLONE_NEWNS | CLONE_NEWUSER))
    for name, text in ("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1"):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(text)


def deny_writing(scratch):
    """Makes every mounted file system read-only, and puts an empty tmpfs on scratch."""
    enter_namespace()
    attributes = MountAttributes(set=MOUNT_ATTR_RDONLY, propagation=MS_PRIVATE)
    check(libc.mount_setattr(AT_FDCWD, b"/", AT_RECURSIVE, ctypes.byref(attributes),
                             ctypes.sizeof(attributes)))
    check(libc.mount(b"tmpfs", scratch.encode(), b"tmpfs", 0, b"mode=700"))


def die_with_parent():
    """A killed scripts/vm leaves no machine behind, and a panic no core file."""
    check(libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
