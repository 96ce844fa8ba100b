#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# What socket options do, inside the VM: on kernel TCP first. options.py has
# their errors and values; other suites test those options that they are about.
import os
import select
import socket
import struct
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import rtnetlink  # noqa: E402
from error_queue import take  # noqa: E402
from filters import DETACH_FILTER, LOCK_FILTER, classic_filter, extended_filter  # noqa: E402
from network import Link, counter, file_holds, inside, tune  # noqa: E402
from network import run as command  # noqa: E402
from runner import check, equal, run, test, until, within  # noqa: E402
from segment import M32, SYN, checksum, packed  # noqa: E402
from tap import Tap  # noqa: E402
from tcp_info import tcp_info  # noqa: E402
from transport import (INET, INET6, REAL4, REAL6, SLUICE4, SLUICE6, TCP4, TCP6, Transport, error_of, libc,  # noqa: E402
                       ports)

ALL = (TCP4, TCP6, SLUICE4, SLUICE6, INET, INET6, REAL4, REAL6)
V4, V6 = (TCP4, SLUICE4, INET, REAL4), (TCP6, SLUICE6, INET6, REAL6)
SOL, TCP, IP, IP6 = socket.SOL_SOCKET, socket.IPPROTO_TCP, socket.IPPROTO_IP, socket.IPPROTO_IPV6
REAL_INET6 = Transport("inet6-257", socket.AF_INET6, 257, "::1", "::")


def is_v6(t):
    return ":" in t.host


def setting(*options):
    """What sets options (level, name, value) on a socket."""
    def prepare(sock):
        for option in options:
            sock.setsockopt(*option)
    return prepare


def quick_to_fail(sock):
    """Not after two minutes, when connecting goes wrong."""
    sock.setsockopt(TCP, socket.TCP_SYNCNT, 3)


