#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# TCP Fast Open (RFC 7413) through the socket interface, inside the VM. What a
# socket does is tried on kernel TCP first, then on Sluice; then each is the
# other's client.
import contextlib
import ctypes
import json
import os
import select
import socket
import struct
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import rtnetlink  # noqa: E402
from mix import BOTH_OURS, FROM_KERNEL4, FROM_KERNEL6, KERNEL4, MIXED, OURS4, TO_KERNEL4, TO_KERNEL6  # noqa: E402
from network import Link, counter, inside, kernel_word, refused, sluice, states, tune  # noqa: E402
from network import run as command  # noqa: E402
from runner import TooLate, check, equal, run, test, until, within  # noqa: E402
from segment import ACK, SYN, Wire, build  # noqa: E402
from traffic import abort, settle  # noqa: E402
from transport import INET, INET6, REAL4, REAL6, SLUICE4, SLUICE6, TCP4, TCP6, call, error_of, libc, ports  # noqa: E402

ENOTSUP = "ENOTSUP"    # what errno.errorcode has for EOPNOTSUPP
# All of them on one kernel took ten minutes, mostly of waiting: each kernel has its share.
SHARES = {"6.1": (TCP4, REAL4), "6.12": (TCP6, SLUICE6)}
ALL = SHARES.get(kernel_word(), (TCP4, SLUICE4, INET, INET6, REAL6))
FASTOPEN = 0x20000000    # MSG_FASTOPEN
NOW = socket.MSG_DONTWAIT
TCP_FASTOPEN, TCP_FASTOPEN_CONNECT, TCP_FASTOPEN_KEY, TCP_FASTOPEN_NO_COOKIE = 23, 30, 33, 34
ESTABLISHED, SYN_SENT, SYN_RECV, CLOSE = 1, 2, 3, 7
CLIENT, SERVER, FREE_CLIENT, FREE_SERVER, EVERY_LISTENER = 1, 2, 4, 0x200, 0x400
COOKIE_UNAVAILABLE, DATA_NOT_ACKED, SYN_RETRANSMITTED = 1, 2, 3
NAMESPACE = "fast"
# A delay of each packet. Then no SYN-ACK comes sooner than in a round trip, and
# no reply sooner than in two, but for Fast Open.
LONG, DELAY, ROUND_TRIP, TWO_ROUND_TRIPS = "300ms", 0.3, 0.6, 1.2
KEYS = [bytes([n] * 16) for n in (1, 2, 3)]


@contextlib.contextmanager
def alone(bits=CLIENT | SERVER, delay=None):
    """In a namespace of its own, where nobody has a cookie yet. delay: of its loopback."""
    if rtnetlink.exists(NAMESPACE):
        rtnetlink.delete(NAMESPACE)
    rtnetlink.create(NAMESPACE)
    try:
        if delay:
            command("tc", "-n", NAMESPACE, "qdisc", "add", "dev", "lo", "root", "netem", "delay", delay)
        tune(NAMESPACE, tcp_fastopen=bits)
        with inside(NAMESPACE):
            yield
    finally:
        rtnetlink.delete(NAMESPACE)


def option(sock, name, value):
    sock.setsockopt(socket.IPPROTO_TCP, name, value)


def fast_listener(t, queue=16, key=None, **more):
    listener = t.listener(**more)
    if key:
        option(listener, TCP_FASTOPEN_KEY, key)
    if queue:
        option(listener, TCP_FASTOPEN, queue)
    return listener


def send_to(t, sock, data, port, flags=FASTOPEN, host=None):
    """sendto(), by whichever kind of address: bytes sent, or OSError."""
    raw = t.address(port, host)
    return call(libc.sendto, sock.fileno(), bytes(data), ctypes.c_size_t(len(data)), flags, raw, len(raw))


def fast_client(t, data, listener, flags=FASTOPEN, host=None):
    sock = t.socket()
    return sock, send_to(t, sock, data, t.port_of(listener), flags, host)


class Told:
    """What TCP_INFO says."""

    def __init__(self, sock):
        raw = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
        self.state, self.syn_data, self.failure = raw[0], bool(raw[5] & 32), raw[7] >> 1 & 3


def took(t, client, listener):
    """The server's end, and whether the SYN's data were taken: both ends say the same."""
    server = t.accept(listener)
    until(lambda: Told(client).state == ESTABLISHED and Told(server).state == ESTABLISHED)
    equal(Told(client).syn_data, Told(server).syn_data)
    return server, Told(client).syn_data


