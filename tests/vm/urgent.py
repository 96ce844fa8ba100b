#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# Urgent data (RFC 9293 3.8.5) through the socket interface, inside the VM.
# Every test runs on kernel TCP first: what it does is what is expected of Sluice.
import array
import fcntl
import os
import select
import signal
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from runner import check, equal, run, test, until  # noqa: E402
from transport import INET, INET6, REAL4, REAL6, SLUICE4, SLUICE6, TCP4, TCP6, error_of  # noqa: E402

ALL = (TCP4, TCP6, SLUICE4, SLUICE6, INET, INET6, REAL4, REAL6)
OOB, PEEK, NOW = socket.MSG_OOB, socket.MSG_PEEK, socket.MSG_DONTWAIT
FIONREAD, SIOCATMARK, SIOCOUTQNSD = 0x541b, 0x8905, 0x894b


def ask(sock, request):
    answer = array.array("i", [-1])
    fcntl.ioctl(sock.fileno(), request, answer)
    return answer[0]


def at_mark(sock):
    return ask(sock, SIOCATMARK)


def events(sock):
    poll = select.poll()
    poll.register(sock, select.POLLIN | select.POLLPRI)
    return dict(poll.poll(0)).get(sock.fileno(), 0)


def wait_urgent(sock, seconds=10):
    check(select.select([], [], [sock], seconds)[2], "no urgent byte ever came")


def all_came(client, server):
    """Ends the stream, so that it is known when all has arrived."""
    client.shutdown(socket.SHUT_WR)
    poll = select.poll()
    poll.register(server, select.POLLRDHUP)
    check(poll.poll(10000), "the stream never ended")


def in_line(listener):
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)


# ---- out of band ------------------------------------------------------------------

@test(*ALL)
def byte_is_had_out_of_band(t):
    client, server = t.pair()
    equal(client.send(b"abcX", OOB), 4)
    wait_urgent(server)
    equal(server.recv(1, OOB | PEEK), b"X")
    equal(server.recv(10, OOB), b"X")
    equal(error_of(server.recv, 1, OOB), "EINVAL", "had twice")
    equal(server.recv(100), b"abc")
    client.sendall(b"def")
    equal(server.recv(100), b"def")
    equal(error_of(server.recv, 100, NOW), "EAGAIN")


@test(*ALL)
def message_says_that_it_is_out_of_band(t):
    client, server = t.pair()
    client.send(b"X", OOB)
    wait_urgent(server)
    # recvmsg() of Python's wants a family that it knows.
    server = socket.socket(socket.AF_INET, socket.SOCK_STREAM, fileno=server.detach())
    data, _, flags, _ = server.recvmsg(10, 0, OOB | PEEK)
    equal((data, flags & OOB), (b"X", OOB))
    data, _, flags, _ = server.recvmsg(0, 0, OOB)
    equal((data, flags & (OOB | socket.MSG_TRUNC)), (b"", OOB | socket.MSG_TRUNC))
    equal(error_of(server.recv, 1, OOB), "EINVAL")


@test(*ALL)
def both_directions(t):
    client, server = t.pair()
    client.send(b"1X", OOB)
    server.send(b"2Y", OOB)
    wait_urgent(server)
    wait_urgent(client)
    equal((server.recv(1, OOB), client.recv(1, OOB)), (b"X", b"Y"))
    equal((server.recv(10), client.recv(10)), (b"1", b"2"))


@test(*ALL)
def errors(t):
    client, server = t.pair()
    equal(error_of(server.recv, 1, OOB), "EINVAL", "nothing urgent")
    client.sendall(b"abc")
    equal(server.recv(100), b"abc")
    equal(error_of(server.recv, 1, OOB), "EINVAL", "nothing urgent")
    equal(error_of(t.listener().recv, 1, OOB), "ENOTCONN")
    equal(error_of(t.socket().recv, 1, OOB), "EINVAL")
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    equal(error_of(t.socket().send, b"x", OOB), "EPIPE")
    equal(at_mark(server), 0)
    equal(at_mark(t.listener()), 0)


@test(*ALL)
def byte_that_a_read_has_passed_is_gone(t):
    client, server = t.pair()
    client.send(b"abX", OOB)
    client.sendall(b"cd")
    all_came(client, server)
    equal(server.recv(100), b"ab")
    equal(server.recv(100), b"cd")
    equal(error_of(server.recv, 1, OOB), "EINVAL")
    equal(server.recv(100), b"")


