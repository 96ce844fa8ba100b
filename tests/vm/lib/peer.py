# SPDX-License-Identifier: GPL-2.0
# Peers whose every segment is made by hand, on either wire. They have addresses
# that are nobody's, behind the near end of a Link, so that no stack answers for
# them; what comes for them is seen on the device.
import socket
import struct

from network import Link, inside
from network import run as command
from segment import ACK, SYN, build, packed

ETH_P_IP, ETH_P_IPV6, OUTGOING = 0x0800, 0x86dd, 4
FRAGMENT = 44   # the next header of IPv6
M32 = 0xffffffff


class Segment:
    """One that came."""

    def __init__(self, raw):
        self.source, self.destination, self.seq, self.ack = struct.unpack_from("!HHII", raw)
        self.flags, (self.window,) = raw[13], struct.unpack_from("!H", raw, 14)
        self.payload = raw[(raw[12] >> 4) * 4:]


class Peers:
    """To `host`, which is the far end, by IP protocol `wire`."""

    def __init__(self, host, wire):
        self.host, self.wire, self.v6 = host, wire, ":" in host
        with inside(Link.NEAR):
            self.raw = socket.socket(socket.AF_INET6 if self.v6 else socket.AF_INET, socket.SOCK_RAW,
                                     socket.IPPROTO_RAW)
            self.link = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM)
            self.link.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)    # SO_RCVBUFFORCE
            self.link.bind(("v0", ETH_P_IPV6 if self.v6 else ETH_P_IP))
        command("ip", "route", "add", "fd09::/64" if self.v6 else "10.9.0.0/16", "via",
                "fd00::1" if self.v6 else "10.1.0.1", namespace=Link.FAR)
        self.peers = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.raw.close()
        self.link.close()

    def address(self, number):
        return f"fd09::{number + 1:x}" if self.v6 else f"10.9.{number // 250}.{number % 250 + 1}"

    def header(self, source, length, more=0, offset=0):
        """Of a packet, or of a fragment `offset` bytes into one."""
        if self.v6:
            fragment = struct.pack("!BBHI", self.wire, 0, offset | more, 7) if more or offset else b""
            return struct.pack("!IHBB", 6 << 28, len(fragment) + length, FRAGMENT if fragment else self.wire, 64) + \
                packed(source) + packed(self.host) + fragment
        return struct.pack("!BBHHHBBH", 0x45, 0, 20 + length, 7, more << 13 | offset // 8, 64, self.wire, 0) + \
            packed(source) + packed(self.host)

    def send(self, source, segment):
        self.raw.sendto(self.header(source, len(segment)) + segment, (self.host, 0))

    def send_in_fragments(self, source, segment, size):
        for offset in range(0, len(segment), size):
            part = segment[offset:offset + size]
            more = offset + size < len(segment)
            self.raw.sendto(self.header(source, len(part), int(more), offset) + part, (self.host, 0))

    def take(self, seconds=20):
        """Gives the next packet for one of them to that one, which it returns."""
        self.link.settimeout(seconds)
        while True:
            packet, place = self.link.recvfrom(1 << 17)
            if place[2] == OUTGOING:
                continue
            if self.v6:
                protocol, to, segment = packet[6], packet[24:40], packet[40:]
            else:
                protocol, to, segment = packet[9], packet[16:20], packet[(packet[0] & 15) * 4:]
            if protocol != self.wire:
                continue
            segment = Segment(segment)
            if peer := self.peers.get((to, segment.destination)):
                peer.came.append(segment)
                return peer

    def peer(self, number, port, **options):
        return Peer(self, number, port, **options)


class Peer:
    """seq: of what it sends next; ack: of what it expects next; window: what it advertises."""

    def __init__(self, peers, number, port, window=65535, options=b""):
        self.peers, self.source, self.local, self.remote = peers, peers.address(number), 4000 + number, port
        self.window, self.seq, self.ack, self.came = window, number * 7919 + 1, 0, []
        self.options = options  # of its SYN
        peers.peers[packed(self.source), self.local] = self

    def segment(self, flags=ACK, seq=0, ack=0, payload=b"", options=b""):
        """seq and ack relative to what is right."""
        return build(self.source, self.local, self.remote, seq=self.seq + seq, ack=self.ack + ack if flags & ACK else 0,
                     flags=flags, options=options, payload=payload, peer=self.peers.host, window=self.window)

    def say(self, flags=ACK, **fields):
        self.peers.send(self.source, self.segment(flags, **fields))

    def send(self, payload):
        """The next of its stream."""
        self.say(payload=payload)
        self.seq += len(payload)

    def hear(self, wanted=lambda segment: True, seconds=20):
        """The next segment to it that is wanted; what came before that is forgotten."""
        while True:
            while self.came:
                if wanted(segment := self.came.pop(0)):
                    return segment
            self.peers.take(seconds)

    def connect(self, window=None):
        """window: from its last ACK on."""
        self.say(SYN, options=self.options)
        answer = self.hear(lambda segment: segment.flags & (SYN | ACK) == SYN | ACK)
        self.seq += 1
        self.ack = answer.seq + 1 & M32
        if window is not None:
            self.window = window
        self.say()
        return answer
