#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# Real TCP on Sluice, inside the VM: against kernel TCP in both roles, through
# bad links, beside kernel TCP on the same ports, under nftables and conntrack.
import contextlib
import fcntl
import os
import select
import socket
import struct
import sys
import termios
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from mix import (BOTH_OURS, FROM_KERNEL4, FROM_KERNEL6, KERNEL4, KERNEL6, MIXED, OURS4, OURS6, TO_KERNEL4,  # noqa: E402
                 TO_KERNEL6, Mix)
from network import Link, beyond, counter, counters, delete, inside, insmod, kernel_word, rmmod, sluice, tune  # noqa: E402
from network import run as command  # noqa: E402
from peer import Peers  # noqa: E402
from runner import check, equal, run, test, until  # noqa: E402
from segment import ACK, FIN, PSH, RST, SYN, Wire, build, packed  # noqa: E402
from traffic import V4, V6, Stream, abort, exchange, finish, traffic  # noqa: E402
from transport import REAL4, REAL6, SLUICE4, TCP4, TCP6, error_of, ports  # noqa: E402

OPTIONS = ("timestamps", "sack", "window_scaling")


# ---- against kernel TCP -----------------------------------------------------------

@test(*MIXED, *BOTH_OURS)
def clean_link(mix):
    with Link():
        client, server = mix.joined()
        exchange(client, server, 10 << 20)
        ns = Link.NEAR if mix.client in (OURS4, OURS6) else Link.FAR
        # Both of it were on IP protocol 6, in large segments.
        check(counter("segs_in", ns) > 100)


@test(*MIXED)
def bad_link(mix):
    with Link() as link:
        link.netem("delay", "5ms", "1ms", "loss", "2%", "reorder", "2%", "duplicate", "1%", "corrupt", "1.5%")
        client, server = mix.joined()
        exchange(client, server, 400000)


@test(*MIXED)
def small_mtu(mix):
    """Of IPv6 the least that there is; of IPv4 what each host must take, and less."""
    with Link() as link:
        for size in (1280,) if mix.server.host == Link.V6 else (576, 296):
            link.mtu(size)
            client, server = mix.joined()
            exchange(client, server, 300000)


def options_of(sock):
    """Which of OPTIONS are in use, as bits (tcpi_options)."""
    return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 6)[5] & 7


@test(*MIXED)
def every_option_off(mix):
    """Each alone, on our side or on both, and all: a bare header must do, too. Then all at once, under loss."""
    pairs = []

    def join(off):
        pairs.append(mix.joined())
        equal([options_of(sock) for sock in pairs[-1]], [7 & ~off] * 2, f"options without {off}")

    with Link() as link:
        ours = Link.NEAR if is_ours(mix.client) else Link.FAR
        join(0)
        for bit, name in enumerate(OPTIONS):
            sluice("set", name, "0", namespace=ours)
            join(1 << bit)
            sluice("set", name, "default", namespace=ours)
            for ns in (Link.NEAR, Link.FAR):
                tune(ns, **{f"tcp_{name}": 0})
            join(1 << bit)
            for ns in (Link.NEAR, Link.FAR):
                tune(ns, **{f"tcp_{name}": 1})
        for ns in (Link.NEAR, Link.FAR):
            tune(ns, **{f"tcp_{name}": 0 for name in OPTIONS})
        join(7)
        link.netem("delay", "1ms", "loss", "2%")
        finish([Stream(number, *ends, 100000) for number, pair in enumerate(pairs) for ends in (pair, pair[::-1])])
        abort(*(sock for pair in pairs for sock in pair))


@test(*MIXED)
def refusal_and_reset(mix):
    with Link():
        with inside(Link.NEAR):
            equal(error_of(mix.client.connect, mix.client.socket(), 9, mix.server.host), "ECONNREFUSED")
        client, server = mix.joined()
        abort(server)
        equal(error_of(client.recv, 1), "ECONNRESET")
        client.close()


@test(TO_KERNEL4, TO_KERNEL6)
def path_mtu_is_discovered(mix):
    with Link(), beyond() as last:
        host = "fd02::2" if mix.server.host == Link.V6 else "10.2.0.2"
        client, server = mix.joined(host, far=last)
        exchange(client, server, 1 << 20)
        check(counter("mtu_reductions", Link.NEAR) >= 1, "the path MTU went unnoticed")


def no_resets(ns):
    """Its kernel TCP says nothing to answers for a peer that is made by hand."""
    command("nft", "-f", "-", namespace=ns, input="""
        table inet t {
            chain out {
                type filter hook output priority filter; policy accept;
                tcp flags & rst == rst drop
            }
        }""")


NEAR_HOSTS = {Link.V4: "10.1.0.1", Link.V6: "fd00::1"}


@contextlib.contextmanager
def peer_by_hand(server):
    """A listener, and the near end's segments as the test writes them."""
    with Link():
        no_resets(Link.NEAR)
        with inside(Link.FAR), server.listener(host=server.host) as listener:
            with inside(Link.NEAR):
                wire = Wire(NEAR_HOSTS[server.host], socket.IPPROTO_TCP)
            yield listener, server.port_of(listener), wire


