# SPDX-License-Identifier: GPL-2.0
# Network namespaces, links and the module, for tests inside a VM.
import contextlib
import ctypes
import json
import os
import subprocess
import time

from transport import call, libc

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
CLONE_NEWNET = 0x40000000


def run(*command, check=True, namespace=None, **more):
    """A command's completed process, its output as text."""
    if namespace:
        command = ("ip", "netns", "exec", namespace, *command)
    return subprocess.run(command, check=check, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)


def sluice(*arguments, **more):
    return run(os.path.join(ROOT, "build", "userspace", "sluice"), *arguments, **more)


def counters(namespace=None):
    return json.loads(sluice("stat", "--json", "-z", namespace=namespace).stdout)


def counter(name, namespace=None):
    value = counters(namespace)[name]
    return value["value"] if isinstance(value, dict) else value


@contextlib.contextmanager
def inside(namespace):
    """This thread is in the namespace; sockets made there stay there."""
    here = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    try:
        call(libc.setns, there, CLONE_NEWNET)
        yield
    finally:
        call(libc.setns, here, CLONE_NEWNET)
        os.close(here)
        os.close(there)


class Link:
    """Two namespaces, near and far, joined by veth: 10.1.0.1/2 and fd00::1/2."""

    NEAR, FAR = "near", "far"
    V4, V6 = "10.1.0.2", "fd00::2"

    def __enter__(self):
        for ns in (self.NEAR, self.FAR):
            run("ip", "netns", "add", ns)
            run("ip", "-n", ns, "link", "set", "lo", "up")
        run("ip", "link", "add", "v0", "netns", self.NEAR, "type", "veth", "peer", "name", "v1", "netns", self.FAR)
        for ns, device, number in ((self.NEAR, "v0", 1), (self.FAR, "v1", 2)):
            run("ip", "-n", ns, "addr", "add", f"10.1.0.{number}/24", "dev", device)
            run("ip", "-n", ns, "addr", "add", f"fd00::{number}/64", "dev", device, "nodad")
            run("ip", "-n", ns, "link", "set", device, "up")
        return self

    def __exit__(self, *_):
        for ns in (self.NEAR, self.FAR):
            run("ip", "netns", "del", ns)

    def netem(self, *arguments):
        """The same trouble in both directions; one packet a segment, as on a wire."""
        for ns, device in ((self.NEAR, "v0"), (self.FAR, "v1")):
            run("ip", "-n", ns, "link", "set", device, "gso_max_segs", "1")
            run("tc", "-n", ns, "qdisc", "replace", "dev", device, "root", "netem", "limit", "1000", *arguments)

    def mtu(self, size):
        for ns, device in ((self.NEAR, "v0"), (self.FAR, "v1")):
            run("ip", "-n", ns, "link", "set", device, "mtu", str(size))


# ---- the module --------------------------------------------------------------

def module_file():
    """The build that this VM's kernel was started with."""
    release = os.uname().release
    if "UML" in open("/proc/cpuinfo").read() or "User Mode Linux" in open("/proc/cpuinfo").read():
        word = "uml-debug" if os.path.exists("/sys/kernel/debug/kmemleak") else "uml"
    else:
        word = ".".join(release.split(".")[:2])
    return os.path.join(ROOT, "build", "kmod", word, "sluice.ko")


def insmod(*parameters, check=True):
    return run("insmod", module_file(), *parameters, check=check)


def rmmod(patience=10):
    """Namespaces go a moment after they were deleted: tries for `patience` seconds."""
    end = time.monotonic() + patience
    while (done := run("rmmod", "sluice", check=False)).returncode and time.monotonic() < end:
        time.sleep(0.2)
    return done
