#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# Peers that mean harm, inside the VM: floods of SYNs, windows that stay shut,
# readers that take a byte at a time. Those who mean none must be served.
import os
import resource
import socket
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from network import Link, connections, counter, counters, inside, sluice, states, tune  # noqa: E402
from network import run as command  # noqa: E402
from runner import check, equal, run, test, until  # noqa: E402
from segment import SYN, build, packed  # noqa: E402
from traffic import V4, V6, Stream, exchange, finish, joined, settle  # noqa: E402
from transport import Transport, error_of  # noqa: E402

KERNEL4 = Transport("tcp4", socket.AF_INET, 0, Link.V4, "0.0.0.0")
KERNEL6 = Transport("tcp6", socket.AF_INET6, 0, Link.V6, "::")
OURS4 = Transport("inet-257", socket.AF_INET, 257, Link.V4, "0.0.0.0")
OURS6 = Transport("inet6-257", socket.AF_INET6, 257, Link.V6, "::")


class Sides:
    """Whose the client is, and whose the server under attack."""

    def __init__(self, name, client, server, wire):
        self.name, self.client, self.server, self.wire = name, client, server, wire
        self.host = server.host
        self.v6 = ":" in self.host

    def connected(self, listener):
        with inside(Link.NEAR):
            client = self.client.socket()
            self.client.connect(client, self.server.port_of(listener), self.host)
        return client, self.server.accept(listener)


SIDES = (Sides("native-v4", V4, V4, 253), Sides("native-v6", V6, V6, 253),
         Sides("real-v4", KERNEL4, OURS4, 6), Sides("real-v6", KERNEL6, OURS6, 6))
KERNELS = (Sides("kernel-v4", KERNEL4, KERNEL4, 6), Sides("kernel-v6", KERNEL6, KERNEL6, 6))


# ---- floods of SYNs ------------------------------------------------------------------

def stranger(sides, number):
    """An address that is nobody's, behind the near end."""
    return f"fd09::{number + 1:x}" if sides.v6 else f"10.9.{number // 250}.{number % 250 + 1}"


def ip_header(sides, source, length):
    if sides.v6:
        return struct.pack("!IHBB", 6 << 28, length, sides.wire, 64) + packed(source) + packed(sides.host)
    return struct.pack("!BBHHHBBH", 0x45, 0, 20 + length, 0, 0, 64, sides.wire, 0) + packed(source) + \
        packed(sides.host)


class Flood:
    """SYNs that nobody stands behind; the answers end at the near end."""

    def __init__(self, sides):
        self.sides = sides
        with inside(Link.NEAR):
            family = socket.AF_INET6 if sides.v6 else socket.AF_INET
            self.raw = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW)
        command("ip", "route", "add", "fd09::/64" if sides.v6 else "10.9.0.0/16", "via",
                "fd00::1" if sides.v6 else "10.1.0.1", namespace=Link.FAR)

    def syn(self, number, port):
        source = stranger(self.sides, number)
        segment = build(source, 1024 + number, port, seq=number * 7919, flags=SYN, peer=self.sides.host,
                        options=b"\2\4\5\xb4")
        self.raw.sendto(ip_header(self.sides, source, len(segment)) + segment, (self.sides.host, 0))


def half_open(namespace):
    return states(namespace)["SYN-RECV"]


def far_listener(sides, backlog=64):
    with inside(Link.FAR):
        return sides.server.listener(backlog=backlog, host=sides.host)


@test(*SIDES)
def syn_flood_leaves_true_clients_in(sides):
    with Link():
        sluice("set", "max_syn_backlog", "16", namespace=Link.FAR)
        listener = far_listener(sides)
        flood = Flood(sides)
        for number in range(500):
            flood.syn(number, sides.server.port_of(listener))
        until(lambda: counter("cookies_sent", Link.FAR) == 484, text=lambda: counters(Link.FAR))
        shown = command(os.path.join("build", "userspace", "sluice"), "ss", "-a", namespace=Link.FAR).stdout
        equal(shown.count("SYN-RECV"), 16, shown)
        for i in range(5):
            client, server = sides.connected(listener)
            exchange(client, server, 100000, beside=("SYN-RECV",))
        equal(counter("cookies_received", Link.FAR), 5)
        equal(counter("half_open_overflows", Link.FAR), 0)
        listener.close()
        flood.raw.close()


@test(*SIDES)
def without_cookies_a_flood_keeps_clients_out(sides):
    """What the test above would show if cookies did nothing."""
    with Link():
        sluice("set", "max_syn_backlog", "16", namespace=Link.FAR)
        sluice("set", "syncookies", "0", namespace=Link.FAR)
        listener = far_listener(sides)
        flood = Flood(sides)
        for number in range(30):
            flood.syn(number, sides.server.port_of(listener))
        # 13 have a place: the last quarter stays empty.
        until(lambda: counter("half_open_overflows", Link.FAR) == 17, text=lambda: counters(Link.FAR))
        with inside(Link.NEAR):
            client = sides.client.socket()
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_SYNCNT, 1)
            # A second and two: strangers' half-open connections last a minute.
            error = error_of(sides.client.connect, client, sides.server.port_of(listener), sides.host)
            equal(error, "ETIMEDOUT", counters(Link.FAR))
        equal(counter("cookies_sent", Link.FAR), 0)
        listener.close()
        flood.raw.close()