def fragments_made(v6):
    name = "Ip6FragCreates" if v6 else "IpFragCreates"
    return int(command("nstat", "-asz", name, namespace=Link.NEAR).stdout.split()[-2])


@test(KERNEL4, KERNEL6, OURS4, OURS6)
def fragments_are_put_together(server):
    """The peer is made by hand, and its segments are larger than a packet may be."""
    v6, data = server.host == Link.V6, os.urandom(5000)
    with peer_by_hand(server) as (listener, port, wire):
        level, discover = (socket.IPPROTO_IPV6, 23) if v6 else (socket.IPPROTO_IP, 10)
        wire.raw.setsockopt(level, discover, 0)

        def say(**what):
            wire.raw.sendto(build(NEAR_HOSTS[server.host], 4000, port, peer=server.host, window=9000, **what),
                            (server.host, 0))
        say(seq=100)
        isn, = struct.unpack_from("!I", wire.next(port, 4000), 4)
        say(seq=101, ack=isn + 1, flags=ACK | PSH, payload=data)
        check(fragments_made(v6) >= 4, "it went in one")
        accepted = server.accept(listener)
        accepted.settimeout(10)
        equal(accepted.recv(len(data), socket.MSG_WAITALL), data)
        abort(accepted)


ROUTING, AUTHENTICATION, DESTINATION = 43, 51, 60
# What stands before a SYN, and whether it is answered (RFC 8200 4.2, 4.4).
HEADERS = (
    (DESTINATION, bytes([1, 4]) + bytes(4), True),    # PadN
    (DESTINATION, bytes([0x1e, 4]) + bytes(4), True),    # to be skipped by who doesn't know it
    (DESTINATION, bytes([0x5e, 4]) + bytes(4), False),    # to be discarded
    (DESTINATION, bytes([0x9e, 4]) + bytes(4), False),    # and complained of
    (DESTINATION, bytes([0, 0, 0xde, 2]) + bytes(2), False),
    (DESTINATION, bytes([0x1e, 5]) + bytes(4), False),    # longer than there is room
    (ROUTING, bytes([9, 0]) + bytes(4), True),    # a route that was gone
    (ROUTING, bytes([9, 1]) + bytes(4), False),    # one that goes on
    (ROUTING, bytes([0, 1]) + bytes(4) + packed(Link.V6), False),
    (AUTHENTICATION, bytes(2) + struct.pack("!III", 0x999, 1, 0), False),    # by nobody who is known
)


@test(KERNEL6, OURS6)
def extension_headers_are_obeyed(server):
    near = NEAR_HOSTS[server.host]
    with peer_by_hand(server) as (_, port, wire):
        with inside(Link.NEAR):
            raw = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW)
        for number, (kind, body, _) in enumerate(HEADERS + ((socket.IPPROTO_TCP, b"", True),)):
            words = (2 + len(body)) // 4 - 2 if kind == AUTHENTICATION else len(body) // 8    # RFC 4302 2.2
            rest = (bytes([socket.IPPROTO_TCP, words]) + body if body else b"") + \
                build(near, 4000 + number, port, peer=server.host)
            header = struct.pack("!IHBB", 6 << 28, len(rest), kind, 64) + packed(near) + packed(server.host)
            raw.sendto(header + rest, (server.host, 0))
        answered = []
        while len(HEADERS) not in answered:    # the last one has none of them
            source, destination = struct.unpack_from("!HH", wire.raw.recv(1 << 16))
            if source == port:
                answered.append(destination - 4000)
        equal(answered, [number for number, (*_, right) in enumerate(HEADERS) if right] + [len(HEADERS)])


@test(KERNEL4, KERNEL6, OURS4, OURS6, V4, V6)
def redirects_are_followed(t):
    """To a network behind the far end, which says that a third host is nearer to it."""
    v6 = t.host == Link.V6
    far, new, host, net = ("fe80::ff:fe00:102", "fe80::3", "fd03::1", "fd03::/64") if v6 else \
        ("10.1.0.2", "10.1.0.3", "10.3.0.1", "10.3.0.0/24")
    with Link():
        for ns, device, via in ((Link.NEAR, "v0", far), (Link.FAR, "v1", new)):
            command("ip", "-n", ns, "-batch", "-", input=f"""
                neigh replace {new} lladdr {Link.MAC}9 dev {device} nud permanent
                route add {net} via {via} dev {device}
                """)
        command("ip", "-n", Link.NEAR, "neigh", "replace", far, "lladdr", Link.MAC + "2", "dev", "v0", "nud", "permanent")
        command("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1", namespace=Link.FAR)
        until(lambda: "inet6" not in command("ip", "-n", Link.FAR, "addr", "show", "tentative").stdout)
        with inside(Link.NEAR):
            client = t.socket()
            client.setblocking(False)
            equal(error_of(t.connect, client, 80, host), "EINPROGRESS")
        until(lambda: f"via {new} " in command("ip", "-n", Link.NEAR, "route", "get", host).stdout, 20,
              lambda: command("ip", "-n", Link.NEAR, "route", "get", host).stdout)
        client.close()


