# SPDX-License-Identifier: GPL-2.0
# A client of one stack and a server of another, with a Link between them.
import socket

from network import Link, inside
from transport import REAL6, Transport


class Mix:
    """A client of one stack and a server of another, joined by a Link."""

    def __init__(self, name, client, server):
        self.name, self.client, self.server = name, client, server

    def joined(self, host=None, near=Link.NEAR, far=Link.FAR, prepare=lambda listener: None):
        with inside(far):
            listener = self.server.listener(host=host or self.server.host)
            prepare(listener)
        with inside(near):
            client = self.client.socket()
            self.client.connect(client, self.server.port_of(listener), host or self.client.host)
        accepted = self.server.accept(listener)
        listener.close()
        return client, accepted


def far_ends():
    kernel4 = Transport("tcp4", socket.AF_INET, 0, Link.V4, "0.0.0.0")
    kernel6 = Transport("tcp6", socket.AF_INET6, 0, Link.V6, "::")
    ours4 = Transport("inet-257", socket.AF_INET, 257, Link.V4, "0.0.0.0")
    ours6 = Transport("sluice-tcp6", REAL6.family, REAL6.protocol, Link.V6, "::")
    return kernel4, kernel6, ours4, ours6


KERNEL4, KERNEL6, OURS4, OURS6 = far_ends()
TO_KERNEL4, TO_KERNEL6 = Mix("to-kernel-v4", OURS4, KERNEL4), Mix("to-kernel-v6", OURS6, KERNEL6)
FROM_KERNEL4, FROM_KERNEL6 = Mix("from-kernel-v4", KERNEL4, OURS4), Mix("from-kernel-v6", KERNEL6, OURS6)
MIXED = (TO_KERNEL4, TO_KERNEL6, FROM_KERNEL4, FROM_KERNEL6)
BOTH_OURS = Mix("both-ours-v4", OURS4, OURS4), Mix("both-ours-v6", OURS6, OURS6)
