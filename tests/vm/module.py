#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# The module comes and goes, inside the VM: what refuses it, what keeps it,
# what is left of it. Each test begins with the module loaded and ends so.
import contextlib
import os
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import netlink  # noqa: E402
from mix import OURS4, OURS6  # noqa: E402
from network import (Link, connections, delete, inside, insmod, kernel_word, refused, rmmod, sluice, states)  # noqa: E402
from network import run as command  # noqa: E402
from runner import check, equal, run, test, until  # noqa: E402
from traffic import V4, V6, exchange, joined, swallow, traffic  # noqa: E402
from transport import AF_SLUICE, SLUICE4, SLUICE6, call, error_of, libc  # noqa: E402

def unload(patience=20):
    done = rmmod(patience)
    equal(done.returncode, 0, done.stderr)


def lines_with_sluice(path):
    with open(path) as file:
        return [line.split()[0] for line in file if "sluice" in line.lower()]


def remains():
    """Everything in the kernel that bears the module's name."""
    found = lines_with_sluice("/proc/modules") + lines_with_sluice("/proc/net/protocols")
    # Links in /sys/kernel/slab are other names of caches that are shared; the kernel never removes one.
    for directory in ("/sys/module", "/sys/kernel/slab", "/proc/sys/net"):
        if os.path.isdir(directory):
            found += [entry.path for entry in os.scandir(directory)
                      if "sluice" in entry.name.lower() and not entry.is_symlink()]
    if os.path.exists("/proc/slabinfo"):
        found += lines_with_sluice("/proc/slabinfo")
    if netlink.generic_family("sluice"):
        found.append("the generic netlink family")
    error = error_of(call, libc.socket, AF_SLUICE, socket.SOCK_STREAM, 0)
    found += [] if error == "EAFNOSUPPORT" else [f"socket(): {error}"]
    error = error_of(socket.socket, socket.AF_INET, socket.SOCK_STREAM, 253)
    found += [] if error == "EPROTONOSUPPORT" else [f"socket() of AF_INET: {error}"]
    return found


@contextlib.contextmanager
def loaded_afterwards():
    """Whatever happens inside, the next test finds the module loaded."""
    try:
        yield
    finally:
        if not os.path.exists("/sys/module/sluice"):
            insmod()


def kernel_says(words):
    log = command("dmesg").stdout.splitlines()
    check(any(words in line for line in log[-3:]), f"no word of {words!r} but {log[-3:]}")


# ---- what keeps it -------------------------------------------------------------------

@test()
def sockets_keep_it_and_time_waits_do_not():
    sock = SLUICE4.socket()
    equal(delete(), "EAGAIN", "under a fresh socket")
    sock.close()
    listener = SLUICE6.listener()
    equal(delete(), "EAGAIN", "under a listener")
    client, server = SLUICE4.pair()
    listener.close()
    equal(delete(), "EAGAIN", "under a connection")
    client.setblocking(False)
    while error_of(client.send, b"x" * 65536) is None:
        pass
    client.close()      # much of it isn't sent yet
    equal(states()["FIN-WAIT-1"], 1)
    equal(delete(), "EAGAIN", "under an orphan")
    done = command("rmmod", "sluice", check=False)
    check(done.returncode != 0 and "in use" in done.stderr, done.stderr)
    swallow(server)
    server.close()
    until(lambda: set(states()) == {"TIME-WAIT"}, 5, lambda: states())
    with loaded_afterwards():
        unload(2)
        equal(remains(), [])
    equal(connections(), [], "from before")


@test()
def tools_without_the_module_say_so():
    with loaded_afterwards():
        unload()
        for arguments in (("ss",), ("ss", "--json"), ("stat",), ("get",), ("get", "rto_min"), ("cc",),
                          ("set", "rto_min", "100ms"), ("set", "127.0.0.1:1", "127.0.0.1:2", "cc", "reno"),
                          ("get", "127.0.0.1:1", "127.0.0.1:2"),
                          ("send", "127.0.0.1:1", "/etc/hostname"), ("recv", "1")):
            complaint = refused(*arguments)
            check("is the module loaded?" in complaint, complaint)
        check("not loaded" in sluice("--version").stdout)


# ---- what refuses it -----------------------------------------------------------------