def closed(*socks):
    """By a reset: nothing is left of them."""
    for sock in socks:
        sock.setsockopt(SOL, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()


# ---- level IPPROTO_TCP -------------------------------------------------------------------

INQ = 36
TIMESTAMP = 24


def inq_of(sock, room, flags=0):
    data, messages, _, _ = sock.recvmsg(room, 64, flags)
    equal([message[:2] for message in messages], [(TCP, INQ)])
    return len(data), struct.unpack("=i", messages[0][2])[0]


@test(*ALL)
def what_is_left_unread_is_told_by_tcp_inq(t):
    client, accepted = t.pair()
    # recvmsg() of Python's wants a family that it knows.
    server = socket.socket(socket.AF_INET, socket.SOCK_STREAM, fileno=accepted.detach())
    server.setsockopt(TCP, INQ, 1)
    client.sendall(bytes(100))
    until(lambda: len(server.recv(200, socket.MSG_PEEK)) == 100)
    equal(inq_of(server, 40), (40, 60))
    equal(inq_of(server, 10, socket.MSG_PEEK)[0], 10)
    equal(inq_of(server, 60), (60, 0))
    client.sendall(bytes(10))
    client.shutdown(socket.SHUT_WR)
    poll = select.poll()
    poll.register(server, select.POLLRDHUP)
    check(poll.poll(20000), "the end never came")
    equal(inq_of(server, 10), (10, 1), "the end is to be read yet")
    equal(inq_of(server, 10), (0, 1))


@test(*ALL)
def timestamp_of_the_next_segment_is_told(t):
    client, server = t.pair()
    with Tap(t.port_of(client)) as tap:
        before = client.getsockopt(TCP, TIMESTAMP)
        client.sendall(b"stamped")
        sent = tap.next(lambda packet: packet.payload)
        after = client.getsockopt(TCP, TIMESTAMP)
    stamp, _ = struct.unpack("!II", sent.option(8))
    check((stamp - before) & 0xffffffff <= (after - before) & 0xffffffff < 1 << 20, (before, stamp, after))
    equal(server.recv(20), b"stamped")


@test(*ALL)
def cork_holds_a_segment_until_it_is_drawn(t):
    client, server = t.pair()
    with Tap(t.port_of(client)) as tap:
        client.setsockopt(TCP, socket.TCP_CORK, 1)
        with within(0.15):    # after 0.2 s it would go in any case
            client.sendall(bytes(100))
            client.sendall(bytes(100))
            client.setsockopt(TCP, socket.TCP_CORK, 0)
        equal(len(tap.next(lambda packet: packet.payload).payload), 200)
        client.sendall(bytes(50))
        equal(len(tap.next(lambda packet: packet.payload).payload), 50, "without it")
    client.setsockopt(TCP, socket.TCP_CORK, 1)
    client.sendall(bytes(70))
    client.close()    # sends what is held
    equal(len(server.recv(500, socket.MSG_WAITALL)), 320)


@test(*ALL)
def user_timeout_ends_what_nobody_answers(t):
    client, server = t.pair()
    client.setsockopt(TCP, socket.TCP_USER_TIMEOUT, 700)
    classic_filter(server, 0)
    begin = time.monotonic()
    client.sendall(b"is anybody there?")
    client.settimeout(60)
    equal(error_of(client.recv, 1), "ETIMEDOUT")
    check(time.monotonic() - begin > 0.5, time.monotonic() - begin)
    closed(server)    # which wouldn't hear that the client is gone


@test(TCP4, SLUICE6, INET, REAL4)
def module_of_an_unknown_algorithm_is_asked_for_by_the_administrator(t):
    sock = t.socket()
    with tempfile.TemporaryDirectory() as directory:
        asked, loader = os.path.join(directory, "asked"), os.path.join(directory, "modprobe")
        with open(os.open(loader, os.O_CREAT | os.O_WRONLY, 0o755), "w") as file:
            file.write(f"#!/bin/sh\necho $* >> {asked}\n")
        with file_holds("/proc/sys/kernel/modprobe", loader):
            os.seteuid(65534)
            try:
                equal(error_of(sock.setsockopt, TCP, socket.TCP_CONGESTION, b"nobodys"), "ENOENT")
            finally:
                os.seteuid(0)
            equal(error_of(sock.setsockopt, TCP, socket.TCP_CONGESTION, b"nonesuch"), "ENOENT")
        with open(asked) as file:
            equal(file.read(), f"-q -- {'sluice-cc-' if t.sluice else 'tcp_'}nonesuch\n")


# ---- filters on what is received ---------------------------------------------------------


@test(*ALL)
def filters_refuse_segments(t):
    for attach in classic_filter, extended_filter:
        client, server = t.pair()
        attach(server, 0)
        with Tap(t.port_of(client)) as tap:
            client.sendall(b"data")
            for _ in range(2):    # the second time because the first was refused
                tap.next(lambda packet: packet.payload)
        equal(error_of(server.recv, 9, socket.MSG_DONTWAIT), "EAGAIN", attach.__name__)
        server.setsockopt(SOL, DETACH_FILTER, 0)
        server.settimeout(20)
        equal(server.recv(9), b"data", attach.__name__)
        equal(error_of(server.setsockopt, SOL, DETACH_FILTER, 0), "ENOENT")
        attach(server, -1)
        server.setsockopt(SOL, LOCK_FILTER, 1)
        equal(error_of(server.setsockopt, SOL, DETACH_FILTER, 0), "EPERM")
        equal(error_of(attach, server, 0), "EPERM")
        client.sendall(b"more")
        equal(server.recv(9), b"more", attach.__name__)


@test(*ALL)
def listeners_filter_refuses_syns(t):
    listener = t.listener()
    classic_filter(listener, 0)
    client = t.socket()
    client.setblocking(False)
    with Tap(t.port_of(listener)) as tap:
        equal(error_of(t.connect, client, t.port_of(listener)), "EINPROGRESS")
        for _ in range(2):
            tap.next(lambda packet: packet.flags & SYN)
        listener.setsockopt(SOL, DETACH_FILTER, 0)
    check(select.select([listener], [], [], 20)[0], "never connected")


# ---- level SOL_SOCKET --------------------------------------------------------------------

RULES = """
    table inet t {
        chain out {
            type filter hook output priority filter; policy accept;
            meta l4proto icmpv6 accept
            meta mark 7 meta priority 0:5 counter accept
            counter
        }
    }"""


@test(*ALL)
def mark_and_priority_are_on_every_packet(t):
    with Link(), inside(Link.NEAR):
        command("nft", "-f", "-", input=RULES)
        marked = setting((SOL, socket.SO_MARK, 7), (SOL, socket.SO_PRIORITY, 5))
        client, server = t.pair(marked, marked)
        equal(server.getsockopt(SOL, socket.SO_MARK), 7, "a child's mark")
        server.setsockopt(SOL, socket.SO_PRIORITY, 5)
        for sender, receiver in (client, server), (server, client):
            sender.sendall(bytes(3000))
            equal(len(receiver.recv(3000, socket.MSG_WAITALL)), 3000)
        rules = command("nft", "list", "chain", "inet", "t", "out").stdout
        right, others = [int(part.split()[0]) for part in rules.split("packets ")[1:]]
        check(right >= 5 and others == 0, rules)
        closed(client, server)


@test(*V4)
def dontroute_reaches_neighbours_alone(t):
    with Link():
        command("ip", "-n", Link.FAR, "addr", "add", "10.9.0.1/32", "dev", "lo")
        command("ip", "-n", Link.NEAR, "route", "add", "10.9.0.0/24", "via", Link.V4)
        with inside(Link.FAR):
            listener = t.listener(host=t.any)
        with inside(Link.NEAR):
            for host, dontroute, error in ((Link.V4, 1, None), ("10.9.0.1", 0, None), ("10.9.0.1", 1, "ENETUNREACH")):
                client = t.socket()
                quick_to_fail(client)
                client.setsockopt(SOL, socket.SO_DONTROUTE, dontroute)
                equal(error_of(t.connect, client, t.port_of(listener), host), error, f"{host}, {dontroute}")
                if not error:
                    closed(client, t.accept(listener))


BIND_TO_IFINDEX = 62


@test(*ALL)
def listeners_serve_the_device_they_are_bound_to(t):
    host = Link.V6 if is_v6(t) else Link.V4
    with Link():
        with inside(Link.FAR):
            listeners, port = {}, next(ports)
            for device, *way in ("v1", socket.SO_BINDTODEVICE, b"v1\0"), ("lo", BIND_TO_IFINDEX, 1):
                listeners[device] = sock = t.socket()
                sock.setsockopt(SOL, *way)    # one port, yet no conflict
                t.bind(sock, port, t.any)
                sock.listen()
            equal(error_of(t.bind, t.socket(), port, t.any), "EADDRINUSE", "at any device")
        for namespace, device, to in (Link.NEAR, "v1", host), (Link.FAR, "lo", t.host):
            with inside(namespace):
                client = t.socket()
                quick_to_fail(client)
                t.connect(client, port, to)
            equal([name for name in listeners if select.select([listeners[name]], [], [], 0.1)[0]], [device])
            server = t.accept(listeners[device])
            equal(server.getsockopt(SOL, socket.SO_BINDTODEVICE, 16), device.encode() + b"\0")
            client.sendall(b"there")
            equal(server.recv(9), b"there")
            closed(client, server)
        listeners["v1"].close()
        with inside(Link.NEAR):
            equal(error_of(t.connect, t.socket(), port, host), "ECONNREFUSED", "by another device")


# ---- what IP headers carry ---------------------------------------------------------------

HOP_LIMITS = {4: ((IP, socket.IP_TTL), (IP, 21), (IP, socket.IP_TOS)),
              6: ((IP6, socket.IPV6_UNICAST_HOPS), (IP6, 73), (IP6, socket.IPV6_TCLASS))}


@test(*ALL)
def packets_carry_the_sockets_hop_limit_and_class(t):
    limit, _, kind = HOP_LIMITS[6 if is_v6(t) else 4]
    port = next(ports)
    with Tap(port) as tap:
        listener = t.socket()
        setting((*limit, 44), (*kind, 0x48))(listener)
        t.bind(listener, port)
        listener.listen()
        client = t.socket()
        setting((*limit, 33), (*kind, 0x28))(client)
        t.connect(client, port)
        server = t.accept(listener)
        server.sendall(b"inherited")
        syn = tap.next(lambda packet: packet.flags & SYN and packet.destination == port)
        syn_ack = tap.next(lambda packet: packet.flags & SYN and packet.source == port)
        data = tap.next(lambda packet: packet.payload)
        setting((*limit, 77), (*kind, 0x88))(server)
        server.sendall(b"its own")
        own = tap.next(lambda packet: packet.payload)
    equal([(packet.ttl, packet.tos) for packet in (syn, syn_ack, data, own)],
          [(33, 0x28), (44, 0x48), (44, 0x48), (77, 0x88)])
    closed(client, server)


@test(*ALL)
def neighbours_alone_are_heard_from_the_handshake_on(t):
    """RFC 5082: each takes 255 only, and sends it."""
    limit, least, _ = HOP_LIMITS[6 if is_v6(t) else 4]
    both = setting((*limit, 255), (*least, 255), (TCP, socket.TCP_SYNCNT, 2))
    client, server = t.pair(both, both)
    client.sendall(b"near")
    equal(server.recv(9), b"near")


NO_OPTIONS = struct.pack("=BBBB4x", 0, 0, 1, 4)    # a header of options: just padding


@test(*V6)
def syn_acks_have_the_listeners_label_and_options(t):
    hop_by_hop, destination = 54, 59
    for automatic, option, header, seen in ((0, destination, b"", []), (1, destination, NO_OPTIONS, [60]),
                                            (0, hop_by_hop, NO_OPTIONS, [0])):
        port = next(ports)
        listener = t.socket()
        listener.setsockopt(IP6, 70, automatic)    # IPV6_AUTOFLOWLABEL
        listener.setsockopt(IP6, option, header)
        t.bind(listener, port)
        listener.listen()
        client = t.socket()
        with Tap(port) as tap:
            t.connect(client, port)
            server = t.accept(listener)
            server.sendall(b"data")
            for wanted in (lambda packet: packet.flags & SYN and packet.source == port, lambda packet: packet.payload):
                packet = tap.next(wanted)
                equal((bool(packet.label), packet.options), (bool(automatic), seen))
        closed(client, server)


def control_messages(data):
    """What is in a buffer of them."""
    messages, at = {}, 0
    while at + 16 <= len(data):
        length, level, kind = struct.unpack_from("=Qii", data, at)
        messages[level, kind] = data[at + 16:at + length]
        at += (length + 7) & ~7
    return messages


@test(*V4)
def header_of_the_last_ack_is_told_by_pktoptions(t):
    asked = setting((IP, 12, 1), (IP, 13, 1), (IP, 8, 1))    # RECVTTL, RECVTOS, PKTINFO
    client, server = t.pair(setting((IP, socket.IP_TTL, 33), (IP, socket.IP_TOS, 0x28)), asked)
    told = control_messages(server.getsockopt(IP, 9, 200))    # IP_PKTOPTIONS
    address = socket.inet_aton(t.host)
    equal(told, {(IP, 8): struct.pack("=i", socket.if_nametoindex("lo")) + address * 2,
                 (IP, socket.IP_TTL): struct.pack("=i", 33), (IP, socket.IP_TOS): struct.pack("=i", 0x28)})


INFO, HOPS, DESTINATION, CLASS = (IP6, 50), (IP6, 52), (IP6, 59), (IP6, 67)


def told_of_headers(sock):
    told = control_messages(sock.getsockopt(IP6, 6, 300))    # IPV6_2292PKTOPTIONS
    if header := told.get(DESTINATION):
        told[DESTINATION] = b"\0" + header[1:]    # but for what follows it
    return told


@test(*V6)
def headers_are_told_by_2292pktoptions(t):
    asked = setting((IP6, 49, 1), (IP6, 51, 1), (IP6, 66, 1), (IP6, 58, 1))    # RECVPKTINFO and so on
    hops, info = (IP6, socket.IPV6_UNICAST_HOPS), packed(t.host) + struct.pack("=I", socket.if_nametoindex("lo"))
    # What real TCP takes from the hook of local input has no destination options read yet.
    for header in ({},) if t is REAL6 else ({}, {DESTINATION: NO_OPTIONS}):
        client, server = t.pair(setting((*hops, 33), (IP6, socket.IPV6_TCLASS, 0x28),
                                        *[(*option, value) for option, value in header.items()]), asked)
        rest = {INFO: info, CLASS: struct.pack("=i", 0x28), **header}
        equal(told_of_headers(server), {HOPS: struct.pack("=i", 33), **rest}, "of the SYN")
        client.setsockopt(*hops, 44)
        client.sendall(b"data")
        equal(server.recv(9), b"data")
        equal(told_of_headers(server), {HOPS: struct.pack("=i", 44), **rest}, "of the data")
        if header:
            client.setsockopt(*DESTINATION, b"")
            client.sendall(b"without")
            equal(server.recv(9), b"without")
            check(DESTINATION not in told_of_headers(server), "what isn't there any more")


LABEL_MANAGER, GET, PUT, REFLECT = (IP6, 32), 0, 1, 4


def reflect(sock, action):
    sock.setsockopt(*LABEL_MANAGER, bytes(20) + struct.pack("=BBHHHI", action, 0, REFLECT, 0, 0, 0))


@test(TCP6, INET6)
def flow_label_of_the_address_is_sent(t):
    label = next(ports)    # one that nobody had: labels linger
    listener, client = t.listener(), t.socket()
    client.setsockopt(*LABEL_MANAGER, packed(t.host) + struct.pack("!I", label) +
                      struct.pack("=BBHHHI", GET, 1, 1, 0, 0, 0))    # exclusive, made for it
    client.setsockopt(IP6, 33, 1)    # IPV6_FLOWINFO_SEND
    with Tap(t.port_of(listener)) as tap:
        client.connect((t.host, t.port_of(listener), label, 0))
        client.sendall(b"data")
        for wanted in (lambda packet: packet.flags & SYN, lambda packet: packet.payload):
            equal(tap.next(wanted).label, label)
    closed(client)


@test(*V6)
def flow_labels_are_reflected(t):
    equal(error_of(reflect, t.socket(), GET), "EPERM", "labels are of one socket each")
    with file_holds("/proc/sys/net/ipv6/flowlabel_consistency", "0"):
        equal(error_of(reflect, t.socket(), PUT), "ESRCH")
        listener = t.socket()
        reflect(listener, GET)
        t.bind(listener, port := next(ports))
        listener.listen()
        client = t.socket()
        client.setsockopt(IP6, 70, 1)    # IPV6_AUTOFLOWLABEL
        with Tap(port) as tap:
            t.connect(client, port)
            server = t.accept(listener)
            server.sendall(b"the same")
            syn = tap.next(lambda packet: packet.flags & SYN and packet.source != port)
            check(syn.label, "a SYN without a label")
            for wanted in (lambda packet: packet.flags & SYN, lambda packet: packet.payload):
                equal(tap.next(wanted).label, syn.label)
            reflect(server, PUT)
            server.setsockopt(IP6, 70, 0)
            client.sendall(b"so that there is nothing to acknowledge")
            equal(server.recv(99)[:2], b"so")
            tap.so_far()
            server.sendall(b"none")
            equal(tap.next(lambda packet: packet.payload and packet.source == port).label, 0)
        closed(client, server)


@test(*V6)
def flow_labels_are_reflected_where_the_sysctl_says_so(t):
    with file_holds("/proc/sys/net/ipv6/flowlabel_reflect", "1"):
        listener = t.listener()
    client = t.socket()
    with Tap(t.port_of(listener)) as tap:
        t.connect(client, t.port_of(listener))
        t.accept(listener).sendall(b"data")
        syns = [tap.next(lambda packet: packet.flags & SYN).label for _ in range(2)]
        labels = [*syns, tap.next(lambda packet: packet.payload).label]
    check(labels[0] and len(set(labels)) == 1, labels)


@test(*V6)
def labels_change_where_nobody_answers(t):
    """So that another of equally good paths is tried, unless SO_TXREHASH forbids it."""
    for rehash in 1, 0:
        client, server = t.pair()
        client.setsockopt(SOL, 74, rehash)    # SO_TXREHASH
        client.setsockopt(IP6, 70, 1)    # IPV6_AUTOFLOWLABEL
        classic_filter(server, 0)
        with Tap(t.port_of(server)) as tap:
            client.sendall(b"is anybody there?")
            labels = [tap.next(lambda packet: packet.payload).label for _ in range(5)]
        check(labels[0] and (len(set(labels)) >= 3 if rehash else len(set(labels)) == 1), labels)
        if os.environ["SLUICE_VM"] != "6.1":    # which doesn't tell
            check(tcp_info(client)["rehash"] >= 2 if rehash else not tcp_info(client)["rehash"], tcp_info(client))
        closed(client, server)


# ---- path MTU ----------------------------------------------------------------------------

DONT, WANT, DO, PROBE, INTERFACE, OMIT = range(6)


@test(*V4)
def fragments_are_allowed_as_mtu_discover_says(t):
    for mode in range(6):
        port = next(ports)
        with Tap(port) as tap:
            listener = t.socket()
            listener.setsockopt(IP, 10, mode)
            t.bind(listener, port)
            listener.listen()
            client = t.socket()
            client.setsockopt(IP, 10, mode)
            t.connect(client, port)
            server = t.accept(listener)
            for sender, receiver in (client, server), (server, client):
                sender.sendall(b"data")
                equal(receiver.recv(9), b"data")
            # A SYN-ACK is smaller than any fragment.
            packets = [packet for packet in tap.so_far() if not packet.flags & SYN or packet.source != port]
        check(len(packets) >= 4, len(packets))
        equal({packet.df for packet in packets}, {mode in (WANT, DO)}, f"mode {mode}")
        closed(client, server)


def complaint(t, packet, kind, code, rest=0, ahead=0):
    """What a router says of this packet, or of one so much ahead, from 10.1.0.1 or fd00::1."""
    quote = packet.ip_header + packet.header[:4] + struct.pack("!I", packet.seq + ahead & M32) + bytes(12)
    message = struct.pack("!BBHI", kind, code, 0, rest) + quote
    if is_v6(t):
        return message    # the kernel does the checksum
    return message[:2] + struct.pack("!H", checksum(message)) + message[4:]


def table_entry(path, table, name):
    """One number of /proc/net/snmp or netstat."""
    with open(path) as file:
        names, values = [line.split() for line in file if line.startswith(table)]
    return int(values[names.index(name)])


class Across:
    """A client with options, a server at the far end of the Link, and a router there."""

    def __init__(self, t, *options):
        self.t, self.options = t, options

    def __enter__(self):
        v6, t = is_v6(self.t), self.t
        with inside(Link.NEAR):
            rtnetlink.set_link("v0", gso_max_segs=1)
        with inside(Link.FAR):
            listener = t.listener(host=t.any)
            self.raw = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_RAW, 58 if v6 else 1)
            self.tap = Tap(t.port_of(listener), "v1")
        with inside(Link.NEAR):
            self.client = t.socket()
            setting(*self.options)(self.client)
            t.connect(self.client, t.port_of(listener), Link.V6 if v6 else Link.V4)
        self.server = t.accept(listener)
        listener.close()
        return self

    def __exit__(self, *_):
        with self.tap, self.raw:
            closed(self.client, self.server)

    def heard(self):
        """The router's messages that have come to the client's end."""
        names = ("Icmp6InDestUnreachs", "Icmp6InPktTooBigs")
        with inside(Link.NEAR):
            if is_v6(self.t):
                with open("/proc/thread-self/net/snmp6") as file:
                    return sum(int(value) for name, value in map(str.split, file) if name in names)
            return table_entry("/proc/thread-self/net/snmp", "Icmp:", "InDestUnreachs")

    def complain(self, *what, **more):
        before = self.heard()
        self.raw.sendto(complaint(self.t, *what, **more), ("fd00::1" if is_v6(self.t) else "10.1.0.1", 0))
        until(lambda: self.heard() > before, text="the router isn't heard")


