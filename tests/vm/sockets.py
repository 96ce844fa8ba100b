#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# The socket interface, inside the VM. Every test runs on kernel TCP first:
# what Linux TCP does is what is expected of Sluice.
import array
import contextlib
import ctypes
import fcntl
import os
import select
import signal
import socket
import struct
import sys
import termios
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from cgroup import Cgroup  # noqa: E402
from mix import KERNEL4, KERNEL6, MIXED, OURS4, OURS6, Mix  # noqa: E402
from network import Link, counter, inside, states  # noqa: E402
from network import run as command  # noqa: E402
from runner import check, equal, run, test, until, within  # noqa: E402
from traffic import V4, V4_INET, V6, abort, exchange, joined  # noqa: E402
from transport import (AF_SLUICE, INET, INET6, REAL4, REAL6, SLUICE4, SLUICE6, TCP4, TCP6, Transport,  # noqa: E402
                       call, error_of, libc, ports, sluice_address)

ALL = (TCP4, TCP6, SLUICE4, SLUICE6, INET, INET6, REAL4, REAL6)
V6_INET = Transport("inet6-253", socket.AF_INET6, 253, Link.V6, "::")
FAR = (KERNEL4, KERNEL6, V4, V6, V4_INET, OURS4, OURS6)     # between two namespaces
SOL, TCP = socket.SOL_SOCKET, socket.IPPROTO_TCP
# What a time-out of 0.5 s takes at least: where the machine stood still, the kernel's ticks run behind and end it early.
TIMED_OUT = 0.1
INCOMING_CPU, ATTACH_CBPF, ATTACH_EBPF, DETACH = 49, 51, 52, 68


def wait_readable(sock, seconds=20):
    check(select.select([sock], [], [], seconds)[0], "never became readable")


def receive_exactly(sock, size):
    data = b""
    while len(data) < size:
        part = sock.recv(size - len(data))
        check(part, f"the stream ended after {len(data)} of {size} bytes")
        data += part
    return data


@contextlib.contextmanager
def disturbed():
    """Signals come all the while: the first may come before the call that it is meant for. None restarts a call."""
    signal.signal(signal.SIGUSR1, lambda *_: None)
    signal.siginterrupt(signal.SIGUSR1, True)
    done = threading.Event()

    def disturb():
        while not done.wait(0.1):
            os.kill(os.getpid(), signal.SIGUSR1)
    thread = threading.Thread(target=disturb)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def queue(sock, request):
    answer = array.array("i", [0])
    fcntl.ioctl(sock.fileno(), request, answer)
    return answer[0]


def state(sock):
    """TCP_ESTABLISHED and the like."""
    return sock.getsockopt(TCP, socket.TCP_INFO, 104)[0]


ESTABLISHED, FIN_WAIT_1, CLOSED, CLOSING = 1, 4, 7, 11


def sides(t):
    """Whose sockets are at the near end, and whose at the far one."""
    return ((Link.NEAR, t.client), (Link.FAR, t.server)) if isinstance(t, Mix) else ((Link.NEAR, t), (Link.FAR, t))


# ---- opening ------------------------------------------------------------------

@test()
def other_kinds_and_protocols_are_refused():
    def refusal(*words):
        return error_of(lambda: os.close(call(libc.socket, *words)))
    stream, datagram, raw, reliable, packets = 1, 2, 3, 4, 5
    equal([refusal(socket.AF_INET, packets, 0), refusal(socket.AF_INET, stream, 17)],
          ["ESOCKTNOSUPPORT", "EPROTONOSUPPORT"], "the kernel's own")
    for kind in (datagram, raw, reliable, packets):
        for protocol in (0, 6, 17, 253, 254, 257):
            equal(refusal(AF_SLUICE, kind, protocol), "ESOCKTNOSUPPORT", (kind, protocol))
    for protocol in (1, 17, 252, 254, 255, 256, 258, 262):
        equal(refusal(AF_SLUICE, stream, protocol), "EPROTONOSUPPORT", protocol)
    for family in (socket.AF_INET, socket.AF_INET6):
        for protocol in (253, 257):
            equal(refusal(family, datagram, protocol), "EPROTONOSUPPORT", (family, protocol))
            equal(refusal(family, packets, protocol), "ESOCKTNOSUPPORT", (family, protocol))


@test(*ALL)
def connects_and_transfers(t):
    client, server = t.pair()
    client.sendall(b"question")
    equal(receive_exactly(server, 8), b"question")
    server.sendall(b"answer")
    equal(receive_exactly(client, 6), b"answer")


@test(*ALL)
def large_transfer_is_exact(t):
    client, server = t.pair()
    data = os.urandom(1 << 20) * 8
    sender = threading.Thread(target=lambda: (client.sendall(data), client.shutdown(socket.SHUT_WR)))
    sender.start()
    got = bytearray()
    while part := server.recv(1 << 18):
        got += part
    sender.join()
    check(got == data, f"{len(got)} bytes, or other ones")


@test(*ALL)
def names_are_told(t):
    listener = t.listener()
    client = t.socket()
    t.connect(client, t.port_of(listener))
    server = t.accept(listener)
    equal(t.port_of(client, peer=True), t.port_of(listener))
    equal(t.port_of(server, peer=True), t.port_of(client))
    low, high = map(int, open("/proc/sys/net/ipv4/ip_local_port_range").read().split())
    check(low <= t.port_of(client) <= high, "the ephemeral port is out of range")


@test(*ALL)
def refused_connection(t):
    equal(error_of(t.connect, t.socket(), next(ports)), "ECONNREFUSED")


@test(*ALL)
def unreachable_and_unavailable(t):
    sock = t.socket()
    equal(error_of(t.bind, sock, next(ports), "2001:db8::9" if ":" in t.host else "192.0.2.9"),
          "EADDRNOTAVAIL")
    equal(error_of(t.connect, t.socket(), 80, "2001:db8::9" if ":" in t.host else "192.0.2.9"),
          "ENETUNREACH")


@test(*ALL)
def non_blocking_connect(t):
    listener = t.listener()
    client = t.socket()
    client.setblocking(False)
    result = error_of(t.connect, client, t.port_of(listener))
    check(result in ("EINPROGRESS", None), result)
    check(select.select([], [client], [], 5)[1], "never became writable")
    equal(client.getsockopt(SOL, socket.SO_ERROR), 0)
    equal(error_of(t.connect, client, t.port_of(listener)), None if result else "EISCONN")
    equal(error_of(t.connect, client, t.port_of(listener)), "EISCONN")


@test(*ALL)
def non_blocking_refusal_is_in_so_error(t):
    client = t.socket()
    client.setblocking(False)
    result = error_of(t.connect, client, next(ports))
    if result == "ECONNREFUSED":
        return
    equal(result, "EINPROGRESS")
    poll = select.poll()
    poll.register(client, select.POLLIN | select.POLLOUT)
    events = poll.poll(5000)
    check(events and events[0][1] & select.POLLERR and events[0][1] & select.POLLHUP, events)
    equal(client.getsockopt(SOL, socket.SO_ERROR), 111)
    equal(client.getsockopt(SOL, socket.SO_ERROR), 0)