def fast_once(t, listener, data=b"request"):
    """A connection by MSG_FASTOPEN whose data arrive: were they in the SYN?"""
    client, sent = fast_client(t, data, listener)
    equal(sent, len(data))
    server, taken = took(t, client, listener)
    equal(server.recv(len(data), socket.MSG_WAITALL), data)
    server.sendall(b"reply")
    equal(client.recv(10), b"reply")
    client.close()
    equal(server.recv(1), b"")
    server.close()
    return taken


def events(sock):
    poll = select.poll()
    poll.register(sock, select.POLLIN | select.POLLOUT | select.POLLRDHUP)
    return dict(poll.poll(0)).get(sock.fileno(), 0)


# ---- the client ------------------------------------------------------------------------

@test(*ALL)
def first_connection_gets_a_cookie_and_the_next_uses_it(t):
    with alone():
        listener = fast_listener(t)
        client, sent = fast_client(t, b"first", listener)
        equal(sent, 5)
        server, taken = took(t, client, listener)
        equal((taken, Told(client).failure), (False, COOKIE_UNAVAILABLE))
        equal(server.recv(10), b"first")
        for _ in range(3):
            check(fast_once(t, listener), "the SYN's data were not taken")


@test(*ALL)
def no_cookie_from_who_does_not_open_fast(t):
    with alone():
        listener = fast_listener(t, queue=0)
        equal([fast_once(t, listener) for _ in range(3)], [False] * 3)
        option(listener, TCP_FASTOPEN, 5)
        equal([fast_once(t, listener) for _ in range(3)], [False, True, True])
        option(listener, TCP_FASTOPEN, 0)
        equal([fast_once(t, listener) for _ in range(2)], [False] * 2)


@test(*ALL)
def more_than_a_syn_holds(t):
    with alone():
        listener = fast_listener(t)
        data = os.urandom(1 << 20)
        for taken in (False, True):
            client, got = t.socket(), b""
            thread = threading.Thread(target=lambda: equal(send_to(t, client, data, t.port_of(listener)), len(data)))
            thread.start()
            server = t.accept(listener)
            while len(got) < len(data):
                part = server.recv(1 << 18)
                check(part, "the stream ended")
                got += part
            thread.join()
            check(got == data, "other bytes")
            equal((Told(client).syn_data, Told(server).syn_data), (taken, taken))
            client.close()


@test(*ALL)
def without_blocking_what_went_with_the_syn_is_told(t):
    with alone(delay=LONG):
        listener = fast_listener(t)
        client = t.socket()
        with within(ROUND_TRIP):
            equal(error_of(send_to, t, client, b"x", t.port_of(listener), FASTOPEN | NOW), "EINPROGRESS", "no cookie")
            equal(error_of(send_to, t, client, b"x", t.port_of(listener), FASTOPEN | NOW), "EALREADY")
            equal(error_of(client.send, b"x", NOW), "EAGAIN")
        server, taken = took(t, client, listener)
        equal((taken, send_to(t, client, b"x", t.port_of(listener), FASTOPEN | NOW)), (False, 1))
        equal(error_of(send_to, t, client, b"x", t.port_of(listener), FASTOPEN | NOW), "EISCONN")
        equal(server.recv(10), b"x")

        data = os.urandom(200000)
        with within(ROUND_TRIP):
            client, sent = fast_client(t, data, listener, FASTOPEN | NOW)
            check(0 < sent < 65536, sent)
            equal(Told(client).state, SYN_SENT)
            equal(events(client), 0)
            equal(error_of(client.send, b"x", NOW), "EAGAIN")
        server, taken = took(t, client, listener)
        check(taken)
        equal(server.recv(len(data)), data[:sent])
        client.sendall(b"rest")
        equal(server.recv(10), b"rest")


@test(*ALL)
def errors_of_sendto(t):
    with alone():
        listener = fast_listener(t)
        port = t.port_of(listener)
        equal(error_of(t.socket().send, b"x", FASTOPEN), "EINVAL", "no address")
        raw = t.address(port)
        sock = t.socket()
        equal(error_of(call, libc.sendto, sock.fileno(), b"x", 1, FASTOPEN, raw, 4), "EINVAL", "half an address")
        equal(error_of(call, libc.sendto, sock.fileno(), b"x", 1, FASTOPEN, bytes(28), 28), ENOTSUP, "AF_UNSPEC")
        equal(error_of(send_to, t, t.socket(), b"x", 9), "ECONNREFUSED")
        equal(error_of(send_to, t, listener, b"x", port), "EISCONN")
        client, sent = fast_client(t, b"", listener)
        equal(sent, 0)
        server = t.accept(listener)
        equal(error_of(send_to, t, client, b"x", port), "EISCONN")
        equal(error_of(server.send, b"x", FASTOPEN), "EISCONN")
        tune(NAMESPACE, tcp_fastopen=SERVER)
        equal(error_of(send_to, t, t.socket(), b"x", port), ENOTSUP)
        equal(error_of(send_to, t, client, b"x", port), ENOTSUP)


