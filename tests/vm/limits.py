#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# What bounds memory and the objects that no socket owns, inside the VM:
# memory control groups, memory pressure, orphans, FIN_WAIT_2, TIME_WAIT.
# Where kernel TCP knows the same limit it runs first, as the reference.
import contextlib
import json
import os
import select
import socket
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from cgroup import Cgroup, has_memory_controller  # noqa: E402
from filters import classic_filter  # noqa: E402
from network import (Link, connections, counter, counters, file_holds, sluice, states, tune)  # noqa: E402
from network import run as command  # noqa: E402
from runner import check, equal, run, test, until  # noqa: E402
from traffic import (SO_RCVBUFFORCE, SO_SNDBUFFORCE, V4, V4_TCP, V6, Stream, abort, fill, finish,  # noqa: E402
                     joined, send_all_that_fits, settle, with_buffers)
from transport import REAL4, SLUICE4, SLUICE6, TCP4, TCP6, error_of  # noqa: E402

PAGE = os.sysconf("SC_PAGESIZE")
SOL, SO_ATTACH_FILTER = socket.SOL_SOCKET, 26
# Each CPU may keep this much before the sum knows of it (SK_MEMORY_PCPU_RESERVE).
UNTOLD = os.cpu_count() * (1 << 20) // PAGE
CALM = 0.3     # seconds after which nothing moves any more that the receiver doesn't read


def limit_of(t, namespace, tcp_name, value, sluice_name):
    """Sets the same limit of either transport in a namespace."""
    if t.sluice:
        sluice("set", sluice_name, value, namespace=namespace)
    else:
        tune(namespace, **{tcp_name: value.rstrip("s")})


def states_of(t, namespace):
    if t.sluice:
        return states(namespace)
    lines = command("ss", "-Htan", "state", "all", namespace=namespace).stdout.splitlines()
    names = [line.split()[0] for line in lines]
    return {name: names.count(name) for name in names if name != "LISTEN"}


def drain(sock):
    """Receives to the end: the bytes, and the error's name or None."""
    sock.setblocking(True)
    total = 0
    try:
        while part := sock.recv(1 << 18):
            total += len(part)
    except OSError as e:
        return total, e.strerror
    return total, None


# ---- objects that no socket owns ---------------------------------------------------

@test(V4_TCP, V4, V6)
def orphans_over_the_limit_are_reset(t):
    limit, count = 2, 6
    with Link(), contextlib.ExitStack() as after:
        after.enter_context(file_holds("/proc/sys/net/ipv4/tcp_max_orphans", str(limit)))
        if t.sluice:    # which counts in each namespace
            sluice("set", "max_orphans", "1000", namespace=Link.NEAR)
        pairs = [joined(t) for _ in range(count)]
        sent = [fill(server, CALM) for _, server in pairs]
        for _, server in pairs:
            server.close()      # unsent output keeps it in FIN_WAIT_1
            time.sleep(0.15)    # kernel TCP counts orphans ten times a second
        ends = [drain(client) for client, _ in pairs]
        whole = [end for end, size in zip(ends, sent) if end == (size, None)]
        reset = [end for end in ends if end[1] == "Connection reset by peer"]
        equal(len(whole) + len(reset), count, f"ends of another kind: {ends}")
        check(reset, "none was reset")
        if not t.sluice:    # counts late, and looks again at each timeout
            return
        equal(len(whole), limit, "connections that ended whole")
        equal(counter("orphans_killed", Link.FAR), count - limit)
        # The limit is the other namespace's alone.
        pairs = [joined(t) for _ in range(count)]
        sent = [fill(client) for client, _ in pairs]
        for client, _ in pairs:
            client.close()
        equal([drain(server) for _, server in pairs], [(size, None) for size in sent])
        equal(counter("orphans_killed", Link.NEAR), 0)


@test(TCP4, TCP6, SLUICE4, SLUICE6, REAL4)
def without_memory_a_connection_isnt_accepted_yet(t):
    """For the new socket's share of its listener's filter there is none. The peer believes to be connected."""
    with t.listener() as listener, t.socket() as client:
        classic_filter(listener, 0x40000)
        before = counter("accept_no_memory")
        listener.setblocking(False)
        with file_holds("/proc/sys/net/core/optmem_max", "0"):
            t.connect(client, t.port_of(listener))
            client.sendall(b"early")
            if t.sluice:
                until(lambda: counter("accept_no_memory") > before)
            equal(error_of(t.accept, listener), "EAGAIN")
        client.sendall(b" and late")
        equal(select.select([listener], [], [], 20)[0], [listener])
        with t.accept(listener) as server:
            equal(server.recv(14, socket.MSG_WAITALL), b"early and late")


