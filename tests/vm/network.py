#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# The whole system, inside the VM: transfers through bad links, a thousand
# connections, namespaces, the tools.
import errno
import json
import os
import resource
import select
import socket
import struct
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from error_queue import take  # noqa: E402
from mix import KERNEL4, KERNEL6, OURS4, OURS6  # noqa: E402
from network import Link, beyond, counter, counters, file_holds, inside, sluice, states  # noqa: E402
from network import run as command  # noqa: E402
from peer import Peers  # noqa: E402
from runner import check, equal, run, test, until  # noqa: E402
from segment import RST, SYN, checksum, packed  # noqa: E402
from tap import Tap  # noqa: E402
from traffic import (SO_RCVBUFFORCE, V4, V4_INET, V6, Stream, exchange, finish, joined, settle,  # noqa: E402
                     with_buffers)
from transport import (AF_SLUICE, INET, REAL4, REAL6, SLUICE4, SLUICE6, TCP4, TCP6, Transport,  # noqa: E402
                       error_of)

# ---- transfers ---------------------------------------------------------------------

@test(V4, V6, V4_INET)
def clean_link(t):
    with Link():
        client, server = joined(t)
        exchange(client, server, 20 << 20)


@test(V4, V6, V4_INET)
def bad_link(t):
    with Link() as link:
        # Only headers are corrupted, and those of IP and Ethernet are seen before.
        link.netem("delay", "5ms", "1ms", "loss", "2%", "reorder", "2%", "duplicate", "1%", "corrupt", "4%")
        client, server = joined(t)
        exchange(client, server, 500000)
        far = counters(Link.FAR)
        check(far["retrans_segs"] > 0, "nothing was lost")
        check(far["bad_checksum"] + far["bad_header"] > 0, "nothing was corrupted")


def largest(t, client, server, device):
    """The most payload of a packet: as it left, before anything cuts it."""
    with Tap(t.port_of(client), device) as tap:
        with_buffers(1 << 28, SO_RCVBUFFORCE)(tap.socket)    # all of it, with nobody reading
        exchange(client, server, 5 << 20)
        return max(len(packet.payload) for packet in tap.so_far())


