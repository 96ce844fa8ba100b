#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# What is wrong from outside, inside the VM: malformed segments, netlink
# messages, and tools whose output goes nowhere. Each is told once, by a
# counter, an errno or a line, and nothing else happens.
import contextlib
import fcntl
import os
import socket
import struct
import subprocess
import sys
import termios
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import netlink  # noqa: E402
from netlink import attribute  # noqa: E402
from mix import OURS4, OURS6  # noqa: E402
from network import Link, counter, counters, inside, refused, sluice, states, tool  # noqa: E402
from peer import Peers  # noqa: E402
from runner import check, equal, run, test, until  # noqa: E402
from segment import (ACK, FIN, PROTOCOL, PSH, RST, SYN, Wire, build, checksum, packed, sack, timestamps)  # noqa: E402
from traffic import V4, V6, abort  # noqa: E402
from transport import (AF_SLUICE, REAL4, REAL6, SLUICE4, SLUICE6, TCP4, TCP6, error_of, ports)  # noqa: E402

# ---- segments ----------------------------------------------------------------------


def counted(wire, name, segment, times=1):
    """The segment adds so much to the counter, soon."""
    family = netlink.generic_family("sluice")
    before = netlink.counters(family)[name]
    wire.send(segment)
    until(lambda: netlink.counters(family)[name] != before, text=f"{name} stays {before}")
    equal(netlink.counters(family)[name] - before, times, name)


EVERY_WIRE = SLUICE4, SLUICE6, REAL4, REAL6


def protocol_of(t):
    return socket.IPPROTO_TCP if t in (REAL4, REAL6, TCP4, TCP6) else PROTOCOL


def kernel_counted(name):
    """Of this namespace's TCP."""
    with open("/proc/net/snmp") as file:
        names, values = [line.split() for line in file if line.startswith("Tcp:")]
    return int(values[names.index(name)])


@test(*EVERY_WIRE, limit=100)
def malformed_segments_are_counted_by_name(t):
    real = protocol_of(t) == socket.IPPROTO_TCP
    wire, listener = Wire(t.host, protocol_of(t)), t.listener()
    port = t.port_of(listener)

    def segment(**fields):
        return build(t.host, 5555, port, **fields)

    def wrong(name, segment, kernels=None):
        """kernels: what counts it where real TCP finds no socket of ours, if it does."""
        if not (real and kernels):
            counted(wire, name, segment)
            return
        before, ours = kernel_counted(kernels), counter("segs_in")
        wire.send(segment)
        until(lambda: kernel_counted(kernels) > before, text=f"the kernel's {kernels} stays {before}")
        equal(counter("segs_in"), ours, "segments that came to us")

    wrong("bad_header", segment()[:10], "InSegs")
    wrong("bad_header", b"", "InSegs")
    wrong("bad_header", segment(words=15))        # longer than the segment
    wrong("bad_header", segment(words=3))         # shorter than any
    wrong("bad_checksum", segment(wrong=1))
    wrong("bad_flags", segment(flags=SYN | FIN))
    wrong("bad_flags", segment(flags=SYN | RST), "InSegs")
    family = netlink.generic_family("sluice")
    resets = netlink.counters(family)["half_open_resets"]
    for number, bad in enumerate((segment(options=b"\2\0\0\0"),               # no length
                                  segment(options=b"\1\1\1\2", seq=2),        # behind the header's end
                                  segment(options=b"\10\4\0\0", seq=3)), 1):  # timestamps of two bytes
        counted(wire, "bad_option", bad)
        # It is a SYN all the same; the answer finds no socket, which is over before the next goes.
        until(lambda: netlink.counters(family)["half_open_resets"] == resets + number)
    wrong("no_socket", build(t.host, 5555, next(ports)), "OutRsts")
    client = t.socket()
    t.connect(client, port)


def unacknowledged(sock):
    return struct.unpack("=i", fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4)))[0]


