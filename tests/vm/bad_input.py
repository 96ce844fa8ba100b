#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# What is wrong from outside, inside the VM: malformed segments, netlink
# messages, and tools whose output goes nowhere. Each is told once, by a
# counter, an errno or a line, and nothing else happens.
import os
import socket
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import netlink  # noqa: E402
from netlink import attribute  # noqa: E402
from network import Link, connections, counter, inside, refused, sluice, tool  # noqa: E402
from runner import check, equal, run, test, until  # noqa: E402
from segment import ACK, FIN, RST, SYN, Wire, build, checksum, packed, sack, timestamps  # noqa: E402
from transport import AF_SLUICE, SLUICE4, SLUICE6, ports  # noqa: E402

# ---- segments ----------------------------------------------------------------------


def counted(wire, name, segment, times=1):
    """The segment adds so much to the counter, soon."""
    family = netlink.generic_family("sluice")
    before = netlink.counters(family)[name]
    wire.send(segment)
    until(lambda: netlink.counters(family)[name] != before, text=f"{name} stays {before}")
    equal(netlink.counters(family)[name] - before, times, name)


@test(SLUICE4, SLUICE6)
def malformed_segments_are_counted_by_name(t):
    wire, listener = Wire(t.host), t.listener()
    port = t.port_of(listener)

    def segment(**fields):
        return build(t.host, 5555, port, **fields)

    counted(wire, "bad_header", segment()[:10])
    counted(wire, "bad_header", b"")
    counted(wire, "bad_header", segment(words=15))      # longer than the segment
    counted(wire, "bad_header", segment(words=3))       # shorter than any
    counted(wire, "bad_checksum", segment(wrong=1))
    counted(wire, "bad_flags", segment(flags=SYN | FIN))
    counted(wire, "bad_flags", segment(flags=SYN | RST))
    family = netlink.generic_family("sluice")
    resets = netlink.counters(family)["half_open_resets"]
    for number, wrong in enumerate((segment(options=b"\2\0\0\0"),               # no length
                                    segment(options=b"\1\1\1\2", seq=2),        # behind the header's end
                                    segment(options=b"\10\4\0\0", seq=3)), 1):  # timestamps of two bytes
        counted(wire, "bad_option", wrong)
        # It is a SYN all the same; the answer finds no socket, which is over before the next goes.
        until(lambda: netlink.counters(family)["half_open_resets"] == resets + number)
    counted(wire, "no_socket", build(t.host, 5555, next(ports)))
    client = t.socket()
    t.connect(client, port)


class Flow:
    """An established connection on loopback, whose next segments can be forged."""

    def __init__(self, t):
        self.t, self.wire = t, Wire(t.host)
        self.client, self.server = t.pair()
        self.ports = t.port_of(self.client), t.port_of(self.server)
        self.client.sendall(b"question")
        equal(self.server.recv(8, socket.MSG_WAITALL), b"question")
        self.server.sendall(b"answer")
        equal(self.client.recv(6, socket.MSG_WAITALL), b"answer")
        until(lambda: not any(entry["send_q"] for entry in connections()), text="not acknowledged")
        self.seq, self.ack, self.value, self.echo = self.wire.last(*self.ports)

    def segment(self, seq=0, ack=0, flags=ACK, age=0, options=b"", payload=b""):
        """As if from the client; seq and ack relative to what is next."""
        return build(self.t.host, *self.ports, seq=self.seq + seq, ack=self.ack + ack, flags=flags,
                     options=timestamps(self.value - age, self.echo) + options, payload=payload)


@test(SLUICE4, SLUICE6)
def segments_that_a_connection_must_not_believe(t):
    flow = Flow(t)
    far = 1 << 30
    for name, forged in (
            ("out_of_window", flow.segment(seq=far)),
            ("out_of_window", flow.segment(seq=-far, payload=b"x")),
            ("paws_rejected", flow.segment(age=100000, payload=b"x")),
            ("future_ack", flow.segment(ack=1000)),
            ("old_ack", flow.segment(ack=-far)),
            ("no_ack_flag", flow.segment(flags=0)),
            ("sack_ignored", flow.segment(options=sack(flow.ack + far, flow.ack + far + 5))),
            ("syn_in_window", flow.segment(seq=5, flags=SYN)),
            ("rst_challenged", flow.segment(seq=5, flags=RST)),
            ("bad_option", flow.segment(options=b"\5\3\0\0"))):
        counted(flow.wire, name, forged)
    flow.client.sendall(b"alive")
    equal(flow.server.recv(5, socket.MSG_WAITALL), b"alive")
    flow.server.sendall(b"and well")
    equal(flow.client.recv(8, socket.MSG_WAITALL), b"and well")


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


@test(SLUICE4, SLUICE6)
def random_segments_do_no_harm(t):
    client, server = t.pair()
    wire = Wire(t.host)
    for _ in range(3000):
        noise = bytearray(os.urandom(20 + os.urandom(1)[0] % 60))
        noise[0:4] = struct.pack("!HH", t.port_of(client), t.port_of(server))
        noise[12] = (5 + noise[12] % 11) << 4
        wire.send(noise)
    client.sendall(b"alive")
    equal(server.recv(5), b"alive")


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