@test(FROM_KERNEL4, FROM_KERNEL6, TO_KERNEL4, TO_KERNEL6)
def unreachable_is_told(mix):
    """A router's ICMP error for a SYN reaches connect()."""
    v6 = mix.client.host == Link.V6
    net, via, hops = ("fd09:{}::", Link.V6, (socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS)) if v6 else \
        ("10.9.{}.", Link.V4, (socket.IPPROTO_IP, socket.IP_TTL))
    length = "/32" if v6 else "/24"
    routes = (("unreachable", (), "ENETUNREACH" if v6 else "EHOSTUNREACH"),
              ("prohibit", (), "EACCES" if v6 else "EHOSTUNREACH"),
              ("unicast", ("via", "fd00::9" if v6 else "10.1.0.9"), "EHOSTUNREACH"))    # too many hops away
    with Link():
        command("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1", namespace=Link.FAR)
        for number, (kind, where, error) in enumerate(routes):
            to = net.format(number) + ("" if v6 else "0") + length
            command("ip", "-n", Link.FAR, "route", "add", kind, to, *where)
            command("ip", "-n", Link.NEAR, "route", "add", to, "via", via)
            with inside(Link.NEAR):
                client = mix.client.socket()
                if kind == "unicast":
                    client.setsockopt(*hops, 1)
                equal(error_of(mix.client.connect, client, 9, net.format(number) + "1"), error, kind)


@test(FROM_KERNEL4, TO_KERNEL4, FROM_KERNEL6, TO_KERNEL6)
def ten_thousand_connections(mix):
    """Or, where KASAN and lockdep look on, so many that their time is well spent."""
    import resource
    count = 2000 if kernel_word() == "uml-debug" else 10000
    resource.setrlimit(resource.RLIMIT_NOFILE, (32768, 32768))
    with Link():
        with inside(Link.FAR):
            listener = mix.server.listener(backlog=4096, host=mix.server.host)
        port, pairs = mix.server.port_of(listener), []
        with inside(Link.NEAR):
            for _ in range(count):
                client = mix.client.socket()
                mix.client.connect(client, port)
                pairs.append((client, mix.server.accept(listener)))
        for number, (client, server) in enumerate(pairs):
            client.sendall(struct.pack("=I", number) * 100)
        for number, (client, server) in enumerate(pairs):
            equal(server.recv(400, socket.MSG_WAITALL), struct.pack("=I", number) * 100)
            client.close()
            equal(server.recv(1), b"")
            server.close()


# ---- urgent data (RFC 9293 3.8.5) ------------------------------------------------------

def receive_marked(sock, size):
    """The stream, its urgent bytes in line, and the place of the mark that reads stopped at last."""
    got, mark, answer = b"", None, bytes(4)
    while len(got) < size:
        if struct.unpack("=i", fcntl.ioctl(sock.fileno(), 0x8905, answer))[0]:    # SIOCATMARK
            mark = len(got)
        part = sock.recv(size - len(got))
        check(part, f"the stream ended after {len(got)} of {size} bytes")
        got += part
    return got, mark


def send_marked(sock, data, step):
    """Every second `step` bytes end in an urgent one."""
    for number, start in enumerate(range(0, len(data), step)):
        part = data[start:start + step]
        if number % 2:
            equal(sock.send(part, socket.MSG_OOB), len(part))
        else:
            sock.sendall(part)


@test(*MIXED, *BOTH_OURS)
def urgent_byte_is_had_out_of_band(mix):
    with Link():
        for sender, receiver in (pair := mix.joined(), pair[::-1]):
            equal(sender.send(b"abcX", socket.MSG_OOB), 4)
            check(select.select([], [], [receiver], 10)[2], "no urgent byte ever came")
            equal(receiver.recv(1, socket.MSG_OOB), b"X")
            sender.sendall(b"def")
            equal(receiver.recv(100), b"abc")
            equal(receiver.recv(100), b"def")
        abort(*pair)


@test(*MIXED)
def urgent_bytes_on_a_bad_link(mix):
    """The last one is known for what it is, and none is lost from the stream."""
    data = os.urandom(200000)
    with Link() as link:
        link.netem("delay", "2ms", "1ms", "loss", "2%", "reorder", "2%", "duplicate", "1%")
        for sender, receiver in (pair := mix.joined(), pair[::-1]):
            receiver.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
            thread = threading.Thread(target=send_marked, args=(sender, data, 5000))
            thread.start()
            got, mark = receive_marked(receiver, len(data))
            thread.join()
            check(got == data, "other bytes than were sent")
            equal(mark, len(data) - 1)
        abort(*pair)


@test(*MIXED)
def urgent_pointer_passes_a_closed_window(mix):
    def small(listener):
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    with Link():
        client, server = mix.joined(prepare=small)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        data = os.urandom(60000)
        client.sendall(data)
        client.send(b"X", socket.MSG_OOB)
        until(lambda: error_of(server.recv, 1, socket.MSG_OOB) == "EAGAIN", 20, "the pointer never came")
        got = b""
        while len(got) < len(data):
            part = server.recv(len(data))
            check(part, "the stream ended")
            got += part
        check(got == data, "other bytes than were sent")
        check(select.select([], [], [server], 10)[2], "no urgent byte ever came")
        equal(server.recv(1, socket.MSG_OOB), b"X")
        abort(client, server)