@test(*FAR, *MIXED)
def both_ends_open_at_once(t):
    """RFC 9293 3.5, figure 7."""
    with Link() as link:
        link.netem("delay", "500ms")
        port, socks = next(ports), []
        for namespace, side in sides(t):
            with inside(namespace):
                socks.append(side.socket())
                side.bind(socks[-1], port, side.host if namespace == Link.FAR else side.host[:-1] + "1")
                socks[-1].setblocking(False)
        with within(0.4):
            for (_, side), sock, end in zip(sides(t), socks, "21"):
                equal(error_of(side.connect, sock, port, side.host[:-1] + end), "EINPROGRESS")
        for sock in socks:
            check(select.select([], [sock], [], 20)[1], "never became writable")
            equal((sock.getsockopt(SOL, socket.SO_ERROR), state(sock)), (0, ESTABLISHED))
            sock.setblocking(True)
        exchange(*socks, 1000)


@test(*ALL)
def connects_to_itself(t):
    sock, port = t.socket(), next(ports)
    t.bind(sock, port)
    t.connect(sock, port)
    equal((t.port_of(sock), t.port_of(sock, peer=True), state(sock)), (port, port, ESTABLISHED))
    sock.sendall(b"echo")
    equal(receive_exactly(sock, 4), b"echo")
    sock.shutdown(socket.SHUT_WR)
    equal(sock.recv(1), b"")
    until(lambda: state(sock) == CLOSED, text=lambda: f"in state {state(sock)}")


@test(*ALL)
def wrong_states(t):
    sock = t.socket()
    equal(error_of(sock.send, b"x"), "EPIPE")
    equal(error_of(sock.recv, 1), "ENOTCONN")
    equal(error_of(t.port_of, sock, True), "ENOTCONN")
    equal(error_of(sock.shutdown, socket.SHUT_RD), "ENOTCONN")
    equal(error_of(t.accept, sock), "EINVAL")
    listener = t.listener()
    equal(error_of(t.connect, listener, next(ports)), "EISCONN")
    equal(error_of(listener.recv, 1), "ENOTCONN")
    equal(error_of(t.bind, listener, next(ports)), "EINVAL")


@test(*ALL)
def wrong_addresses(t):
    sock = t.socket()
    good = t.address(next(ports))
    for length in (0, 1, 2, 7, 15):
        check(error_of(call, libc.bind, sock.fileno(), good, length) in ("EINVAL", "EAFNOSUPPORT"), length)
        check(error_of(call, libc.connect, sock.fileno(), good, length) in ("EINVAL", "EAFNOSUPPORT"), length)
    wrong = struct.pack("=H", 77) + good[2:]
    equal(error_of(call, libc.bind, sock.fileno(), wrong, len(wrong)), "EAFNOSUPPORT")
    equal(error_of(call, libc.connect, sock.fileno(), wrong, len(wrong)), "EAFNOSUPPORT")
    equal(error_of(call, libc.bind, sock.fileno(), None, 28), "EFAULT")
    for length in (129, -1, -1 << 31):
        equal(error_of(call, libc.bind, sock.fileno(), good + bytes(200), length), "EINVAL", f"length {length}")
        equal(error_of(call, libc.connect, sock.fileno(), good + bytes(200), length), "EINVAL", f"length {length}")
    equal(error_of(call, libc.bind, sock.fileno(), good + bytes(100), 128), None, "what follows is ignored")
    equal(error_of(t.connect, t.socket(), 0), "ECONNREFUSED", "port 0")


@test(*ALL)
def addresses_of_many(t):
    """Nobody is connected to all."""
    many = ("ff02::1", "ff05::1", "ff0e::1") if ":" in t.host else \
        ("224.0.0.1", "239.1.1.1", "127.255.255.255", "255.255.255.255")
    for host in many:
        equal(error_of(t.connect, t.socket(), next(ports), host), "ENETUNREACH", host)
        # IPv4's can be bound to, though nothing comes of it.
        equal(error_of(t.bind, t.socket(), next(ports), host), "EINVAL" if ":" in t.host else None, host)


@test(TCP6, SLUICE6, INET6, REAL6)
def link_local_addresses_need_their_link(t):
    def bound(device=None):
        sock = t.socket()
        if device:
            sock.setsockopt(SOL, socket.SO_BINDTODEVICE, device.encode() + b"\0")
        return sock

    def errors(sock, host, scope=0):
        raw = sluice_address(host, next(ports), t.family, scope)
        return [error_of(call, function, sock.fileno(), raw, len(raw)) for function in (libc.connect, libc.bind)]
    here = socket.if_nametoindex("lo")
    none = here + 1000
    equal(errors(bound(), "fe80::1"), ["EINVAL", "EINVAL"])
    equal(errors(bound(), "fe80::1", here), ["ENETUNREACH", "EADDRNOTAVAIL"])
    equal(errors(bound(), "fe80::1", none), ["ENETUNREACH", "ENODEV"])
    equal(errors(bound("lo"), "fe80::1"), ["ENETUNREACH", "EADDRNOTAVAIL"])
    equal(errors(bound("lo"), "fe80::1", none), ["EINVAL", "ENODEV"], "not the one that it is bound to")
    equal(errors(bound("lo"), "::1", none)[0], "ECONNREFUSED", "a scope that means nothing")


def scope_of(sock, function):
    raw, length = ctypes.create_string_buffer(128), ctypes.c_uint32(128)
    call(function, sock.fileno(), raw, ctypes.byref(length))
    return struct.unpack_from("=I", raw.raw, 24)[0]


@test(KERNEL6, V6, V6_INET, OURS6)
def transfers_between_link_local_addresses(t):
    near, far = "fe80::1:1", "fe80::1:2"
    with Link():
        for (ns, device), host in zip(Link.DEVICES, (near, far)):
            command("ip", "-n", ns, "addr", "add", host + "/64", "dev", device, "nodad")
        for bound in (False, True):
            with inside(Link.FAR):
                listener = t.listener(host=far + "%v1" if bound else "::")
            with inside(Link.NEAR):
                client = t.socket()
                if bound:
                    t.bind(client, 0, near + "%v0")
                t.connect(client, t.port_of(listener), far + "%v0")
                scope = socket.if_nametoindex("v0")
            server = t.accept(listener)
            listener.close()
            equal([scope_of(client, function) for function in (libc.getsockname, libc.getpeername)], [scope, scope])
            exchange(client, server, 200000)


@test(*ALL)
def privileged_port_needs_capability(t):
    pid = os.fork()
    if pid == 0:
        os.setuid(65534)
        os._exit(0 if error_of(t.bind, t.socket(), 81) == "EACCES" else 1)
    equal(os.waitpid(pid, 0)[1], 0)


@test(*ALL)
def taken_port(t):
    first = t.socket()
    port = next(ports)
    t.bind(first, port)
    first.listen(1)
    second = t.socket()
    equal(error_of(t.bind, second, port), "EADDRINUSE")
    second.setsockopt(SOL, socket.SO_REUSEADDR, 1)
    equal(error_of(t.bind, second, port), "EADDRINUSE")