class Flow:
    """An established connection on loopback, whose next segments can be forged."""

    def __init__(self, t):
        # A raw socket sees what the kernel's TCP gets, but not what goes to ours.
        client = {REAL4: TCP4, REAL6: TCP6}.get(t, t)
        self.t, self.wire = t, Wire(t.host, protocol_of(t))
        listener = t.listener()
        self.client = client.socket()
        client.connect(self.client, t.port_of(listener))
        self.server = t.accept(listener)
        listener.close()
        self.ports = t.port_of(self.client), t.port_of(self.server)
        for sock in (self.client, self.server):
            sock.settimeout(20)
        self.still_right()
        until(lambda: not unacknowledged(self.client), text="not acknowledged")
        # Of the client's data: no segment of the client came later, and this one tells its next.
        self.ack, self.seq, self.echo, self.value = self.wire.last(*reversed(self.ports))

    def still_right(self):
        """What each sends is what the other gets."""
        for sender, receiver in ((self.server, self.client), (self.client, self.server)):
            data = os.urandom(8)
            sender.sendall(data)
            equal(receiver.recv(100), data)

    def bare(self, seq=0, ack=0, flags=ACK, options=b"", payload=b""):
        """As if from the client; seq and ack relative to what is next."""
        return build(self.t.host, *self.ports, seq=self.seq + seq, ack=self.ack + ack, flags=flags, options=options,
                     payload=payload)

    def segment(self, age=0, options=b"", **fields):
        return self.bare(options=timestamps(self.value - age, self.echo) + options, **fields)


@test(*EVERY_WIRE, limit=100)
def segments_that_a_connection_must_not_believe(t):
    flow = Flow(t)
    far = 1 << 30
    for name, forged in (
            ("out_of_window", flow.segment(seq=far)),
            ("paws_rejected", flow.segment(age=100000, payload=b"x")),
            ("future_ack", flow.segment(ack=1000)),
            ("old_ack", flow.segment(ack=-far)),
            ("no_ack_flag", flow.segment(flags=0)),
            ("sack_ignored", flow.segment(options=sack(flow.ack + far, flow.ack + far + 5))),
            ("bad_option", flow.segment(options=b"\5\3\0\0"))):
        counted(flow.wire, name, forged)
    flow.still_right()


@test(*EVERY_WIRE, limit=100)
def blind_injection_changes_nothing(t):
    """RFC 5961, by who knows the ports and guesses the rest, with timestamps or without."""
    flow, resets = Flow(t), counter("estab_resets")
    far, evil = 1 << 30, b"evil" * 10
    for make in (flow.bare, flow.segment):
        for name, forged in (
                ("rst_challenged", make(seq=5, flags=RST)),
                ("rst_challenged", make(seq=5, ack=5, flags=RST | ACK, payload=evil)),
                ("out_of_window", make(seq=far, flags=RST)),
                ("out_of_window", make(seq=-far, flags=RST | ACK)),
                ("syn_in_window", make(seq=5, flags=SYN)),
                ("syn_in_window", make(flags=SYN | ACK)),
                ("syn_in_window", make(seq=far, flags=SYN)),
                ("syn_in_window", make(seq=-far, flags=SYN | ACK, payload=evil)),
                ("out_of_window", make(seq=far, payload=evil)),
                ("out_of_window", make(seq=-far, payload=evil)),
                ("out_of_window", make(seq=far, flags=FIN | ACK)),
                # In the window, with an acknowledgment that isn't acceptable (5).
                ("future_ack", make(ack=1, payload=evil)),
                ("future_ack", make(ack=far, payload=evil)),
                ("future_ack", make(seq=5, ack=far, payload=evil)),
                ("old_ack", make(ack=-far, payload=evil)),
                ("old_ack", make(seq=5, ack=-far, payload=evil)),
                ("old_ack", make(ack=-far, flags=FIN | ACK)),
                ("no_ack_flag", make(flags=PSH, payload=evil)),
                ("no_ack_flag", make(flags=FIN, payload=evil))):
            counted(flow.wire, name, forged)
    # A clock far ahead must not have PAWS reject what the client says from now on.
    for name, ack in (("future_ack", far), ("old_ack", -far)):
        counted(flow.wire, name, flow.segment(age=-far, ack=ack, payload=evil))
    flow.still_right()
    equal(counter("estab_resets"), resets)


def challenges(t):
    if t.sluice:
        return counter("challenge_acks")
    with open("/proc/net/netstat") as file:
        names, values = [line.split() for line in file if line.startswith("TcpExt:")]
    return int(values[names.index("TCPChallengeACK")])