# ---- ECN (RFC 3168) ------------------------------------------------------------------

class Told:
    """What a connection says of ECN by TCP_INFO."""

    def __init__(self, sock):
        raw = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
        self.agreed, self.seen = bool(raw[5] & 8), bool(raw[5] & 16)
        self.retransmitted, = struct.unpack_from("=I", raw, 100)
        self.delivered_ce, = struct.unpack_from("=I", raw, 196)


def set_ecn(near, far):
    """For both stacks at each end, whether or not the first SYN arrives."""
    for ns, value in ((Link.NEAR, near), (Link.FAR, far)):
        tune(ns, tcp_ecn=value, tcp_ecn_fallback=0)


def marked_packets(mix, ns):
    """How many IP has seen there that were marked CE."""
    if mix.server.host == Link.V6:
        words = command("cat", "/proc/net/snmp6", namespace=ns).stdout.split()
        return int(words[words.index("Ip6InCEPkts") + 1])
    names, values = [line.split() for line in command("cat", "/proc/net/netstat", namespace=ns).stdout.splitlines()
                     if line.startswith("IpExt:")]
    return int(values[names.index("InCEPkts")])


def transfer(sender, receiver, size):
    got = bytearray()
    data = os.urandom(size)
    writer = threading.Thread(target=sender.sendall, args=(data,))
    writer.start()
    while len(got) < size:
        got += receiver.recv(1 << 18)
    writer.join()
    check(got == data, "other bytes than were sent")


def is_ours(transport):
    return transport in (OURS4, OURS6)


@test(*MIXED, *BOTH_OURS)
def ecn_is_agreed_when_the_client_asks(mix):
    with Link():
        for near, far, agreed in ((2, 2, False), (1, 2, True), (1, 1, True), (1, 0, False), (0, 1, False)):
            set_ecn(near, far)
            client, server = mix.joined()
            equal([Told(client).agreed, Told(server).agreed], [agreed, agreed], f"{near} asks {far}")
            abort(client, server)


def joined_with_ecn(mix):
    """Both send ECT. On a slow machine a SYN may go again, and then it asks for no ECN."""
    for _ in range(4):
        pair = mix.joined()
        for sender, receiver in (pair, reversed(pair)):
            transfer(sender, receiver, 1000)
        if all(Told(sock).seen for sock in pair):
            return pair
        abort(*pair)
    check(False, "no ECT from both ends, four times")


def marked_and_again(mix, link, near_to_far, client, server):
    """A transfer that way on which segments are marked: how many were, and how many were sent again."""
    here, there = (Link.NEAR, Link.FAR) if near_to_far else (Link.FAR, Link.NEAR)
    sender, receiver = (client, server) if near_to_far else (server, client)
    ours, theirs = is_ours(mix.client), is_ours(mix.server)
    if not near_to_far:
        ours, theirs = theirs, ours
    before = marked_packets(mix, there), counter("ecn_ce_in", there), counter("ecn_reductions", here)
    again = Told(sender).retransmitted
    link.netem("delay", "1ms", "rate", "100mbit", "loss", "2%", "ecn", leaving=(here,))
    transfer(sender, receiver, 1 << 20)
    link.netem("delay", "1ms", leaving=(here,))
    marked = marked_packets(mix, there) - before[0]
    check(marked > 0, "nothing was marked")
    check(Told(receiver).seen, "the receiver has seen no ECT")
    check(Told(sender).delivered_ce > 0, "the sender heard of no mark")
    if theirs:
        equal(counter("ecn_ce_in", there) - before[1], marked, "marks seen")
    if ours:
        check(counter("ecn_reductions", here) > before[2], "the window was not reduced")
    return marked, Told(sender).retransmitted - again


@test(*MIXED, *BOTH_OURS)
def ecn_marks_are_heard_by_both(mix):
    """Segments that would be dropped are marked; each end sends once, and nothing is sent twice."""
    with Link() as link:
        set_ecn(1, 1)
        link.netem("delay", "1ms")
        client, server = joined_with_ecn(mix)
        for near_to_far in (True, False):
            # Each would be sent again, had it been lost. Where the machine stood still probes and
            # timeouts do so, too, but not each time.
            tries = []
            while not any(again < marked / 2 for marked, again in tries):
                check(len(tries) < 4, f"(marked, sent again): {tries}")
                tries.append(marked_and_again(mix, link, near_to_far, client, server))
        abort(client, server)


