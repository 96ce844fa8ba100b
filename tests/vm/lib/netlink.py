# SPDX-License-Identifier: GPL-2.0
# Netlink messages made by hand, so that wrong ones can be made, too.
import errno
import socket
import struct

ROUTE, SOCK_DIAG, GENERIC = 0, 4, 16
REQUEST, ACK, DUMP, REPLACE, CREATE = 1, 4, 0x300, 0x100, 0x400
ERROR, DONE = 2, 3
SOCK_DIAG_BY_FAMILY = 20


def attribute(kind, value, length=None):
    length = 4 + len(value) if length is None else length
    return struct.pack("=HH", length, kind) + value + b"\0" * (-len(value) % 4)


def ask(protocol, kind, flags, body):
    """(errno's name or None, the answers' bytes)"""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol) as sock:
        sock.bind((0, 0))
        sock.settimeout(20)
        sock.send(struct.pack("=IHHII", 16 + len(body), kind, flags | REQUEST, 1, 0) + body)
        answers = b""
        while True:
            answer = sock.recv(1 << 16)
            at = 0
            while at + 16 <= len(answer):
                length, got = struct.unpack_from("=IH", answer, at)
                if got in (ERROR, DONE):
                    code = -struct.unpack_from("=i", answer, at + 16)[0] if length >= 20 else 0
                    return errno.errorcode.get(code, str(code)) if code else None, answers
                answers += answer[at:at + length]
                at += (length + 3) & ~3


def generic_family(name):
    """The number of a generic netlink family, or None."""
    error, answer = ask(GENERIC, 16, ACK, struct.pack("=BBH", 3, 1, 0) + attribute(2, name.encode() + b"\0"))
    at = 20
    while not error and at < len(answer):
        length, kind = struct.unpack_from("=HH", answer, at)
        if kind == 1:
            return struct.unpack_from("=H", answer, at + 4)[0]
        at += (length + 3) & ~3
    return None


def command(family, number, attributes, flags=ACK):
    """errno's name, or None, that a generic netlink command is answered by."""
    return ask(GENERIC, family, flags, struct.pack("=BBH", number, 1, 0) + attributes)[0]


def counters(family):
    """Sluice's counters of this namespace by name, without starting a program."""
    error, answers = ask(GENERIC, family, DUMP, struct.pack("=BBH", 2, 1, 0))
    if error:
        raise OSError(error)
    rows, at = {}, 0
    while at < len(answers):
        end = at + struct.unpack_from("=I", answers, at)[0]
        at, row = at + 20, {}
        while at < end:
            length, kind = struct.unpack_from("=HH", answers, at)
            row[kind] = answers[at + 4:at + length]
            at += (length + 3) & ~3
        rows[row[1].rstrip(b"\0").decode()] = struct.unpack("=Q", row[2])[0]
        at = (end + 3) & ~3
    return rows


def socket_states(family):
    """The TCP_* state of each socket of the family in this namespace, listeners included."""
    error, answers = ask(SOCK_DIAG, SOCK_DIAG_BY_FAMILY, DUMP, struct.pack("=BBHI", family, 0, 0, 0xffffffff) + bytes(44))
    if error:
        raise OSError(error)
    states, at = [], 0
    while at < len(answers):
        states.append(answers[at + 17])
        at += (struct.unpack_from("=I", answers, at)[0] + 3) & ~3
    return states
