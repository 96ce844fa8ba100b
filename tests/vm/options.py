#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# Every socket option that Linux 6.12 knows, inside the VM, with right and wrong
# values and lengths, on kernel TCP and on Sluice: Documentation/options.md says
# what comes out, and is what is tested here.
import contextlib
import ctypes
import errno
import functools
import glob
import os
import re
import select
import socket
import struct
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from network import ROOT, counter, file_holds, kernel_word  # noqa: E402
from network import run as command  # noqa: E402
from runner import check, equal, run, test  # noqa: E402
from transport import (INET, INET6, REAL4, REAL6, SLUICE4, SLUICE6, SOL_SLUICE, TCP4, TCP6, error_of,  # noqa: E402
                       libc, ports)

NUMBERS = {"SOL_SOCKET": 1, "IPPROTO_TCP": 6, "IPPROTO_IP": 0, "IPPROTO_IPV6": 41}
HEADERS = (("SOL_SOCKET", "asm-generic/socket.h", "SO_"), ("IPPROTO_TCP", "linux/tcp.h", "TCP_"),
           ("IPPROTO_IP", "linux/in.h", "IP_|MCAST_"), ("IPPROTO_IPV6", "linux/in6.h", "IPV6_"),
           ("IPPROTO_IPV6", "linux/in.h", "MCAST_"),
           ("IPPROTO_IP", "linux/mroute.h", "MRT_"), ("IPPROTO_IPV6", "linux/mroute6.h", "MRT6_"),
           ("IPPROTO_IP", "linux/netfilter_ipv4.h", "SO_"),
           ("IPPROTO_IP", "linux/netfilter_ipv4/ip_tables.h", "IPT_SO_"),
           ("IPPROTO_IP", "linux/netfilter_arp/arp_tables.h", "ARPT_SO_"),
           ("IPPROTO_IP", "linux/netfilter_bridge/ebtables.h", "EBT_SO_"),
           ("IPPROTO_IP", "linux/netfilter/ipset/ip_set.h", "SO_"), ("IPPROTO_IP", "linux/ip_vs.h", "IP_VS_SO_"),
           ("IPPROTO_IPV6", "linux/netfilter_ipv6/ip6_tables.h", "IP6T_SO_"))
# What the headers define beside options.
NO_OPTIONS = re.compile(r"TCP_(MSS_|REPAIR_(ON|OFF)|MD5SIG_(MAX|FLAG)|AO_(MAX|KEYF)|RECEIVE_)|"
                        r"IP_(PMTUDISC|DEFAULT)_|MCAST_(IN|EX)CLUDE|MRT6?_(BASE|MAX|FLUSH_)|.*_SO_[GS]ET_MAX$|"
                        r"IPV6_(FL_|FLOWINFO_(FLOW|PRIO)|PRIORITY_|TLV_|PMTUDISC_|PREFER_)")
SOMEBODY, NEEDS_PRIVILEGE, NETFILTER = 65534, "EPERM without CAP_", "netfilter's"
NEWEST = tuple(int(part) for part in os.uname().release.split(".")[:2]) >= (6, 12)


class Row:
    def __init__(self, level, cells):
        self.level, self.name, self.number = level, cells[0], int(cells[1])
        self.here, self.to_tcp, self.remark = cells[2:]


def table():
    """The rows of Documentation/options.md."""
    rows, level = [], None
    with open(os.path.join(ROOT, "Documentation", "options.md")) as file:
        for line in file:
            if line.startswith("## "):
                level = line[3:].strip()
            elif line.startswith("| ") and level in NUMBERS and not line.startswith("| option"):
                rows.append(Row(level, [cell.strip() for cell in line.strip()[1:-1].split("|")]))
    return rows


def differing_later():
    """The options whose values may be others than TCP's of connections and listeners."""
    with open(os.path.join(ROOT, "Documentation", "options.md")) as file:
        paragraph = file.read().split("\n\nOnce connected")[1].split("\n\n")[0]
    return set(re.findall("`([A-Z0-9_]+)`", paragraph))


# ---- asking ----------------------------------------------------------------------------

INTEGERS = [struct.pack("=i", n) for n in (-1, 0, 1, 2, 100, 0x7fffffff, -0x80000000)]
NOWHERE = ctypes.c_void_p(8)
VALUES = [b"", b"\1", b"\1\0\0", *INTEGERS, bytes(8), bytes(16), b"\xff" * 64]