@test()
def packets_are_as_large_as_kernel_tcp_has_them():
    def through_the_link(t):
        with Link():
            ends = joined(t)
            with inside(Link.NEAR):
                return largest(t, *ends, "v0")

    def on_loopback(t):
        with Link(), inside(Link.NEAR):
            return largest(t, *t.pair(), "lo")

    # A packet's last segment may be a small one, so full ones are counted.
    for way, full, kernel, ours in ((through_the_link, 1448, KERNEL4, (V4, V4_INET, OURS4)),
                                    (through_the_link, 1428, KERNEL6, (V6, OURS6)),
                                    (on_loopback, 65483, TCP4, (SLUICE4, INET, REAL4)),
                                    (on_loopback, 65463, TCP6, (SLUICE6, REAL6))):
        wanted = way(kernel) // full
        check(wanted * full > 60000, wanted)
        equal({t.name: way(t) // full for t in ours}, {t.name: wanted for t in ours}, way.__name__)


@test(V4, V6)
def small_mtu(t):
    with Link() as link:
        link.mtu(1280 if t is V6 else 576)
        client, server = joined(t)
        exchange(client, server, 1 << 20)


@test(V4, V6)
def path_mtu_is_discovered(t):
    with Link(), beyond() as last:
        host = "fd02::2" if t is V6 else "10.2.0.2"
        with inside(last):
            listener = t.listener(host=host)
        with inside(Link.NEAR):
            client = t.socket()
            t.connect(client, t.port_of(listener), host)
        server = t.accept(listener)
        exchange(client, server, 1 << 20)
        check(counter("mtu_reductions", Link.NEAR) >= 1, "the path MTU went unnoticed")


# ---- segmentation offload ----------------------------------------------------------

def offload(namespace, device, **features):
    command("ethtool", "-K", device, *(word for name, value in features.items() for word in (name, value)),
            namespace=namespace)


def segments_out(sock):
    return struct.unpack_from("=I", sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 200), 136)[0]


def arrivals():
    """Packets that the far end's device took in."""
    with inside(Link.FAR), open("/proc/thread-self/net/dev") as file:
        return next(int(line.split()[2]) for line in file if line.split()[0] == "v1:")


# Packets as they come to the transport, merged or not.
COUNTING = """
    table inet t {
        chain came { type filter hook input priority 0; counter; }
    }"""


def bulk(t, size=8 << 20):
    """Segments sent, packets that crossed the link, and packets that the transport was given."""
    client, server = joined(t)
    command("nft", "-f", "-", namespace=Link.FAR, input=COUNTING)
    before = arrivals()
    data, got = os.urandom(1 << 16) * (size >> 16), bytearray()
    sender = threading.Thread(target=lambda: (client.sendall(data), client.shutdown(socket.SHUT_WR)))
    sender.start()
    while part := server.recv(1 << 18):
        got += part
    sender.join()
    check(got == data, f"{len(got)} bytes, or other ones")
    segments = segments_out(client)
    client.close()
    server.close()
    crossed = arrivals() - before
    rules = command("nft", "list", "chain", "inet", "t", "came", namespace=Link.FAR).stdout
    came = int(rules.split("packets ")[1].split()[0])
    settle()
    check(segments > size // 1500, segments)
    return segments, crossed, came


@test(KERNEL4, KERNEL6, V4, V6)
def large_packets_cross_the_link(t):
    with Link():
        segments, crossed, came = bulk(t)
        check(crossed < segments / 5 and came < segments / 5, (segments, crossed, came))


@test(KERNEL4, KERNEL6, V4, V6)
def packets_are_cut_where_the_device_cannot(t):
    with Link():
        offload(Link.NEAR, "v0", tso="off")
        segments, crossed, _ = bulk(t)
        check(segments * 0.9 < crossed < segments * 1.2, (segments, crossed))


@test(KERNEL4, KERNEL6, V4, V6)
def packets_are_merged_where_they_come_in(t):
    with Link():
        offload(Link.NEAR, "v0", tso="off")
        offload(Link.FAR, "v1", gro="on")
        segments, _, came = bulk(t)
        check(came < segments / 3, (segments, came))


@test(SLUICE4, SLUICE6, INET)
def thousand_connections(t):
    resource.setrlimit(resource.RLIMIT_NOFILE, (8192, 8192))
    listener = t.listener(backlog=1024)
    port = t.port_of(listener)
    pairs = []
    for _ in range(1000):
        client = t.socket()
        t.connect(client, port)
        pairs.append((client, t.accept(listener)))
    for number, (client, server) in enumerate(pairs):
        client.sendall(struct.pack("=I", number) * 1000)
        server.sendall(struct.pack("=I", ~number & 0xffffffff) * 500)
    for number, (client, server) in enumerate(pairs):
        equal(server.recv(4000, socket.MSG_WAITALL), struct.pack("=I", number) * 1000)
        equal(client.recv(2000, socket.MSG_WAITALL), struct.pack("=I", ~number & 0xffffffff) * 500)
    for client, server in pairs:
        client.close()
        equal(server.recv(1), b"")
        server.close()


def crowd(t, count):
    """So many connections from the near namespace to the far one, all begun at once."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (8192, 8192))
    clients, servers = {}, {}
    with inside(Link.FAR):
        listener = t.listener(backlog=count, host=t.host)
    with inside(Link.NEAR):
        for _ in range(count):
            client = t.socket()
            client.setblocking(False)
            equal(error_of(t.connect, client, t.port_of(listener)), "EINPROGRESS")
            clients[t.port_of(client)] = client
    while len(servers) < count:
        server = t.accept(listener)
        servers[t.port_of(server, peer=True)] = server
    listener.close()
    return [(clients[port], servers[port]) for port in clients]


def queue(namespace, device):
    return json.loads(command("tc", "-n", namespace, "-s", "-j", "qdisc", "show", "dev", device).stdout)[0]


def packets(namespace, device):
    """What a device's queue let pass, and what it dropped."""
    shown = queue(namespace, device)
    return shown["packets"], shown["drops"]


def nothing_is_under_way():
    """Between the ends of the Link; who answers from TIME_WAIT may have something there."""
    return not any(queue(ns, device)["qlen"] for ns, device in Link.DEVICES)


@test(V4, V6)
def thousand_connections_through_a_bad_link(t):
    # What comes in while the machine stands still is not to be lost behind the link, unseen.
    with file_holds("/proc/sys/net/core/netdev_max_backlog", "100000"), Link() as link:
        link.netem("delay", "10ms", "3ms", "loss", "1%", limit=20000)
        begin = {name: packets(name, device) for name, device in ((Link.NEAR, "v0"), (Link.FAR, "v1"))}
        pairs = crowd(t, 1000)
        streams = []
        for i, (client, server) in enumerate(pairs):
            streams.append(Stream(2 * i, client, server, 2000 + i * 37 % 5000))
            streams.append(Stream(2 * i + 1, server, client, 1000 + i * 61 % 4000))
        finish(streams)
        for sock in (sock for pair in pairs for sock in pair):
            sock.close()
        settle(60)
        until(nothing_is_under_way)
        near, far = counters(Link.NEAR), counters(Link.FAR)
        for one, name, device, other, sent in ((near, Link.NEAR, "v0", far, streams[0::2]),
                                               (far, Link.FAR, "v1", near, streams[1::2])):
            size = sum(len(stream.data) for stream in sent)
            equal((one["bytes_out"], other["bytes_in"]), (size, size), f"{name} sent, the other end got")
            check(one["retrans_segs"] > 0 and one["out_of_order"] > 0, "the link was a good one")
            equal(one["estab_resets"] + one["give_ups"] + one["bad_checksum"] + one["bad_header"], 0)
            passed, dropped = (now - then for now, then in zip(packets(name, device), begin[name]))
            # But for what looks neighbours up.
            check(0 <= passed - other["segs_in"] < 30, (passed, other["segs_in"]))
            check(0 <= passed + dropped - one["segs_out"] - one["retrans_segs"] < 30,
                  (passed, dropped, one["segs_out"], one["retrans_segs"]))
        equal((near["active_opens"], far["passive_opens"]), (1000, 1000))
        # What was overtaken by the last ACK finds nobody: that RST ends the TIME_WAIT (RFC 1337).
        ended = near["time_wait_kills"] + far["time_wait_kills"]
        equal(states(Link.NEAR)["TIME-WAIT"] + states(Link.FAR)["TIME-WAIT"],
              near["time_wait_entered"] + far["time_wait_entered"] - ended, "TIME_WAITs")


# ---- ICMP errors ---------------------------------------------------------------------

class Router:
    """The far end, which says of the SYNs to a host behind it what it is told to say."""

    def __init__(self, v6):
        self.v6 = v6
        self.host = "fd09::1" if v6 else "10.9.0.1"
        command("ip", "-n", Link.NEAR, "route", "add", self.host, "via", Link.V6 if v6 else Link.V4)
        command("ip", "-n", Link.FAR, "route", "add", "blackhole", self.host)    # else it would speak for itself
        with inside(Link.FAR):
            self.seen = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x86dd if v6 else 0x0800))
            self.icmp = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_RAW,
                                      socket.IPPROTO_ICMPV6 if v6 else socket.IPPROTO_ICMP)
        self.seen.settimeout(20)

    def syn(self, port):
        """The packet with the SYN from that port."""
        header, place = (40, 24) if self.v6 else (20, 16)
        while True:
            packet = self.seen.recv(2000)
            if packet[place:header] == packed(self.host) and \
                    struct.unpack_from("!H", packet, header)[0] == port and packet[header + 13] == SYN:
                return packet

    def complain(self, packet, kind, code, rest=0, ahead=0):
        """ahead: of the sequence number that is quoted."""
        place = (40 if self.v6 else 20) + 4
        seq = struct.unpack_from("!I", packet, place)[0] + ahead & 0xffffffff
        quote = packet[:place] + struct.pack("!I", seq) + packet[place + 4:]
        message = struct.pack("!BBHI", kind, code, 0, rest) + quote
        if not self.v6:     # the kernel knows the other one's
            message = message[:2] + struct.pack("!H", checksum(message)) + message[4:]
        self.icmp.sendto(message, ("fd00::1" if self.v6 else "10.1.0.1", 0))