@test(TCP4, TCP6, *EVERY_WIRE)
def guesses_about_a_connection_have_few_answers(t):
    """RFC 5961 7. The sysctl's own value is no limit at all."""
    flow = Flow(t)
    before, begin = challenges(t), time.monotonic()
    for number in range(100):
        flow.wire.send(flow.bare(seq=5 + number, flags=(RST, SYN)[number % 2]))
    if t.sluice:
        until(lambda: counter("challenge_acks") + counter("challenge_acks_limited") >= before + 100)
    flow.still_right()
    answers, most = challenges(t) - before, 1 + 2 * (time.monotonic() - begin)
    check(1 <= answers <= most, f"{answers} answers, not {most}")


# ---- options -----------------------------------------------------------------------

MSS, WINDOW_SCALE, SACK_PERMITTED, SACK, TIMESTAMPS, FAST_OPEN = 2, 3, 4, 5, 8, 34
RIGHT_LENGTHS = {MSS: (4,), WINDOW_SCALE: (3,), SACK_PERMITTED: (2,), SACK: (10, 18, 26, 34), TIMESTAMPS: (10,)}
COOKIE_LENGTHS = (2, *range(6, 19, 2))    # RFC 7413 4.1.1: looked at in a SYN alone


def are_sound(options, lengths):
    """RFC 9293 3.2: those of a whole header. 0 ends them, 1 fills; of what isn't in `lengths` any does."""
    while options and options[0]:
        if options[0] == 1:
            options = options[1:]
            continue
        length = options[1] if len(options) > 1 else 0
        if length < 2 or length > len(options) or length not in lengths.get(options[0], (length,)):
            return False
        options = options[length:]
    return True


def options_of_every_length(stamps):
    """stamps: value and echo of timestamps that are no older than the connection's."""
    for kind in (0, 1, MSS, WINDOW_SCALE, SACK_PERMITTED, SACK, TIMESTAMPS, FAST_OPEN, 254):
        for length in range(41):
            content = (stamps if kind == TIMESTAMPS else b"") + bytes(40)
            option = bytes((kind, length)) + content[:max(length - 2, 0)]
            yield option + b"\1" * (-len(option) % 4)
            if 4 < length:
                yield option[:4]    # the header ends before it does


@test(*EVERY_WIRE, limit=100)
def options_of_every_length_are_counted_or_taken(t):
    flow, listener = Flow(t), t.listener()
    before, sent, bad = counters(), 0, 0
    for number, options in enumerate(options_of_every_length(timestamps(flow.value, flow.echo)[4:])):
        flow.wire.send(build(t.host, 10000 + number, t.port_of(listener), options=options))
        flow.wire.send(flow.bare(options=options))
        of_syn = not are_sound(options, {**RIGHT_LENGTHS, FAST_OPEN: COOKIE_LENGTHS})
        sent, bad = sent + 2, bad + of_syn + (not are_sound(options, RIGHT_LENGTHS))
    until(lambda: counter("segs_in") - before["segs_in"] >= sent, text="some went astray")
    check(sent / 3 < bad < sent, f"{bad} bad ones of {sent}")
    equal(counter("bad_option") - before["bad_option"], bad, "bad options")
    flow.still_right()
    until(lambda: not states()["SYN-RECV"], text=states)    # reset, by whom their answers went to
    client = t.socket()
    t.connect(client, t.port_of(listener))


# ---- what overlaps, and what is too large --------------------------------------------

class Reached:
    """Who is reached at the far end of a Link, by which wire."""

    def __init__(self, name, server, wire):
        self.name, self.server, self.wire = name, server, wire

    @contextlib.contextmanager
    def connected(self, window=65535, prepare=lambda listener: None):
        """A peer made by hand, the server's socket, and the window that it offers."""
        with Link(), Peers(self.server.host, self.wire) as peers:
            with inside(Link.FAR):
                listener = self.server.listener(host=self.server.host)
                prepare(listener)
            peer = peers.peer(0, self.server.port_of(listener), window=window)
            offered = peer.connect().window
            sock = self.server.accept(listener)
            sock.settimeout(20)
            listener.close()
            yield peer, sock, offered
            abort(sock)