def stored(host):
    """struct sockaddr_storage."""
    if ":" in host:
        return struct.pack("=HHI16s104x", socket.AF_INET6, 0, 0, socket.inet_pton(socket.AF_INET6, host))
    return struct.pack("=HH4s120x", socket.AF_INET, 0, socket.inet_aton(host))


def group_values(group, source):
    """Of options at either IP's level: right values of those that are too long to be right by chance. Device 1 is lo."""
    joins = struct.pack("=I4x", 1) + stored(group)
    with_source = joins + stored(source)
    return {**{f"MCAST_{name}": [joins, joins[:-1]] for name in ("JOIN_GROUP", "LEAVE_GROUP")},
            **{f"MCAST_{name}": [with_source, with_source[:-1]] for name in
               ("BLOCK_SOURCE", "UNBLOCK_SOURCE", "JOIN_SOURCE_GROUP", "LEAVE_SOURCE_GROUP")},
            "MCAST_MSFILTER": [joins + struct.pack("=II", 1, 0), joins + struct.pack("=II", 1, 1) + stored(source)]}


GROUP4, GROUP6 = "239.1.2.3", "ff02::1:2"
IP4 = {"group": socket.inet_aton(GROUP4), "lo": socket.inet_aton("127.0.0.1")}
RIGHT = {"IPPROTO_IP": {**group_values(GROUP4, "127.0.0.1"),
                        **{f"IP_{name}_MEMBERSHIP": [IP4["group"] + IP4["lo"]] for name in ("ADD", "DROP")},
                        **{f"IP_{name}": [IP4["group"] + IP4["lo"] * 2] for name in
                           ("BLOCK_SOURCE", "UNBLOCK_SOURCE", "ADD_SOURCE_MEMBERSHIP", "DROP_SOURCE_MEMBERSHIP")},
                        "IP_MSFILTER": [IP4["group"] + IP4["lo"] + struct.pack("=II", 1, 0)]},
         "IPPROTO_IPV6": {**group_values(GROUP6, "::1"),
                          **{f"IPV6_{name}": [socket.inet_pton(socket.AF_INET6, host) + struct.pack("=I", 1)]
                             for name, host in (("ADD_MEMBERSHIP", GROUP6), ("DROP_MEMBERSHIP", GROUP6),
                                                ("JOIN_ANYCAST", "fd00::"), ("LEAVE_ANYCAST", "fd00::"))}}}


def values_of(row):
    return VALUES + RIGHT.get(row.level, {}).get(row.name, [])


def outcome(result):
    number = ctypes.get_errno()
    if not result:
        return "0"
    return "EOPNOTSUPP" if number == errno.EOPNOTSUPP else errno.errorcode.get(number, str(number))


def write(sock, row, value):
    return outcome(libc.setsockopt(sock.fileno(), NUMBERS[row.level], row.number, value, len(value)))


def read(sock, row, room):
    value, length = ctypes.create_string_buffer(max(room, 1)), ctypes.c_uint32(room)
    error = outcome(libc.getsockopt(sock.fileno(), NUMBERS[row.level], row.number, value, ctypes.byref(length)))
    return value.raw[:length.value] if error == "0" else error


def hostile(sock, row):
    """Addresses where nothing is, and lengths below zero."""
    number = NUMBERS[row.level], row.number
    value, room, negative = ctypes.create_string_buffer(64), ctypes.c_uint32(64), ctypes.c_int32(-1)
    return [outcome(libc.setsockopt(sock.fileno(), *number, where, length))
            for where, length in ((NOWHERE, 4), (NOWHERE, 64), (None, 4), (None, 0), (value, -1),
                                  (value, -1 << 31))] + \
           [outcome(libc.getsockopt(sock.fileno(), *number, where, length))
            for where, length in ((NOWHERE, ctypes.byref(room)), (value, NOWHERE), (value, None),
                                  (value, ctypes.byref(negative)))]


def story(transport, row):
    """What becomes of each value, and what is read back, each time of a new socket."""
    steps = []
    for value in values_of(row):
        with transport.socket() as sock:
            steps.append((value, write(sock, row, value), read(sock, row, 4), read(sock, row, 64)))
    with transport.socket() as sock:
        steps.append(("get", *(read(sock, row, room) for room in (0, 1, 3))))
    with transport.socket() as sock:
        steps.append(("hostile", *hostile(sock, row)))
    return steps


