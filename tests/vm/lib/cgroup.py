# SPDX-License-Identifier: GPL-2.0
# A memory control group. Sockets belong to the group in which they were made.
import contextlib
import os

from runner import until


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


class Cgroup:
    """A new group below the root, removed at the end."""

    path = f"{ROOT}/sluice-test"

    def __enter__(self):
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