@test(*ALL)
def last_of_many_bytes_is_the_urgent_one(t):
    client, server = t.pair()
    data = os.urandom(40000)
    client.sendall(data, OOB)
    got = b""
    while len(got) < len(data) - 1:
        part = server.recv(1 << 16)
        check(part, "the stream ended")
        got += part
    check(got == data[:-1], "other bytes")
    wait_urgent(server)
    equal(server.recv(1, OOB), data[-1:])
    equal(error_of(server.recv, 100, NOW), "EAGAIN")


@test(*ALL)
def ends_after_the_byte(t):
    client, server = t.pair()
    client.send(b"abX", OOB)
    all_came(client, server)
    equal(server.recv(100), b"ab")
    equal(server.recv(1, OOB), b"X")
    equal(server.recv(100), b"")
    equal(error_of(server.recv, 1, OOB), "EINVAL")


# ---- the mark ---------------------------------------------------------------------

@test(*ALL)
def reads_stop_at_the_mark(t):
    client, server = t.pair()
    client.send(b"abcX", OOB)
    client.sendall(b"def")
    all_came(client, server)
    equal((at_mark(server), ask(server, FIONREAD)), (0, 3))
    equal(server.recv(2), b"ab")
    equal((at_mark(server), ask(server, FIONREAD)), (0, 1))
    equal(server.recv(100, socket.MSG_WAITALL), b"c")
    equal((at_mark(server), ask(server, FIONREAD)), (1, 0))
    equal(server.recv(1, OOB), b"X")
    equal((at_mark(server), ask(server, FIONREAD)), (1, 0))
    equal(server.recv(100), b"def")
    equal((at_mark(server), ask(server, FIONREAD)), (0, 0))
    equal(server.recv(100), b"")


@test(*ALL)
def in_line_reads_stop_before_the_byte_and_go_on_with_it(t):
    client, server = t.pair(before_listen=in_line)
    equal(server.getsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE), 1, "inherited")
    client.send(b"abcX", OOB)
    client.sendall(b"def")
    all_came(client, server)
    equal(error_of(server.recv, 1, OOB), "EINVAL")
    equal((at_mark(server), ask(server, FIONREAD)), (0, 7))
    equal(server.recv(100), b"abc")
    equal((at_mark(server), ask(server, FIONREAD)), (1, 4))
    check(events(server) & select.POLLPRI, "POLLPRI at the mark")
    equal(server.recv(100), b"Xdef")
    equal((at_mark(server), ask(server, FIONREAD)), (0, 0))
    check(not events(server) & select.POLLPRI, "POLLPRI behind the mark")
    equal(server.recv(100), b"")


@test(*ALL)
def peeks_stop_at_the_mark_too(t):
    client, server = t.pair()
    client.send(b"abcX", OOB)
    wait_urgent(server)
    equal(server.recv(100, PEEK), b"abc")
    equal(server.recv(100, PEEK | socket.MSG_WAITALL), b"abc")
    equal(server.recv(100), b"abc")
    equal(error_of(server.recv, 100, PEEK | NOW), "EAGAIN", "only the urgent byte is there")
    client.sendall(b"def")
    equal(server.recv(100, PEEK), b"def")
    equal(at_mark(server), 1)
    equal(server.recv(1, OOB), b"X")
    equal(server.recv(100), b"def")
    equal(at_mark(server), 0)


@test(*ALL)
def newer_mark_replaces_the_older(t):
    client, server = t.pair()
    client.send(b"aX", OOB)
    wait_urgent(server)
    client.send(b"bY", OOB)
    until(lambda: server.recv(1, OOB | PEEK) == b"Y", text="the newer byte never came")
    equal(server.recv(1, OOB), b"Y")
    equal(server.recv(100), b"aXb", "the older byte is one like others now")
    equal(at_mark(server), 1)


@test(*ALL)
def newer_mark_when_the_reader_stands_at_the_older(t):
    client, server = t.pair()
    client.send(b"aX", OOB)
    equal(server.recv(100), b"a")
    wait_urgent(server)
    equal(server.recv(1, OOB), b"X")
    client.send(b"bY", OOB)
    wait_urgent(server)
    equal(server.recv(100), b"b", "the older byte was had")
    equal((at_mark(server), server.recv(1, OOB)), (1, b"Y"))
    client.sendall(b"c")
    equal(server.recv(100), b"c")