@test(*ALL)
def reuseaddr_after_time_wait(t):
    listener = t.listener()
    port = t.port_of(listener)
    client = t.socket()
    t.connect(client, port)
    server = t.accept(listener)
    server.close()
    client.recv(1)
    client.close()
    listener.close()
    equal(error_of(t.bind, t.socket(), port), "EADDRINUSE")
    again = t.socket()
    again.setsockopt(SOL, socket.SO_REUSEADDR, 1)
    t.bind(again, port)
    again.listen(1)


def sharing(t, count, prepare=lambda sock, i: None):
    """So many listeners of one port."""
    port = next(ports)
    listeners = []
    for i in range(count):
        sock = t.socket()
        sock.setsockopt(SOL, socket.SO_REUSEPORT, 1)
        prepare(sock, i)
        t.bind(sock, port)
        sock.listen(64)
        listeners.append(sock)
    return port, listeners


def heard(t, port, listeners, count=12):
    """How many of so many connections each of them got."""
    clients = []
    for _ in range(count):
        clients.append(t.socket())
        t.connect(clients[-1], port)
    counts = [0] * len(listeners)
    while sum(counts) < count:      # the last ACK of a handshake comes after connect() has returned
        ready = select.select(listeners, [], [], 20)[0]
        check(ready, f"only {counts} of {count}")
        for listener in ready:
            t.accept(listener).close()
            counts[listeners.index(listener)] += 1
    for client in clients:
        client.close()
    return counts


def classic_program(sock, *instructions):
    code = b"".join(struct.pack("=HBBI", *instruction) for instruction in instructions)
    buffer = ctypes.create_string_buffer(code)
    program = struct.pack("@HP", len(instructions), ctypes.addressof(buffer))
    sock.setsockopt(SOL, ATTACH_CBPF, program)


def extended_program(sock, *instructions):
    """Of the kind of a socket filter (bpf(2))."""
    code = ctypes.create_string_buffer(b"".join(instructions))
    license_name = ctypes.create_string_buffer(b"GPL")
    attributes = struct.pack("=IIQQ", 1, len(instructions), ctypes.addressof(code),
                             ctypes.addressof(license_name)).ljust(120, b"\0")
    number = {"x86_64": 321}[os.uname().machine]
    fd = ctypes.CDLL(None, use_errno=True).syscall(number, 5, attributes, len(attributes))
    check(fd >= 0, os.strerror(ctypes.get_errno()))
    sock.setsockopt(SOL, ATTACH_EBPF, fd)
    os.close(fd)


@test(*ALL)
def reuseport_spreads(t):
    counts = heard(t, *sharing(t, 2), 40)
    equal(sum(counts), 40)
    check(min(counts) > 0, counts)


@test(*ALL)
def program_chooses_among_equals(t):
    port, listeners = sharing(t, 3)
    ret = 0x06
    classic_program(listeners[2], (ret, 0, 0, 1))      # any of them may say for all
    equal(heard(t, port, listeners), [0, 12, 0])
    equal(sum(heard(t, port, listeners, 4)), 4)
    extended_program(listeners[0], b"\xb7\0\0\0\2\0\0\0", b"\x95" + bytes(7))      # r0 = 2; exit
    equal(heard(t, port, listeners), [0, 0, 12])
    classic_program(listeners[0], (ret, 0, 0, 7))      # there is no such one: the hash
    counts = heard(t, port, listeners, 60)
    equal(sum(counts), 60)
    check(min(counts) > 0, counts)
    listeners[1].setsockopt(SOL, DETACH, 0)
    check(min(heard(t, port, listeners, 60)) > 0)
    equal(error_of(lambda: listeners[1].setsockopt(SOL, DETACH, 0)), "ENOENT")
    lone = t.socket()
    equal(error_of(lambda: classic_program(lone, (ret, 0, 0, 0))), "EINVAL")


@test(*ALL)
def program_set_before_listening_serves_who_comes_later(t):
    def attach(sock, i):
        if i == 0:
            classic_program(sock, (0x06, 0, 0, 1))
    port, listeners = sharing(t, 2, attach)
    equal(heard(t, port, listeners), [0, 12])
    listeners[1].close()        # none has that number any more
    equal(heard(t, port, listeners[:1]), [12])


@test(*ALL)
def listener_of_the_cpu_is_chosen(t):
    cpus = sorted(os.sched_getaffinity(0))
    own = dict(enumerate(cpus))     # the last listener has none
    port, listeners = sharing(t, len(cpus) + 1,
                              lambda sock, i: sock.setsockopt(SOL, INCOMING_CPU, own.get(i, -1)))
    try:
        for i, cpu in own.items():
            os.sched_setaffinity(0, {cpu})
            equal(heard(t, port, listeners), [12 * (n == i) for n in range(len(listeners))])
    finally:
        os.sched_setaffinity(0, cpus)


@test(*ALL)
def cpu_that_received_is_told(t):
    cpus = os.sched_getaffinity(0)
    client, server = t.pair()
    try:
        for cpu in cpus:
            os.sched_setaffinity(0, {cpu})
            client.sendall(b"x")
            equal(server.recv(1), b"x")
            equal(server.getsockopt(SOL, INCOMING_CPU), cpu)
    finally:
        os.sched_setaffinity(0, cpus)


@test(*ALL)
def backlog_limits_what_waits(t):
    listener = t.listener(backlog=2)

    def waiting():
        return struct.unpack_from("=II", listener.getsockopt(TCP, socket.TCP_INFO, 104), 24)

    def begin(count):
        clients = []
        for _ in range(count):
            clients.append(t.socket())
            clients[-1].setblocking(False)
            error_of(t.connect, clients[-1], t.port_of(listener))
        return clients
    first = begin(3)
    until(lambda: waiting() == (3, 2), text=lambda: f"{waiting()}, not backlog + 1")
    equal(len(select.select([], first, [])[1]), 3)
    late = begin(3)
    equal(select.select([], late, [], 0.3)[1], [])
    t.accept(listener).close()
    until(lambda: select.select([], late, [], 0)[1], text="there was room for one more")


@test(*ALL)
def accept_times_out_and_is_interrupted(t):
    listener = t.listener()
    listener.setblocking(True)
    listener.setsockopt(SOL, socket.SO_RCVTIMEO, struct.pack("ll", 0, 500000))
    begin = time.monotonic()
    equal(error_of(t.accept, listener), "EAGAIN")
    check(TIMED_OUT < time.monotonic() - begin < 20)


@test(*ALL)
def accepted_sockets_block_unless_asked(t):
    """SOCK_NONBLOCK of accept4() alone decides, not the listener's."""
    for own, asked in ((False, True), (True, False)):
        listener = t.listener()
        client = t.socket()
        t.connect(client, t.port_of(listener))
        wait_readable(listener)
        listener.setblocking(not own)
        server = t.accept(listener, socket.SOCK_NONBLOCK if asked else 0)
        equal(bool(fcntl.fcntl(server, fcntl.F_GETFL) & os.O_NONBLOCK), asked)
        if asked:
            equal(error_of(call, libc.recv, server.fileno(), ctypes.create_string_buffer(1), 1, 0), "EAGAIN")
    equal(error_of(call, libc.accept4, listener.fileno(), None, None, 1), "EINVAL", "an unknown flag")