# type, code -> what connect() fails with
ERRORS4 = {(3, 0): "ENETUNREACH", (3, 1): "EHOSTUNREACH", (3, 2): "ENOPROTOOPT", (3, 3): "ECONNREFUSED",
           (3, 5): "ENOTSUP", (3, 6): "ENETUNREACH", (3, 7): "EHOSTDOWN", (3, 8): "ENONET",
           (3, 9): "ENETUNREACH", (3, 10): "EHOSTUNREACH", (3, 11): "ENETUNREACH", (3, 12): "EHOSTUNREACH",
           (3, 13): "EHOSTUNREACH", (3, 14): "EHOSTUNREACH", (3, 15): "EHOSTUNREACH", (11, 0): "EHOSTUNREACH",
           (12, 0): "EPROTO"}
ERRORS6 = {(1, 0): "ENETUNREACH", (1, 1): "EACCES", (1, 2): "EHOSTUNREACH", (1, 3): "EHOSTUNREACH",
           (1, 4): "ECONNREFUSED", (1, 5): "EACCES", (1, 6): "EACCES", (1, 7): "EPROTO", (3, 0): "EHOSTUNREACH",
           (3, 1): "EHOSTUNREACH", (4, 0): "EPROTO", (100, 0): "EPROTO"}
# Too big, source quench, a fragment that came late, a code that is none.
NO_ERRORS4, NO_ERRORS6 = ((3, 4, 1300), (4, 0), (11, 1), (3, 16)), ((2, 0, 1300),)