@test(V4_TCP, V4, V6)
def fin_wait_2_without_a_socket_ends_in_time(t):
    with Link():
        limit_of(t, Link.FAR, "tcp_fin_timeout", "4s", "fin_timeout")
        client, server = joined(t)
        equal(states_of(t, Link.FAR), {"ESTAB": 1})
        server.close()
        equal(client.recv(1), b"")
        begin = time.monotonic()
        until(lambda: states_of(t, Link.FAR) == {"FIN-WAIT-2": 1})
        until(lambda: not states_of(t, Link.FAR), 12, "still in FIN_WAIT_2")
        check(2 < time.monotonic() - begin < 10, time.monotonic() - begin)
        if t.sluice:
            equal(counter("fin_wait_2_timeouts", Link.FAR), 1)
        client.send(b"to nobody")
        until(lambda: error_of(client.send, b"x", socket.MSG_NOSIGNAL) == "EPIPE", 5, "no RST came")


@test(V4_TCP, V4)
def fin_wait_2_keeps_its_socket(t):
    with Link():
        limit_of(t, Link.FAR, "tcp_fin_timeout", "1s", "fin_timeout")
        client, server = joined(t)
        server.shutdown(socket.SHUT_WR)
        equal(client.recv(1), b"")
        time.sleep(1.5)
        client.sendall(b"late")
        equal(server.recv(4), b"late")


@test(V4_TCP, V4, V6)
def time_waits_over_the_limit_are_skipped(t):
    with Link():
        limit_of(t, Link.NEAR, "tcp_max_tw_buckets", "3", "max_time_wait")
        for side in (0, 1):     # near ends first, then the far end
            for _ in range(10):
                pair = joined(t)
                pair[side].close()
                equal(pair[1 - side].recv(1), b"")
                pair[1 - side].close()
        until(lambda: states_of(t, Link.NEAR) == {"TIME-WAIT": 3}, 5, lambda: states_of(t, Link.NEAR))
        equal(states_of(t, Link.FAR), {"TIME-WAIT": 10}, "the other namespace's")
        if t.sluice:
            equal(counter("time_wait_overflows", Link.NEAR), 7)
            equal(counter("time_wait_overflows", Link.FAR), 0)


# ---- memory of all sockets ---------------------------------------------------------