def later_story(sock, row):
    """The same of one socket that has come further."""
    steps = [(value, write(sock, row, value), read(sock, row, 4), read(sock, row, 64))
             for value in values_of(row)]
    return [*steps, ("hostile", *hostile(sock, row))]


def later_stories(transport, row):
    """Of a client, of what its listener made, and of the listener."""
    with transport.listener() as listener, transport.socket() as client:
        transport.connect(client, transport.port_of(listener))
        with transport.accept(listener) as server:
            return {"client": later_story(client, row), "server": later_story(server, row),
                    "listener": later_story(listener, row)}


# ---- the table ---------------------------------------------------------------------------

def defined(header):
    """The names that stand for numbers in a kernel's header, but those that stand for another's name."""
    folder, = glob.glob("/usr/src/linux-headers-6.12*-common/include/uapi")
    numbers = {}
    with open(os.path.join(folder, header)) as file:
        for name, value in re.findall(r"^#define\s+(\w+)[ \t]+([^/\n]*[^/\s])", file.read(), re.M):
            if value.isidentifier() and not value.endswith("_BASE_CTL"):
                continue
            with contextlib.suppress(NameError, SyntaxError, TypeError):    # of what isn't made of numbers
                numbers[name] = eval(value, {"__builtins__": {}}, dict(numbers))
    return numbers


@test()
def the_table_has_every_option():
    known = {(row.level, row.name): row.number for row in table()}
    for level, header, prefix in HEADERS:
        for name, number in defined(header).items():
            if re.match(prefix, name) and not NO_OPTIONS.match(name):
                equal(known.pop((level, name), None), number, f"{level} {name}")
    equal(known, {}, "options that Linux doesn't have")


def without_modprobe(function):
    """The kernel starts it, which takes long, for each wrong name of an algorithm."""
    @functools.wraps(function)
    def quick(pairing):
        with file_holds("/proc/sys/kernel/modprobe", "\n"):
            function(pairing)
    return quick


def unknown_here(steps):
    """Is it an option that this kernel may not have?"""
    return not NEWEST and all(step[1] in ("ENOPROTOOPT", "EINVAL") for step in steps if step[0] in VALUES)


def mismatch(row, ours, kernel):
    """What isn't as the table says, if these don't only have to be the same, or None."""
    if row.to_tcp == "differs" and ours == kernel and NEWEST:
        return "differs from TCP in nothing"
    given = {step[1] for step in ours if step[0] in INTEGERS}
    privilege = {"EPERM"} if os.geteuid() and NEEDS_PRIVILEGE in row.remark else set()
    leaner = {"ENOPROTOOPT"} if kernel_word().startswith("uml") and ours == kernel else set()
    if row.here.startswith("refused ") and not given <= {row.here.split()[1], "EINVAL"} | privilege | leaner:
        return f"setting it gave {given}"
    if row.here == NETFILTER and given != {"ENOPROTOOPT"}:
        return f"netfilter isn't loaded, but setting it gave {given}"
    if row.here == "read only" and "0" in given:
        return "it could be set"
    return None


class Pairing:
    """A level's options on a Sluice socket, and the kernel's TCP socket beside it."""

    def __init__(self, level, ours, kernel):
        self.level, self.ours, self.kernel = level, ours, kernel
        self.name = f"{level}-{ours.name}"
        self.foreign = level == "IPPROTO_IPV6" and kernel is TCP4    # all are refused, whatever the table says

    def mismatch(self, row, ours, kernel, errors_only=False):
        """What isn't as the table says, or None."""
        if errors_only:
            ours, kernel = [[step if step[0] == "hostile" else step[:2] for step in steps] for steps in (ours, kernel)]
        steps = [(mine, theirs) for mine, theirs in zip(ours, kernel) if mine != theirs]
        if (row.to_tcp == "same" or self.foreign) and steps:
            return f"here {steps[0][0]}, TCP {steps[0][1]}"
        return None if self.foreign else mismatch(row, ours, kernel)


PAIRINGS = [Pairing(level, ours, kernel) for level in NUMBERS
            for ours, kernel in ((INET, TCP4), (REAL4, TCP4), (INET6, TCP6), (SLUICE6, TCP6), (REAL6, TCP6))]


