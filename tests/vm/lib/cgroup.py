# SPDX-License-Identifier: GPL-2.0
# A control group. Sockets belong to the group in which they were made: their
# memory counts there, and its BPF programs have a say.
import contextlib
import ctypes
import os
import struct

from runner import until
from transport import call, libc


ROOT = "/sys/fs/cgroup"


def has_memory_controller():
    try:
        with open(f"{ROOT}/cgroup.controllers") as file:
            return "memory" in file.read().split()
    except FileNotFoundError:
        return False


def put(path, value):
    with open(path, "w") as file:
        file.write(str(value))


def bpf(command, form, *fields):
    attributes = struct.pack(form, *fields).ljust(120, b"\0")
    number = {"x86_64": 321}[os.uname().machine]
    return call(libc.syscall, number, command, attributes, len(attributes))


class Cgroup:
    """A new group below the root, removed at the end."""

    path = f"{ROOT}/sluice-test"

    def __enter__(self):
        if has_memory_controller():
            put(f"{ROOT}/cgroup.subtree_control", "+memory")
        os.mkdir(self.path)
        return self

    def __exit__(self, *_):
        until(self.removed, 10, "the group can't be removed")

    def removed(self):
        try:
            os.rmdir(self.path)
        except OSError:
            return False
        return True

    @contextlib.contextmanager
    def entered(self):
        """This process is in the group; sockets made there stay in it."""
        put(f"{self.path}/cgroup.procs", os.getpid())
        try:
            yield
        finally:
            put(f"{ROOT}/cgroup.procs", os.getpid())

    @contextlib.contextmanager
    def program(self, kind, point, *instructions):
        """A BPF program (bpf(2): its type, and the attach type) is asked."""
        code = ctypes.create_string_buffer(b"".join(instructions))
        license_name = ctypes.create_string_buffer(b"GPL")
        program = bpf(5, "=IIQQ44xI", kind, len(code) // 8, ctypes.addressof(code),
                      ctypes.addressof(license_name), point)
        group = os.open(self.path, os.O_RDONLY)
        bpf(8, "=IIII", group, program, point, 0)
        try:
            yield
        finally:
            bpf(9, "=IIII", group, program, point, 0)
            os.close(group)
            os.close(program)

    def limit(self, which, size):
        put(f"{self.path}/memory.{which}", size)

    def read(self, file):
        """A flat keyed file, as a dictionary."""
        with open(f"{self.path}/{file}") as lines:
            return {line.split()[0]: int(line.split()[1]) for line in lines}

    def sock(self):
        """Bytes of socket memory."""
        return self.read("memory.stat")["sock"]

    def events(self, which):
        return self.read("memory.events")[which]
