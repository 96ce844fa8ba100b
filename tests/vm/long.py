#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# Real TCP on Sluice against kernel TCP for as long as wanted, inside the VM:
# round after round of connections in both roles over links of every kind, with
# options and limits drawn anew. Every byte is compared and every stall noticed.
# usage: long.py [SECONDS [SEED]]
import collections
import os
import random
import signal
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from mix import BOTH_OURS, MIXED  # noqa: E402
from network import Link, counters, inside, tune  # noqa: E402
from runner import equal, run, test  # noqa: E402
from traffic import Stream, finish, settle  # noqa: E402
from transport import error_of  # noqa: E402

SECONDS = int(sys.argv[1]) if len(sys.argv) > 1 else 40
SEED = int(sys.argv[2]) if len(sys.argv) > 2 else random.getrandbits(32)
STALL = 240    # seconds, in which any round ends, unless something hangs

# What netem does, and how many bytes a round may move through it.
LINKS = (
    ((), 30 << 20),
    (("delay", "1ms"), 10 << 20),
    (("delay", "20ms", "rate", "50mbit"), 4 << 20),
    (("delay", "100ms", "20ms", "distribution", "normal"), 1 << 20),
    (("delay", "3ms", "loss", "1%"), 2 << 20),
    (("delay", "5ms", "loss", "10%"), 200000),
    (("delay", "5ms", "1ms", "loss", "2%", "reorder", "2%", "duplicate", "1%", "corrupt", "1.5%"), 400000),
    (("delay", "10ms", "reorder", "25%", "50%"), 1 << 20),
    (("duplicate", "30%"), 4 << 20),
    (("corrupt", "5%", "delay", "1ms"), 400000),
    (("loss", "gemodel", "2%", "50%", "100%", "0.1%", "delay", "4ms"), 400000),
)
# Linux's sysctls, which both stacks of a namespace follow.
TUNING = {
    "tcp_timestamps": (1, 1, 0), "tcp_sack": (1, 1, 0), "tcp_window_scaling": (1, 1, 0), "tcp_dsack": (1, 0),
    "tcp_ecn": (2, 1, 0), "tcp_mtu_probing": (0, 1, 2), "tcp_slow_start_after_idle": (1, 0),
    "tcp_moderate_rcvbuf": (1, 0), "tcp_rmem": ("4096 131072 6291456", "4096 8192 8192", "4096 30000 200000"),
    "tcp_wmem": ("4096 16384 4194304", "4096 8192 16384"), "tcp_congestion_control": ("cubic", "reno"),
}


class Round:
    """A few connections that live at the same time."""

    def __init__(self, draw):
        self.draw = draw
        self.mix = draw.choice(MIXED + MIXED + BOTH_OURS)
        self.netem, self.budget = draw.choice(LINKS)
        self.mtu = draw.choice((1500, 1500, 9000, 1280, 576 if self.mix.server.host == Link.V4 else 1300))
        self.count = draw.choice((1, 2, 5, 20, 60))
        self.tuning = [{name: draw.choice(values) for name, values in TUNING.items()} for _ in range(2)]

    def __str__(self):
        return f"{self.mix.name} x{self.count}, mtu {self.mtu}, {' '.join(self.netem)}, {self.tuning}"

    def streams(self):
        with inside(Link.FAR):
            listener = self.mix.server.listener(backlog=100, host=self.mix.server.host)
        port, clients, streams = self.mix.server.port_of(listener), {}, []
        with inside(Link.NEAR):
            for _ in range(self.count):
                client = self.mix.client.socket()
                client.setblocking(False)
                equal(error_of(self.mix.client.connect, client, port), "EINPROGRESS")
                clients[self.mix.client.port_of(client)] = client
        for _ in range(self.count):
            server = self.mix.server.accept(listener)
            client = clients.pop(self.mix.server.port_of(server, peer=True))
            if self.draw.random() < 0.3:
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for sender, receiver in ((client, server), (server, client)):
                size = self.draw.choice((0, 1, self.draw.randrange(5000), self.budget // self.count // 2))
                streams.append(Stream(self.draw.randrange(1000), sender, receiver, size))
        listener.close()
        return streams

    def run(self):
        """What it moved, and what Sluice counted at both ends: it opened all that are its own, and no others."""
        with Link() as link:
            moved = self.through(link)
            counted = collections.Counter(counters(Link.NEAR)) + collections.Counter(counters(Link.FAR))
        for name, end in (("active_opens", self.mix.client), ("passive_opens", self.mix.server)):
            equal(counted[name], self.count if end.protocol else 0, name)
        return moved, counted

    def through(self, link):
        for ns, values in zip((Link.NEAR, Link.FAR), self.tuning):
            tune(ns, **values)
        link.mtu(self.mtu)
        link.netem(*self.netem, bursts=self.draw.random() < 0.3)
        streams = self.streams()
        for stream in streams:
            if not stream.data:
                stream.sender.shutdown(socket.SHUT_WR)
        finish(streams)
        for stream in streams:
            stream.sender.close()
        settle(120)
        return sum(stream.received for stream in streams)


@test(limit=SECONDS + STALL)
def nothing_is_lost_and_nothing_stalls():
    draw, end = random.Random(SEED), time.monotonic() + SECONDS
    rounds = connections = moved = 0
    said = collections.Counter()
    while time.monotonic() < end or not rounds:
        one = Round(draw)
        signal.alarm(STALL)
        try:
            size, counted = one.run()
        except BaseException:
            print(f"seed {SEED}, round {rounds}: {one}")
            raise
        rounds, connections, moved = rounds + 1, connections + one.count, moved + size
        said += counted
    print(f"{SECONDS} s, seed {SEED}: {rounds} rounds, {connections} connections, {moved >> 20} MiB; on Sluice "
          f"{said['retrans_segs']} segments sent again, {said['rto_timeouts']} timeouts")


if __name__ == "__main__":
    run()