@test(*PAIRINGS)
@without_modprobe
def options_are_as_the_table_says(pairing):
    wrong = []
    for row in table():
        if row.level == pairing.level:
            ours = story(pairing.ours, row)
            if unknown_here(ours):
                continue
            if text := pairing.mismatch(row, ours, story(pairing.kernel, row)):
                wrong.append(f"{row.name}: {text}")
    check(not wrong, "\n".join(wrong))


def somebodys_mismatch(pairing, row):
    """What isn't as the table says when somebody without privileges asks, or None."""
    root = story(pairing.ours, row)
    os.seteuid(SOMEBODY)
    try:
        ours, kernel = story(pairing.ours, row), story(pairing.kernel, row)
        if unknown_here(ours):
            return None
        if row.to_tcp == "same" and (NEWEST or "kernel 6.1" not in row.remark) and \
                (text := pairing.mismatch(row, ours, kernel)):
            return text
    finally:
        os.seteuid(0)
    needs = any("EPERM" in mine and "EPERM" not in roots for mine, roots in zip(ours, root))
    if kernel_word() == "6.12" and not pairing.foreign and needs != (NEEDS_PRIVILEGE in row.remark):
        return f"needs privileges: {needs}"
    return None


@test(*PAIRINGS)
@without_modprobe
def options_are_as_the_table_says_for_somebody(pairing):
    wrong = []
    for row in table():
        if row.level == pairing.level and (text := somebodys_mismatch(pairing, row)):
            wrong.append(f"{row.name}: {text}")
    check(not wrong, "\n".join(wrong))


@test(*PAIRINGS)
@without_modprobe
def options_are_so_later_too(pairing):
    wrong, other_values = [], differing_later()
    for row in table():
        if row.level != pairing.level or row.to_tcp != "same":
            continue
        ours, kernel = later_stories(pairing.ours, row), later_stories(pairing.kernel, row)
        for who, steps in ours.items():
            if not unknown_here(steps) and (text := pairing.mismatch(row, steps, kernel[who],
                                                                     row.name in other_values)):
                wrong.append(f"{row.name} of a {who}: {text}")
    check(not wrong, "\n".join(wrong))


@test(*(Pairing(level, ours, kernel) for level, ours, kernel in (
    ("every level", INET, TCP4), ("every level", REAL4, TCP4), ("every level", SLUICE6, TCP6),
    ("every level", INET6, TCP6), ("every level", REAL6, TCP6))))
def levels_that_are_not_there_are_refused(pairing):
    """Not of this socket, or of none: UDP's, raw sockets', and those of other families."""
    known = {*NUMBERS.values(), SOL_SLUICE}
    with pairing.ours.socket() as ours, pairing.kernel.socket() as kernel:
        for level in {-1, *range(300), 0x7fffffff} - known:
            for name in (0, 1, 64, 80, -1):
                results = []
                for sock in ours, kernel:
                    value, length = ctypes.create_string_buffer(64), ctypes.c_uint32(64)
                    results.append((outcome(libc.setsockopt(sock.fileno(), level, name, value, 64)),
                                    outcome(libc.getsockopt(sock.fileno(), level, name, value, ctypes.byref(length)))))
                equal(results[0], results[1], f"level {level}, option {name}")


GROUPS = [Pairing("groups", ours, kernel) for ours, kernel in ((INET, TCP4), (REAL4, TCP4), (SLUICE6, TCP6), (REAL6, TCP6))]


def memberships(file, shown):
    """How many devices are in the group that is shown so."""
    with open(f"/proc/net/{file}") as lines:
        return lines.read().count(shown)


@test(*GROUPS)
def groups_are_left_with_the_socket(pairing):
    """What is "accepted" joins a group that nothing can be received from; and it must end."""
    level, file, shown = ("IPPROTO_IPV6", "igmp6", "ff020000000000000000000000010002") if pairing.kernel is TCP6 else \
        ("IPPROTO_IP", "igmp", "030201EF")
    if not os.path.exists(f"/proc/net/{file}"):
        return    # a kernel without multicast
    join, leave = (Row(level, [f"MCAST_{name}_GROUP", number, "", "", ""]) for name, number in (("JOIN", 42), ("LEAVE", 45)))
    right = RIGHT[level]["MCAST_JOIN_GROUP"][0]
    for t in pairing.kernel, pairing.ours:
        with t.socket() as sock:
            equal(memberships(file, shown), 0)
            equal([write(sock, row, right) for row in (join, join, leave, leave, join)],
                  ["0", "EADDRINUSE", "0", "EADDRNOTAVAIL", "0"], t.name)
            equal(memberships(file, shown), 1)
        equal(memberships(file, shown), 0, f"after {t.name} was closed")