def size_after_too_big(t, mode, ahead=0):
    """How large packets become when a router has said that none above 1300 bytes passes, of the next one or of one
    ahead of it."""
    v6 = is_v6(t)
    with Link(), Across(t, (*((IP6, 23) if v6 else (IP, 10)), mode)) as across:
        sizes = []
        for _ in range(2):
            across.client.sendall(bytes(5000))
            equal(len(across.server.recv(5000, socket.MSG_WAITALL)), 5000)
            packets = [packet for packet in across.tap.so_far() if packet.payload]
            sizes.append(max(len(packet.ip_header + packet.header + packet.payload) for packet in packets))
            across.complain(packets[-1], *((2, 0) if v6 else (3, 4)), 1300, len(packets[-1].payload) + ahead)
        until(lambda: not ahead or out_of_window(t) == 2, text="nobody counts what isn't in flight")
        equal(sizes[0], 1500)
        return sizes[1]


def out_of_window(t):
    """Messages that the near end didn't believe."""
    if t.sluice:
        return counter("icmp_out_of_window", Link.NEAR)
    with inside(Link.NEAR):
        return table_entry("/proc/thread-self/net/netstat", "TcpExt:", "OutOfWindowIcmps")


@test(*ALL)
def too_big_is_heeded_as_mtu_discover_says(t):
    """With IPv4 TCP heeds it in each mode when it sends next, since the route has learned it."""
    for mode in range(6):
        heeds = not is_v6(t) or mode not in (INTERFACE, OMIT)
        equal(size_after_too_big(t, mode), 1300 if heeds else 1500, f"mode {mode}")


