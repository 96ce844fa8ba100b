# SPDX-License-Identifier: GPL-2.0
# Connections over a link, and what goes through them: two of them at full
# speed, or hundreds in one loop, every byte compared with what was sent.
import contextlib
import hashlib
import os
import select
import signal
import socket
import struct
import threading
import time

from network import Link, inside, states
from runner import check, equal, until
from transport import AF_SLUICE, Transport, ports

SO_SNDBUFFORCE, SO_RCVBUFFORCE = 32, 33

V4 = Transport("sluice-v4", AF_SLUICE, 0, Link.V4, "::")
V6 = Transport("sluice-v6", AF_SLUICE, 0, Link.V6, "::")
V4_INET = Transport("inet-253", socket.AF_INET, 253, Link.V4, "0.0.0.0")
V4_TCP = Transport("tcp4", socket.AF_INET, 0, Link.V4, "0.0.0.0")


def joined(t, prepare=lambda sock: None):
    """A client in the near namespace, its server in the far one."""
    with inside(Link.FAR):
        listener = t.listener(host=t.host)
        prepare(listener)
    with inside(Link.NEAR):
        client = t.socket()
        prepare(client)
        t.connect(client, t.port_of(listener))
    server = t.accept(listener)
    listener.close()
    return client, server


def with_buffers(size, *names):
    """What prepares a socket: those buffers of so many bytes, whatever the limits."""
    def prepare(sock):
        for name in names:
            sock.setsockopt(socket.SOL_SOCKET, name, size)
    return prepare


def abort(*socks):
    """Resets them: what closes while its namespace goes might wait for its peer for minutes."""
    for sock in socks:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()


def settle(seconds=30, beside=()):
    """Waits until nothing but TIME_WAIT is left: a TIME_WAIT that goes with its namespace can't answer."""
    for namespace in (Link.NEAR, Link.FAR):
        until(lambda: set(states(namespace)) <= {"TIME-WAIT", *beside}, seconds, lambda: str(states(namespace)))


def digest_of(sock):
    digest, size = hashlib.sha256(), 0
    while part := sock.recv(1 << 18):
        digest.update(part)
        size += len(part)
    return size, digest.hexdigest()


def exchange(client, server, size, beside=()):
    """Both directions at once, each to its end; sums compared; then both are closed, to the end of it."""
    data = [os.urandom(size), os.urandom(size)]
    results = {}

    def send(sock, payload):
        sock.sendall(payload)
        sock.shutdown(socket.SHUT_WR)

    def receive(name, sock):
        results[name] = digest_of(sock)

    threads = [threading.Thread(target=send, args=(client, data[0])),
               threading.Thread(target=send, args=(server, data[1])),
               threading.Thread(target=receive, args=("server", server)),
               threading.Thread(target=receive, args=("client", client))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    equal(results["server"], (size, hashlib.sha256(data[0]).hexdigest()), "far end got")
    equal(results["client"], (size, hashlib.sha256(data[1]).hexdigest()), "near end got")
    client.close()
    server.close()
    settle(beside=("LISTEN", "SYN-SENT", "ESTAB", *beside))


# ---- by processes that are killed at the end ----------------------------------------

def swallow(sock):
    while sock.recv(1 << 18):
        pass


def pump(client, server):
    threading.Thread(target=swallow, args=(server,), daemon=True).start()
    while True:
        client.send(b"x" * 65536)
        time.sleep(0.001)


@contextlib.contextmanager
def traffic(*makers):
    """Processes that send until they are killed."""
    pids = []
    try:
        for make in makers:
            next(ports)     # or all children would begin with the same one
            pids.append(os.fork())
            if pids[-1] == 0:
                try:
                    pump(*make())
                finally:
                    os._exit(1)
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


# ---- many at once ------------------------------------------------------------------

NOISE = memoryview(os.urandom(65536) * 64)


def pattern(number, size):
    """Bytes that no other stream has at the same place."""
    start = number * 61 % 65536
    return NOISE[start:start + size]


class Stream:
    """One direction of a connection: `size` bytes of its own pattern, then FIN."""

    def __init__(self, number, sender, receiver, size):
        self.sender, self.receiver = sender, receiver
        self.data = pattern(number, size)
        self.sent = self.received = 0
        self.ended = False
        for sock in (sender, receiver):
            sock.setblocking(False)

    def send(self):
        """How much could be sent."""
        if self.sent == len(self.data):
            return 0
        try:
            count = self.sender.send(self.data[self.sent:self.sent + 65536])
        except BlockingIOError:
            return 0
        self.sent += count
        if self.sent == len(self.data):
            self.sender.shutdown(socket.SHUT_WR)
        return count

    def receive(self):
        """How much came, which must be what was sent."""
        try:
            part = self.receiver.recv(65536)
        except BlockingIOError:
            return 0
        if not part:
            equal(self.received, len(self.data), "the stream ended early, after")
            self.ended = True
            return 1
        check(part == self.data[self.received:self.received + len(part)], "other bytes than were sent")
        self.received += len(part)
        return len(part)


def fill(sock, calm=0):
    """Sends until nothing more has fitted for so many seconds: the bytes. Given some, the receiver is full, too."""
    sock.setblocking(False)
    taken, last = 0, time.monotonic()
    while True:
        try:
            taken += sock.send(b"x" * 65536)
            last = time.monotonic()
        except BlockingIOError:
            if time.monotonic() - last >= calm:
                return taken
            time.sleep(calm / 10)


def send_all_that_fits(streams, over, seconds):
    """Sends without receiving, until over() says so."""
    end = time.monotonic() + seconds
    while not over() and time.monotonic() < end:
        if not sum(stream.send() for stream in streams):
            time.sleep(0.1)


def finish(streams):
    """Sends and receives until every stream has ended as it should."""
    poll, by_receiver, by_sender = select.epoll(), {}, {}
    for stream in streams:
        by_receiver[stream.receiver.fileno()] = stream
        by_sender[stream.sender.fileno()] = stream
    for number in set(by_receiver) | set(by_sender):
        poll.register(number, (select.EPOLLIN if number in by_receiver else 0) |
                      (select.EPOLLOUT if number in by_sender else 0))
    left = len(streams)
    while left:
        moved = 0
        for number, events in poll.poll():
            stream, back = by_receiver.get(number), by_sender.get(number)
            if stream and not stream.ended and events & ~select.EPOLLOUT:
                moved += stream.receive()
                left -= stream.ended
            if back and events & ~select.EPOLLIN:
                moved += back.send()
            reading = stream and not stream.ended
            writing = back and back.sent < len(back.data)
            poll.modify(number, (select.EPOLLIN if reading else 0) | (select.EPOLLOUT if writing else 0))
            if not reading and not writing:
                poll.unregister(number)
        if not moved:
            time.sleep(0.01)    # writable, they say, but there is no memory
    poll.close()