# ---- netfilter's ---------------------------------------------------------------------------

MODULES = ("iptable_filter", "ip6table_filter", "arptable_filter", "ebtable_filter", "ip_set", "ip_vs")
# Right questions, each with its answer's length: struct ipt_getinfo and the like, of which the name is first.
QUESTIONS = {"IPT_SO_GET_INFO": b"filter".ljust(84, b"\0"), "IP6T_SO_GET_INFO": b"filter".ljust(84, b"\0"),
             "ARPT_SO_GET_INFO": b"filter".ljust(68, b"\0"), "EBT_SO_GET_INFO": b"filter".ljust(120, b"\0"),
             "SO_IP_SET": struct.pack("=II", 0x100, 6), "IP_VS_SO_GET_INFO": bytes(12)}


def ask(sock, row, question):
    value, length = ctypes.create_string_buffer(question, 128), ctypes.c_uint32(len(question))
    error = outcome(libc.getsockopt(sock.fileno(), NUMBERS[row.level], row.number, value, ctypes.byref(length)))
    return value.raw[:length.value] if error == "0" else error


def netfilter_stories(transport, rows):
    """Of each row: what becomes of values, and what a right question is answered."""
    found = {}
    for row in rows:
        with transport.socket() as sock:
            found[row.name] = story(transport, row), ask(sock, row, QUESTIONS.get(row.name, bytes(30)))
    return found


@test(*(pairing for pairing in PAIRINGS if pairing.level.startswith("IPPROTO_IP") and not pairing.foreign))
@without_modprobe
def netfilter_answers_as_of_tcp(pairing):
    if kernel_word().startswith("uml"):
        return    # it has none of them
    rows = [row for row in table() if row.level == pairing.level and row.here == NETFILTER]
    check(rows)
    command("modprobe", "-a", *MODULES)
    try:
        for user in 0, SOMEBODY:
            os.seteuid(user)
            try:
                ours, kernel = netfilter_stories(pairing.ours, rows), netfilter_stories(pairing.kernel, rows)
            finally:
                os.seteuid(0)
            for row in rows:
                equal(ours[row.name], kernel[row.name], row.name)
                if question := QUESTIONS.get(row.name):
                    given = ours[row.name][1]
                    equal("EPERM" if given == "EPERM" else len(given), "EPERM" if user else len(question), row.name)
    finally:
        command("modprobe", "-r", "-a", *MODULES)


# ---- what Sluice adds: SOL_SLUICE (include/sluice.h) ------------------------------------

class Telling:
    """An option that tells all about a connection: TCP_INFO shows what is expected of SLUICE_INFO."""

    def __init__(self, transport, level, option):
        self.transport, self.level, self.option = transport, level, option
        self.name = transport.name

    def told(self, sock, room, option=None, where=None):
        """What was written in so much room, or the error; nothing may be written beyond."""
        value, length = ctypes.create_string_buffer(b"\xaa" * 4096, 4096), ctypes.c_int32(room)
        error = outcome(libc.getsockopt(sock.fileno(), self.level, self.option if option is None else option,
                                        where or value, ctypes.byref(length)))
        if error != "0":
            return error
        equal(value.raw[length.value:], b"\xaa" * (4096 - length.value), "beyond what was told")
        return value.raw[:length.value]


SLUICE_INFO = 1
TELLING = [Telling(t, socket.IPPROTO_TCP, socket.TCP_INFO) for t in (TCP4, TCP6)] + \
    [Telling(t, SOL_SLUICE, SLUICE_INFO) for t in (SLUICE4, SLUICE6, INET, INET6, REAL4, REAL6)]