@test(*ALL)
def refused_connection_can_be_tried_again(t):
    with alone():
        listener = fast_listener(t)
        fast_once(t, listener)
        client = t.socket()
        equal(error_of(send_to, t, client, b"lost", 9), "ECONNREFUSED", "with data in the SYN")
        equal(Told(client).state, CLOSE)
        equal(send_to(t, client, b"found", t.port_of(listener)), 5)
        server, taken = took(t, client, listener)
        equal((taken, server.recv(100)), (True, b"found"))


# ---- connect() that waits for the first write --------------------------------------------

def deferring(t, listener):
    client = t.socket()
    option(client, TCP_FASTOPEN_CONNECT, 1)
    t.connect(client, t.port_of(listener))
    return client


@test(*ALL)
def connect_without_a_cookie_asks_for_one(t):
    with alone():
        listener = fast_listener(t)
        client = deferring(t, listener)
        server, taken = took(t, client, listener)
        client.sendall(b"late")
        equal((taken, server.recv(10)), (False, b"late"))
        check(fast_once(t, listener))


@test(*ALL)
def connect_with_a_cookie_waits_for_the_first_write(t):
    with alone():
        listener = fast_listener(t)
        fast_once(t, listener)
        client = deferring(t, listener)
        equal((Told(client).state, events(client)), (SYN_SENT, select.POLLOUT))
        equal(error_of(t.port_of, client, True), "ENOTCONN")
        listener.setblocking(False)
        equal(error_of(t.accept, listener), "EAGAIN")
        listener.setblocking(True)
        equal(error_of(client.recv, 10, NOW), "EAGAIN")
        client.setblocking(False)
        equal(error_of(t.connect, client, t.port_of(listener)), "EISCONN")
        client.setblocking(True)
        equal(client.send(b"with the SYN"), 12)
        server, taken = took(t, client, listener)
        equal((taken, server.recv(100)), (True, b"with the SYN"))
        client.sendall(b"more")
        equal(server.recv(100), b"more")


@test(*ALL)
def deferred_connect_without_blocking(t):
    with alone(delay=LONG):
        listener = fast_listener(t)
        fast_once(t, listener)
        client = deferring(t, listener)
        client.setblocking(False)
        with within(ROUND_TRIP):
            equal(client.send(b"with the SYN"), 12)
            equal((Told(client).state, events(client)), (SYN_SENT, 0))
            equal(error_of(client.send, b"x"), "EAGAIN")
        server, taken = took(t, client, listener)
        equal((taken, server.recv(100)), (True, b"with the SYN"))


@test(*ALL)
def deferred_connect_that_never_writes(t):
    with alone():
        listener = fast_listener(t)
        fast_once(t, listener)
        deferring(t, listener).close()
        client = deferring(t, listener)
        equal(error_of(client.shutdown, socket.SHUT_WR), None)
        equal(Told(client).state, CLOSE)
        client.close()
        client = deferring(t, listener)
        raw = bytes(28)    # AF_UNSPEC
        call(libc.connect, client.fileno(), raw, 16)
        equal((Told(client).state, events(client) & select.POLLHUP), (CLOSE, select.POLLHUP))
        with contextlib.suppress(OSError):    # what disconnecting left in SO_ERROR
            client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        t.connect(client, t.port_of(listener))
        equal(client.send(b"again"), 5)
        server, taken = took(t, client, listener)
        equal((taken, server.recv(10)), (True, b"again"))
        listener.setblocking(False)
        equal(error_of(t.accept, listener), "EAGAIN")


@test(*ALL)
def deferred_connect_that_is_refused(t):
    with alone():
        listener = fast_listener(t)
        fast_once(t, listener)
        client = deferring(t, listener)
        listener.close()
        equal(error_of(client.send, b"x"), "ECONNREFUSED")
        equal(Told(client).state, CLOSE)


# ---- the server ------------------------------------------------------------------------