FAR_ENDS = (Reached("native-v4", V4, PROTOCOL), Reached("native-v6", V6, PROTOCOL),
            Reached("real-v4", OURS4, socket.IPPROTO_TCP), Reached("real-v6", OURS6, socket.IPPROTO_TCP))


@test(*FAR_ENDS, limit=100)
def of_overlaps_that_disagree_the_first_bytes_stay(far):
    with far.connected() as (peer, sock, _):
        peer.say(seq=100, payload=b"a" * 100)
        peer.say(seq=300, payload=b"b" * 100)
        peer.say(seq=150, payload=b"c" * 200)
        peer.say(seq=0, payload=b"e" * 150)
        equal(recv_exactly(sock, 400), b"e" * 100 + b"a" * 100 + b"c" * 100 + b"b" * 100)
        equal(counter("duplicate_data", Link.FAR), 50 + 50 + 50)
        peer.say(seq=300, payload=b"d" * 200)      # of what was read already
        equal(recv_exactly(sock, 100), b"d" * 100)
        equal(counter("duplicate_data", Link.FAR), 150 + 100)


def recv_exactly(sock, size):
    data = sock.recv(size, socket.MSG_WAITALL)
    sock.setblocking(False)
    equal(error_of(sock.recv, 1), "EAGAIN")
    sock.settimeout(20)
    return data


@test(*FAR_ENDS, limit=100)
def what_is_beyond_the_window_is_dropped(far):
    data = os.urandom(30000)
    with far.connected(prepare=lambda sock: sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)) as \
            (peer, sock, offered):
        check(offered < len(data), f"a window of {offered}")
        peer.peers.send_in_fragments(peer.source, peer.segment(payload=data), 1400)
        until(lambda: counter("beyond_window", Link.FAR))
        equal(counter("beyond_window", Link.FAR), len(data) - offered)
        equal(recv_exactly(sock, offered), data[:offered])
        peer.seq += offered
        peer.send(b"goes on")
        equal(recv_exactly(sock, 7), b"goes on")


@test(*FAR_ENDS, limit=100)
def largest_datagram_is_taken_whole(far):
    """65,535 bytes of IP, in fragments."""
    data = os.urandom(65535 - 20 - (0 if ":" in far.server.host else 20))
    with far.connected(prepare=lambda sock: sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)) as \
            (peer, sock, offered):
        peer.peers.send_in_fragments(peer.source, peer.segment(payload=data), 1400)
        equal(recv_exactly(sock, min(offered, len(data))), data[:offered])
        equal(counter("beyond_window", Link.FAR), max(len(data) - offered, 0))


# ---- acknowledgments that lie ----------------------------------------------------------

@test(*FAR_ENDS, limit=100)
def forged_acknowledgments_earn_little(far):
    """Of what was never sent: nothing. Duplicates without end, without SACK: a segment each, and none on credit."""
    with far.connected(window=60000) as (peer, sock, _):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        sock.sendall(b"x" * 536 * 4)
        for _ in range(4):
            peer.hear(lambda segment: segment.payload)
        before = counters(Link.FAR)
        for number in range(50):
            peer.say(ack=536 * 4 + 1 + number * 1000)
        until(lambda: counter("future_ack", Link.FAR) == before["future_ack"] + 50)
        for _ in range(500):
            peer.say()
        until(lambda: counter("duplicate_acks_ignored", Link.FAR) >= before["duplicate_acks_ignored"] + 490)
        sock.setblocking(False)
        check(sock.send(b"x" * 500000) > 100000, "there is no room for more than the window")
        sent = counter("bytes_out", Link.FAR)
        check(sent <= 16 * 536, f"{sent} bytes for acknowledgments of nothing")


# ---- noise -------------------------------------------------------------------------------

@test()
def segments_for_everybody_are_for_nobody():
    with Link():
        source = packed("10.1.0.1")
        segment = build("10.1.0.1", 5555, 80, peer=Link.V4)
        header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(segment), 1, 0, 64, 253, 0) + source + packed(Link.V4)
        header = header[:10] + struct.pack("!H", checksum(header)) + header[12:]
        with inside(Link.NEAR):
            link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
            link.bind(("v0", 0))
        mac = link.getsockname()[4]
        link.send(b"\xff" * 6 + mac + b"\x08\0" + header + segment)
        until(lambda: counter("not_for_us", Link.FAR), text="not counted")
        equal(counter("not_for_us", Link.FAR), 1)
        equal(counter("no_socket", Link.FAR), 0, "answers")