@test()
def wrong_parameters_are_refused_and_nothing_stays():
    command("ss", "-t")     # the kernel's own sock_diag has its families, too
    with loaded_afterwards():
        unload()
        for parameter, error, words in (("family=2", "File exists", "socket family 2 is taken"),
                                        ("family=10", "File exists", "socket family 10 is taken"),
                                        ("family=46", "Invalid", "socket family 46 can't be registered"),
                                        ("family=0", "Invalid", "socket family 0 can't be registered"),
                                        ("family=-1", "Invalid", "socket family -1 can't be registered"),
                                        ("mem=9,8,7", "Invalid", "mem= takes three rising numbers"),
                                        ("mem=1,2", "Invalid", "mem= takes three rising numbers")):
            done = insmod(parameter, check=False)
            check(done.returncode != 0, f"loaded with {parameter}")
            check(error in done.stderr, f"{parameter}: {done.stderr}")
            kernel_says(words)
            equal(remains(), [], parameter)


@test()
def another_family_number_serves_as_well():
    with loaded_afterwards():
        unload()
        insmod("family=27")
        equal(error_of(call, libc.socket, AF_SLUICE, socket.SOCK_STREAM, 0), "EAFNOSUPPORT")
        fd = call(libc.socket, 27, socket.SOCK_STREAM, 0)
        os.close(fd)
        equal(connections(), [])
        check("AF_SLUICE is 27" in sluice("--version").stdout, sluice("--version").stdout)
        unload()


# ---- under traffic -------------------------------------------------------------------

def bytes_in():
    return netlink.counters(netlink.generic_family("sluice"))["bytes_in"]


def leave_time_waits():
    for t in (SLUICE4, SLUICE6):
        client, server = t.pair()
        client.close()
        equal(server.recv(1), b"")
        server.close()


@test(limit=600)
def loads_and_unloads_under_traffic():
    """Mostly where KASAN, lockdep and kmemleak look on."""
    with Link(), loaded_afterwards():
        for i in range(20 if kernel_word() == "uml-debug" else 8):
            with traffic(lambda: joined((V4, V6)[i % 2]), (SLUICE6, SLUICE4)[i % 2].pair):
                until(lambda: bytes_in() > 100000, 20, "no traffic on loopback")
                with inside(Link.FAR):
                    until(lambda: bytes_in() > 100000, 20, "no traffic on the link")
                leave_time_waits()
                check(states()["TIME-WAIT"] >= 2, states())
                equal(delete(), "EAGAIN", "under traffic")
            unload()
            equal(remains(), [], f"after round {i + 1}")
            insmod()
            equal(connections(), [], f"after round {i + 1}")
        exchange(*joined(V4), 1 << 20)


@test(V4, V6, OURS4, OURS6)
def namespaces_go_with_everything_in_them(t):
    """A veth's end out here goes when the namespace that has the other does."""
    witnesses = {Link.NEAR: "near-witness", Link.FAR: "far-witness"}
    with Link() as link:
        for namespace, witness in witnesses.items():
            command("ip", "link", "add", witness, "type", "veth", "peer", "name", "inner", "netns", namespace)
        live, ended, stuck, refusing = (joined(t) for _ in range(4))
        with inside(Link.FAR):
            listener = t.listener(host=t.host)
        live[0].sendall(b"x" * 1000)
        ended[0].close()            # to TIME_WAIT
        equal(ended[1].recv(1), b"")
        ended[1].close()
        stuck[0].setblocking(False)
        while error_of(stuck[0].send, b"x" * 65536) is None:
            pass
        stuck[0].close()            # an orphan whose output nobody reads
        refusing[1].shutdown(socket.SHUT_WR)
        until(lambda: set(states(Link.NEAR)) == {"ESTAB", "TIME-WAIT", "FIN-WAIT-1", "CLOSE-WAIT"}, 5,
              lambda: states(Link.NEAR))
        link.mtu(1400)
    # The namespaces have no name now, but sockets.
    live[0].sendall(b"y")
    equal(live[1].recv(1001, socket.MSG_WAITALL), b"x" * 1000 + b"y")
    check(os.path.exists("/sys/class/net/near-witness"), "the namespace went under its sockets")
    for sock in (*live, stuck[1], *refusing, listener):
        sock.close()
    for witness in witnesses.values():
        until(lambda: not os.path.exists(f"/sys/class/net/{witness}"), 30, f"{witness} is still there")
    with loaded_afterwards():
        until(lambda: delete() is None, 10, "something keeps the module")
        equal(remains(), [])


if __name__ == "__main__":
    run(*sys.argv[1:])