@test(TO_KERNEL4, TO_KERNEL6)
def ecn_cwr_is_said_by_one_segment_of_a_burst(mix):
    with Link() as link:
        set_ecn(1, 1)
        for ns, device in ((Link.NEAR, "v0"), (Link.FAR, "v1")):
            command("ethtool", "-K", device, "tso", "off", namespace=ns)
        command("nft", "-f", "-", namespace=Link.FAR, input="""
            table inet t {
                chain in {
                    type filter hook prerouting priority filter; policy accept;
                    tcp flags & (syn | cwr) == cwr counter
                }
            }""")
        client, server = joined_with_ecn(mix)
        link.netem("delay", "1ms", "loss", "3%", "ecn", leaving=(Link.NEAR,), bursts=True)
        said, tries = 0, 0
        while not said and tries < 5:   # a transfer may be so few bursts that none is marked
            transfer(client, server, 4 << 20)
            said = command("nft", "list", "chain", "inet", "t", "in", namespace=Link.FAR).stdout
            said = int(said.split("packets ")[1].split()[0])
            tries += 1
        reductions = {name: counter(name, Link.NEAR) for name in
                      ("ecn_reductions", "fast_retransmits", "loss_probe_recoveries", "rto_timeouts")}
        check(0 < said <= sum(reductions.values()), f"{said} segments with CWR, {reductions}")
        abort(client, server)


@test(TO_KERNEL4, TO_KERNEL6)
def ecn_leaves_the_type_of_service(mix):
    version, option = ("ip6", (socket.IPPROTO_IPV6, socket.IPV6_TCLASS)) if mix.server.host == Link.V6 else \
        ("ip", (socket.IPPROTO_IP, socket.IP_TOS))
    with Link():
        set_ecn(1, 1)
        client, server = mix.joined()
        client.setsockopt(*option, 0x20)
        command("nft", "-f", "-", namespace=Link.FAR, input=f"""
            table inet t {{
                chain in {{
                    type filter hook input priority filter; policy accept;
                    {version} dscp != 8 counter
                    {version} dscp 8 {version} ecn ect0 counter
                }}
            }}""")
        transfer(client, server, 100000)
        rules = command("nft", "list", "chain", "inet", "t", "in", namespace=Link.FAR).stdout
        others, right = [int(part.split()[0]) for part in rules.split("packets ")[1:]]
        check(right > 0 and others == 0, rules)
        abort(client, server)


# ---- beside kernel TCP ----------------------------------------------------------------

class Way:
    """Who comes first, and who second."""

    def __init__(self, name, first, second):
        self.name, self.first, self.second = name, first, second


@test()
def side_by_side():
    """Both stacks serve and connect in one namespace, on one device, at once."""
    connections = [TCP4.pair(), REAL4.pair(), TCP6.pair(), REAL6.pair()]
    server = REAL4.listener()
    client = TCP4.socket()
    TCP4.connect(client, REAL4.port_of(server))
    connections.append((client, REAL4.accept(server)))
    for number, (client, server) in enumerate(connections):
        client.sendall(b"%d" % number)
    for number, (client, server) in enumerate(connections):
        equal(server.recv(10), b"%d" % number)


def program(t, own, others, taken, start, rounds=30):
    """Serves the ports `own`, calls those and `others`, and finds `taken` taken; a process of its own."""
    if pid := os.fork():
        return pid
    status = 1
    try:
        listeners = {port: t.listener(port=port) for port in own}
        os.write(start[1], b"x")            # to each other:
        while struct.unpack("=i", fcntl.ioctl(start[0], termios.FIONREAD, bytes(4)))[0] < 2:
            time.sleep(0.01)                # both serve
        sock = t.socket()
        for port in taken:
            equal(error_of(t.bind, sock, port), "EADDRINUSE")
        answering = threading.Thread(target=echo, args=(t, list(listeners.values()) * rounds * 2))
        answering.start()
        for number in range(rounds):
            for port in (*own, *others):
                client, data = t.socket(), os.urandom(2000 + number)
                t.connect(client, port)
                client.sendall(data)
                equal(client.recv(len(data), socket.MSG_WAITALL), data)
                client.close()
        answering.join()
        status = 0
    finally:
        os._exit(status)


def echo(t, listeners):
    """One connection of each. Everybody calls the ports in the same order, but not at the same time."""
    for listener in listeners:
        sock = t.accept(listener)
        while data := sock.recv(5000):
            sock.sendall(data)
        sock.close()


@test(Way("v4", REAL4, TCP4), Way("v6", REAL6, TCP6), limit=100)
def two_programs_side_by_side(way):
    """One of each stack at once, on one address, their ports between each other's."""
    first = next(ports)
    odd, even = range(first + 1, first + 7, 2), range(first, first + 6, 2)
    for _ in range(6):
        next(ports)
    start = os.pipe()
    pids = [program(t, own, others, others, start) for t, own, others in
            ((way.first, odd, even), (way.second, even, odd))]
    for pid in pids:
        equal(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0, "a program ended with")
    for end in start:
        os.close(end)


WAYS = (Way("ours-first-v4", REAL4, TCP4), Way("kernel-first-v4", TCP4, REAL4),
        Way("ours-first-v6", REAL6, TCP6), Way("kernel-first-v6", TCP6, REAL6),
        Way("kernel-alone", TCP4, TCP4))


