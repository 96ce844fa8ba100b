# SPDX-License-Identifier: GPL-2.0
# Verdicts from user space on what rules queue (`queue num N`).
import socket
import struct
import threading

from netlink import ACK, REQUEST, attribute
from network import inside
from runner import equal

NETFILTER = 12
PACKET, VERDICT, CONFIG = 0x300, 0x301, 0x302
ACCEPT, STOP = 1, 5


class Queue:
    """A namespace's queue of that number; each packet in it gets the verdict."""

    def __init__(self, namespace, number, verdict):
        self.number, self.verdict, self.seen = number, verdict, 0
        with inside(namespace):
            self.sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETFILTER)
        self.sock.bind((0, 0))
        for body in (attribute(1, struct.pack("!BxH", 1, 0)),       # bind
                     attribute(2, struct.pack("!IB", 0, 1))):       # copy no packet, but say of it
            self.send(CONFIG, body, ACK)
            answer = self.sock.recv(1 << 16)
            equal(struct.unpack_from("=i", answer, 16)[0], 0, "configuring a queue")
        self.thread = threading.Thread(target=self.serve, daemon=True)

    def send(self, kind, body, flags=0):
        body = struct.pack("!BBH", 0, 0, self.number) + body
        self.sock.send(struct.pack("=IHHII", 16 + len(body), kind, flags | REQUEST, 1, 0) + body)

    def serve(self):
        while True:
            answer, at = self.sock.recv(1 << 16), 0
            while at + 20 <= len(answer):
                length, kind = struct.unpack_from("=IH", answer, at)
                if kind != PACKET:
                    return    # the end
                packet = struct.unpack_from("!I", answer, at + 24)[0]    # NFQA_PACKET_HDR comes first
                self.seen += 1
                self.send(VERDICT, attribute(2, struct.pack("!II", self.verdict, packet)))
                at += (length + 3) & ~3

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.send(CONFIG, attribute(1, struct.pack("!BxH", 2, 0)), ACK)     # unbind, whose answer ends the thread
        self.thread.join()
        self.sock.close()