@test(*ALL)
def too_big_is_believed_of_what_is_in_flight_alone(t):
    """RFC 5927 4: who hasn't seen the connection doesn't know its numbers."""
    for ahead in 100000, -100000:
        equal(size_after_too_big(t, WANT, ahead), 1500, f"{ahead} ahead")


# ---- unreachable hosts -------------------------------------------------------------------

def sends_in_vain(across):
    """Data that the other end doesn't take, and of which a router says that it can't be reached now."""
    classic_filter(across.server, 0)
    across.client.sendall(b"is anybody there?")
    packet = across.tap.next(lambda packet: packet.payload)
    across.complain(packet, *((1, 3) if is_v6(across.t) else (3, 1)))


@test(*ALL)
def unreachable_host_is_what_a_time_out_tells(t):
    """RFC 1122 4.2.3.9: it may come back, so nothing else comes of it."""
    with Link(), Across(t, (TCP, socket.TCP_USER_TIMEOUT, 2000)) as across:
        client = across.client
        with within(1.5):
            sends_in_vain(across)
            poll = select.poll()
            poll.register(client, select.POLLIN)
            equal(poll.poll(100), [])
            equal(error_of(client.recv, 1, socket.MSG_DONTWAIT), "EAGAIN")
        client.settimeout(60)
        equal(error_of(client.recv, 1), "EHOSTUNREACH")


