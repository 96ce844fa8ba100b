# SPDX-License-Identifier: GPL-2.0
# What passes on a device: IP packets with their segments, as others see them.
import contextlib
import socket
import struct
import time

ALL_PROTOCOLS = 3    # ETH_P_ALL
OUTGOING = 4    # PACKET_OUTGOING
HOP_BY_HOP, ROUTING, DESTINATION = 0, 43, 60


class Packet:
    def __init__(self, raw):
        if raw[0] >> 4 == 4:
            self.tos, self.ttl, self.label = raw[1], raw[8], None
            self.df, self.options = bool(raw[6] & 0x40), []
            segment = raw[(raw[0] & 15) * 4:struct.unpack_from("!H", raw, 2)[0]]
        else:
            word, length, following, self.ttl = struct.unpack_from("!IHBB", raw)
            self.tos, self.label, self.df = word >> 20 & 255, word & 0xfffff, True
            self.options, segment = [], raw[40:40 + length]
            while following in (HOP_BY_HOP, ROUTING, DESTINATION):
                self.options.append(following)
                following, segment = segment[0], segment[(segment[1] + 1) * 8:]
        self.ip_header = raw[:len(raw) - len(segment)]
        self.source, self.destination, self.seq = struct.unpack_from("!HHI", segment)
        self.flags = segment[13]
        self.header = segment[:(segment[12] >> 4) * 4]
        self.payload = segment[len(self.header):]

    def option(self, kind):
        """The value of a TCP option, or None."""
        at = 20
        while at < len(self.header) and (found := self.header[at]):
            if found == kind:
                return self.header[at + 2:at + self.header[at + 1]]
            at += 1 if found == 1 else self.header[at + 1]
        return None


class Tap:
    """The packets from and to a port on a device, each once."""

    def __init__(self, port, device="lo"):
        self.port = port
        self.once = OUTGOING if device == "lo" else None
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ALL_PROTOCOLS))
        self.socket.bind((device, ALL_PROTOCOLS))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def one(self):
        raw, about = self.socket.recvfrom(1 << 17)
        # What isn't IP, or a protocol of another kind, has no ports.
        with contextlib.suppress(IndexError, struct.error):
            packet = Packet(raw)
            if self.port in (packet.source, packet.destination) and about[2] != self.once:
                return packet
        return None

    def next(self, wanted, seconds=20):
        """The next packet for which wanted() is true."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.socket.settimeout(left)
            with contextlib.suppress(TimeoutError):
                if (packet := self.one()) and wanted(packet):
                    return packet
        raise AssertionError("no such packet came by")

    def so_far(self):
        """Those that have come by and weren't looked at."""
        packets = []
        self.socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                if packet := self.one():
                    packets.append(packet)
        return packets