def sluice_info_size():
    """By its declaration."""
    with open(os.path.join(ROOT, "include", "sluice.h")) as file:
        body = re.search(r"struct sluice_info {(.*?)\n};", file.read(), re.S)[1]
    end = 0
    for bits, names in re.findall(r"__u(\d+) ([^;]*);", body):
        for _ in names.split(","):
            size = int(bits) // 8
            end = -(-end // size) * size + size
    return -(-end // 8) * 8


@test(*TELLING)
def information_is_told_as_far_as_there_is_room(telling):
    t = telling.transport
    client, _server = t.pair()
    with t.socket() as fresh, t.listener() as listener:
        equal([telling.told(sock, 4096)[0] for sock in (client, fresh, listener)], [1, 7, 10], "states")
    size = len(telling.told(client, 4096))
    if t.sluice:
        equal(size, sluice_info_size())
    for room in (0, 1, 7, 8, 100, size - 1, size, size + 1):
        equal(len(telling.told(client, room)), min(room, size), f"with room for {room}")
    equal(telling.told(client, 1), b"\1")
    for room in (-1, -1 << 31):
        equal(telling.told(client, room), "EINVAL", f"with room for {room}")
    equal([telling.told(client, room, where=NOWHERE) for room in (8, size)], ["EFAULT", "EFAULT"])
    for length in (NOWHERE, None):
        equal(outcome(libc.getsockopt(client.fileno(), telling.level, telling.option,
                                      ctypes.create_string_buffer(8), length)), "EFAULT")
    equal(telling.told(client, 64, option=9999), "ENOPROTOOPT")
    for value in (bytes(4), bytes(size)):
        equal(outcome(libc.setsockopt(client.fileno(), telling.level, telling.option, value, len(value))),
              "ENOPROTOOPT", f"setting {len(value)} bytes")


@test(SLUICE4, SLUICE6, INET, INET6, REAL4, REAL6)
def sol_sluice_has_nothing_else(t):
    with t.socket() as sock:
        for option in (0, 2, 3, -1):
            equal(error_of(sock.getsockopt, SOL_SLUICE, option), "ENOPROTOOPT", option)
            equal(error_of(sock.setsockopt, SOL_SLUICE, option, 1), "ENOPROTOOPT", option)


# ---- what only the wire shows --------------------------------------------------------------

@test(TCP4, TCP6, SLUICE4, SLUICE6, INET, INET6, REAL4, REAL6)
def segments_from_afar_are_dropped(t):
    """IP_MINTTL and IPV6_MINHOPCOUNT (RFC 5082): the peer's segments begin with 64."""
    level, option = (41, 73) if ":" in t.host else (0, 21)
    client, server = t.pair()
    server.setsockopt(level, option, 65)
    client.sendall(b"far")
    server.settimeout(0.3)
    before = counter("ttl_too_low")
    try:
        check(not server.recv(10), "heard from afar")
    except TimeoutError:
        pass
    if t.sluice:
        check(counter("ttl_too_low") >= before)
    server.setsockopt(level, option, 64)
    server.settimeout(10)
    equal(server.recv(10), b"far")
    if t.sluice:
        check(counter("ttl_too_low") > 0)


@test(TCP4, TCP6, SLUICE4, SLUICE6, INET, REAL4)
def deferred_accept_waits_for_data(t):
    listener = t.socket()
    t.bind(listener, port := next(ports))
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 60)
    listener.listen()
    client = t.socket()
    t.connect(client, port)
    listener.setblocking(False)
    time.sleep(0.2)
    equal(error_of(t.accept, listener), "EAGAIN", "without data")
    client.sendall(b"data")
    equal(len(select.select([listener], [], [], 10)[0]), 1)
    equal(t.accept(listener).recv(10), b"data")
    # Who says nothing is accepted after all.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 1)
    silent = t.socket()
    t.connect(silent, port)
    begin = time.monotonic()
    equal(len(select.select([listener], [], [], 20)[0]), 1)
    check(time.monotonic() - begin > 0.5, time.monotonic() - begin)
    t.accept(listener)


@test(TCP4, TCP6, SLUICE4, SLUICE6, INET, INET6)
def rcvlowat_beyond_the_buffer_still_wakes(t):
    client, server = t.pair()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1 << 30)
    server.settimeout(20)
    data, got = bytes(2000000), 0
    client.settimeout(20)
    sender = threading.Thread(target=lambda: (client.sendall(data), client.shutdown(socket.SHUT_WR)))
    sender.start()
    while part := server.recv(1 << 20):
        got += len(part)
    sender.join()
    equal(got, len(data))


if __name__ == "__main__":
    run(*sys.argv[1:])