@test(*ALL)
def unreachable_host_is_told_at_once_to_who_asks(t):
    """By the error alone, not by the error queue; and the connection lives."""
    with Link(), Across(t, (*((IP6, 25) if is_v6(t) else (IP, 11)), 1)) as across:
        sends_in_vain(across)
        poll = select.poll()
        poll.register(across.client, 0)
        check(poll.poll(20000), "never told")
        equal(error_of(take, across.client), "EAGAIN")
        equal(error_of(across.client.recv, 1), "EHOSTUNREACH")
        across.server.setsockopt(SOL, DETACH_FILTER, 0)
        across.server.settimeout(20)
        equal(across.server.recv(99), b"is anybody there?")


@test(*ALL, limit=40)
def payload_makes_room_for_headers(t):
    """For those, too, that are asked for when the connection is open."""
    level, name, headers = (IP6, 59, struct.pack("=BBBB52x", 0, 6, 0x1e, 52)) if is_v6(t) else \
        (IP, 4, bytes([1] * 40))    # IPV6_DSTOPTS (one of RFC 4727 3.4), IP_OPTIONS
    with Link():
        with inside(Link.NEAR):
            rtnetlink.set_link("v0", gso_max_segs=1)
        with inside(Link.FAR):
            listener = t.listener(host=t.any)
            tap = Tap(t.port_of(listener), "v1")
        with inside(Link.NEAR):
            client = t.socket()
            t.connect(client, t.port_of(listener), Link.V6 if is_v6(t) else Link.V4)
        server = t.accept(listener)
        steps, plain = (b"", headers, b""), None
        for wanted in steps[:2] if t is TCP6 else steps:    # kernel TCP sees IPv6's come, but not go
            client.setsockopt(level, name, wanted)
            client.sendall(bytes(5000))
            equal(len(server.recv(5000, socket.MSG_WAITALL)), 5000)
            largest = max((packet for packet in tap.so_far() if packet.payload), key=lambda packet: len(packet.payload))
            plain = plain or len(largest.ip_header)
            equal(len(largest.ip_header), plain + len(wanted))
            equal(len(largest.ip_header + largest.header + largest.payload), 1500, f"{len(wanted)} bytes of options")
        with tap:
            closed(client, server, listener)