def open_early(t, listener, data=b"request"):
    """A client that does not wait, and the server's end before the handshake is over."""
    with within(ROUND_TRIP):
        client, sent = fast_client(t, data, listener, FASTOPEN | NOW)
        equal(sent, len(data))
        server = t.accept(listener)
        equal((Told(client).state, Told(server).state), (SYN_SENT, SYN_RECV))
    return client, server


def any_early(t):
    """Has this namespace an end in SYN_RECV, accepted or not?"""
    if t.sluice:
        return states(NAMESPACE)["SYN-RECV"] > 0
    with open("/proc/thread-self/net/tcp" + ("6" if ":" in t.host else "")) as file:
        return any(line.split()[3] == "03" for line in file.readlines()[1:])


def learned(t, **more):
    """A listener whose cookie this namespace has."""
    listener = fast_listener(t, **more)
    fast_once(t, listener)
    return listener


@test(*ALL)
def server_reads_and_writes_before_the_handshake_is_over(t):
    with alone(delay=LONG):
        listener = learned(t)
        with within(TWO_ROUND_TRIPS):
            with within(ROUND_TRIP + DELAY):
                client, server = open_early(t, listener)
                equal(events(server), select.POLLIN | select.POLLOUT)
                equal(server.recv(100), b"request")
                equal(error_of(server.recv, 100, NOW), "EAGAIN")
                equal(events(server), select.POLLOUT)
                equal(server.send(b"reply"), 5)
                equal((Told(server).state, Told(server).syn_data), (SYN_RECV, True))
            equal(client.recv(100), b"reply")
        until(lambda: Told(server).state == ESTABLISHED)
        client.sendall(b"more")
        equal(server.recv(100), b"more")


@test(*ALL)
def server_ends_before_the_handshake_is_over(t):
    with alone(delay=LONG):
        listener = learned(t)
        for end in (lambda s: s.shutdown(socket.SHUT_WR), lambda s: s.close()):
            client, server = open_early(t, listener)
            equal(server.recv(100), b"request")
            server.sendall(b"reply")
            end(server)
            equal(client.recv(100), b"reply")
            equal(client.recv(100), b"")
            client.close()


@test(*ALL)
def server_that_did_not_read_resets(t):
    with alone(delay=LONG):
        listener = learned(t)
        client, server = open_early(t, listener)
        server.close()
        equal(error_of(client.recv, 10), "ECONNRESET")
        client, sent = fast_client(t, b"request", listener, FASTOPEN | NOW)
        check(select.select([listener], [], [], 10)[0])
        listener.close()
        equal(error_of(client.recv, 10), "ECONNRESET")


@test(*ALL)
def whole_conversation_in_one_round_trip(t):
    with alone(delay=LONG):
        listener = learned(t)
        client = t.socket()

        def serve():
            server = t.accept(listener)
            server.sendall(server.recv(100).upper())
            server.close()
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            with within(TWO_ROUND_TRIPS):
                send_to(t, client, b"request", t.port_of(listener), FASTOPEN | NOW)
                equal(client.recv(100), b"REQUEST")
        finally:
            thread.join()


@test(*ALL)
def so_many_at_a_time_and_no_more(t):
    with alone(delay=LONG):
        listener = learned(t, queue=2)
        before = counter("fastopen_overflows", NAMESPACE) if t.sluice else 0
        with within(ROUND_TRIP):    # then the first is out of its early state
            clients = [fast_client(t, b"request", listener, FASTOPEN | NOW)[0] for _ in range(4)]
        taken = []
        for client in clients:
            until(lambda: Told(client).state == ESTABLISHED)
            taken.append(Told(client).syn_data)
        equal(sorted(taken), [False, False, True, True])
        for _ in clients:
            equal(t.accept(listener).recv(100), b"request")
        if t.sluice:
            equal(counter("fastopen_overflows", NAMESPACE) - before, 2)
            equal(counter("fastopen_active_fail", NAMESPACE), 2)
        check(fast_once(t, listener), "handshakes that are over don't count")


@test(*ALL)
def full_listener_gives_no_cookie(t):
    other = "127.0.0.2" if "." in t.host else "fd00::9"    # an address whose cookie nobody has
    with alone(delay=LONG):
        rtnetlink.add_address("lo", "fd00::9", 128)
        listener = learned(t, queue=1, host=t.any)
        client = t.socket()
        with within(ROUND_TRIP):    # this SYN goes before the ACK that ends the early handshake
            early = open_early(t, listener)
            equal(error_of(send_to, t, client, b"request", t.port_of(listener), FASTOPEN | NOW, other), "EINPROGRESS")
        taken = [took(t, client, listener)[1]]
        for _ in range(2):
            client, _ = fast_client(t, b"request", listener, FASTOPEN, other)
            taken.append(took(t, client, listener)[1])
        equal(taken, [False, False, True], "refused, given, used")
        abort(*early)