def answers_to_strangers(sides, port):
    """Half-open connections, SYN cookies sent, SYNs dropped for want of a place: those of the port, and the far end's."""
    if sides.server.sluice:
        told = counters(Link.FAR)
        return half_open(Link.FAR), told["cookies_sent"], told["half_open_overflows"]
    ss = command("ss", "-Htn", "state", "syn-recv", "sport", f"= :{port}", namespace=Link.FAR).stdout
    said = command("nstat", "-asz", "TcpExtSyncookiesSent", "TcpExtListenDrops", namespace=Link.FAR).stdout
    cookies, dropped = (int(line.split()[1]) for line in sorted(said.splitlines()[1:], reverse=True))
    return len(ss.splitlines()), cookies, dropped


@test(*KERNELS, *SIDES)
def half_open_connections_are_bounded_as_linux_counts(sides):
    """One more than the backlog; without cookies also three quarters of tcp_max_syn_backlog and one."""
    with Link():
        tune(Link.FAR, tcp_max_syn_backlog=8)
        flood = Flood(sides)
        for cookies, backlog, syns, wanted in ((1, 3, 10, (4, 6, 0)), (1, 12, 20, (13, 7, 0)),
                                               (0, 3, 10, (4, 0, 6)), (0, 64, 20, (7, 0, 13))):
            tune(Link.FAR, tcp_syncookies=cookies)
            listener = far_listener(sides, backlog)
            port = sides.server.port_of(listener)
            before = answers_to_strangers(sides, port)
            for number in range(syns):
                flood.syn(number, port)

            def answers():
                return tuple(now - then for now, then in zip(answers_to_strangers(sides, port), before))
            until(lambda: answers() == wanted, text=lambda: f"backlog {backlog}: {answers()}, not {wanted}")
            listener.close()
        flood.raw.close()


@test(*SIDES)
def cookies_always(sides):
    """Every connection by cookie, its options agreed upon all the same."""
    with Link():
        sluice("set", "syncookies", "2", namespace=Link.FAR)
        listener = far_listener(sides)
        client, server = sides.connected(listener)
        equal(half_open(Link.FAR), 0)
        entry = next(entry for entry in connections(Link.FAR) if entry["state"] == "ESTAB")
        options = entry["info"]["options"]
        check(options["timestamps"] and options["sack"] and options["window_scaling"], options)
        exchange(client, server, 5 << 20)
        check(counter("cookies_sent", Link.FAR) >= 1)   # more when the client's SYN came again
        equal(counter("cookies_received", Link.FAR), 1)
        listener.close()


@test(*SIDES)
def acks_without_a_cookie_are_reset(sides):
    with Link():
        sluice("set", "syncookies", "2", namespace=Link.FAR)
        listener = far_listener(sides)
        port = sides.server.port_of(listener)
        flood = Flood(sides)
        flood.syn(0, port)
        until(lambda: counter("cookies_sent", Link.FAR) == 1)
        for number in range(200):
            source = stranger(sides, number)
            segment = build(source, 1024 + number, port, seq=number, ack=number * 104729, flags=16, peer=sides.host)
            flood.raw.sendto(ip_header(sides, source, len(segment)) + segment, (sides.host, 0))
        if sides.wire == 253:   # of real TCP's, what holds no cookie is the kernel's
            until(lambda: [counter(name, Link.FAR) for name in ("cookies_failed", "resets_out")] == [200, 200],
                  text=lambda: counters(Link.FAR))
        equal(states(Link.FAR)["ESTAB"], 0)
        client, server = sides.connected(listener)
        exchange(client, server, 1000)
        listener.close()
        flood.raw.close()


# ---- windows that stay shut, and readers of a byte --------------------------------------

@test(V4, V6)
def shut_windows_hold_nobody_else_up(t):
    """Peers that ask for much and read nothing (sockstress)."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (8192, 8192))
    with Link():
        sluice("set", "max_orphans", "50", namespace=Link.FAR)
        pairs = [joined(t, lambda sock: sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096))
                 for _ in range(100)]
        for _, server in pairs:
            server.setblocking(False)
            while not error_of(server.send, b"x" * 65536):
                pass
        good = [joined(t) for _ in range(4)]
        streams = [Stream(i, server, client, 2 << 20) for i, (client, server) in enumerate(good)]
        finish(streams)
        check(counter("window_probes", Link.FAR) > 0 or states(Link.FAR)["ESTAB"] >= 100)
        # The server has enough of them: what nobody reads can't hold memory for ever.
        for _, server in pairs:
            server.close()
        until(lambda: counter("orphans_killed", Link.FAR) >= 50, 20, lambda: counters(Link.FAR))
        for sock in [client for client, _ in pairs] + [sock for pair in good for sock in pair]:
            sock.close()
        settle(60)


@test(V4, V6)
def readers_of_a_byte_get_no_silly_segments(t):
    """RFC 9293 3.8.6.2: a window that opens by a byte at a time isn't told."""
    with Link():
        client, server = joined(t, lambda sock: sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192))
        client.setblocking(False)
        sent = 0
        while not error_of(lambda: client.send(b"y" * 10000)):
            sent += 1
        time.sleep(0.5)
        before = counter("segs_out", Link.NEAR)
        for _ in range(5000):
            equal(len(server.recv(1)), 1)
        check(counter("segs_out", Link.NEAR) - before < 50, "a segment for every few bytes")
        client.close()
        while server.recv(65536):
            pass
        server.close()
        settle()


if __name__ == "__main__":
    os.chdir(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    run(*sys.argv[1:])