@test(*WAYS)
def second_on_a_port_is_refused(way):
    port = next(ports)
    first = way.first.socket()
    way.first.bind(first, port)
    equal(error_of(way.second.bind, way.second.socket(), port), "EADDRINUSE")
    equal(error_of(way.second.bind, way.second.socket(), port, way.second.any), "EADDRINUSE")
    first.listen()
    equal(error_of(way.second.bind, way.second.socket(), port), "EADDRINUSE")
    first.close()
    way.second.bind(way.second.socket(), port)


@test(*(way for way in WAYS if way.first.host == "127.0.0.1"))
def other_addresses_of_a_port_are_free(way):
    port = next(ports)
    first, second = way.first.socket(), way.second.socket()
    way.first.bind(first, port, "127.0.0.1")
    way.second.bind(second, port, "127.0.0.2")
    first.listen()
    second.listen()
    for to, listener, transport in (("127.0.0.1", first, way.first), ("127.0.0.2", second, way.second)):
        client = TCP4.socket()
        TCP4.connect(client, port, to)
        client.sendall(to.encode())
        equal(transport.accept(listener).recv(20), to.encode())


@test(*WAYS)
def reuse_lets_two_bind_and_one_listen(way):
    port = next(ports)
    first, second = way.first.socket(), way.second.socket()
    for transport, sock in ((way.first, first), (way.second, second)):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        transport.bind(sock, port)
    first.listen()
    equal(error_of(second.listen), "EADDRINUSE")
    first.close()
    second.listen()


@test(*(way for way in WAYS if way.first in (TCP4, TCP6)))
def reuse_gives_one_pair_to_one_connection(way):
    listener, port = TCP4.listener() if way.first.host == "127.0.0.1" else TCP6.listener(), next(ports)
    there = listener.getsockname()
    first, second = way.first.socket(), way.second.socket()
    for transport, sock in ((way.first, first), (way.second, second)):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        transport.bind(sock, port)
    way.first.connect(first, there[1])
    server = listener.accept()[0]
    equal(error_of(way.second.connect, second, there[1]), "EADDRNOTAVAIL")
    first.sendall(b"mine")
    equal(server.recv(10), b"mine")


@test(*(way for way in WAYS if way.name != "kernel-alone"))
def reuseport_is_not_shared_by_stacks(way):
    port = next(ports)
    first, second = way.first.socket(), way.second.socket()
    for sock in (first, second):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    way.first.bind(first, port)
    equal(error_of(way.second.bind, second, port), "EADDRINUSE")
    third = way.first.socket()
    third.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    way.first.bind(third, port)


@test(REAL4, REAL6, TCP4, TCP6)
def the_strictest_on_a_port_counts(t):
    port = next(ports)
    lenient, strict = t.socket(), t.socket()
    for sock, options in (lenient, (socket.SO_REUSEADDR, socket.SO_REUSEPORT)), (strict, (socket.SO_REUSEPORT,)):
        for option in options:
            sock.setsockopt(socket.SOL_SOCKET, option, 1)
        t.bind(sock, port)
    kernel = TCP6 if ":" in t.host else TCP4
    with kernel.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        equal(error_of(kernel.bind, stranger, port), "EADDRINUSE")
    lenient.close()
    strict.close()


@test(REAL4, REAL6, TCP4, TCP6)
def listeners_that_share_a_port_may_overlap(t):
    """One for each address and one for all others, as servers have them."""
    port = next(ports)
    listeners = [t.socket() for _ in range(4)]
    for sock, host in zip(listeners, (t.any, t.host) * 2):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        t.bind(sock, port, host)
        sock.listen()
    stranger = TCP4 if ":" not in t.host else TCP6
    if t is not stranger:
        equal(error_of(stranger.bind, stranger.socket(), port), "EADDRINUSE")


@test(*(way for way in WAYS if way.second is not way.first))
def server_moves_to_the_other_stack(way):
    """With SO_REUSEADDR, while connections of the first one are still alive."""
    listener = way.first.listener()
    port = way.first.port_of(listener)
    client = way.first.socket()
    way.first.connect(client, port)
    server = way.first.accept(listener)
    listener.close()
    successor = way.second.listener(port=port)
    newcomer = TCP4.socket() if way.second.host == "127.0.0.1" else TCP6.socket()
    (TCP4 if way.second.host == "127.0.0.1" else TCP6).connect(newcomer, port)
    newcomer.sendall(b"new")
    equal(way.second.accept(successor).recv(10), b"new")
    client.sendall(b"old")
    equal(server.recv(10), b"old")


@test(REAL4, REAL6)
def time_wait_gives_a_pair_to_kernel_tcp(t):
    """Its listener followed ours on the port, and a client comes back from its old one."""
    kernel = TCP4 if t is REAL4 else TCP6
    listener = t.listener()
    port, number = t.port_of(listener), next(ports)

    def client():
        sock = kernel.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        kernel.bind(sock, number)
        kernel.connect(sock, port)
        return sock

    first = client()
    ours = t.accept(listener)
    ours.close()
    equal(first.recv(1), b"")
    first.close()
    listener.close()
    reused = counter("time_wait_reused")
    successor = kernel.listener(port=port)
    second = client()
    second.sendall(b"again")
    equal(kernel.accept(successor).recv(10), b"again")
    equal(counter("time_wait_reused"), reused + 1)