class Memory:
    """What all sockets of a protocol may use together, in MiB."""

    FILE = "/proc/sys/net/ipv4/tcp_mem"

    def __init__(self, t):
        self.t = t

    def limits(self, least, pressure, most):
        pages = [str((size << 20) // PAGE) for size in (least, pressure, most)]
        return file_holds(self.FILE, " ".join(pages))

    def now(self):
        """Pages in use; whether there is pressure."""
        name = "SLUICE" if self.t.sluice else "TCPv6" if self.t.family == socket.AF_INET6 else "TCP"
        for line in open("/proc/net/protocols"):
            fields = line.split()
            if fields[0] == name:
                return int(fields[3]), fields[4] == "yes"
        raise AssertionError(f"no protocol {name}")


large_buffers = with_buffers(1 << 20, SO_RCVBUFFORCE)


def close_all(pairs):
    for sock in (sock for pair in pairs for sock in pair):
        sock.close()


@contextlib.contextmanager
def reset_on_failure(*groups):
    """Whose namespaces go before their peers have answered would hold memory, and the module, for the tests that follow."""
    try:
        yield
    except BaseException:
        abort(*(sock for pairs in groups for pair in pairs for sock in pair))
        raise


def megabytes(pairs, size=1 << 20):
    return [Stream(i, client, server, size) for i, (client, server) in enumerate(pairs)]


# One large packet of each connection never arrives, however often it is sent.
HOLES = """
    table inet holes {
        set seen { typeof @th,0,32; flags dynamic; size 1000; }
        set lost { typeof @th,0,64; flags dynamic; size 1000; }
        chain in {
            type filter hook prerouting priority raw;
            meta length < 300 accept
            @th,0,64 @lost drop
            @th,0,32 @seen accept
            add @seen { @th,0,32 }
            add @lost { @th,0,64 } drop
        }
    }"""


def make_holes(streams, memory):
    """What is sent from now on has to be held. The memory in use when it is much."""
    def much():
        send_all_that_fits(streams, lambda: False, 0.2)
        return sum(entry["info"]["held"] for entry in connections(Link.FAR)) > 1 << 19
    command("nft", "-f", "-", namespace=Link.FAR, input=HOLES)
    until(much, 20, lambda: str(connections(Link.FAR)))
    used, _ = memory.now()
    check(used > (5 << 20) // PAGE + UNTOLD, f"{used} pages")
    return used


@test(V4, V6)
def without_memory_what_is_held_is_dropped_and_comes_again(t):
    memory = Memory(t)
    pairs = []
    with Link() as link, reset_on_failure(pairs):
        sluice("set", "initial_window", "100", namespace=Link.NEAR)
        pairs += [joined(t, large_buffers) for _ in range(24)]
        streams = megabytes(pairs, 1 << 19)
        link.netem("delay", "2ms", limit=10000)
        send_all_that_fits(streams, lambda: sum(stream.sent for stream in streams) > 5 << 20, 20)
        before = make_holes(streams, memory)
        with memory.limits(3, 4, 5):
            equal(counter("held_dropped", Link.FAR), 0)
            command("nft", "delete", "table", "inet", "holes", namespace=Link.FAR)
            until(lambda: counter("held_dropped", Link.FAR) and counter("receive_no_memory", Link.FAR), 20,
                  lambda: counters(Link.FAR))
            used, pressure = memory.now()
            check(pressure, "no pressure")
            check(used <= before + UNTOLD, f"{used} pages, before {before}")
            finish(streams)
        close_all(pairs)
        settle()
        until(lambda: memory.now()[0] <= UNTOLD and not memory.now()[1], 10, memory.now)


@test(V4, V6)
def pressure_keeps_windows_small(t):
    memory = Memory(t)
    hoard, pairs = [], []
    with Link(), reset_on_failure(hoard, pairs):
        hoard += [joined(t, large_buffers) for _ in range(6)]
        unread = megabytes(hoard)
        send_all_that_fits(unread, lambda: all(stream.sent == len(stream.data) for stream in unread), 10)
        until(lambda: states(Link.FAR)["CLOSE-WAIT"] == len(hoard), 5, "not all arrived")
        # What was promised stays promised (RFC 9293 3.8.6); those that come now are promised little.
        with memory.limits(2, 3, 64):
            pairs += [joined(t, large_buffers) for _ in range(12)]
            streams = megabytes(pairs)
            send_all_that_fits(streams, lambda: all(stream.sent > 100000 for stream in streams), 10)
            check(memory.now()[1], "no pressure")
            receiving = [entry for entry in connections(Link.FAR) if entry["state"] == "ESTAB"]
            equal(len(receiving), len(pairs))
            windows = [entry["info"]["rcv_wnd"] for entry in receiving]     # of 2 MiB that are mostly free
            check(max(windows) <= 8192, windows)
            here = counters(Link.FAR)
            equal((here["held_dropped"], here["receive_no_memory"]), (0, 0))
            check(here["memory_pressure"] + counter("memory_pressure", Link.NEAR) > 0, "memory_pressure")
            finish(unread + streams)
        close_all(hoard + pairs)
        settle()
        until(lambda: memory.now()[0] <= UNTOLD and not memory.now()[1], 10, memory.now)


@test(TCP4, TCP6, SLUICE4, SLUICE6)
def a_reader_gets_on_while_others_take_all_memory(t):
    memory = Memory(t)
    pairs = [t.pair(large_buffers, large_buffers) for _ in range(16)]
    small, bulk = t.pair(), t.pair()
    with memory.limits(3, 4, 5):
        for client, _ in pairs:
            fill(client)
        used, pressed = memory.now()
        check(pressed and used > (4 << 20) // PAGE - UNTOLD, f"{used} pages, pressure: {pressed}")
        for _ in range(20):     # from an empty send buffer into an empty receive buffer
            small[0].sendall(b"q" * 100)
            equal(small[1].recv(100), b"q" * 100)
            small[1].sendall(b"a" * 100)
            equal(small[0].recv(100), b"a" * 100)
        finish([Stream(0, *bulk, 200000), Stream(1, *reversed(bulk), 200000)])


@test(V4, V6)
def orphans_are_reset_when_there_is_no_memory(t):
    memory = Memory(t)
    with Link():
        client, server = joined(t)
        kept, closed = joined(t)
        sizes = fill(server, CALM), fill(closed, CALM)
        closed.close()
        with memory.limits(1, 1, 1):
            others = [joined(t) for _ in range(16)]
            for _, sender in others:
                fill(sender)
            check(memory.now()[0] >= (1 << 20) // PAGE, memory.now())
            server.close()
            equal(drain(client)[1], "Connection reset by peer")
            equal(counter("orphans_killed", Link.FAR), 1)
        equal(drain(kept), (sizes[1], None), "what was closed while there was memory")


# ---- memory of a control group ---------------------------------------------------------

def pairs_in(group, t, count):
    with group.entered():
        return [t.pair() for _ in range(count)]


def buffers_are_charged_to_the_group(t):
    with Cgroup() as group:
        pairs = pairs_in(group, t, 8)
        equal(group.sock(), 0, "charged before there is anything to buffer")
        unread = sum(fill(client) for client, _ in pairs)
        check(unread > 500000, unread)
        until(lambda: group.sock() >= unread, 5, lambda: f"{group.sock()} bytes charged, {unread} unread")
        close_all(pairs)
        until(lambda: group.sock() == 0, 10, lambda: f"{group.sock()} bytes are still charged")


def sends_in(group, streams, seconds):
    """A process of the group sends, unread, all that it may."""
    back, forth = os.pipe()
    pid = os.fork()
    if pid == 0:
        with group.entered():
            send_all_that_fits(streams, lambda: False, seconds)
        os.write(forth, json.dumps([stream.sent for stream in streams]).encode())
        os._exit(0)
    equal(os.waitpid(pid, 0)[1], 0, "the sender's end")
    for stream, sent in zip(streams, json.loads(os.read(back, 4096))):
        stream.sent = sent
    os.close(back)
    os.close(forth)


def a_small_group_throttles_its_sender(t):
    with Cgroup() as group:
        pairs = pairs_in(group, t, 16)
        for client, _ in pairs:
            client.setsockopt(SOL, SO_SNDBUFFORCE, 1 << 20)
        streams = megabytes(pairs)
        group.limit("high", 2 << 20)    # memory.max would end the sender: its buffers can't be reclaimed
        sends_in(group, streams, 2)
        check(group.events("high") > 0, group.read("memory.events"))
        check(group.sock() < 8 << 20, f"{group.sock()} bytes in a group of 2 MiB")
        equal(group.events("oom_kill"), 0)
        finish(streams)
        close_all(pairs)
        until(lambda: group.sock() == 0, 10, lambda: f"{group.sock()} bytes are still charged")


def a_full_group_loses_nothing(t):
    """Receivers alone: at memory.max what sends or reads is killed, with kernel TCP, too."""
    with Cgroup() as group:
        group.limit("max", 1 << 20)
        with group.entered():
            listener = t.listener()     # Sluice charges its connections to its group
        pairs = []
        for _ in range(16):
            client = t.socket()
            t.connect(client, t.port_of(listener))
            with group.entered():       # kernel TCP to the group of who accepts
                pairs.append((client, t.accept(listener)))
        listener.close()
        streams = megabytes(pairs)
        send_all_that_fits(streams, lambda: group.events("max") > 0, 10)
        check(group.events("max") > 0, f"never full: {group.sock()} bytes")
        group.limit("max", "max")
        finish(streams)
        equal(group.events("oom"), 0)
        close_all(pairs)
        until(lambda: group.sock() == 0, 10, lambda: f"{group.sock()} bytes are still charged")


if has_memory_controller():
    for body in (buffers_are_charged_to_the_group, a_small_group_throttles_its_sender,
                 a_full_group_loses_nothing):
        test(TCP4, SLUICE4, SLUICE6)(body)
elif os.environ["SLUICE_VM"].startswith("uml"):
    print("this kernel has no memory controller: no tests of control groups")
else:
    sys.exit("no memory controller")

if __name__ == "__main__":
    run(*sys.argv[1:])