@test(*EVERY_WIRE, limit=100)
def random_segments_do_no_harm(t):
    flow = Flow(t)
    for number in range(3000):
        noise = bytearray(os.urandom(20 + os.urandom(1)[0] % 60))
        noise[0:4] = struct.pack("!HH", *flow.ports)
        noise[12] = (5 + noise[12] % 11) << 4
        if number % 2:
            noise[16:18] = b"\0\0"
            noise[16:18] = struct.pack("!H", checksum(packed(t.host) * 2 + struct.pack("!II", len(noise), 6) + noise))
        flow.wire.send(noise)
    flow.still_right()


# ---- netlink -----------------------------------------------------------------------

VERSION, COUNTERS, PARAM_GET, PARAM_SET, CC_LIST, CONN_SET = range(1, 7)
NAME, VALUE, STRING = 1, 2, 3
ID, CC, SNDBUF, RCVBUF = 11, 12, 13, 14


def text(string):
    return string.encode() + b"\0"


def u64(number):
    return struct.pack("=Q", number)


def u32(number):
    return struct.pack("=I", number)


@test()
def generic_netlink_refuses_what_is_wrong():
    family = netlink.generic_family("sluice")
    check(family, "no generic netlink family")
    before = sluice("get", "--json").stdout
    rto = attribute(NAME, text("rto_min"))
    nobody = attribute(ID, bytes(44))
    for number, attributes, flags, wanted in (
            (PARAM_GET, b"", netlink.ACK, "EINVAL"),
            (PARAM_GET, attribute(NAME, text("nonesuch")), netlink.ACK, "ENOENT"),
            (PARAM_GET, attribute(NAME, b"rto_min"), netlink.ACK, "EINVAL"),        # no end
            (PARAM_GET, attribute(NAME, b""), netlink.ACK, "EINVAL"),
            (PARAM_GET, attribute(NAME, text("x" * 500)), netlink.ACK, "EINVAL"),
            (PARAM_GET, attribute(NAME, text("rto_min"), 3), netlink.ACK, "EINVAL"),    # shorter than its header
            (PARAM_GET, attribute(NAME, text("rto_min"), 400), netlink.ACK, "EINVAL"),  # longer than the message
            (PARAM_GET, rto + attribute(200, u32(1)), netlink.ACK, "EINVAL"),       # unknown
            (PARAM_SET, attribute(VALUE, u64(100000)), netlink.ACK, "EINVAL"),
            (PARAM_SET, rto, netlink.ACK, "EINVAL"),
            (PARAM_SET, rto + attribute(VALUE, u32(1)), netlink.ACK, "EINVAL"),     # too short
            (PARAM_SET, rto + attribute(VALUE, u64(0)), netlink.ACK, "ERANGE"),
            (PARAM_SET, rto + attribute(VALUE, u64(2**64 - 1)), netlink.ACK, "ERANGE"),
            (PARAM_SET, rto + attribute(STRING, text("fast")), netlink.ACK, "EINVAL"),
            (PARAM_SET, attribute(NAME, text("congestion_control")), netlink.ACK, "EINVAL"),
            (PARAM_SET, attribute(NAME, text("congestion_control")) + attribute(STRING, text("nonesuch")),
             netlink.ACK, "ENOENT"),
            (CONN_SET, b"", netlink.ACK, "EINVAL"),
            (CONN_SET, attribute(ID, bytes(43)) + attribute(SNDBUF, u32(1)), netlink.ACK, "ERANGE"),
            (CONN_SET, attribute(ID, bytes(48)) + attribute(SNDBUF, u32(1)), netlink.ACK, "ERANGE"),
            (CONN_SET, nobody, netlink.ACK, "EINVAL"),
            (CONN_SET, nobody + attribute(CC, text("reno")), netlink.ACK, "ENOENT"),
            (CONN_SET, nobody + attribute(SNDBUF, u32(0)), netlink.ACK, "ERANGE"),
            (COUNTERS, b"", netlink.ACK, "ENOTSUP"),     # is a dump
            (VERSION, b"", netlink.DUMP, "ENOTSUP"),     # is none
            (77, b"", netlink.ACK, "ENOTSUP")):
        equal(netlink.command(family, number, attributes, flags), wanted, f"command {number}, {attributes!r}")
    equal(sluice("get", "--json").stdout, before)
    equal(netlink.command(family, PARAM_GET, rto), None, "a right one")