FAR_WAYS = Way("v4", KERNEL4, OURS4), Way("v6", KERNEL6, OURS6)


@test(*FAR_WAYS)
def time_wait_of_kernel_tcp_gives_a_pair_to_us(way):
    """As the other way round; an older SYN is still answered by the TIME_WAIT."""
    with Link(), Peers(way.first.host, socket.IPPROTO_TCP) as peers, inside(Link.FAR):
        listener = way.first.listener(host=way.first.host)
        port = way.first.port_of(listener)
        peer = peers.peer(0, port)
        peer.connect()
        way.first.accept(listener).close()
        listener.close()
        peer.hear(lambda segment: segment.flags & FIN)
        peer.ack += 1
        peer.say(FIN | ACK)
        peer.seq += 1
        peer.hear(lambda segment: segment.ack == peer.seq)
        successor = way.second.listener(port=port, host=way.second.host)
        peer.say(SYN, seq=-1000)
        answer = peer.hear(lambda segment: segment.ack == peer.seq)
        equal(answer.flags & (SYN | RST | ACK), ACK, "flags")
        peer.seq += 1000
        peer.connect()
        peer.send(b"again")
        accepted = way.second.accept(successor)
        equal(accepted.recv(10), b"again")
        accepted.sendall(b"yes")
        equal(peer.hear(lambda segment: segment.payload).payload, b"yes")
        equal(counter("passive_opens"), 1)
        abort(accepted)
        successor.close()


@test(*FAR_WAYS)
def client_of_ours_follows_one_of_kernel_tcp(way):
    """On a port whose old connection, to the same server, is in TIME_WAIT, which no RST ends (RFC 1337)."""
    with Link():
        tune(Link.NEAR, tcp_rfc1337=1)
        with inside(Link.FAR):
            listener = way.first.listener(host=way.first.host)
        with inside(Link.NEAR):
            number = next(ports)
            for t in (way.first, way.second):
                client = t.socket()
                client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_SYNCNT, 2)
                t.bind(client, number, t.any)
                t.connect(client, way.first.port_of(listener), way.first.host)
                server = way.first.accept(listener)
                client.sendall(b"question")
                equal(server.recv(100), b"question")
                server.sendall(b"answer")
                equal(client.recv(100), b"answer")
                client.close()
                equal(server.recv(1), b"")
                server.close()
        listener.close()


@test(*FAR_WAYS)
def server_in_time_wait_delays_no_client_of_ours(way):
    """Its sequence number has nothing to do with those of the client before: every other SYN seems old."""
    with Link():
        sluice("set", "timestamps", "0", namespace=Link.NEAR)
        with inside(Link.FAR):
            listener = way.first.listener(host=way.first.host)
        with inside(Link.NEAR):
            for _ in range(16):
                number = next(ports)
                for t in (way.first, way.second):
                    client = t.socket()
                    # The one before has it until its FIN is acknowledged.
                    until(lambda: error_of(t.bind, client, number, t.any) is None)
                    begin = time.monotonic()
                    t.connect(client, way.first.port_of(listener), way.first.host)
                    check(time.monotonic() - begin < 0.8, "the SYN was lost")
                    server = way.first.accept(listener)
                    server.close()
                    equal(client.recv(1), b"")
                    client.close()
        check(counter("future_ack", Link.NEAR) > 0, "no TIME_WAIT objected")
        listener.close()


@test(REAL4, REAL6)
def ephemeral_ports_are_held_too(t):
    """Where nothing else, such as a TIME_WAIT, can have come by the same port."""
    kernel = TCP4 if t is REAL4 else TCP6
    with Link(), inside(Link.NEAR):
        client, server = t.pair()
        port = t.port_of(client)
        equal(error_of(kernel.bind, kernel.socket(), port), "EADDRINUSE")
        abort(client)
        kernel.bind(kernel.socket(), port)
        server.close()


@test()
def native_ports_are_others():
    port = next(ports)
    native, real = SLUICE4.listener(port=port), REAL4.listener(port=port)
    client = SLUICE4.socket()
    SLUICE4.connect(client, port)
    client.sendall(b"native")
    equal(SLUICE4.accept(native).recv(10), b"native")
    client = TCP4.socket()
    TCP4.connect(client, port)
    client.sendall(b"real")
    equal(REAL4.accept(real).recv(10), b"real")


# ---- filters, conntrack, switches -------------------------------------------------------