@test(*ALL)
def reset_ones_go_on_counting(t):
    with alone(delay=LONG):
        listener = learned(t, queue=1)
        with within(ROUND_TRIP):    # the SYN-ACK comes later
            client, server = open_early(t, listener)
            client.close()
        equal(server.recv(100), b"request")
        equal(error_of(server.recv, 100), "ECONNRESET", "the SYN-ACK was answered by a reset")
        check(not fast_once(t, listener), "its place is free")
        option(listener, TCP_FASTOPEN, 2)
        check(fast_once(t, listener), "another place is not free")


@test(*ALL)
def reset_before_accept_is_told_after_it(t):
    with alone(delay=LONG):
        listener = learned(t)
        with within(ROUND_TRIP):    # the SYN-ACK comes later, and is answered by a reset
            client, sent = fast_client(t, b"request", listener, FASTOPEN | NOW)
            check(select.select([listener], [], [], 10)[0])
            client.close()
        until(lambda: not any_early(t))
        server = t.accept(listener)
        equal(Told(server).state, CLOSE)
        equal(server.recv(100), b"request")
        equal(error_of(server.recv, 100), "ECONNRESET")


# ---- cookies and keys ---------------------------------------------------------------------

@test(*ALL)
def key_is_changed_by_way_of_a_backup(t):
    with alone():
        a, b, c = KEYS
        listener = fast_listener(t, key=a)
        equal([fast_once(t, listener) for _ in range(2)], [False, True])
        option(listener, TCP_FASTOPEN_KEY, b + a)
        check(fast_once(t, listener), "by the backup key")
        option(listener, TCP_FASTOPEN_KEY, b)
        check(fast_once(t, listener), "by the new cookie that came with it")
        if t.sluice:
            equal(counter("fastopen_passive_fail", NAMESPACE), 0)
        option(listener, TCP_FASTOPEN_KEY, c)
        equal([fast_once(t, listener) for _ in range(2)], [False, True], "by a key unheard of")
        if t.sluice:
            equal(counter("fastopen_passive_fail", NAMESPACE), 1)


@test(*ALL)
def key_of_the_namespace(t):
    with alone():
        tune(NAMESPACE, tcp_fastopen_key="00000001-00000002-00000003-00000004")
        listener = fast_listener(t)
        equal([fast_once(t, listener) for _ in range(2)], [False, True])
        tune(NAMESPACE, tcp_fastopen_key="00000005-00000006-00000007-00000008,00000001-00000002-00000003-00000004")
        check(fast_once(t, listener), "by the backup key")
        tune(NAMESPACE, tcp_fastopen_key="00000005-00000006-00000007-00000008")
        check(fast_once(t, listener))


@test(SLUICE4, SLUICE6)
def key_that_is_set_counts_for_the_namespaces(t):
    a, b = "00000001-00000002-00000003-00000004", "0000000a-0000000b-0000000c-0000000d"

    def told():
        row = json.loads(sluice("get", "--json", "fastopen_key", namespace=NAMESPACE).stdout)["fastopen_key"]
        return row["value"], row["from"]
    with alone():
        drawn = told()
        equal(drawn[1], "default")
        listener = fast_listener(t)
        equal([fast_once(t, listener) for _ in range(2)], [False, True])
        tune(NAMESPACE, tcp_fastopen_key=a)
        equal(told(), (a, "sysctl"))
        equal([fast_once(t, listener) for _ in range(2)], [False, True])
        sluice("set", "fastopen_key", "-", namespace=NAMESPACE, input=b + "\n")
        equal(told(), (b, "set"))
        equal([fast_once(t, listener) for _ in range(2)], [False, True])
        sluice("set", "fastopen_key", f"{a},{b}", namespace=NAMESPACE)
        equal(told(), (f"{a},{b}", "set"))
        check(fast_once(t, listener), "by the backup key")
        for wrong in ("1-2-3", a + ",", "key", f"{a} {b}", f"{a},{b},{a}"):
            check("a key of four hexadecimal numbers" in refused("set", "fastopen_key", wrong, namespace=NAMESPACE), wrong)
        check("there is none" in refused("set", "fastopen_key", "-", namespace=NAMESPACE, input=""))
        sluice("set", "fastopen_key", "default", namespace=NAMESPACE)
        equal(told(), (a, "sysctl"))
        check(fast_once(t, listener), "it was the sysctl's that made the newest")
        equal(sluice("get", "--raw", "fastopen_key", namespace=NAMESPACE).stdout, a + "\n")