@test(*ALL)
def urgent_bytes_one_after_the_other(t):
    client, server = t.pair()
    for value in range(100):
        byte = bytes([value])
        client.send(byte, OOB)
        wait_urgent(server)
        equal(server.recv(1, OOB), byte)
    client.sendall(b"end")
    equal(server.recv(100), b"end")


# ---- who is told ------------------------------------------------------------------

@test(*ALL)
def poll_tells(t):
    client, server = t.pair()
    equal(events(server), 0)
    client.send(b"X", OOB)
    wait_urgent(server)
    equal(events(server), select.POLLPRI, "the byte isn't for a read")
    server.recv(1, OOB | PEEK)
    equal(events(server), select.POLLPRI)
    server.recv(1, OOB)
    equal(events(server), 0)
    client.sendall(b"a")
    until(lambda: events(server) == select.POLLIN, text="never readable")
    equal(server.recv(100), b"a")
    equal(events(server), 0)


@test(*ALL)
def epoll_tells_at_the_edge(t):
    client, server = t.pair()
    epoll = select.epoll()
    epoll.register(server, select.EPOLLPRI | select.EPOLLET)
    equal(epoll.poll(0), [])
    client.send(b"X", OOB)
    equal(epoll.poll(10), [(server.fileno(), select.EPOLLPRI)])
    server.recv(1, OOB)
    equal(epoll.poll(0), [])


@test(*ALL)
def owner_is_signalled(t):
    client, server = t.pair()
    told = []
    signal.signal(signal.SIGURG, lambda *_: told.append(1))
    client.send(b"1", OOB)
    wait_urgent(server)
    equal(len(told), 0, "nobody owns the socket")
    fcntl.fcntl(server, fcntl.F_SETOWN, os.getpid())
    client.send(b"2", OOB)
    until(lambda: told, text="no SIGURG")
    client.sendall(b"plain")
    equal(len(told), 1)
    client.send(b"3", OOB)
    until(lambda: len(told) == 2, text="no second SIGURG")


@test(*ALL)
def signal_ends_a_read_at_the_mark(t):
    """A handler that raises gets its way: the read is interrupted, not restarted in the kernel."""
    class Urgent(Exception):
        pass

    def handler(*_):
        raise Urgent

    client, server = t.pair()
    fcntl.fcntl(server, fcntl.F_SETOWN, os.getpid())
    signal.signal(signal.SIGURG, handler)
    child = os.fork()
    if child == 0:
        time.sleep(0.3)
        client.send(b"X", OOB)
        os._exit(0)
    try:
        server.recv(100)
        check(False, "a read returned")
    except Urgent:
        pass
    finally:
        signal.signal(signal.SIGURG, signal.SIG_IGN)
    os.waitpid(child, 0)
    wait_urgent(server)
    equal(server.recv(1, OOB), b"X")


# ---- against the window -------------------------------------------------------------

@test(*ALL)
def closed_window_is_no_obstacle_to_the_pointer(t):
    def small(listener):
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client, server = t.pair(before_listen=small)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    data = os.urandom(60000)
    client.sendall(data)
    client.send(b"X", OOB)
    until(lambda: error_of(server.recv, 1, OOB | PEEK) == "EAGAIN", text="the pointer never came")
    got = b""
    while len(got) < len(data):
        part = server.recv(1 << 16)
        check(part, "the stream ended")
        got += part
    check(got == data, "other bytes")
    wait_urgent(server)
    equal((at_mark(server), server.recv(1, OOB)), (1, b"X"))


@test(*ALL)
def corked_and_delayed_bytes_go_with_it(t):
    client, server = t.pair()
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
    client.sendall(b"held")
    while not ask(client, SIOCOUTQNSD):      # it went after 200 ms, before this looked
        equal(server.recv(100), b"held")
        client.sendall(b"held")
    client.send(b"X", OOB)
    equal(ask(client, SIOCOUTQNSD), 0, "held by TCP_CORK")
    wait_urgent(server)
    equal(server.recv(100), b"held")


if __name__ == "__main__":
    run(*sys.argv[1:])