@test(*ALL)
def mtu_is_told(t):
    equal(error_of(t.socket().getsockopt, *((IP6, 24) if is_v6(t) else (IP, 14))), "ENOTCONN")
    with Link() as link, inside(Link.NEAR):
        for size in 1500, 1400:
            link.mtu(size)
            with inside(Link.FAR):
                listener = t.listener(host=t.any)
            client = t.socket()
            t.connect(client, t.port_of(listener), Link.V6 if is_v6(t) else Link.V4)
            equal(client.getsockopt(*((IP6, 24) if is_v6(t) else (IP, 14))), size)
            closed(client, t.accept(listener))


# ---- local addresses and ports -----------------------------------------------------------

NO_PORT, PORT_RANGE = 24, 51
NONLOCAL = {4: ((IP, 15), (IP, 19)), 6: ((IP6, 78), (IP6, 75))}    # FREEBIND, TRANSPARENT


@test(*ALL)
def port_is_chosen_by_connect_after_bind_address_no_port(t):
    with Link(), inside(Link.NEAR):
        tune(Link.NEAR, ip_local_port_range="40000 40000")
        listeners = [t.listener(), t.listener()]
        clients = [t.socket(), t.socket()]
        for client, listener in zip(clients, listeners):
            client.setsockopt(IP, NO_PORT, 1)
            t.bind(client, 0, t.host)
            equal(t.port_of(client), 0)
        for client, listener in zip(clients, listeners):
            t.connect(client, t.port_of(listener))
            equal(t.port_of(client), 40000, "one port does for two peers")
        lone = t.socket()
        equal(error_of(t.bind, lone, 0), "EADDRINUSE")
        closed(*clients, *[t.accept(listener) for listener in listeners])