@test()
def random_netlink_messages_change_nothing():
    family = netlink.generic_family("sluice")
    before = sluice("get", "--json").stdout
    for size in range(0, 200):
        for number in range(1, 8):
            netlink.command(family, number, os.urandom(size))
    equal(sluice("get", "--json").stdout, before)


@test()
def sock_diag_refuses_what_is_wrong():
    def asks(body, flags=netlink.ACK):
        return netlink.ask(netlink.SOCK_DIAG, 20, flags, body)

    head = struct.pack("=BBHI", AF_SLUICE, 0, 0, ~0 & 0xffffffff)
    whole = head + bytes(44)
    for size in (2, 4, len(head), len(whole) - 1):
        equal(asks(whole[:size])[0], "EINVAL", f"{size} bytes")
        equal(asks(whole[:size], netlink.DUMP)[0], "EINVAL", f"dump, {size} bytes")
    equal(asks(whole)[0], "ENOENT")
    listener = SLUICE4.listener()
    error, answer = asks(whole[:2] + b"\xff\xff" + whole[4:] + bytes(100), netlink.DUMP)    # unknown extensions, a tail
    equal(error, None)
    check(struct.pack("!H", SLUICE4.port_of(listener)) in answer, "the listener is not told")


# ---- tools -------------------------------------------------------------------------

PRINTING = (("ss", "-a"), ("ss", "-a", "--json"), ("stat", "-z"), ("stat", "-z", "--json"), ("get",), ("get", "--json"),
            ("get", "rto_min"), ("cc",), ("cc", "--json"), ("--help",), ("ss", "--help"), ("--version",))


def complains(arguments, output, words):
    done = subprocess.run([tool(), *arguments], stdout=output, stderr=subprocess.PIPE, text=True, timeout=10)
    equal(done.returncode, 1, f"{arguments} ended with")
    equal(len(done.stderr.splitlines()), 1, f"{arguments} said {done.stderr!r}: lines")
    check(words in done.stderr, f"{arguments} said {done.stderr!r}")


@test()
def tools_tell_of_a_full_disk():
    with open("/dev/full", "w") as full:
        for arguments in PRINTING:
            complains(arguments, full, "No space left on device")


@test()
def tools_tell_of_a_closed_pipe():
    back, forth = os.pipe()
    os.close(back)
    for arguments in PRINTING + (("stat", "-z", "-w", "0.1"), ("ss", "-a", "-w", "0.1")):
        complains(arguments, forth, "Broken pipe")
    os.close(forth)


@test()
def sending_to_a_receiver_with_a_full_disk_fails():
    port = next(ports)
    with open("/dev/full", "w") as full:
        receiver = subprocess.Popen([tool(), "recv", "-q", str(port)], stdout=full, stderr=subprocess.PIPE, text=True)
        until(lambda: f":{port} " in sluice("ss", "-l").stdout, 10, "recv doesn't listen")
        check(" lost: " in refused("send", "-q", f"127.0.0.1:{port}", "/etc/services"), "the sender takes it for sent")
        complaint = receiver.communicate(timeout=10)[1]
    equal(receiver.returncode, 1)
    check("No space left on device" in complaint, complaint)
    equal(len(complaint.splitlines()), 1, complaint)


@test()
def tools_refuse_in_one_line():
    check("nonesuch" in refused("get", "nonesuch") or "no such" in refused("get", "nonesuch"))
    for arguments in (("set", "nonesuch", "1"), ("set", "rto_min", "0"), ("set", "rto_min", "many"),
                      ("set", "congestion_control", "nonesuch"), ("set", "127.0.0.1:1", "127.0.0.1:2", "cc", "reno"),
                      ("send", "127.0.0.1:1", "/etc/hostname"), ("send", "no-port", "/etc/hostname"),
                      ("send", "127.0.0.1:1", "/nonexistent"), ("nonesuch",), ("ss", "nonesuch"), ()):
        refused(*arguments)


if __name__ == "__main__":
    run(*sys.argv[1:])