@test(*ALL)
def shutdown_of_listener_wakes_accept(t):
    listener = t.listener()
    thread = threading.Timer(0.2, lambda: listener.shutdown(socket.SHUT_RDWR))
    thread.start()
    equal(error_of(t.accept, listener), "EINVAL")
    thread.join()


@test(*ALL)
def disconnected_by_af_unspec(t):
    client, server = t.pair()
    unspec = struct.pack("=H", 0) + bytes(26)
    call(libc.connect, client.fileno(), unspec, 28)
    equal(error_of(server.recv, 1), "ECONNRESET")
    equal(error_of(client.recv, 1), "ECONNRESET")
    equal(error_of(client.recv, 1), "ENOTCONN")


# ---- programs of the control group ------------------------------------------------

def instruction(code, registers=0, offset=0, value=0):
    return struct.pack("=BBhi", code, registers, offset, value)


def verdict(allow):
    return instruction(0xb7, value=allow) + instruction(0x95)      # r0 = allow; exit


@contextlib.contextmanager
def ruled(group, kind, points, *instructions):
    """A program has a say at each of these points, of IPv4 and IPv6."""
    with contextlib.ExitStack() as programs:
        for point in points:
            programs.enter_context(group.program(kind, point, *instructions))
        yield


def connecting(group, *instructions):
    return ruled(group, 18, (10, 11), *instructions)


def binding(group, *instructions):
    return ruled(group, 9, (12, 13), *instructions)


@test(*ALL)
def cgroup_refuses_connect(t):
    listener = t.listener()
    with Cgroup() as group, group.entered():
        client = t.socket()
        with connecting(group, verdict(0)):
            equal(error_of(t.connect, client, t.port_of(listener)), "EPERM")
            equal(error_of(call, libc.connect, client.fileno(), t.address(1), 8), "EINVAL", "a short address")
        t.connect(client, t.port_of(listener))
        client.close()


@test(*ALL)
def cgroup_leads_connect_elsewhere(t):
    listener = t.listener()
    port = t.port_of(listener)
    with Cgroup() as group, group.entered():
        client = t.socket()
        store = (instruction(0xb7, registers=2, value=socket.htons(port)),      # r2 = port
                 instruction(0x63, registers=0x21, offset=24))                  # context->user_port = r2
        with connecting(group, *store, verdict(1)):
            t.connect(client, next(ports))
        equal(t.port_of(client, peer=True), port)
        t.accept(listener).close()
        client.close()


@test(*ALL)
def port_that_the_cgroup_refuses_stays_free(t):
    port = next(ports)
    with Cgroup() as group, group.entered():
        refused = t.socket()
        with binding(group, verdict(0)):
            equal(error_of(t.bind, refused, port), "EPERM")
        equal(t.port_of(refused), 0)
        another = t.socket()
        t.bind(another, port)
        t.bind(refused, next(ports))
        refused.listen()
        refused.close()
        another.close()


# ---- data -----------------------------------------------------------------------

@test(*ALL)
def peek_leaves_the_bytes(t):
    client, server = t.pair()
    client.sendall(b"abcdef")
    wait_readable(server)
    equal(server.recv(3, socket.MSG_PEEK), b"abc")
    equal(server.recv(100, socket.MSG_PEEK), b"abcdef")
    equal(server.recv(100), b"abcdef")


def recent_kernel():
    return tuple(int(part) for part in os.uname().release.split(".")[:2]) >= (6, 9)


@test(*ALL)
def peeks_go_on_from_an_offset(t):
    """SO_PEEK_OFF."""
    client, server = t.pair()
    if not t.sluice and not recent_kernel():
        equal(error_of(server.setsockopt, SOL, 42, 0), "ENOTSUP", "TCP has it since 6.9")
        return
    equal(server.getsockopt(SOL, 42), -1)
    client.sendall(b"abcdefghij")
    wait_readable(server)
    server.setsockopt(SOL, 42, 2)
    equal(server.recv(3, socket.MSG_PEEK), b"cde")
    equal(server.getsockopt(SOL, 42), 5)
    equal(server.recv(100, socket.MSG_PEEK), b"fghij")
    equal(server.getsockopt(SOL, 42), 10)
    equal(error_of(server.recv, 100, socket.MSG_PEEK | socket.MSG_DONTWAIT), "EAGAIN")
    client.sendall(b"kl")
    equal(server.recv(100, socket.MSG_PEEK), b"kl")
    equal(server.recv(4), b"abcd", "reads begin at the beginning, and take it along")
    equal(server.getsockopt(SOL, 42), 8)
    equal(server.recv(100), b"efghijkl")
    equal(server.getsockopt(SOL, 42), 0)
    threading.Timer(0.2, lambda: client.sendall(b"later")).start()
    equal(server.recv(100, socket.MSG_PEEK), b"later", "waited for")
    equal(server.getsockopt(SOL, 42), 5)
    server.setsockopt(SOL, 42, -1)
    equal(server.recv(100, socket.MSG_PEEK), b"later")
    equal(server.recv(100, socket.MSG_PEEK), b"later")


class Stamp:
    """An option that asks for times: its value, and the control message that comes of it."""

    def __init__(self, name, option, value, layout, parts, kind=None):
        self.name, self.option, self.value, self.layout, self.parts = name, option, value, layout, parts
        self.kind = kind or option


RX_SOFTWARE = 8 | 16
STAMPS = (Stamp("us", 29, 1, "=qq", 1e6), Stamp("ns", 35, 1, "=qq", 1e9),
          Stamp("us-new", 63, 1, "=qq", 1e6), Stamp("ns-new", 64, 1, "=qq", 1e9),
          Stamp("all", 37, RX_SOFTWARE, "=qqqqqq", 1e9), Stamp("all-new", 65, RX_SOFTWARE, "=qqqqqq", 1e9))


watch = []


def take_times():
    """The kernel takes times while somebody asks, and begins and ends a moment late."""
    if watch:
        return
    watch.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    watch[0].setsockopt(SOL, STAMPS[0].option, 1)
    time.sleep(0.5)


@test(*ALL)
def received_bytes_tell_their_time(t):
    take_times()
    for stamp in STAMPS:
        client, server = t.pair()
        server.setsockopt(SOL, stamp.option, stamp.value)
        # recvmsg() of Python's wants a family that it knows.
        server = socket.socket(socket.AF_INET, socket.SOCK_STREAM, fileno=server.detach())
        client.sendall(b"whole segment")
        data, messages, _flags, _ = server.recvmsg(100, 200)
        equal(data, b"whole segment")
        equal([message[:2] for message in messages], [(SOL, stamp.kind)], stamp.name)
        seconds, parts = struct.unpack(stamp.layout, messages[0][2])[:2]
        check(abs(seconds + parts / stamp.parts - time.time()) < 5, f"{stamp.name}: {seconds}, {parts}")
        client.sendall(b"read in parts")
        first, again, rest = (server.recvmsg(4, 200), server.recvmsg(100, 200, socket.MSG_PEEK),
                              server.recvmsg(100, 200))
        equal((first[0], rest[0]), (b"read", b" in parts"))
        equal([len(first[1]), again[1], rest[1]], [1, first[1], first[1]], "of one segment")
        server.setsockopt(SOL, stamp.option, 0)
        client.sendall(b"more")
        equal(server.recvmsg(100, 200)[:2], (b"more", []), stamp.name)


