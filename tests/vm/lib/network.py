# SPDX-License-Identifier: GPL-2.0
# Network namespaces, links and the module, for tests inside a VM.
import collections
import contextlib
import ctypes
import json
import os
import subprocess
import time

from runner import check, equal
from transport import call, libc

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
CLONE_NEWNET = 0x40000000


def run(*command, check=True, namespace=None, **more):
    """A command's completed process, its output as text. It inherits this thread's namespace, or is started in another."""
    with inside(namespace) if namespace else contextlib.nullcontext():
        return subprocess.run(command, check=check, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)


def tool():
    return os.path.join(ROOT, "build", "userspace", "sluice")


def sluice(*arguments, **more):
    return run(tool(), *arguments, **more)


def refused(*arguments, **more):
    """The one line of complaint of a command that fails."""
    done = sluice(*arguments, check=False, **more)
    check(done.returncode != 0, f"{arguments} succeeded")
    lines = done.stderr.strip().splitlines()
    equal(len(lines), 1, f"{arguments} complains in lines: {lines}")
    return lines[0]


def counters(namespace=None):
    return json.loads(sluice("stat", "--json", "-z", namespace=namespace).stdout)


def counter(name, namespace=None):
    value = counters(namespace)[name]
    return value["value"] if isinstance(value, dict) else value


def connections(namespace=None):
    """Everything that `sluice ss` knows, listeners left out."""
    everything = json.loads(sluice("ss", "-a", "--json", "-i", "-m", namespace=namespace).stdout)
    return [entry for entry in everything if entry["state"] != "LISTEN"]


def states(namespace=None):
    """How many connections are in which state."""
    return collections.Counter(entry["state"] for entry in connections(namespace))


def tune(namespace, **values):
    """Sets a namespace's net.ipv4 sysctls."""
    with inside(namespace):
        for name, value in values.items():
            with open(f"/proc/sys/net/ipv4/{name}", "w") as file:
                file.write(str(value))


@contextlib.contextmanager
def file_holds(path, value):
    """The kernel's file says `value` meanwhile, and then again what it said."""
    with open(path) as file:
        before = file.read()
    try:
        with open(path, "w") as file:
            file.write(value)
        yield
    finally:
        with open(path, "w") as file:
            file.write(before)


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
    MAC = "02:00:00:00:01:0"    # and its end's number
    DELETE = f"netns del {NEAR}\nnetns del {FAR}\n"

    def __enter__(self):
        # A test that ran out of time in the wrong moment has left them.
        if os.path.exists(f"/run/netns/{self.NEAR}") or os.path.exists(f"/run/netns/{self.FAR}"):
            run("ip", "-force", "-batch", "-", check=False, input=self.DELETE)
        # Few commands: each start of one takes long on an emulated CPU.
        run("ip", "-batch", "-", input=f"""
            netns add {self.NEAR}
            netns add {self.FAR}
            link add v0 netns {self.NEAR} address {self.MAC}1 type veth peer name v1 netns {self.FAR} address {self.MAC}2
            """)
        for ns, device, number in ((self.NEAR, "v0", 1), (self.FAR, "v1", 2)):
            # Neighbours that had to be looked up would keep the first segments waiting, or lose them.
            run("ip", "-n", ns, "-batch", "-", input=f"""
                link set lo up
                addr add 10.1.0.{number}/24 dev {device}
                addr add fd00::{number}/64 dev {device} nodad
                link set {device} up
                neigh replace 10.1.0.{3 - number} lladdr {self.MAC}{3 - number} dev {device} nud permanent
                neigh replace fd00::{3 - number} lladdr {self.MAC}{3 - number} dev {device} nud permanent
                """)
        return self

    def __exit__(self, *_):
        run("ip", "-batch", "-", input=self.DELETE)

    def netem(self, *arguments, limit=1000, leaving=(NEAR, FAR), bursts=False):
        """The same trouble in both directions, or what leaves one end; one packet a segment,
        as on a wire, unless bursts of segments are to have the same fate."""
        for ns, device in ((self.NEAR, "v0"), (self.FAR, "v1")):
            if ns not in leaving:
                continue
            if not bursts:
                run("ip", "-n", ns, "link", "set", device, "gso_max_segs", "1")
            run("tc", "-n", ns, "qdisc", "replace", "dev", device, "root", "netem", "limit", str(limit),
                *arguments)

    def mtu(self, size):
        for ns, device in ((self.NEAR, "v0"), (self.FAR, "v1")):
            run("ip", "-n", ns, "link", "set", device, "mtu", str(size))


@contextlib.contextmanager
def beyond():
    """Behind the far end of a Link a narrower one, to a third namespace: 10.2.0.2 and fd02::2."""
    run("ip", "netns", "add", "beyond")
    try:
        run("ip", "link", "add", "w1", "netns", Link.FAR, "type", "veth", "peer", "name", "w2", "netns", "beyond")
        for ns, device, number in ((Link.FAR, "w1", 1), ("beyond", "w2", 2)):
            run("ip", "-n", ns, "-batch", "-", input=f"""
                addr add 10.2.0.{number}/24 dev {device}
                addr add fd02::{number}/64 dev {device} nodad
                link set {device} up
                """)
        run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1", namespace=Link.FAR)
        run("ip", "-n", Link.NEAR, "-batch", "-", input="""
            route add 10.2.0.0/24 via 10.1.0.2
            route add fd02::/64 via fd00::2
            """)
        # The last host offers a full MSS, as if it didn't know of the narrow link.
        run("ip", "-n", Link.FAR, "link", "set", "w1", "mtu", "1300")
        for to, via, mss in (("10.1.0.0/24", "10.2.0.1", "1460"), ("fd00::/64", "fd02::1", "1440")):
            run("ip", "-n", "beyond", "route", "add", to, "via", via, "mtu", "1300", "advmss", mss)
        yield "beyond"
    finally:
        run("ip", "netns", "del", "beyond")


# ---- the module --------------------------------------------------------------

def kernel_word():
    """What scripts/vm calls this VM's kernel."""
    with open("/proc/cpuinfo") as file:
        if "User Mode Linux" in (text := file.read()) or "UML" in text:
            return "uml-debug" if os.path.exists("/sys/kernel/debug/kmemleak") else "uml"
    return ".".join(os.uname().release.split(".")[:2])


def module_file():
    """The build that this VM's kernel was started with."""
    return os.path.join(ROOT, "build", "kmod", kernel_word(), "sluice.ko")


def insmod(*parameters, check=True):
    return run("insmod", module_file(), *parameters, check=check)


def rmmod(patience=10):
    """Namespaces go a moment after they were deleted: tries for `patience` seconds."""
    end = time.monotonic() + patience
    while (done := run("rmmod", "sluice", check=False)).returncode and time.monotonic() < end:
        time.sleep(0.2)
    return done