def begun(t, router, *options):
    """A client with these options, and the packet with its SYN."""
    with inside(Link.NEAR):
        client = t.socket()
        client.setblocking(False)
        for option in options:
            client.setsockopt(*option)
        equal(error_of(t.connect, client, 9, router.host), "EINPROGRESS")
    return client, router.syn(t.port_of(client))


def result(t, client, router):
    client.setblocking(True)
    with inside(Link.NEAR):
        return error_of(t.connect, client, 9, router.host)


@test(KERNEL4, KERNEL6, V4, V6, V4_INET, OURS4, OURS6)
def icmp_errors_end_connect(t):
    errors, others = (ERRORS6, NO_ERRORS6) if t.host == Link.V6 else (ERRORS4, NO_ERRORS4)
    with Link():
        router = Router(t.host == Link.V6)
        for (kind, code), error in errors.items():
            client, packet = begun(t, router)
            router.complain(packet, kind, code)
            equal(result(t, client, router), error, f"type {kind}, code {code}")
        client, packet = begun(t, router)
        for message in others:
            router.complain(packet, *message)
        for ahead in (1000, -1000):     # of what isn't in flight
            router.complain(packet, *next(iter(errors)), ahead=ahead)
        refused = next(which for which, error in errors.items() if error == "ECONNREFUSED")
        router.complain(packet, *refused)
        equal(result(t, client, router), "ECONNREFUSED", "after what must not matter")


@test(KERNEL6, V6, OURS6)
def icmp_errors_behind_extension_headers_end_connect(t):
    """Those for kernel TCP too, when real TCP of ours has looked at them."""
    with Link():
        router = Router(True)
        padding = struct.pack("=BBBB4x", 0, 0, 1, 4)
        router.icmp.setsockopt(socket.IPPROTO_IPV6, 59, padding)    # IPV6_DSTOPTS
        for beside in None, OURS6:
            with inside(Link.NEAR):
                other = beside and beside.socket()
            client, packet = begun(t, router)
            router.complain(packet, 1, 4)
            equal(result(t, client, router), "ECONNREFUSED", f"beside {other}")


IP_RECVERR, IPV6_RECVERR = (socket.IPPROTO_IP, 11), (socket.IPPROTO_IPV6, 25)
TCP_MAPPED, *OURS_MAPPED = [Transport(f"inet6-{protocol}-to-v4", socket.AF_INET6, protocol, Link.V4, "::")
                            for protocol in (0, 253, 257)]
# type, code, what follows, and what is told of that
QUEUED4 = (3, 1, 0, 0), (3, 3, 0, 0), (11, 0, 0, 0), (12, 0, 20 << 24, 20)
QUEUED6 = (1, 0, 0, 0), (1, 4, 0, 0), (3, 0, 0, 0), (4, 0, 40, 40)