@test(*ALL)
def a_syn_is_saved_and_taken_once(t):
    """TCP_SAVE_SYN, TCP_SAVED_SYN."""
    for what, link in ((0, 0), (1, 0), (2, 14)):
        def prepare(sock, value=what):
            sock.setsockopt(TCP, 27, value)
            equal(sock.getsockopt(TCP, 27), value)
        client, server = t.pair(before_listen=prepare)
        equal(client.getsockopt(TCP, 28, 200), b"", "a client")
        if not what:
            equal(server.getsockopt(TCP, 28, 200), b"", "not asked for")
            continue
        equal(error_of(server.getsockopt, TCP, 28, 39), "EINVAL", "too little room")
        saved = server.getsockopt(TCP, 28, 200)
        equal(server.getsockopt(TCP, 28, 200), b"", "again")
        header = 40 if ":" in t.host else 20
        equal(saved[link] >> 4, 6 if ":" in t.host else 4)
        segment = saved[link + header:]
        equal(struct.unpack_from("!HH", segment), (t.port_of(client), t.port_of(server)))
        equal((segment[12] >> 4) * 4, len(segment), "all of its options")
        equal(segment[13] & 0x3f, 2, "a SYN")
    sock = t.socket()
    for value in (-1, 3):
        equal(error_of(sock.setsockopt, TCP, 27, value), "EINVAL")


@test(*ALL)
def waitall_waits_for_all(t):
    client, server = t.pair()
    client.sendall(b"12345")
    threading.Timer(0.2, lambda: client.sendall(b"67890")).start()
    equal(server.recv(10, socket.MSG_WAITALL), b"1234567890")


@test(*ALL)
def trunc_discards(t):
    client, server = t.pair()
    client.sendall(b"x" * 1000 + b"end")
    wait_readable(server)
    done = 0
    while done < 1000:
        done += call(libc.recv, server.fileno(), None, 1000 - done, socket.MSG_TRUNC)
    equal(receive_exactly(server, 3), b"end")


@test(*ALL)
def dontwait_does_not_wait(t):
    client, server = t.pair()
    equal(error_of(server.recv, 1, socket.MSG_DONTWAIT), "EAGAIN")
    total = 0
    while True:
        try:
            total += client.send(b"x" * 65536, socket.MSG_DONTWAIT)
        except BlockingIOError:
            break
    check(total > 16384, total)


@test(*ALL)
def partial_send_when_the_buffer_fills(t):
    client, server = t.pair()
    client.setblocking(False)
    sent = client.send(b"y" * (64 << 20))
    check(0 < sent < 64 << 20, sent)
    client.setblocking(True)
    client.shutdown(socket.SHUT_WR)
    got = 0
    while part := server.recv(1 << 20):
        got += len(part)
    equal(got, sent)


def data_segments_out(sock):
    return struct.unpack_from("=I", sock.getsockopt(TCP, socket.TCP_INFO, 200), 156)[0]


UNSENT = 0x894B     # SIOCOUTQNSD


@test(*ALL)
def more_to_come_is_waited_for(t):
    """MSG_MORE, though not for ever."""
    client, server = t.pair()
    client.setsockopt(TCP, socket.TCP_NODELAY, 1)
    with within(0.15):
        equal([client.send(b"one ", socket.MSG_MORE), client.send(b"and ", socket.MSG_MORE)], [4, 4])
        equal((queue(client, UNSENT), data_segments_out(client)), (8, 0))
        equal(client.send(b"all"), 3)
    equal(receive_exactly(server, 11), b"one and all")
    equal((queue(client, UNSENT), data_segments_out(client)), (0, 1), "in one segment")
    client.send(b"late", socket.MSG_MORE)
    equal(receive_exactly(server, 4), b"late")


@test(*ALL)
def to_receive_nothing_waits_for_something(t):
    def received(sock, flags=socket.MSG_DONTWAIT):
        return error_of(call, libc.recv, sock.fileno(), None, ctypes.c_size_t(0), flags)

    equal(received(t.socket()), "ENOTCONN")
    client, server = t.pair()
    equal(received(server), "EAGAIN")
    client.send(b"x")
    wait_readable(server)
    equal([received(server), received(server, 0), received(server, socket.MSG_PEEK)], [None] * 3)
    equal(server.recv(10), b"x")
    abort(client)
    until(lambda: received(server) == "ECONNRESET")
    equal(received(server), None)


@test(*ALL)
def receive_timeout(t):
    client, server = t.pair()
    server.setblocking(True)
    server.setsockopt(SOL, socket.SO_RCVTIMEO, struct.pack("ll", 0, 500000))
    begin = time.monotonic()
    equal(error_of(server.recv, 1), "EAGAIN")
    check(TIMED_OUT < time.monotonic() - begin < 20)


@test(*ALL)
def send_timeout(t):
    client, _server = t.pair()
    client.setblocking(True)
    client.setsockopt(SOL, socket.SO_SNDTIMEO, struct.pack("ll", 0, 200000))
    total = 0
    while (error := error_of(lambda: client.send(b"z" * (1 << 20)))) is None:
        total += 1
    equal(error, "EAGAIN")


@test(*ALL)
def signals_interrupt(t):
    """What Python's own calls would begin again."""
    client, server = t.pair()
    buffer = ctypes.create_string_buffer(8)
    listener = t.listener()
    data, sent = bytes(8 << 20), []
    with disturbed():
        equal(error_of(call, libc.recv, server.fileno(), buffer, 1, 0), "EINTR")
        equal(error_of(t.accept, listener), "EINTR")
        listener.setsockopt(SOL, socket.SO_RCVTIMEO, struct.pack("ll", 60, 0))
        equal(error_of(t.accept, listener), "EINTR", "with a time-out")

        def send():
            sent.append(call(libc.send, client.fileno(), data, len(data), 0))
        while not (error := error_of(send)):
            pass
    equal(error, "EINTR", "what was full from the beginning")
    check(sent and all(0 < size < len(data) for size in sent), f"sent in part: {sent}")
    equal(len(receive_exactly(server, sum(sent))), sum(sent))
    equal(error_of(server.recv, 1, socket.MSG_DONTWAIT), "EAGAIN")