@test()
def nftables_filter_and_track():
    with Link():
        command("nft", "-f", "-", namespace=Link.FAR, input="""
            table inet t {
                chain in {
                    type filter hook input priority filter; policy accept;
                    ct state invalid counter drop
                    tcp dport 7777 counter drop
                    ct state established tcp dport 7000-7100 counter accept
                }
            }""")
        with inside(Link.FAR):
            listener = OURS4.listener(port=7001, host=Link.V4)
            blocked = OURS4.listener(port=7777, host=Link.V4)
        with inside(Link.NEAR):
            client = KERNEL4.socket()
            KERNEL4.connect(client, 7001)
            refused = KERNEL4.socket()
            refused.settimeout(1)
            try:
                refused.connect((Link.V4, 7777))
                raise AssertionError("a dropped port let a SYN in")
            except TimeoutError:
                pass
        server = OURS4.accept(listener)
        exchange(client, server, 1 << 20)
        rules = command("nft", "list", "chain", "inet", "t", "in", namespace=Link.FAR).stdout
        check("invalid counter packets 0 " in rules, rules)
        check("established tcp dport 7000-7100 counter packets 0 " not in rules, rules)
        blocked.close()


@test()
def nat_leads_to_sluice():
    with Link():
        command("nft", "-f", "-", namespace=Link.FAR, input="""
            table ip t {
                chain pre {
                    type nat hook prerouting priority dstnat; policy accept;
                    tcp dport 8080 dnat to 10.1.0.2:7002
                }
            }""")
        with inside(Link.FAR):
            listener = OURS4.listener(port=7002, host=Link.V4)
        with inside(Link.NEAR):
            client = KERNEL4.socket()
            KERNEL4.connect(client, 8080)
        exchange(client, OURS4.accept(listener), 1 << 20)


@test()
def switched_off_by_namespace():
    with Link():
        sluice("set", "real_tcp", "0", namespace=Link.FAR)
        with inside(Link.FAR):
            equal(error_of(OURS4.socket), "EPROTONOSUPPORT")
            equal(error_of(OURS6.socket), "EPROTONOSUPPORT")
            SLUICE4.socket().close()
        with inside(Link.NEAR):
            OURS4.socket().close()


@test()
def who_is_there_outlasts_being_switched_off():
    with Link():
        client, server = FROM_KERNEL4.joined()
        with inside(Link.FAR):
            listener = OURS4.listener(host=Link.V4)
            sluice("set", "real_tcp", "0", namespace=Link.FAR)
            equal(error_of(OURS4.socket), "EPROTONOSUPPORT")
        exchange(client, server, 100000)
        with inside(Link.NEAR):
            late = KERNEL4.socket()
            KERNEL4.connect(late, OURS4.port_of(listener))
        exchange(late, OURS4.accept(listener), 100000)
        listener.close()
        with inside(Link.FAR):
            sluice("set", "real_tcp", "default", namespace=Link.FAR)
            OURS4.socket().close()


@test()
def ss_tells_the_wires_apart():
    client, server = REAL4.pair()
    native, native_server = SLUICE4.pair()
    port, native_port = REAL4.port_of(client), SLUICE4.port_of(native)
    lines = sluice("ss").stdout.splitlines()
    for number, wire in ((port, "tcp"), (native_port, "native")):
        found = [line.split()[5] for line in lines[1:] if f":{number}" in line]
        equal(found, [wire, wire])
    equal(sluice("ss", "-H", "wire = tcp").stdout.count("\n"), 2)
    here, there = f"127.0.0.1:{port}", f"127.0.0.1:{REAL4.port_of(server)}"
    sluice("set", here, there, "cc", "reno")
    equal(client.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16).rstrip(b"\0"), b"reno")


# ---- life -------------------------------------------------------------------------------

@test()
def namespace_goes_under_live_connections():
    with Link():
        client, server = TO_KERNEL4.joined()
        client.sendall(b"x" * 100000)
        other, accepted = FROM_KERNEL6.joined()
        other.sendall(b"x" * 100000)
    abort(client, server, other, accepted)


def kernel_segments():
    """How many kernel TCP has received here."""
    with open("/proc/net/snmp") as file:
        names, values = [line.split() for line in file if line.startswith("Tcp:")]
    return int(values[names.index("InSegs")])


def goes_on(namespace, received, text):
    with inside(namespace):
        before = received()
        until(lambda: received() > before + 100, text=text)


@test(limit=200)
def loads_and_unloads_under_real_tcp():
    """Sockets keep it, alive with their traffic; once those are killed it goes at once. Kernel TCP notices nothing."""
    equal(rmmod(patience=150).returncode, 0, "with what other tests have left")
    insmod()
    for round in range(3):
        with Link(), traffic(Mix("kernel", KERNEL4, KERNEL4).joined):
            with traffic(TO_KERNEL4.joined, FROM_KERNEL6.joined):
                for _ in range(2):
                    goes_on(Link.NEAR, lambda: counters()["bytes_out"] // 1000, "nothing is sent")
                    goes_on(Link.FAR, lambda: counters()["bytes_in"] // 1000, "nothing comes")
                    equal(delete(), "EAGAIN", "under traffic")
            until(lambda: delete() is None, 5, "something keeps it")
            goes_on(Link.FAR, kernel_segments, "kernel TCP stopped")
            insmod()
            for mix in (TO_KERNEL4, FROM_KERNEL6):
                exchange(*mix.joined(), 1 << 20)
            goes_on(Link.FAR, kernel_segments, "kernel TCP stopped")


if __name__ == "__main__":
    run(*sys.argv[1:])