@test(*ALL)
def data_without_a_cookie(t):
    with alone():
        listener = fast_listener(t)
        option(listener, TCP_FASTOPEN_NO_COOKIE, 1)
        client = t.socket()
        option(client, TCP_FASTOPEN_NO_COOKIE, 1)
        send_to(t, client, b"free", t.port_of(listener))
        server, taken = took(t, client, listener)
        equal((taken, server.recv(10)), (True, b"free"))
        # By the sysctl on both sides, and on one alone.
        for bits, both in ((FREE_CLIENT | FREE_SERVER, True), (FREE_CLIENT, False)):
            tune(NAMESPACE, tcp_fastopen=CLIENT | SERVER | bits)
            listener = fast_listener(t)
            equal([fast_once(t, listener) for _ in range(2)], [both, both], hex(bits))


@test(*ALL)
def every_listener(t):
    with alone(CLIENT | SERVER | EVERY_LISTENER, delay=LONG):
        listener = t.listener(backlog=2)
        equal(listener.getsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN), 2)
        fast_once(t, listener)
        open_early(t, listener)


@test(*ALL)
def options_in_the_wrong_state(t):
    with alone():
        client, server = t.pair()
        for name in (TCP_FASTOPEN, TCP_FASTOPEN_CONNECT, TCP_FASTOPEN_NO_COOKIE):
            equal(error_of(option, client, name, 1), "EINVAL", f"option {name} of a connection")
        listener = t.listener()
        equal(error_of(option, listener, TCP_FASTOPEN_CONNECT, 1), "EINVAL")
        for name in (TCP_FASTOPEN, TCP_FASTOPEN_NO_COOKIE):
            equal(error_of(option, listener, name, 1), None, f"option {name} of a listener")
        tune(NAMESPACE, tcp_fastopen=0)
        equal(error_of(option, t.socket(), TCP_FASTOPEN_CONNECT, 1), ENOTSUP)
        equal(error_of(option, t.socket(), TCP_FASTOPEN_CONNECT, 2), "EINVAL")
        sock = t.socket()
        for key in (KEYS[0], KEYS[0] + KEYS[1], KEYS[2]):
            option(sock, TCP_FASTOPEN_KEY, key)
            equal(sock.getsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN_KEY, 32), key)
        equal(error_of(option, sock, TCP_FASTOPEN_KEY, bytes(17)), "EINVAL")
        equal(sock.getsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN_KEY, 32), KEYS[2])


@test(INET, INET6)
def malformed_options_are_ignored(t):
    """Of odd, too short and too great lengths: answered as without."""
    listener = fast_listener(t)
    wire, port, peer, before = Wire(t.host), t.port_of(listener), 30000, counter("bad_option")
    lengths = (0, 1, 2, 3, 5, 7, 17, 18, 19, 21, 40)    # well-formed: 2, twice, and 18, unless it is cut short
    for length in lengths:
        value = b"\x22" + bytes([length]) + bytes(max(length - 2, 0))
        for options in (value[:40], b"\1\1" + value[:6]):
            peer += 1
            wire.send(build(t.host, peer, port, options=options, payload=b"data"))
            wire.send(build(t.host, peer, port, seq=2, ack=1, flags=SYN | ACK))
    equal(counter("fastopen_passive"), 0, "one was opened")
    equal(counter("bad_option") - before, 2 * len(lengths) - 3)
    client = t.socket()
    t.connect(client, port)
    client.sendall(b"sane")
    equal(t.accept(listener).recv(10), b"sane")


# ---- with kernel TCP, on a wire ------------------------------------------------------------