@test(*ALL)
def connect_that_has_to_wait(t):
    """It times out, is asked again, is interrupted, and goes on all the same."""
    listener = t.listener(backlog=0)
    port = t.port_of(listener)
    first, client = t.socket(), t.socket()
    t.connect(first, port)
    until(lambda: select.select([listener], [], [], 0)[0])      # no more than one: SYNs are dropped
    client.setsockopt(SOL, socket.SO_SNDTIMEO, struct.pack("ll", 0, 100000))
    equal(error_of(t.connect, client, port), "EINPROGRESS")
    equal(error_of(t.connect, client, port), "EALREADY")
    client.setsockopt(SOL, socket.SO_SNDTIMEO, struct.pack("ll", 0, 0))
    client.setblocking(False)
    equal(error_of(t.connect, client, port), "EALREADY")
    client.setblocking(True)
    with disturbed():
        equal(error_of(t.connect, client, port), "EINTR")
        client.setsockopt(SOL, socket.SO_SNDTIMEO, struct.pack("ll", 60, 0))
        equal(error_of(t.connect, client, port), "EINTR", "with a time-out")
    equal(error_of(call, libc.send, client.fileno(), b"x", 1, socket.MSG_DONTWAIT), "EAGAIN")
    t.accept(listener)
    equal(error_of(t.connect, client, port), None)
    equal(error_of(t.connect, client, port), "EISCONN")
    client.sendall(b"in the end")
    wait_readable(listener)
    equal(receive_exactly(t.accept(listener), 10), b"in the end")


@test(*ALL)
def end_of_stream_and_broken_pipe(t):
    client, server = t.pair()
    server.close()
    equal(client.recv(10), b"")
    client.send(b"x")
    until(lambda: error_of(client.send, b"x", socket.MSG_NOSIGNAL) == "EPIPE")


@test(*ALL)
def broken_pipe_signals(t):
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        client, _server = t.pair()
        client.shutdown(socket.SHUT_WR)
        client.send(b"x")
        os._exit(0)
    status = os.waitpid(pid, 0)[1]
    equal(os.WTERMSIG(status), signal.SIGPIPE)


@test(*ALL)
def half_close(t):
    client, server = t.pair()
    client.sendall(b"last")
    client.shutdown(socket.SHUT_WR)
    equal(receive_exactly(server, 4), b"last")
    equal(server.recv(1), b"")
    server.sendall(b"still")
    equal(receive_exactly(client, 5), b"still")
    equal(error_of(client.send, b"x", socket.MSG_NOSIGNAL), "EPIPE")


@test(*ALL)
def shutdown_of_reading(t):
    client, server = t.pair()
    client.shutdown(socket.SHUT_RD)
    equal(client.recv(10), b"")
    client.sendall(b"out")
    equal(receive_exactly(server, 3), b"out")


@test(*ALL)
def scatter_and_gather(t):
    client, server = t.pair()
    equal(os.writev(client.fileno(), [b"one", b"two", b"three"]), 11)
    wait_readable(server)
    parts = [bytearray(4), bytearray(100)]
    equal(os.readv(server.fileno(), parts), 11)
    equal((bytes(parts[0]), bytes(parts[1][:7])), (b"onet", b"wothree"))


class Part(ctypes.Structure):
    """struct iovec"""
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


class Message(ctypes.Structure):
    """struct mmsghdr"""
    _fields_ = [("name", ctypes.c_void_p), ("name_length", ctypes.c_uint32), ("parts", ctypes.POINTER(Part)),
                ("count", ctypes.c_size_t), ("control", ctypes.c_void_p), ("control_length", ctypes.c_size_t),
                ("flags", ctypes.c_long), ("length", ctypes.c_uint32)]


class Messages:
    """One for each buffer, as sendmmsg() and recvmmsg() take them."""

    def __init__(self, *contents):
        self.buffers = [ctypes.create_string_buffer(content, len(content)) for content in contents]
        self.parts = [Part(ctypes.addressof(buffer), len(buffer)) for buffer in self.buffers]
        self.array = (Message * len(contents))(*(Message(parts=ctypes.pointer(part), count=1) for part in self.parts))

    def pass_to(self, function, sock, flags=0, *more):
        """How many of them went, and how much of each."""
        count = call(function, sock.fileno(), self.array, len(self.array), flags, *more)
        return [message.length for message in self.array[:count]]

    def received(self, sock, flags=0):
        lengths = self.pass_to(libc.recvmmsg, sock, flags, None)
        return [buffer.raw[:length] for buffer, length in zip(self.buffers, lengths)]


@test(*ALL)
def many_messages_in_one_call(t):
    """They are parts of one stream."""
    client, server = t.pair()
    equal(Messages(b"one", b"", b"two", b"three").pass_to(libc.sendmmsg, client), [3, 0, 3, 5])
    until(lambda: queue(server, termios.FIONREAD) == 11)
    rooms = Messages(bytes(4), bytes(4), bytes(4), bytes(4))
    equal(rooms.received(server, socket.MSG_DONTWAIT), [b"onet", b"woth", b"ree"])
    equal(error_of(rooms.received, server, socket.MSG_DONTWAIT), "EAGAIN")
    threading.Timer(0.2, lambda: client.sendall(b"later")).start()
    wait_for_one = 0x10000
    equal(rooms.received(server, wait_for_one), [b"late", b"r"])
    client.setblocking(False)
    whole, part = Messages(bytes(1000), bytes(64 << 20), b"never").pass_to(libc.sendmmsg, client)
    check(whole == 1000 and 0 < part < 64 << 20, (whole, part))
    more = Messages(bytes(1 << 20))
    while (error := error_of(more.pass_to, libc.sendmmsg, client)) is None:
        pass
    equal(error, "EAGAIN")
    abort(client, server)
    client, server = t.pair()
    client.shutdown(socket.SHUT_WR)
    equal(error_of(Messages(b"x", b"y").pass_to, libc.sendmmsg, client, socket.MSG_NOSIGNAL), "EPIPE")
    equal(rooms.received(server), [b""] * 4, "the end, again and again")


@test(*ALL)
def queues_are_told(t):
    client, server = t.pair()
    client.sendall(b"q" * 500)
    wait_readable(server)
    equal(queue(server, termios.FIONREAD), 500)
    until(lambda: queue(client, termios.TIOCOUTQ) == 0)
    server.recv(100)
    equal(queue(server, termios.FIONREAD), 400)


@test(*FAR)
def the_end_is_in_the_queue_until_it_is_acknowledged(t):
    with Link() as link:
        client, server = joined(t)
        link.netem("delay", "100ms")
        client.send(b"q" * 500)
        client.shutdown(socket.SHUT_WR)
        equal([queue(client, which) for which in (termios.TIOCOUTQ, UNSENT)], [501, 0])
        until(lambda: queue(client, termios.TIOCOUTQ) == 0)
        equal(server.recv(1000, socket.MSG_WAITALL), b"q" * 500)
        client.close()
        server.close()


# ---- poll ---------------------------------------------------------------------------

