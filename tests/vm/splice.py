#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# Bytes that go between sockets, files and pipes inside the kernel: sendfile,
# splice, tee, vmsplice; and io_uring. Inside the VM, on kernel TCP first.
import ctypes
import os
import select
import socket
import struct
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from error_queue import take  # noqa: E402
from network import ROOT  # noqa: E402
from network import run as command  # noqa: E402
from runner import check, equal, run, test  # noqa: E402
from transport import INET, INET6, REAL4, REAL6, SLUICE4, SLUICE6, TCP4, TCP6, call, error_of, libc  # noqa: E402

ALL = (TCP4, TCP6, SLUICE4, SLUICE6, INET, INET6, REAL4, REAL6)
SPLICE_F_MORE = 4
MSG_ZEROCOPY, MSG_ERRQUEUE = 0x4000000, 0x2000
SO_ZEROCOPY, SO_EE_ORIGIN_ZEROCOPY, SO_EE_CODE_COPIED = 60, 5, 1
libc.splice.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_uint)
libc.tee.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_size_t, ctypes.c_uint)
libc.vmsplice.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_uint)


def splice(source, sink, size, flags=0):
    return call(libc.splice, source, None, sink, None, size, flags)


def file_with(data):
    file = tempfile.TemporaryFile(dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
    file.write(data)
    file.flush()
    file.seek(0)
    return file


def in_background(function, *args):
    thread = threading.Thread(target=function, args=args)
    thread.start()
    return thread


def receive(sock, size):
    got = bytearray()
    while len(got) < size:
        part = sock.recv(1 << 18)
        check(part, f"the stream ended after {len(got)} of {size} bytes")
        got += part
    return bytes(got)


@test(*ALL)
def a_file_is_sent(t):
    client, server = t.pair()
    data = os.urandom(3000000)
    with file_with(data) as file:
        def send():
            at = 1000
            while at < len(data):
                at += os.sendfile(client.fileno(), file.fileno(), at, len(data) - at)
        thread = in_background(send)
        check(receive(server, len(data) - 1000) == data[1000:], "other bytes than the file's")
        thread.join()
        equal(os.sendfile(client.fileno(), file.fileno(), len(data), 100), 0, "behind its end")


@test(*ALL)
def a_file_that_changes_later_was_sent_as_it_was_read(t):
    """What the program does to the file after the peer has it changes nothing."""
    client, server = t.pair()
    with file_with(b"a" * 100000) as file:
        thread = in_background(lambda: os.sendfile(client.fileno(), file.fileno(), 0, 100000))
        got = receive(server, 100000)
        thread.join()
        os.pwrite(file.fileno(), b"b" * 100000, 0)
        equal(got, b"a" * 100000)


@test(*ALL)
def a_file_that_does_not_fit_is_sent_in_part(t):
    client, server = t.pair()
    client.setblocking(False)
    data, sent = os.urandom(20000000), 0
    with file_with(data) as file:
        while sent < len(data):
            try:
                sent += os.sendfile(client.fileno(), file.fileno(), sent, len(data) - sent)
            except BlockingIOError:
                break
    check(0 < sent < len(data), f"{sent} bytes went to a peer that reads nothing")
    check(receive(server, sent) == data[:sent], "other bytes than it said")
    equal(error_of(server.recv, 1, socket.MSG_DONTWAIT), "EAGAIN", "more than it said")


@test(*ALL)
def through_pipes(t):
    """File, pipe, socket; socket, pipe, file."""
    client, server = t.pair()
    data = os.urandom(2000000)
    with file_with(data) as source, file_with(b"") as sink:
        def send():
            read, write = os.pipe()
            left = len(data)
            while left:
                n = splice(source.fileno(), write, min(left, 65536))
                left -= n
                while n:
                    n -= splice(read, client.fileno(), n, SPLICE_F_MORE if left else 0)
            client.shutdown(socket.SHUT_WR)
            os.close(read)
            os.close(write)
        thread = in_background(send)
        read, write = os.pipe()
        while n := splice(server.fileno(), write, 65536):
            while n:
                n -= splice(read, sink.fileno(), n)
        thread.join()
        os.close(read)
        os.close(write)
        sink.seek(0)
        check(sink.read() == data, "other bytes than were sent")


@test(*ALL)
def a_tee_leaves_what_it_copies(t):
    client, server = t.pair()
    first, second = os.pipe(), os.pipe()
    client.sendall(b"to be read twice")
    equal(splice(server.fileno(), first[1], 100), 16)
    equal(call(libc.tee, first[0], second[1], 100, 0), 16)
    equal(os.read(second[0], 100), b"to be read twice")
    equal(splice(first[0], server.fileno(), 100), 16, "and back")
    equal(client.recv(100), b"to be read twice")
    for fd in (*first, *second):
        os.close(fd)


@test(*ALL)
def memory_goes_by_a_pipe(t):
    client, server = t.pair()
    read, write = os.pipe()
    memory = ctypes.create_string_buffer(b"m" * 10000, 10000)
    vector = struct.pack("=QQ", ctypes.addressof(memory), 10000)
    equal(call(libc.vmsplice, write, vector, 1, 0), 10000)
    equal(splice(read, client.fileno(), 10000), 10000)
    equal(receive(server, 10000), b"m" * 10000)
    os.close(read)
    os.close(write)


@test(*ALL)
def nothing_there_the_end_and_a_reset(t):
    client, server = t.pair()
    read, write = os.pipe()
    server.settimeout(0)
    equal(error_of(splice, server.fileno(), write, 100), "EAGAIN")
    server.settimeout(None)
    client.sendall(b"last")
    client.shutdown(socket.SHUT_WR)
    equal(splice(server.fileno(), write, 100), 4)
    equal(splice(server.fileno(), write, 100), 0, "the end")
    server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    server.close()
    equal(error_of(splice, client.fileno(), write, 100), "ECONNRESET")
    fresh = t.socket()
    equal(error_of(splice, fresh.fileno(), write, 100), "ENOTCONN")
    os.close(read)
    os.close(write)


@test(*ALL)
def without_so_zerocopy_the_flag_means_nothing(t):
    client, server = t.pair()
    data = os.urandom(100000)
    thread = in_background(lambda: call(libc.send, client.fileno(), data, len(data), MSG_ZEROCOPY))
    check(receive(server, len(data)) == data, "other bytes than were sent")
    thread.join()
    equal(error_of(client.recv, 1, MSG_ERRQUEUE), "EAGAIN", "a notification")


@test(*ALL)
def a_file_is_sent_by_reference(t):
    """What is written to it before the peer has read is what the peer reads."""
    client, server = t.pair()
    with file_with(b"a" * 8192) as file:
        equal(os.sendfile(client.fileno(), file.fileno(), 0, 8192), 8192)
        equal(server.recv(1, socket.MSG_PEEK), b"a")
        os.pwrite(file.fileno(), b"b" * 8192, 0)
        equal(receive(server, 8192), b"b" * 8192)


# ---- MSG_ZEROCOPY ----------------------------------------------------------------------

def zerocopy_pair(t):
    """Both ends, the client's with SO_ZEROCOPY; None where a module may not have it."""
    client, server = t.pair()
    if t.sluice and os.uname().release.startswith("6.1."):
        equal(error_of(client.setsockopt, socket.SOL_SOCKET, SO_ZEROCOPY, 1), "ENOTSUP")
        return None
    client.setsockopt(socket.SOL_SOCKET, SO_ZEROCOPY, 1)
    equal(client.getsockopt(socket.SOL_SOCKET, SO_ZEROCOPY), 1)
    return client, server


def send_by_reference(sock, data, flags=0):
    return call(libc.send, sock.fileno(), data, len(data), MSG_ZEROCOPY | flags)


def reports(sock, number):
    """The numbers of the sends whose memory is free again, of `number` sends; whether each was copied."""
    told = {}
    poll = select.poll()
    poll.register(sock, 0)
    while len(told) < number:
        check(poll.poll(20000), f"of {number} sends these were told: {sorted(told)}")
        _, (cmsg,), flags, _ = take(sock)
        check(flags & MSG_ERRQUEUE, flags)
        error, origin, kind, code, _, first, last = struct.unpack_from("=IBBBBII", cmsg[2])
        equal((error, origin, kind), (0, SO_EE_ORIGIN_ZEROCOPY, 0))
        for n in range(first, last + 1):
            check(n not in told, f"send {n} is told twice")
            told[n] = code == SO_EE_CODE_COPIED
    equal(error_of(take, sock), "EAGAIN", "another report")
    return told


@test(*ALL)
def each_send_tells_when_its_memory_is_free(t):
    pair = zerocopy_pair(t)
    if not pair:
        return
    client, server = pair
    data = os.urandom(200000)
    thread = in_background(lambda: [send_by_reference(client, data) for _ in range(5)])
    check(receive(server, 5 * len(data)) == 5 * data, "other bytes than were sent")
    thread.join()
    told = reports(client, 5)
    equal(sorted(told), [0, 1, 2, 3, 4])
    check(all(told.values()), "to this host itself it can't go without a copy")


@test(*ALL)
def copied_and_referred_to_bytes_mix(t):
    """In segments of two owners, too."""
    pair = zerocopy_pair(t)
    if not pair:
        return
    client, server = pair
    pieces = [os.urandom(n) for n in (1, 100, 3000, 70000, 10, 10, 10, 20000, 1448, 1)]

    def send():
        for n, piece in enumerate(pieces * 4):
            if n % 3:
                equal(send_by_reference(client, piece, socket.MSG_MORE if n % 2 else 0), len(piece))
            else:
                client.sendall(piece)
        client.shutdown(socket.SHUT_WR)
    thread = in_background(send)
    data = b"".join(pieces * 4)
    check(receive(server, len(data)) == data, "other bytes than were sent")
    thread.join()
    number = len([n for n in range(4 * len(pieces)) if n % 3])
    equal(sorted(reports(client, number)), list(range(number)))


@test(*ALL)
def a_reset_frees_the_memory(t):
    pair = zerocopy_pair(t)
    if not pair:
        return
    client, server = pair
    client.setblocking(False)
    data, count = os.urandom(500000), 0
    while error_of(send_by_reference, client, data) is None:
        count += 1
    server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    server.close()
    check(count, "nothing went")
    told = reports(client, count)
    equal(sorted(told), list(range(count)))


@test(*ALL)
def only_zero_and_one_are_taken(t):
    sock = t.socket()
    refused_by_kernel = t.sluice and os.uname().release.startswith("6.1.")
    for value in (-1, 2):
        equal(error_of(sock.setsockopt, socket.SOL_SOCKET, SO_ZEROCOPY, value),
              "ENOTSUP" if refused_by_kernel else "EINVAL")
    equal(error_of(sock.setsockopt, socket.SOL_SOCKET, SO_ZEROCOPY, b"\1"), "EINVAL")
    equal(sock.getsockopt(socket.SOL_SOCKET, SO_ZEROCOPY), 0)


# ---- io_uring ------------------------------------------------------------------------

@test(*ALL)
def io_uring_has_every_operation(t):
    command("make", "-s", "-C", os.path.join(ROOT, "tests", "vm"))
    listener, client = t.listener(), t.socket()
    fds = listener.fileno(), client.fileno()
    done = subprocess.run((os.path.join(ROOT, "build", "vm-programs", "uring"), *map(str, fds),
                           t.address(t.port_of(listener)).hex(), "1000000", str(t.family), str(t.protocol)),
                          pass_fds=fds, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    equal((done.returncode, done.stdout), (0, ""))


if __name__ == "__main__":
    run(*sys.argv[1:])