class Fast:
    """A Link with Fast Open at both ends, and a listener at the far one."""

    def __init__(self, mix, **more):
        self.mix, self.more = mix, more

    def __enter__(self):
        self.link = Link()
        self.link.__enter__()
        for ns in (Link.NEAR, Link.FAR):
            tune(ns, tcp_fastopen=CLIENT | SERVER)
        self.listener = self.listen(**self.more)
        return self

    def __exit__(self, *error):
        self.listener.close()
        self.link.__exit__(*error)

    def listen(self, server=None, **more):
        server = server or self.mix.server
        with inside(Link.FAR):
            return fast_listener(server, host=server.host, **more)

    def open(self, data, flags=FASTOPEN, listener=None):
        with inside(Link.NEAR):
            return fast_client(self.mix.client, data, listener or self.listener, flags, self.mix.server.host)

    def once(self, data=b"request", listener=None):
        """Were the data taken from the SYN? They arrive, whichever way."""
        listener = listener or self.listener
        client, sent = self.open(data, listener=listener)
        equal(sent, len(data))
        server, taken = took(self.mix.server, client, listener)
        got = b""
        while len(got) < len(data):
            part = server.recv(1 << 18)
            check(part, "the stream ended")
            got += part
        check(got == data, "other bytes")
        client.close()
        equal(server.recv(1), b"", "more bytes than were sent")
        server.close()
        return taken


@test(*MIXED, *BOTH_OURS)
def cookie_is_asked_for_and_used(mix):
    with Fast(mix) as fast:
        equal([fast.once() for _ in range(3)], [False, True, True])
        check(fast.once(os.urandom(100000)), "more than a SYN holds")


@test(*MIXED, *BOTH_OURS)
def reply_comes_a_round_trip_early(mix):
    with Fast(mix) as fast:
        fast.once()
        fast.link.netem("delay", LONG)
        pair = []
        try:
            with within(TWO_ROUND_TRIPS):
                with within(ROUND_TRIP + DELAY):
                    pair.append(fast.open(b"request", FASTOPEN | NOW)[0])
                    pair.append(mix.server.accept(fast.listener))
                    equal((pair[1].recv(100), Told(pair[1]).state), (b"request", SYN_RECV))
                    pair[1].sendall(b"reply")
                equal(pair[0].recv(100), b"reply")
            for one, other in (pair, pair[::-1]):
                one.sendall(b"more")
                equal(other.recv(100), b"more")
        finally:
            abort(*pair)


@test(*MIXED, *BOTH_OURS)
def deferred_connect_over_a_wire(mix):
    with Fast(mix) as fast:
        fast.once()
        with inside(Link.NEAR):
            client = mix.client.socket()
            option(client, TCP_FASTOPEN_CONNECT, 1)
            mix.client.connect(client, mix.server.port_of(fast.listener), mix.server.host)
        client.sendall(b"request")
        server, taken = took(mix.server, client, fast.listener)
        equal((taken, server.recv(100)), (True, b"request"))
        abort(client, server)


@test(*MIXED, *BOTH_OURS)
def cookie_by_another_key_is_refused_and_a_new_one_comes(mix):
    a, b, c = KEYS
    with Fast(mix, key=a) as fast:
        equal([fast.once(), fast.once()], [False, True])
        option(fast.listener, TCP_FASTOPEN_KEY, b + a)
        equal([fast.once(), fast.once()], [True, True])
        option(fast.listener, TCP_FASTOPEN_KEY, c)
        client, _ = fast.open(b"request")
        server, taken = took(mix.server, client, fast.listener)
        told = taken, Told(client).failure, server.recv(100)
        abort(client, server)
        if told[1] == SYN_RETRANSMITTED:
            raise TooLate("the SYN went twice")
        equal(told, (False, DATA_NOT_ACKED, b"request"))
        check(fast.once(), "by the new cookie")


@test(*MIXED)
def servers_of_both_stacks_accept_each_others_cookies(mix):
    kernel, ours = {TO_KERNEL4: (KERNEL4, OURS4), FROM_KERNEL4: (KERNEL4, OURS4)}.get(
        mix, (TO_KERNEL6.server, FROM_KERNEL6.server))
    for ask, use in ((kernel, ours), (ours, kernel)):
        for key in (KEYS[0], None):
            with Fast(mix, server=ask, key=key) as fast:
                if not key:
                    tune(Link.FAR, tcp_fastopen_key="01234567-89abcdef-00112233-44556677")
                other = fast.listen(server=use, key=key)
                equal([fast.once(), fast.once(), fast.once(listener=other)], [False, True, True])
                other.close()


def drop(rule, ns=Link.FAR):
    command("nft", "-f", "-", namespace=ns, input=f"""
        table inet t {{
            chain in {{
                type filter hook prerouting priority filter; policy accept;
                {rule} counter drop
            }}
        }}
        """)