@test(*ALL)
def poll_tells_what_can_be_done(t):
    client, server = t.pair()
    poll = select.poll()
    poll.register(server, select.POLLIN | select.POLLOUT | select.POLLRDHUP)
    equal(poll.poll(0), [(server.fileno(), select.POLLOUT)])
    client.sendall(b"x")
    wait_readable(server)
    equal(poll.poll(0)[0][1], select.POLLIN | select.POLLOUT)
    client.shutdown(socket.SHUT_WR)
    until(lambda: poll.poll(0)[0][1] & select.POLLRDHUP)
    equal(poll.poll(0)[0][1], select.POLLIN | select.POLLOUT | select.POLLRDHUP)
    server.shutdown(socket.SHUT_WR)
    until(lambda: poll.poll(0)[0][1] & select.POLLHUP, text="both directions are over")


@test(*ALL)
def epoll_edges(t):
    client, server = t.pair()
    epoll = select.epoll()
    epoll.register(server, select.EPOLLIN | select.EPOLLET)
    client.sendall(b"a")
    equal(len(epoll.poll(20)), 1)
    equal(len(epoll.poll(0.1)), 0, "no new edge")
    client.sendall(b"b")
    equal(len(epoll.poll(20)), 1)


@test(*ALL)
def epoll_writable_edge_after_full(t):
    client, server = t.pair()
    client.setblocking(False)
    epoll = select.epoll()
    while select.select([], [client], [], 0.3)[1]:      # what was on its way makes room once more
        error_of(client.send, b"x" * 65536)
    epoll.register(client, select.EPOLLOUT | select.EPOLLET)
    equal(len(epoll.poll(0.1)), 0)
    server.settimeout(0.5)
    try:
        while server.recv(1 << 20):
            pass
    except (TimeoutError, socket.timeout):
        pass
    equal(len(epoll.poll(20)), 1)


@test(*ALL)
def low_water_mark(t):
    client, server = t.pair()
    server.setsockopt(SOL, socket.SO_RCVLOWAT, 100)
    client.sendall(b"x" * 50)
    until(lambda: queue(server, termios.FIONREAD) == 50)
    equal(select.select([server], [], [], 0.1)[0], [])
    client.sendall(b"x" * 60)
    wait_readable(server)


@test(*ALL)
def low_water_mark_above_the_buffer_still_polls(t):
    client, server = t.pair()
    server.setsockopt(SOL, socket.SO_RCVLOWAT, 1 << 20)
    server.setsockopt(SOL, socket.SO_RCVBUF, 20000)
    client.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            client.send(bytes(1000))
    wait_readable(server)


@test(*ALL)
def listener_polls(t):
    listener = t.listener()
    equal(select.select([listener], [], [], 0)[0], [])
    client = t.socket()
    t.connect(client, t.port_of(listener))
    wait_readable(listener)


# ---- closing ---------------------------------------------------------------------------

@test(*ALL)
def pending_output_is_delivered_after_close(t):
    client, server = t.pair()
    client.setblocking(False)
    sent = client.send(b"p" * (8 << 20))
    client.close()
    got = 0
    while part := server.recv(1 << 20):
        got += len(part)
    equal(got, sent)


@test(*ALL)
def unread_input_resets_the_peer(t):
    client, server = t.pair()
    client.sendall(b"never read")
    wait_readable(server)
    server.close()
    equal(error_of(client.recv, 1), "ECONNRESET")


def time_waits(side, namespace):
    if side.sluice:
        return states(namespace)["TIME-WAIT"]
    return len(command("ss", "-tanH", "state", "time-wait", namespace=namespace).stdout.splitlines())


@test(*FAR, *MIXED)
def both_ends_close_at_once(t):
    """RFC 9293 3.6, figure 13: each is in CLOSING for as long as its FIN's acknowledgment takes."""
    with Link() as link:
        socks = t.joined() if isinstance(t, Mix) else joined(t)
        link.netem("delay", "500ms")
        seen = [[] for _ in socks]
        with within(0.4):
            for sock in socks:
                sock.shutdown(socket.SHUT_WR)
        while [told[-1:] for told in seen] != [[CLOSED], [CLOSED]]:
            with within(0.4):
                for sock, told in zip(socks, seen):
                    if (now := state(sock)) not in told[-1:]:
                        told.append(now)
                time.sleep(0.01)
        equal(seen, [[FIN_WAIT_1, CLOSING, CLOSED]] * 2)
        equal([time_waits(side, namespace) for namespace, side in sides(t)], [1, 1])
        for sock in socks:
            equal(sock.recv(1), b"")
            sock.close()


