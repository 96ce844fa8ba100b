#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# How fast a connection sends and how much of it waits in this host's queues,
# inside the VM: SO_MAX_PACING_RATE, kept by the stack itself and by fq, and
# small queues. Kernel TCP runs first, as the reference.
import os
import socket
import struct
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from mix import KERNEL4, KERNEL6, OURS4, OURS6  # noqa: E402
from network import Link, connections, counter, inside, tune  # noqa: E402
from network import run as command  # noqa: E402
from runner import check, equal, run, test, until  # noqa: E402
from traffic import SO_RCVBUFFORCE, SO_SNDBUFFORCE, V4, V4_INET, V6, abort, joined, with_buffers  # noqa: E402

SO_MAX_PACING_RATE = 47
RATE, SIZE = 1000000, 1500000    # bytes per second, bytes
ALL = (KERNEL4, KERNEL6, OURS4, OURS6, V4, V6, V4_INET)
OURS = (OURS4, OURS6, V4, V6, V4_INET)


def limit(sock, rate=RATE):
    sock.setsockopt(socket.SOL_SOCKET, SO_MAX_PACING_RATE, struct.pack("=Q", rate))


large_buffers = with_buffers(4 << 20, SO_SNDBUFFORCE, SO_RCVBUFFORCE)


def rtt(sock):
    """Microseconds, as TCP_INFO has it."""
    return struct.unpack_from("=I", sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104), 68)[0]


def arrival(client, server, size=SIZE, look=lambda: None):
    """Seconds that so many bytes take; look() is called now and then."""
    sender = threading.Thread(target=client.sendall, args=(bytes(size),))
    begin, got = time.monotonic(), 0
    sender.start()
    while got < size:
        part = server.recv(65536)
        check(part, "the stream ended")
        got += len(part)
        look()
    sender.join()
    return time.monotonic() - begin


@test(*ALL)
def the_rate_is_kept(t):
    with Link():
        client, server = joined(t)
        limit(client)
        took = arrival(client, server)
        # A machine that stands still makes it longer, nothing makes it shorter but the first burst.
        check(SIZE / RATE * 0.9 < took < SIZE / RATE * 40, f"{took} s")
        abort(client, server)


@test(*OURS)
def waiting_for_the_rate_is_shown(t):
    with Link():
        client, server = joined(t, large_buffers)
        limit(client, 20000)
        client.setblocking(False)
        sent = client.send(bytes(1000000))
        check(sent > 900000, f"the buffer took {sent} bytes")    # of which most will wait for long

        def shown():
            near, = connections(Link.NEAR)
            return near["timer"], near["info"]["pacing_rate"]
        # Between two bursts, that is: until a burst's ACK comes, its loss probe is due sooner.
        until(lambda: shown() == ("pacing", 20000), text=lambda: str(shown()))
        limit(client, 2**64 - 1)
        server.settimeout(20)
        got = 0
        while got < sent:
            got += len(server.recv(65536))
        abort(client, server)


@test(*ALL)
def fq_keeps_the_rate(t):
    with Link():
        command("tc", "-n", Link.NEAR, "qdisc", "replace", "dev", "v0", "root", "fq")
        client, server = joined(t)
        limit(client)
        took = arrival(client, server)
        check(SIZE / RATE * 0.9 < took < SIZE / RATE * 40, f"{took} s")
        if t in OURS:
            check(counter("queue_full", Link.NEAR) > 0, "they wait in the stack, not in the queue")
        abort(client, server)


@test(*ALL)
def little_of_it_waits_in_the_queue(t):
    """Where a queue would take seconds of data, only milliseconds' worth are in it."""
    with Link():
        command("tc", "-n", Link.NEAR, "qdisc", "replace", "dev", "v0", "root", "tbf",
                "rate", "20mbit", "burst", "20000", "limit", "10000000")
        client, server = joined(t, large_buffers)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"reno")    # it waits for a loss
        seen = []
        arrival(client, server, 3 << 20, look=lambda: seen.append(rtt(client)))
        middle = sorted(seen)[len(seen) // 2]
        check(middle < 400000, f"{middle} us: a round trip with the queue")
        if t in OURS:
            check(counter("queue_full", Link.NEAR) > 0, "the queue was never found full")
        abort(client, server)


def autocorked(t):
    """How often writes of the near namespace waited for its queue."""
    if t in OURS:
        return counter("autocorked", Link.NEAR)
    with inside(Link.NEAR), open("/proc/thread-self/net/netstat") as file:
        names, values = (line.split() for line in list(file)[:2])
    return int(values[names.index("TCPAutoCorking")])


def small_writes_behind_a_queue(t):
    """After 10000 bytes that take 80 ms to leave: how often one waited, and the segments of all."""
    command("tc", "-n", Link.NEAR, "qdisc", "replace", "dev", "v0", "root", "tbf",
            "rate", "1mbit", "burst", "2000", "limit", "1000000")
    client, server = joined(t)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.sendall(bytes(10000))
    for _ in range(50):
        client.send(bytes(100))
    server.settimeout(20)
    got = 0
    while got < 15000:
        got += len(server.recv(65536))
    segments = struct.unpack_from("=I", client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 160), 156)[0]
    waited = autocorked(t)
    abort(client, server)
    return waited, segments


@test(KERNEL4, KERNEL6, OURS4, OURS6, V4, V6)
def small_writes_wait_for_the_queue_and_go_together(t):
    with Link():
        waited, segments = small_writes_behind_a_queue(t)
        check(waited > 0 and segments < 40, f"waited {waited} times; {segments} segments")


@test(KERNEL4, OURS4, V4)
def unless_that_is_switched_off(t):
    with Link():
        tune(Link.NEAR, tcp_autocorking=0)
        equal(small_writes_behind_a_queue(t)[0], 0)


if __name__ == "__main__":
    run(*sys.argv[1:])