@test(*MIXED, *BOTH_OURS)
def lost_syn_goes_again_without_data(mix):
    with Fast(mix) as fast:
        fast.once()
        drop("tcp flags & (syn | ack) == syn meta length > 300")
        data = os.urandom(1000)
        client, sent = fast.open(data)
        equal(sent, len(data))
        server, taken = took(mix.server, client, fast.listener)
        equal((taken, Told(client).failure), (False, SYN_RETRANSMITTED))
        equal(server.recv(5000), data)
        client.close()
        equal(server.recv(1), b"")
        server.close()


@test(*MIXED, *BOTH_OURS)
def lost_answer_goes_again(mix):
    """The SYN-ACK, and then the data sent behind it."""
    with Fast(mix) as fast:
        fast.once()
        for rule in ("tcp flags & (syn | ack) == (syn | ack)", "tcp flags & (syn | psh) == psh"):
            drop(rule, Link.NEAR)
            client, sent = fast.open(b"request", FASTOPEN | NOW)
            equal(sent, 7)
            server = mix.server.accept(fast.listener)
            equal(server.recv(100), b"request")
            server.sendall(b"reply")
            client.settimeout(0.3)
            try:
                check(not client.recv(100), "nothing was lost")
            except TimeoutError:
                pass
            command("nft", "flush", "ruleset", namespace=Link.NEAR)
            client.settimeout(20)
            equal(client.recv(100), b"reply")
            server.close()
            equal(client.recv(100), b"")
            client.close()


@test(*MIXED, *BOTH_OURS)
def unreachable_for_a_while_after_accept(mix):
    """An ICMP error ends no connection that the application has already, be its handshake over or not."""
    with Fast(mix) as fast:
        fast.once()
        drop("tcp flags & (syn | ack) == (syn | ack)", Link.NEAR)
        client, _ = fast.open(b"request", FASTOPEN | NOW)
        server = mix.server.accept(fast.listener)
        equal((server.recv(100), Told(server).state), (b"request", SYN_RECV))
        family = "icmp" if mix.server.host == Link.V4 else "icmpv6"
        command("nft", "-f", "-", namespace=Link.NEAR, input=f"""
            flush ruleset
            table inet t {{
                counter refused {{}}
                chain in {{
                    type filter hook input priority filter; policy accept;
                    tcp sport {mix.server.port_of(fast.listener)} counter name refused reject with {family} type port-unreachable
                }}
            }}
            """)
        fast.link.netem("delay", "50ms", leaving=(Link.NEAR,))    # the error is not to come within send()
        server.sendall(b"reply")
        until(lambda: " packets 0 " not in command("nft", "list", "counters", namespace=Link.NEAR).stdout, 10)
        time.sleep(0.1)
        equal(Told(server).state, SYN_RECV)
        command("nft", "flush", "ruleset", namespace=Link.NEAR)
        client.settimeout(20)
        equal(client.recv(100), b"reply")
        abort(client, server)


@test(TO_KERNEL4, TO_KERNEL6, *BOTH_OURS)
def pause_after_syns_that_vanished(mix):
    with Fast(mix) as fast:
        tune(Link.NEAR, tcp_fastopen_blackhole_timeout_sec=60)
        fast.once()
        check(fast.once())
        drop("tcp flags & (syn | ack) == syn")
        client, _ = fast.open(b"request", FASTOPEN | NOW)
        until(lambda: counter("fastopen_blackholes", Link.NEAR) == 1, 20)
        client.close()      # or its next SYN might come through
        command("nft", "flush", "ruleset", namespace=Link.FAR)
        check(not fast.once(), "no pause")
        tune(Link.NEAR, tcp_fastopen_blackhole_timeout_sec=1)
        until(lambda: fast.once(), text="the pause never ended")


@test(*MIXED, *BOTH_OURS)
def many_on_a_bad_link(mix):
    with Fast(mix, queue=1000) as fast:
        fast.once()
        fast.link.netem("delay", "2ms", "1ms", "loss", "5%", "duplicate", "2%", "reorder", "5%")
        for number in range(30):
            data = os.urandom(100 * (number + 1))
            client, sent = fast.open(data, FASTOPEN)
            equal(sent, len(data))
            server = mix.server.accept(fast.listener)
            client.shutdown(socket.SHUT_WR)
            got = b""
            while part := server.recv(1 << 16):
                got += part
            check(got == data, "other bytes")
            server.sendall(data[::-1])
            server.close()
            got = b""
            while part := client.recv(1 << 16):
                got += part
            check(got == data[::-1], "other bytes back")
            client.close()
        settle()


if __name__ == "__main__":
    run(*sys.argv[1:])