def as_told(t, host):
    """An address in the form of the socket's family."""
    mapped = t.family != socket.AF_INET and ":" not in host
    return b"\0" * 10 + b"\xff\xff" + packed(host) if mapped else packed(host)


def report(t, client):
    """The error queue's next: the error, type, code and the rest; who said it; of a segment from which ports; and
    where recvmsg() says it was going. None: there is none."""
    v4 = t.family == socket.AF_INET
    try:
        quote, control, flags, address = take(client, socket.AF_INET if v4 else socket.AF_INET6)
    except BlockingIOError:
        return None
    check(flags & socket.MSG_ERRQUEUE, f"flags {flags:x}")
    (level, name, value), = control
    equal((level, name), IP_RECVERR if v4 else IPV6_RECVERR)
    number, origin, *what, _, rest = struct.unpack_from("=IBBBBI", value)
    equal(origin, 3 if t.host == Link.V6 else 2, "origin")
    offender = value[20:24] if v4 else value[24:40]
    return errno.errorcode[number], *what, rest, offender, struct.unpack_from("!HH", quote), address


def address_of(t, host, port):
    """As recvmsg() gives it; what Python doesn't know it cuts short."""
    if t.family == AF_SLUICE:
        return AF_SLUICE, struct.pack("!HI", port, 0) + as_told(t, host)[:8]
    if t.family == socket.AF_INET:
        return host, port
    return socket.inet_ntop(t.family, as_told(t, host)), port, 0, 0


def alarmed(sock):
    poll = select.poll()
    poll.register(sock, 0)
    return any(events & select.POLLERR for _, events in poll.poll(0))


@test(KERNEL4, KERNEL6, TCP_MAPPED, V4, V6, V4_INET, OURS4, OURS6, *OURS_MAPPED)
def what_ends_connect_is_in_the_error_queue(t):
    v6 = t.host == Link.V6
    errors = ERRORS6 if v6 else ERRORS4
    # Either does for IPv4 on an IPv6 socket.
    options = (IP_RECVERR,) * (not v6) + (IPV6_RECVERR,) * (t.family != socket.AF_INET)
    with Link():
        router = Router(v6)
        for option in options:
            for kind, code, rest, told in QUEUED6 if v6 else QUEUED4:
                client, packet = begun(t, router, (*option, 1))
                port = t.port_of(client)
                router.complain(packet, kind, code, rest)
                error = errors[kind, code]
                equal(result(t, client, router), error, f"type {kind}, code {code}")
                check(alarmed(client), "nothing tells of the report")
                equal(report(t, client), (error, kind, code, told, as_told(t, Link.V6 if v6 else Link.V4), (port, 9),
                                          address_of(t, router.host, 9)))
                equal((report(t, client), alarmed(client)), (None, False), "one error, one report")
        if t not in (KERNEL4, TCP_MAPPED):    # kernel TCP queues IPv4's unasked, too
            client, packet = begun(t, router)
            router.complain(packet, 1 if v6 else 3, 0)
            equal(result(t, client, router), "ENETUNREACH")
            equal(report(t, client), None, "unasked")


def complain_of_syn_ack(peers, peer, kind, code):
    """The near end, of what the far one has sent to that peer behind it."""
    v6, protocol = peers.v6, socket.IPPROTO_ICMPV6 if peers.v6 else socket.IPPROTO_ICMP
    length = 40 if v6 else 20
    header = struct.pack("!IHBB", 6 << 28, 20, peers.wire, 64) if v6 else \
        struct.pack("!BBHHHBBH", 0x45, 0, 40, 7, 0, 64, peers.wire, 0)
    quote = header + packed(peers.host) + packed(peer.source) + struct.pack("!HHI", peer.remote, peer.local, peer.ack - 1)
    equal(len(quote), length + 8)
    message = struct.pack("!BBHI", kind, code, 0, 0) + quote + bytes(12)
    if not v6:
        message = message[:2] + struct.pack("!H", checksum(message)) + message[4:]
    with inside(Link.NEAR), socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_RAW, protocol) as icmp:
        icmp.sendto(message, (peers.host, 0))