@test(*ALL)
def ports_are_of_the_sockets_range(t):
    ranged = setting((IP, PORT_RANGE, struct.pack("=I", 41001 << 16 | 41000)))
    if error_of(ranged, t.socket()) == "ENOPROTOOPT":    # Linux before 6.3
        equal(error_of(ranged, TCP4.socket()), "ENOPROTOOPT")
        return
    bound = [t.socket() for _ in range(3)]
    for sock in bound:
        ranged(sock)
    equal([error_of(t.bind, sock, 0) for sock in bound], [None, None, "EADDRINUSE"])
    equal({t.port_of(sock) for sock in bound[:2]}, {41000, 41001})
    listener = t.listener()
    client = t.socket()
    ranged(client)
    equal(error_of(t.connect, client, t.port_of(listener)), "EADDRNOTAVAIL", "both are bound")
    bound[0].close()
    client = t.socket()
    ranged(client)
    t.connect(client, t.port_of(listener))
    check(t.port_of(client) in (41000, 41001), t.port_of(client))
    closed(client, t.accept(listener))


@test(*ALL)
def strangers_addresses_can_be_bound(t):
    host, options = ("2001:db8::9", NONLOCAL[6]) if is_v6(t) else ("192.0.2.9", NONLOCAL[4])
    equal(error_of(t.bind, t.socket(), next(ports), host), "EADDRNOTAVAIL")
    for option in options:
        sock = t.socket()
        sock.setsockopt(*option, 1)
        t.bind(sock, next(ports), host)


