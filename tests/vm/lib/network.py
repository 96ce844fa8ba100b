# SPDX-License-Identifier: GPL-2.0
# Network namespaces, links and the module, for tests inside a VM.
import collections
import contextlib
import ctypes
import json
import os
import subprocess
import time

import netlink
import rtnetlink
from rtnetlink import inside
from runner import check, equal, until
from transport import AF_SLUICE, call, error_of, libc

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
SYS_DELETE_MODULE = 176     # x86-64
STATES = (None, "ESTAB", "SYN-SENT", "SYN-RECV", "FIN-WAIT-1", "FIN-WAIT-2", "TIME-WAIT", "UNCONN", "CLOSE-WAIT",
          "LAST-ACK", "LISTEN", "CLOSING")


def run(*command, check=True, namespace=None, **more):
    """A command's completed process, its output as text. It inherits this thread's namespace, or is started in another."""
    with there(namespace):
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


def there(namespace):
    """Inside the namespace, or here."""
    return inside(namespace) if namespace else contextlib.nullcontext()


def counters(namespace=None):
    with there(namespace):
        return netlink.counters(netlink.generic_family("sluice"))


def counter(name, namespace=None):
    return counters(namespace)[name]


def connections(namespace=None):
    """Everything that `sluice ss` knows, listeners left out."""
    everything = json.loads(sluice("ss", "-a", "--json", "-i", "-m", namespace=namespace).stdout)
    return [entry for entry in everything if entry["state"] != "LISTEN"]


def states(namespace=None):
    """How many connections are in which state."""
    with there(namespace):
        found = collections.Counter(STATES[state] for state in netlink.socket_states(AF_SLUICE))
    del found["LISTEN"]
    return found


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


class Link:
    """Two namespaces, near and far, joined by veth: 10.1.0.1/2 and fd00::1/2."""

    NEAR, FAR = "near", "far"
    V4, V6 = "10.1.0.2", "fd00::2"
    MAC = "02:00:00:00:01:0"    # and its end's number
    DEVICES = (NEAR, "v0"), (FAR, "v1")

    def __enter__(self):
        for ns, _ in self.DEVICES:
            if rtnetlink.exists(ns):    # left by a test that ran out of time in the wrong moment
                rtnetlink.delete(ns)
            rtnetlink.create(ns)
        rtnetlink.add_veth(*((ns, device, self.MAC + end) for (ns, device), end in zip(self.DEVICES, "12")))
        for ns, device in self.DEVICES:
            with inside(ns):
                rtnetlink.set_link(device, up=True)
        for (ns, device), end, other in zip(self.DEVICES, "12", "21"):
            with inside(ns):
                until(lambda: rtnetlink.is_operational(device), text=f"{device} doesn't come up")
                for host, prefix in (("10.1.0.", 24), ("fd00::", 64)):
                    rtnetlink.add_address(device, host + end, prefix)
                    # To be looked up, it would keep the first segments waiting, or lose them.
                    rtnetlink.add_neighbour(device, host + other, self.MAC + other)
                until(lambda: rtnetlink.is_local("fd00::" + end), text=f"{device} doesn't know its address")
        return self

    def __exit__(self, *_):
        for ns, _ in self.DEVICES:
            # The link may be gone before all sockets are, whose last words then nobody answers.
            tune(ns, tcp_orphan_retries=1)
            rtnetlink.delete(ns)

    def netem(self, *arguments, limit=1000, leaving=(NEAR, FAR), bursts=False):
        """The same trouble in both directions, or what leaves one end; one packet a segment,
        as on a wire, unless bursts of segments are to have the same fate."""
        for ns, device in self.DEVICES:
            if ns not in leaving:
                continue
            if not bursts:
                with inside(ns):
                    rtnetlink.set_link(device, gso_max_segs=1)
            run("tc", "-n", ns, "qdisc", "replace", "dev", device, "root", "netem", "limit", str(limit),
                *arguments)

    def mtu(self, size):
        for ns, device in self.DEVICES:
            with inside(ns):
                rtnetlink.set_link(device, mtu=size)


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


def delete():
    """errno's name, or None, of one try to remove the module."""
    return error_of(call, libc.syscall, SYS_DELETE_MODULE, b"sluice", ctypes.c_uint(os.O_NONBLOCK))