@test(KERNEL4, KERNEL6, V4, V6, V4_INET, OURS4, OURS6)
def what_ends_a_half_open_connection_is_in_no_queue(t):
    """Its socket is yet to be, and the listener isn't told."""
    v6, wire = t.host == Link.V6, 253 if t in (V4, V6, V4_INET) else socket.IPPROTO_TCP
    option = IPV6_RECVERR if v6 or t.family != socket.AF_INET else IP_RECVERR
    with Link(), Peers(t.host, wire) as peers, inside(Link.FAR):
        listener = t.listener(host=t.host)
        listener.setsockopt(*option, 1)
        listener.setblocking(False)
        ended, other = peers.peer(1, t.port_of(listener)), peers.peer(2, t.port_of(listener))
        for peer in ended, other:
            peer.say(SYN)
            peer.seq, peer.ack = peer.seq + 1, peer.hear().seq + 1
        complain_of_syn_ack(peers, ended, *((1, 4) if v6 else (3, 1)))
        ended.say()
        check(ended.hear(lambda segment: not segment.flags & SYN).flags & RST, "its last ACK finds nobody")
        equal((report(t, listener), alarmed(listener)), (None, False))
        equal(listener.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), 0)
        other.say()
        equal(select.select([listener], [], [], 20)[0], [listener])
        with t.accept(listener) as server:
            equal((report(t, server), alarmed(server)), (None, False), "of the other one")
            server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        equal(error_of(t.accept, listener), "EAGAIN")
        listener.close()


# ---- namespaces ----------------------------------------------------------------------

@test()
def namespaces_are_apart():
    with Link():
        with inside(Link.FAR):
            listener = SLUICE4.listener()
        with inside(Link.NEAR):
            equal(error_of(SLUICE4.connect, SLUICE4.socket(), SLUICE4.port_of(listener)), "ECONNREFUSED")
        sluice("set", "rto_min", "50ms", namespace=Link.NEAR)
        check("200" in sluice("get", "rto_min", namespace=Link.FAR).stdout)
        check("50" in sluice("get", "rto_min", namespace=Link.NEAR).stdout)
        equal(counter("active_opens", Link.FAR), 0)


# ---- tools ------------------------------------------------------------------------------

@test()
def ss_shows_connections():
    client, server = SLUICE4.pair()
    listener = SLUICE4.listener(backlog=7)
    client.sendall(b"x" * 1234)
    until(lambda: " 1234 " in sluice("ss").stdout)
    out = sluice("ss", "-a", "-i", "-m").stdout
    check("ESTAB" in out and "LISTEN" in out, out)
    check("cubic" in out and "cwnd:" in out and "rto:" in out, out)
    port = SLUICE4.port_of(client)
    line = [entry for entry in out.splitlines() if entry.startswith("ESTAB") and f"127.0.0.1:{port} " in entry + " "]
    check(len(line) == 2, out)
    check(any(" 1234 " in entry for entry in line), out)
    only = sluice("ss", f"sport = :{port}").stdout
    equal(only.count("ESTAB"), 1)
    check("LISTEN" not in sluice("ss", "-t", "established").stdout)
    listener.close()
    server.close()


@test()
def live_connection_changes_algorithm_and_buffers():
    client, server = SLUICE4.pair()
    here, there = f"127.0.0.1:{SLUICE4.port_of(client)}", f"127.0.0.1:{SLUICE4.port_of(server)}"
    sluice("set", here, there, "cc", "reno")
    equal(client.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16).rstrip(b"\0"), b"reno")
    sluice("set", here, there, "sndbuf", "100000")
    equal(client.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF), 200000)
    client.sendall(b"still works")
    equal(server.recv(100), b"still works")


@test()
def setting_needs_the_capability():
    done = command("setpriv", "--reuid", "65534", "--clear-groups", os.path.join("build", "userspace", "sluice"),
                   "set", "rto_min", "100ms", check=False)
    check(done.returncode != 0 and len(done.stderr.strip().splitlines()) == 1, done)
    check("100000" not in sluice("get", "-r", "rto_min").stdout)


if __name__ == "__main__":
    os.chdir(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    run(*sys.argv[1:])
