#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# Peers that mean harm, inside the VM: floods of SYNs, windows that stay shut,
# readers that take a byte at a time. Those who mean none must be served.
import contextlib
import os
import socket
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from network import Link, connections, counter, counters, inside, sluice, states, tune  # noqa: E402
from network import run as command  # noqa: E402
from peer import Peers  # noqa: E402
from runner import check, equal, run, test, until, within  # noqa: E402
from segment import SYN, build  # noqa: E402
from traffic import V4, V6, abort, exchange, fill, joined, settle  # noqa: E402
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

class Flood(Peers):
    """SYNs that nobody stands behind; the answers end at the near end."""

    def __init__(self, sides):
        super().__init__(sides.host, sides.wire)

    def syn(self, number, port):
        source = self.address(number)
        self.send(source, build(source, 1024 + number, port, seq=number * 7919, flags=SYN, peer=self.host,
                                options=b"\2\4\5\xb4"))


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
        flood.close()


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
        flood.close()


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
            source = flood.address(number)
            flood.send(source, build(source, 1024 + number, port, seq=number, ack=number * 104729, flags=16,
                                     peer=sides.host))
        if sides.wire == 253:   # of real TCP's, what holds no cookie is the kernel's
            until(lambda: [counter(name, Link.FAR) for name in ("cookies_failed", "resets_out")] == [200, 200],
                  text=lambda: counters(Link.FAR))
        equal(states(Link.FAR)["ESTAB"], 0)
        client, server = sides.connected(listener)
        exchange(client, server, 1000)
        listener.close()
        flood.close()


# ---- windows that stay shut, and readers of a byte --------------------------------------

def send_buffer(sock):
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)


def serve(sides, listener):
    """A client that means no harm."""
    client, server = sides.connected(listener)
    exchange(client, server, 300000)


@test(*SIDES)
def shut_windows_hold_nobody_else_up(sides):
    """Peers that ask for much and read nothing (sockstress), but answer whatever asks whether they are there."""
    count, orphans = 24, 6
    with Link(), Peers(sides.host, sides.wire) as peers:
        for name, value in (("max_orphans", orphans), ("orphan_retries", 3), ("rto_max", "1s")):
            sluice("set", name, str(value), namespace=Link.FAR)
        listener = far_listener(sides, backlog=count)
        hostile, socks = [peers.peer(number, sides.server.port_of(listener)) for number in range(count)], []
        for peer in hostile:
            peer.connect(window=0)
            socks.append(sides.server.accept(listener))
        taken, room = [fill(sock) for sock in socks], [send_buffer(sock) for sock in socks]
        # What is in the last piece of memory may stand over.
        check(all(size < most + 32768 for size, most in zip(taken, room)), f"{taken} bytes in {room}")
        probed = set()
        while len(probed) < count:
            peer = peers.take()
            check(not peer.came.pop().payload, "sent into a window of zero")
            peer.say()
            probed.add(peer)
        check(counter("window_probes", Link.FAR) >= count, counters(Link.FAR))
        serve(sides, listener)
        equal([fill(sock) for sock in socks], [0] * count, "more bytes taken")
        equal([send_buffer(sock) for sock in socks], room, "send buffers")
        # The server has had enough of them. Few may stay, and those not for long.
        for sock in socks:
            sock.close()
        equal(counter("orphans_killed", Link.FAR), count - orphans)
        equal(states(Link.FAR)["FIN-WAIT-1"], orphans)
        while counter("probe_give_ups", Link.FAR) < orphans:
            with contextlib.suppress(TimeoutError):
                peers.take(0.2).say()
        equal(sum(states(Link.FAR)[state] for state in ("ESTAB", "FIN-WAIT-1")), 0, states(Link.FAR))
        serve(sides, listener)
        listener.close()


@test(*SIDES)
def windows_of_a_byte_get_a_byte_now_and_then(sides):
    """Each byte is acknowledged at once, and one more allowed: that must not set the pace."""
    count = 20
    with Link(), Peers(sides.host, sides.wire) as peers:
        listener = far_listener(sides, backlog=count)
        hostile, socks = [peers.peer(number, sides.server.port_of(listener)) for number in range(count)], []
        for peer in hostile:
            peer.connect(window=1)
            socks.append(sides.server.accept(listener))
        room = [send_buffer(sock) for sock in socks]
        for sock in socks:
            fill(sock)
        begin, got = time.monotonic(), {peer: 0 for peer in hostile}
        while min(got.values()) < 3:
            peer = peers.take()
            segment = peer.came.pop()
            check(len(segment.payload) <= 1, "more than the window allows")
            if segment.payload and segment.seq == peer.ack:
                equal(segment.payload, b"x")
                peer.ack += 1
                got[peer] += 1
            peer.say()
        # Not before the timer of RFC 9293 3.8.6.2.1 each time, which never is below a fifth of a second.
        most = 5 * (time.monotonic() - begin) + 1
        check(max(got.values()) <= most, f"{max(got.values())} bytes, not {most}")
        check(counter("silly_windows", Link.FAR) >= 2 * count, counters(Link.FAR))
        serve(sides, listener)
        # What autotuning gives to any connection's first window, and no more.
        check(all(send_buffer(sock) <= 2 * most for sock, most in zip(socks, room)), "send buffers grew")
        abort(*socks)
        listener.close()


@test(*SIDES)
def windows_that_open_by_a_byte_are_not_followed(sides):
    """RFC 9293 3.8.6.2.1, of a peer that keeps to no such rule itself: half of the largest window, or nothing."""
    with Link(), Peers(sides.host, sides.wire) as peers:
        listener = far_listener(sides)
        peer = peers.peer(0, sides.server.port_of(listener), options=struct.pack("!BBH", 2, 4, 1400))
        peer.connect(window=2000)
        server = sides.server.accept(listener)
        fill(server)
        equal(len(peer.hear(lambda segment: segment.payload).payload), 1400)
        peer.ack += 1400
        with within(0.2):
            for peer.window in range(0, 1000, 9):
                peer.say()
            sent = counter("bytes_out", Link.FAR)
        equal(sent, 1400, "bytes sent")
        peer.window = 1000
        peer.say()
        equal(len(peer.hear(lambda segment: segment.payload).payload), 1000)
        abort(server)
        listener.close()


@test(V4, V6)
def readers_of_a_byte_get_no_silly_segments(t):
    """RFC 9293 3.8.6.2: a window that opens by a byte at a time isn't told."""
    with Link():
        client, server = joined(t, lambda sock: sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192))
        client.setblocking(False)
        sent = 0
        while not error_of(lambda: client.send(b"y" * 10000)):
            sent += 1
        until(lambda: counter("zero_windows_sent", Link.FAR), text="the window stays open")
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