@test(*ALL)
def linger_zero_resets(t):
    before = counter("zero_linger_resets") if t.sluice else 0
    client, server = t.pair()
    client.setsockopt(SOL, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    equal(error_of(server.recv, 1), "ECONNRESET")
    if t.sluice:
        equal(counter("zero_linger_resets") - before, 1)


@test(*FAR)
def linger_waits_for_delivery(t):
    with Link() as link:
        client, server = joined(t)
        link.netem("delay", "200ms")
        client.setsockopt(SOL, socket.SO_LINGER, struct.pack("ii", 1, 15))
        client.sendall(b"x" * 1000)
        begin = time.monotonic()
        client.close()
        passed = time.monotonic() - begin
        check(0.38 < passed < 14, f"{passed} s for a round trip of 0.4 s")
        equal(server.recv(10000, socket.MSG_DONTWAIT), b"x" * 1000)
        equal(server.recv(1, socket.MSG_DONTWAIT), b"")
        server.close()


@test(*ALL)
def linger_gives_up(t):
    client, server = t.pair()
    client.setblocking(False)
    while error_of(client.send, b"x" * 65536) is None:
        pass
    client.setblocking(True)
    client.setsockopt(SOL, socket.SO_LINGER, struct.pack("ii", 1, 1))
    begin = time.monotonic()
    client.close()
    check(0.5 < time.monotonic() - begin < 20, time.monotonic() - begin)
    server.close()


@test(*ALL)
def linger_is_interrupted(t):
    """What was written is delivered all the same."""
    client, server = t.pair()
    client.setblocking(False)
    sent = client.send(bytes(16 << 20))
    client.setblocking(True)
    client.setsockopt(SOL, socket.SO_LINGER, struct.pack("ii", 1, 60))
    with disturbed():
        begin = time.monotonic()
        client.close()
        check(time.monotonic() - begin < 30, "not interrupted")
    equal(len(receive_exactly(server, sent)), sent)
    equal(server.recv(1), b"")


# ---- options -------------------------------------------------------------------------------

@test(*ALL)
def buffers_are_each_sockets_own(t):
    client, server = t.pair()
    before = server.getsockopt(SOL, socket.SO_SNDBUF)
    client.setsockopt(SOL, socket.SO_SNDBUF, 30000)
    equal(client.getsockopt(SOL, socket.SO_SNDBUF), 60000)
    equal(server.getsockopt(SOL, socket.SO_SNDBUF), before)
    client.setsockopt(SOL, socket.SO_RCVBUF, 50000)
    equal(client.getsockopt(SOL, socket.SO_RCVBUF), 100000)
    client.setsockopt(SOL, 32, 10 << 20)  # SO_SNDBUFFORCE
    equal(client.getsockopt(SOL, socket.SO_SNDBUF), 20 << 20)
    client.setsockopt(SOL, 33, 10 << 20)  # SO_RCVBUFFORCE
    equal(client.getsockopt(SOL, socket.SO_RCVBUF), 20 << 20)


@test(*ALL)
def buffers_exist_from_creation(t):
    """Of the sizes that new sockets have here."""
    def default(name):
        with open(f"/proc/sys/net/ipv4/{name}") as file:
            return int(file.read().split()[1])
    wanted = (default("tcp_wmem"), default("tcp_rmem"))
    sock = t.socket()
    equal((sock.getsockopt(SOL, socket.SO_SNDBUF), sock.getsockopt(SOL, socket.SO_RCVBUF)), wanted)
    t.bind(sock, next(ports))
    sock.listen(1)
    equal((sock.getsockopt(SOL, socket.SO_SNDBUF), sock.getsockopt(SOL, socket.SO_RCVBUF)), wanted)


@test(*ALL)
def small_send_buffer_bounds_what_is_queued(t):
    def small(sock):
        sock.setsockopt(SOL, socket.SO_SNDBUF, 8192)
        sock.setsockopt(SOL, socket.SO_RCVBUF, 8192)
    client, server = t.pair(before_connect=small, before_listen=small)
    client.setblocking(False)
    total = 0
    while select.select([], [client], [], 0.3)[1]:      # what was on its way makes room once more
        while error_of(client.send, b"x" * 1000) is None:
            total += 1000
    room = client.getsockopt(SOL, socket.SO_SNDBUF) + server.getsockopt(SOL, socket.SO_RCVBUF)
    equal(room, 32768)
    check(8192 <= total <= room, f"{total} bytes in buffers of {room}")


@test(*ALL)
def tcp_options_read_back(t):
    client, _server = t.pair()
    for option, value in ((socket.TCP_NODELAY, 1), (socket.TCP_CORK, 1), (socket.TCP_KEEPIDLE, 100),
                          (socket.TCP_KEEPINTVL, 20), (socket.TCP_KEEPCNT, 4), (socket.TCP_SYNCNT, 3),
                          (socket.TCP_LINGER2, 30), (socket.TCP_USER_TIMEOUT, 5000),
                          (socket.TCP_NOTSENT_LOWAT, 20000)):
        client.setsockopt(TCP, option, value)
        equal(client.getsockopt(TCP, option), value, f"option {option}")


@test(*ALL)
def wrong_option_values(t):
    client, _server = t.pair()
    for option, value in ((socket.TCP_MAXSEG, 10), (socket.TCP_MAXSEG, 40000), (socket.TCP_KEEPIDLE, 0),
                          (socket.TCP_KEEPIDLE, 40000), (socket.TCP_KEEPINTVL, 0), (socket.TCP_KEEPCNT, 128),
                          (socket.TCP_SYNCNT, 0), (socket.TCP_SYNCNT, 128), (socket.TCP_USER_TIMEOUT, -1)):
        equal(error_of(client.setsockopt, TCP, option, value), "EINVAL", f"option {option} = {value}")
    equal(error_of(client.setsockopt, TCP, socket.TCP_NODELAY, b"\1"), "EINVAL", "a short value")
    equal(error_of(client.setsockopt, TCP, 9999, 1), "ENOPROTOOPT")
    equal(error_of(client.getsockopt, TCP, 9999), "ENOPROTOOPT")
    equal(error_of(client.setsockopt, 9999, 1, 1), "ENOPROTOOPT")


@test(*ALL)
def congestion_control_by_name(t):
    sock = t.socket()
    cc = sock.getsockopt(TCP, socket.TCP_CONGESTION, 16)
    equal(cc.rstrip(b"\0"), b"cubic")
    sock.setsockopt(TCP, socket.TCP_CONGESTION, b"reno")
    equal(sock.getsockopt(TCP, socket.TCP_CONGESTION, 16).rstrip(b"\0"), b"reno")
    equal(error_of(sock.setsockopt, TCP, socket.TCP_CONGESTION, b"nonesuch"), "ENOENT")


@test(*ALL)
def tcp_info_is_told(t):
    client, server = t.pair()
    client.sendall(b"x" * 1000)
    receive_exactly(server, 1000)
    info = client.getsockopt(TCP, socket.TCP_INFO, 256)
    check(len(info) >= 104, len(info))
    equal(info[0], 1, "TCP_ESTABLISHED")
    rto, ato, snd_mss, rcv_mss = struct.unpack_from("=IIII", info, 8)
    check(rto >= 200000, rto)
    check(snd_mss > 500, snd_mss)
    check(struct.unpack_from("=I", info, 80)[0] >= 2, "snd_cwnd")


@test(*ALL)
def sockets_know_themselves(t):
    listener = t.listener()
    equal(listener.getsockopt(SOL, socket.SO_ACCEPTCONN), 1)
    equal(listener.getsockopt(SOL, socket.SO_TYPE), socket.SOCK_STREAM)
    equal(t.socket().getsockopt(SOL, socket.SO_ACCEPTCONN), 0)


@test(*ALL)
def accepted_sockets_inherit(t):
    def prepare(listener):
        listener.setsockopt(TCP, socket.TCP_NODELAY, 1)
        listener.setsockopt(TCP, socket.TCP_KEEPIDLE, 77)
        listener.setsockopt(SOL, socket.SO_KEEPALIVE, 1)
        listener.setsockopt(TCP, socket.TCP_CONGESTION, b"reno")
    _client, server = t.pair(before_listen=prepare)
    equal(server.getsockopt(TCP, socket.TCP_NODELAY), 1)
    equal(server.getsockopt(TCP, socket.TCP_KEEPIDLE), 77)
    equal(server.getsockopt(SOL, socket.SO_KEEPALIVE), 1)
    equal(server.getsockopt(TCP, socket.TCP_CONGESTION, 16).rstrip(b"\0"), b"reno")


@test(*FAR)
def keepalive_ends_a_dead_connection_alone(t):
    with Link():
        pairs = [joined(t) for _ in range(2)]
        (dead, _), (alive, server) = pairs
        command("nft", "-f", "-", namespace=Link.FAR, input=f"""
            table inet t {{
                chain in {{
                    type filter hook prerouting priority raw;
                    @th,0,16 {t.port_of(dead)} drop
                }}
            }}""")
        for client, _ in pairs:
            client.setsockopt(TCP, socket.TCP_KEEPIDLE, 1)
            client.setsockopt(TCP, socket.TCP_KEEPINTVL, 1)
            client.setsockopt(TCP, socket.TCP_KEEPCNT, 2)
            client.setsockopt(SOL, socket.SO_KEEPALIVE, 1)
        begin = time.monotonic()
        equal(error_of(dead.recv, 1), "ETIMEDOUT")
        passed = time.monotonic() - begin
        check(1.5 < passed < 20, f"{passed} s for an idle one and two probes")
        equal(error_of(dead.send, b"x", socket.MSG_NOSIGNAL), "EPIPE")
        alive.sendall(b"alive")
        equal(receive_exactly(server, 5), b"alive")
        abort(*(sock for pair in pairs for sock in pair))


if __name__ == "__main__":
    run(*sys.argv[1:])