@test(*ALL)
def strangers_address_is_served_and_used_when_transparent(t):
    """Packets to it come to this machine by a rule; the answers go from it."""
    strangers, host = ("fd99::/64", "fd99::9") if is_v6(t) else ("192.0.2.0/24", "192.0.2.9")
    version = "-6" if is_v6(t) else "-4"
    transparent = NONLOCAL[6 if is_v6(t) else 4][1]
    with Link():
        command("ip", version, "-n", Link.NEAR, "route", "add", strangers, "via", Link.V6 if is_v6(t) else Link.V4)
        if is_v6(t):
            command("ip", version, "-n", Link.FAR, "route", "add", "local", strangers, "dev", "lo")
        else:
            command("ip", version, "-n", Link.FAR, "rule", "add", "iif", "v1", "lookup", "100")
            command("ip", version, "-n", Link.FAR, "route", "add", "local", strangers, "dev", "lo", "table", "100")
        with inside(Link.FAR):
            listener = t.socket()
            listener.setsockopt(*transparent, 1)
            t.bind(listener, port := next(ports), host)
            listener.listen()
        with inside(Link.NEAR):
            client = t.socket()
            quick_to_fail(client)
            t.connect(client, port, host)
        server = t.accept(listener)
        for sender, receiver in (client, server), (server, client):
            sender.sendall(b"strange")
            equal(receiver.recv(9), b"strange")
        closed(client, server)


# ---- IPv4 on IPv6 sockets ----------------------------------------------------------------

MAPPED = "::ffff:127.0.0.1"


@test(TCP6, SLUICE6, INET6, REAL_INET6, REAL6)
def ipv4_is_spoken_unless_v6only(t):
    to_v4 = {TCP6: TCP4, SLUICE6: INET, INET6: INET}.get(t, REAL4)
    for only in 0, 1:
        listener = t.socket()
        listener.setsockopt(IP6, socket.IPV6_V6ONLY, only)
        t.bind(listener, port := next(ports), t.any)
        listener.listen()
        client = to_v4.socket()
        equal(error_of(to_v4.connect, client, port), "ECONNREFUSED" if only else None)
        if not only:
            server = t.accept(listener)
            client.sendall(b"by IPv4")
            equal(server.recv(9), b"by IPv4")
            closed(client, server)
        listener.close()
        listener = to_v4.listener()
        client = t.socket()
        client.setsockopt(IP6, socket.IPV6_V6ONLY, only)
        equal(error_of(t.connect, client, to_v4.port_of(listener), MAPPED), "ENETUNREACH" if only else None)
        if not only:
            closed(client, to_v4.accept(listener))


class Versions:
    """An IPv6 socket and an IPv4 one in one space of ports."""

    def __init__(self, v6, v4):
        self.v6, self.v4 = v6, v4
        self.name = f"{v6.name}-{v4.name}"


@test(Versions(TCP6, TCP4), Versions(SLUICE6, INET), Versions(INET6, INET), Versions(REAL_INET6, REAL4),
      Versions(REAL_INET6, TCP4), Versions(REAL6, TCP4), Versions(TCP6, REAL4))
def both_versions_share_a_port_with_v6only(both):
    for only in 0, 1:
        for first, second in (both.v6, both.v4), (both.v4, both.v6):
            port = next(ports)
            with first.socket() as one, second.socket() as other:
                for t, sock in (first, one), (second, other):
                    if t is both.v6:
                        sock.setsockopt(IP6, socket.IPV6_V6ONLY, only)
                first.bind(one, port, first.any)
                equal(error_of(second.bind, other, port, second.any), None if only else "EADDRINUSE",
                      f"{second.name}, V6ONLY {only}")


if __name__ == "__main__":
    run(*sys.argv[1:])
