# SPDX-License-Identifier: GPL-2.0
# Segments made by hand (RFC 9293 3.1), sent by raw sockets, and what passes by.
import contextlib
import socket
import struct

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
PROTOCOL = 253
M32 = 0xffffffff


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def packed(host):
    return socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)


def build(host, source, destination, seq=1, ack=0, flags=SYN, options=b"", payload=b"", words=None, wrong=0,
          peer=None, window=1000):
    """A segment from `host` to `peer` (or to itself). words: the header's length told; wrong: added to the checksum."""
    options += b"\1" * (-len(options) % 4)
    words = 5 + len(options) // 4 if words is None else words
    segment = struct.pack("!HHIIBBHHH", source, destination, seq & M32, ack & M32, words << 4, flags, window, 0, 0) + \
        options + payload
    # The pseudo-header's protocol is TCP's.
    right = checksum(packed(host) + packed(peer or host) + struct.pack("!II", len(segment), 6) + segment)
    return segment[:16] + struct.pack("!H", (right + wrong) & 0xffff) + segment[18:]


class Wire:
    """Raw sockets at an address of this machine: sends segments to it or to a peer, and sees those that come."""

    def __init__(self, host, protocol=PROTOCOL):
        self.host = host
        self.family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.raw = socket.socket(self.family, socket.SOCK_RAW, protocol)

    def send(self, segment):
        self.raw.sendto(segment, (self.host, 0))

    def next(self, source, destination):
        """The next segment between these ports, without its IP header."""
        self.raw.settimeout(5)
        while True:
            segment = self.raw.recv(1 << 17)
            if self.family == socket.AF_INET:
                segment = segment[(segment[0] & 15) * 4:]
            if struct.unpack_from("!HH", segment) == (source, destination):
                return segment

    def last(self, source, destination):
        """What the last segment so far between these ports says: the next seq, ack, timestamp value and echo."""
        found = None
        with contextlib.suppress(BlockingIOError):
            while True:
                segment = self.raw.recv(1 << 17, socket.MSG_DONTWAIT)
                if self.family == socket.AF_INET:
                    segment = segment[(segment[0] & 15) * 4:]
                if struct.unpack_from("!HH", segment) == (source, destination):
                    found = segment
        seq, ack = struct.unpack_from("!II", found, 4)
        size = len(found) - (found[12] >> 4) * 4
        return seq + size & M32, ack, *struct.unpack_from("!II", found, 24)


def timestamps(value, echo):
    return struct.pack("!BBBBII", 1, 1, 8, 10, value & M32, echo & M32)


def sack(start, end):
    return struct.pack("!BBBBII", 1, 1, 5, 10, start & M32, end & M32)
