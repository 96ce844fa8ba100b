#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# The program sluice as a user has it, inside the VM: what send and recv carry
# and when they refuse, and whether ss, stat, get and set say and do what the
# test knows of its sockets. send and recv run over kernel TCP first.
import collections
import contextlib
import fcntl
import hashlib
import json
import os
import pty
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import rtnetlink  # noqa: E402
from mix import OURS4  # noqa: E402
from network import Link, counters, inside, refused, sluice, tool  # noqa: E402
from network import run as command  # noqa: E402
from runner import check, equal, run, test, until, within  # noqa: E402
from traffic import SO_RCVBUFFORCE, SO_SNDBUFFORCE, V4, V6, abort, joined  # noqa: E402
from transport import (INET, INET6, REAL4, REAL6, SLUICE4, SLUICE6, TCP4, TCP6, call, error_of, libc,  # noqa: E402
                       ports)

SOL, TCP = socket.SOL_SOCKET, socket.IPPROTO_TCP
SO_MEMINFO, SO_COOKIE = 55, 57
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
NOBODY, PR_SET_DUMPABLE = 65534, 4


# ---- running the tool ------------------------------------------------------------------

class Way:
    """How send and recv are told to speak, and to which host."""

    def __init__(self, name, host, *options):
        self.name, self.host, self.options = name, host, options

    def to(self, port):
        return f"[{self.host}]:{port}" if ":" in self.host else f"{self.host}:{port}"


WAYS = (Way("kernel-v4", "127.0.0.1", "--tcp-kernel"), Way("kernel-v6", "::1", "--tcp-kernel"),
        Way("native-v4", "127.0.0.1"), Way("native-v6", "::1"),
        Way("tcp-v4", "127.0.0.1", "--tcp"), Way("tcp-v6", "::1", "--tcp"))
V4_WAYS = WAYS[::2]


class Ended(collections.namedtuple("Ended", "status out err")):
    """What a command has said; its complaint is one line, or there is none."""

    def complaint(self):
        lines = [line for line in self.err.splitlines() if line.startswith("sluice: ")]
        equal(len(lines), 1, f"lines of complaint in {self.err!r}")
        return lines[0]

    def failed(self, words, status=1):
        equal(self.status, status, self.err)
        check(words in self.complaint(), f"no {words!r} in {self.err!r}")

    def succeeded(self):
        equal((self.status, [line for line in self.err.splitlines() if line.startswith("sluice: ")]), (0, []))
        return self


class Running:
    """A started command, killed if it hasn't ended at the end of the block."""

    def __init__(self, *arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE):
        self.process = subprocess.Popen([tool(), *arguments], stdin=stdin, stdout=stdout, stderr=stderr, bufsize=0)
        self.said = ""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def read_line(self):
        """The next on standard error."""
        line = self.process.stderr.readline().decode()
        self.said += line
        return line

    def feed(self, data, last=False):
        """All of it: the pipe takes a part at a time."""
        while data:
            data = data[self.process.stdin.write(data):]
        if last:
            self.process.stdin.close()
            self.process.stdin = None

    def end(self):
        out, err = self.process.communicate(timeout=60)
        return Ended(self.process.returncode, out, self.said + (err or b"").decode())


def receiving(way, *arguments, **streams):
    """recv, when it listens; its port is of the kernel's choice."""
    receiver = Running("recv", *way.options, way.to(0), *arguments, **streams)
    line = receiver.read_line()
    check(line.startswith("listening on "), line)
    receiver.port = int(line.rsplit(":", 1)[1])
    return receiver


def send(way, port, *arguments, **streams):
    with Running("send", *way.options, way.to(port), *arguments, **streams) as sender:
        return sender.end()


@contextlib.contextmanager
def directory():
    with tempfile.TemporaryDirectory() as path:
        yield lambda name: os.path.join(path, name)


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)
    return path


def read(path):
    with open(path, "rb") as file:
        return file.read()


def size_of(path):
    return os.stat(path).st_size


def sha256(data):
    return hashlib.sha256(data).hexdigest()


@contextlib.contextmanager
def alone():
    """In a namespace of its own, where nothing happens that the test doesn't do."""
    rtnetlink.create("alone")
    try:
        with inside("alone"):
            yield
    finally:
        rtnetlink.delete("alone")


def in_a_child(function):
    """Runs it in a process of its own, which may give up what it is."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            function()
            status = 0
        except BaseException:
            traceback.print_exc(file=sys.stdout)
            sys.stdout.flush()
        os._exit(status)
    equal(os.waitpid(pid, 0)[1], 0, "the child ended with")


# ---- send and recv ---------------------------------------------------------------------

@test(*WAYS)
def a_file_arrives_whole(way):
    data = os.urandom(3_000_001)
    with directory() as path:
        original, copy = write(path("original"), data), path("copy")
        with receiving(way, "--sha256", copy) as receiver:
            sent = send(way, receiver.port, "--sha256", original).succeeded()
            got = receiver.end().succeeded()
        check(read(copy) == data, "the copy differs")
        for ended, name, verb in ((sent, original, "sent"), (got, copy, "received")):
            equal(ended.out.decode(), f"{sha256(data)}  {name}\n")
            check(f"{verb} {len(data)} bytes in " in ended.err, ended.err)
        check("connection from " in got.err, got.err)


@test(*V4_WAYS)
def standard_input_goes_to_standard_output(way):
    data = os.urandom(1_000_001)
    with receiving(way, "--sha256") as receiver, \
            Running("send", *way.options, "--sha256", "-q", way.to(receiver.port), stdin=subprocess.PIPE) as sender:
        sender.feed(data, last=True)
        got, sent = receiver.end().succeeded(), sender.end().succeeded()
    check(got.out == data, "what came out differs")
    check(f"{sha256(data)}  -\n" in got.err, got.err)    # not among the data
    equal((sent.out.decode(), sent.err), (f"{sha256(data)}  -\n", ""))


@test(*V4_WAYS)
def an_empty_file_arrives(way):
    with directory() as path:
        with receiving(way, "--sha256", path("copy")) as receiver:
            send(way, receiver.port, "/dev/null").succeeded()
            receiver.end().succeeded()
        equal(read(path("copy")), b"")


@test(*V4_WAYS)
def so_many_bytes_and_no_others(way):
    data = os.urandom(300_000)
    with directory() as path:
        original = write(path("original"), data)

        with receiving(way, "--bytes", "100K", path("part")) as receiver:
            send(way, receiver.port, "--bytes", "100K", original).succeeded()
            receiver.end().succeeded()
        check(read(path("part")) == data[:102400], "another part")

        with receiving(way, "/dev/null") as receiver:
            send(way, receiver.port, "--bytes", "300001", original).failed("ended after 300000 of 300001 bytes")
            receiver.end().failed("reset by peer")

        with receiving(way, "--bytes", "300001", "/dev/null") as receiver:
            sent = send(way, receiver.port, original)
            receiver.end().failed("closed after 300000 of 300001 bytes")
        sent.failed("lost: Connection reset by peer")

        with receiving(way, "--bytes", "299999", "/dev/null") as receiver:
            sent = send(way, receiver.port, original)
            receiver.end().failed("sent more than 299999 bytes")
        sent.failed(" lost: ")


@test(*V4_WAYS)
def takes_one_connection_after_the_other(way):
    with directory() as path:
        with receiving(way, "-n", "2", path("both")) as receiver:
            send(way, receiver.port, write(path("one"), b"1" * 100_000)).succeeded()
            with Running("send", *way.options, way.to(receiver.port), stdin=subprocess.PIPE) as second:
                while receiver.said.count("connection from ") < 2:
                    check(receiver.read_line(), receiver.said)
                # Who comes now isn't left waiting.
                send(way, receiver.port, "/dev/null").failed("Connection refused")
                second.feed(b"2" * 1000, last=True)
                second.end().succeeded()
            receiver.end().succeeded()
        equal(read(path("both")), b"1" * 100_000 + b"2" * 1000)


@test(*V4_WAYS)
def an_interrupted_sender_resets(way):
    """So that nobody takes a part for the whole, though the input may end by the same Ctrl-C."""
    for number, ends_input in ((signal.SIGINT, False), (signal.SIGTERM, False), (signal.SIGINT, True)):
        with directory() as path, receiving(way, "--sha256", path("part")) as receiver, \
                Running("send", *way.options, way.to(receiver.port), stdin=subprocess.PIPE) as sender:
            sender.feed(b"x" * 100_000)
            until(lambda: size_of(path("part")) == 100_000, text="the first part didn't arrive")
            sender.process.send_signal(number)
            if not ends_input:
                sender.process.wait(60)
            sender.end().failed("interrupted", 128 + number)
            got = receiver.end()
            got.failed("lost: Connection reset by peer")
            equal(got.out, b"", "the sum of a part")


@test(*V4_WAYS)
def an_interrupted_receiver_resets(way):
    with receiving(way, "/dev/null") as receiver, \
            Running("send", *way.options, way.to(receiver.port), "/dev/zero") as sender:
        receiver.read_line()
        receiver.process.send_signal(signal.SIGINT)
        receiver.end().failed("interrupted", 130)
        sender.end().failed(" lost: ")


@test(*V4_WAYS)
def a_full_file_system_fails_both(way):
    with directory() as path:
        os.mkdir(path("small"))
        command("mount", "-t", "tmpfs", "-o", "size=64k", "small", path("small"))
        try:
            # Little enough that all of it is on its way before the disk is full.
            for size in ("100K", "20M"):
                with receiving(way, "--sha256", path("small/copy")) as receiver:
                    sent = send(way, receiver.port, "--bytes", size, "/dev/zero")
                    got = receiver.end()
                got.failed("small/copy: No space left on device")
                equal(got.out, b"", "the sum of a part")
                sent.failed(" lost: ")
        finally:
            command("umount", path("small"))


@test(TCP4, TCP6)
def tcp_is_spoken_with_any_program(t):
    """One that knows nothing of Sluice, in both roles."""
    way = {TCP4: WAYS[4], TCP6: WAYS[5]}[t]
    data = os.urandom(1_000_000)
    with directory() as path:
        original = write(path("original"), data)
        listener = t.listener()
        with Running("send", "--tcp", way.to(t.port_of(listener)), original) as sender:
            peer = t.accept(listener)
            with peer, peer.makefile("rb") as file:
                check(file.read() == data, "Python got other bytes")
            sender.end().succeeded()
        with receiving(way, path("copy")) as receiver:
            client = t.socket()
            t.connect(client, receiver.port)
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
            equal(client.recv(1), b"")    # after it was written
            check(read(path("copy")) == data, "recv got other bytes")
            receiver.end().succeeded()
        with Running("send", "--tcp", way.to(t.port_of(listener)), original) as sender:
            t.accept(listener).close()    # reads nothing of it
            sender.end().failed(" lost: ")


@test()
def buffers_and_algorithm_are_of_this_connection():
    way = WAYS[2]
    with receiving(way, "--rcvbuf", "50000", "/dev/null") as receiver, \
            Running("send", "--cc", "reno", "--sndbuf", "60K", way.to(receiver.port), stdin=subprocess.PIPE) as sender:
        receiver.read_line()
        rows = listed(f"sport = :{receiver.port} or dport = :{receiver.port}")
        ours = {row["peer"]["port"] == receiver.port: row for row in rows}
        equal((ours[True]["cc"], ours[True]["memory"]["sndbuf"]), ("reno", 2 * 60 * 1024))
        equal((ours[False]["cc"], ours[False]["memory"]["rcvbuf"]), ("cubic", 100_000))
        sender.process.kill()
    for option in (("--cc", "nonesuch"), ("--sndbuf", "much"), ("--bytes", "-1")):
        refused("send", *option, "127.0.0.1:1", "/dev/null")


# ---- progress --------------------------------------------------------------------------

class Terminal:
    """What a program prints on a terminal of so many columns."""

    def __init__(self, columns):
        self.master, self.slave = pty.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 25, columns, 0, 0))
        os.set_blocking(self.master, False)
        self.text = ""

    def shown(self):
        """The states of its last line, one after the other."""
        with contextlib.suppress(BlockingIOError, OSError):
            while part := os.read(self.master, 65536):
                self.text += part.decode()
        return re.findall(r"\r([^\r\n]*)\x1b\[K", self.text)

    def close(self):
        os.close(self.slave)
        os.close(self.master)


@contextlib.contextmanager
def terminal(columns):
    made = Terminal(columns)
    try:
        yield made
    finally:
        made.close()


def fed_slowly(sender, part, total, over):
    """A little at a time until over(), then the rest."""
    fed = 0

    def looked():
        nonlocal fed
        check(fed + part < total, "all was sent and nothing shown")
        sender.feed(b"x" * part)
        fed += part
        return over()
    until(looked)
    sender.feed(b"x" * (total - fed), last=True)


@test()
def a_terminal_has_a_bar():
    way, total = WAYS[2], 5_000_000
    with terminal(100) as screen, receiving(way, "/dev/null") as receiver, \
            Running("send", "--bytes", str(total), way.to(receiver.port), stdin=subprocess.PIPE,
                    stderr=screen.slave) as sender:
        fed_slowly(sender, 2000, total, lambda: len(screen.shown()) >= 2)
        sender.end()
        receiver.end().succeeded()
        bars = screen.shown()
        end = screen.text[screen.text.rindex("\x1b[K"):]
    before = -1
    for bar in bars:
        check(len(bar) < 100, f"does not fit: {bar}")
        form = re.fullmatch(r"\[(#*)(\.*)\] +(\d+)%  +[\d.]+ k?M?B of 5\.00 MB +[\d.]+ [kMG]?B/s(  \d+:\d\d left)?", bar)
        check(form, f"what bar is this: {bar!r}")
        percent = int(form[3])
        equal(len(form[1] + form[2]), 40)
        check(abs(len(form[1]) - percent * 40 / 100) <= 1, bar)
        check(percent >= before, bars)
        before = percent
    equal(before, 100)
    check(bars[0].endswith(" left") and not bars[-1].endswith(" left"), bars)
    check(re.fullmatch(r"\x1b\[K\r\nsent 5000000 bytes in .*\r\n", end), end)


@test()
def a_narrow_terminal_has_a_short_line():
    """And recv, which isn't told how much will come, no bar."""
    way, total = WAYS[2], 1_000_000
    with terminal(24) as narrow, receiving(way, "/dev/null") as receiver, \
            Running("send", "--bytes", str(total), way.to(receiver.port), stdin=subprocess.PIPE,
                    stderr=narrow.slave) as sender:
        fed_slowly(sender, 100, total, narrow.shown)
        sender.end()
        receiver.end().succeeded()
        for line in narrow.shown():
            check(len(line) < 24 and re.match(r" *\d+%  ", line), line)
    with terminal(100) as screen:
        port = next(ports)
        with Running("recv", str(port), "/dev/null", stderr=screen.slave) as receiver:
            until(lambda: screen.shown() or "listening on " in screen.text)
            send(way, port, "--bytes", "1000000", "/dev/zero").succeeded()
            equal(receiver.end().status, 0)
        for line in screen.shown():
            check(re.fullmatch(r" *[\d.]+ [kM]?B +[\d.]+ [kMG]?B/s", line), line)
        check("1.00 MB" in screen.shown()[-1], screen.text)


@test()
def elsewhere_progress_is_lines_when_asked_for():
    way = WAYS[2]
    for options, wanted in ((("--progress",), True), ((), False), (("--progress", "--quiet"), False)):
        with receiving(way, "/dev/null") as receiver:
            sent = send(way, receiver.port, *options, "--bytes", "1M", "/dev/zero").succeeded()
            receiver.end().succeeded()
        lines = [line for line in sent.err.splitlines() if "%" in line]
        equal(bool(lines), wanted, f"{options}: {sent.err!r}")
        if wanted:
            check(re.fullmatch(r"100%   1\.05 MB of 1\.05 MB +[\d.]+ [kMG]?B/s", lines[-1]), lines)
        if "--quiet" in options:
            equal(sent.err, "")


# ---- stat ------------------------------------------------------------------------------

def some_traffic(t=SLUICE4, size=50_000):
    """Over before it returns: what ends by a reset sends nothing later."""
    client, server = t.pair()
    client.sendall(b"x" * size)
    equal(len(server.recv(size, socket.MSG_WAITALL)), size)
    abort(client)
    equal(error_of(server.recv, 1), "ECONNRESET")
    server.close()


def as_rows(text):
    """Name, value and explanation of each line."""
    return [line.split(None, 2) for line in text.splitlines()]


@test()
def stat_tells_each_counter_and_what_it_counts():
    with alone():
        equal(sluice("stat").stdout, "", "of nothing")
        some_traffic()
        some_traffic(REAL6)
        known = counters()
        equal(json.loads(sluice("stat", "--json").stdout), known)
        everything = as_rows(sluice("stat", "-z").stdout)
        equal({name: int(value) for name, value, _ in everything}, known)
        equal(as_rows(sluice("stat").stdout), [row for row in everything if row[1] != "0"])
        check(known["bytes_out"] == 100_000 and known["active_opens"] == 2, known)
    explained = [words for _, _, words in everything]
    check(all(re.match(r"\w", words) for words in explained), explained)
    equal(len(set(explained)), len(explained), "explanations that differ")


@test()
def stat_picks_counters_by_name():
    with alone():
        some_traffic()
        known = counters()
        picked = {name: value for name, value in known.items() if name.startswith("bytes_") or name == "active_opens"}
        check(len(picked) > 2, known)
        equal(json.loads(sluice("stat", "--json", "bytes_*", "active_opens").stdout), picked)
        equal([row[0] for row in as_rows(sluice("stat", "-z", "active_opens").stdout)], ["active_opens"])
        for arguments in (("nonesuch",), ("-z", "bytes"), ("--json", "nonesuch"), ("-w", "1", "nonesuch")):
            check("no counter matches" in refused("stat", *arguments), arguments)


@test()
def stat_shows_what_each_interval_added():
    with alone(), Running("stat", "-w", "1", "-c", "3", "--json") as watch:
        lines = watch.process.stdout
        first = json.loads(lines.readline())
        equal(set(first.values()), {0}, "added by nobody")    # and what it compares with is read
        before = counters()
        some_traffic()
        second = json.loads(lines.readline())
        with within(0.9):
            some_traffic(SLUICE6, 30_000)
            after = counters()
        third = json.loads(lines.readline())
        equal(lines.read(), b"", "after the last interval")
        watch.end().succeeded()
        added = {name: after[name] - before[name] for name in after}
        equal({name: second[name] + third[name] for name in second}, added)
        equal((added["bytes_out"], added["active_opens"]), (80_000, 2))


@test()
def stat_shows_intervals_as_text():
    with alone(), Running("stat", "-w", "0.1", "-z", "active_opens", "bytes_out") as watch:
        lines = watch.process.stdout
        names = [lines.readline().split()[0] for _ in range(2)]
        equal(names, [b"active_opens", b"bytes_out"])
        some_traffic()
        added = collections.Counter()

        def looked():
            if row := lines.readline().split():
                added[row[0]] += int(row[1])
            return added[b"bytes_out"] == 50_000 and added[b"active_opens"] == 1
        until(looked, text=lambda: str(added))


# ---- ss --------------------------------------------------------------------------------

def listed(*arguments):
    return json.loads(sluice("ss", "--json", *arguments).stdout)


def by_port(rows):
    return {row["local"]["port"]: row["state"] for row in rows}


def text_by_port(*arguments):
    """Port and state of each line of the table."""
    lines = [line.split() for line in sluice("ss", "-H", *arguments).stdout.splitlines() if not line.startswith("\t")]
    return {int(words[3].rsplit(":", 1)[1]): words[0] for words in lines}


def row_of(sock, *arguments, state="connected"):
    """What ss says of a socket."""
    rows = listed(*arguments, f"sport = :{SLUICE4.port_of(sock)} and state {state}")
    equal(len(rows), 1, "rows of one port")
    return rows[0]


def text_of(sock, *arguments, state="connected"):
    return sluice("ss", "-H", *arguments, f"sport = :{SLUICE4.port_of(sock)} and state {state}").stdout


@test(V6, OURS4)
def ss_shows_the_states_that_are_asked_for(t):
    with Link(), contextlib.ExitStack() as stack:
        def kept(*socks):
            for sock in socks:
                stack.callback(abort, sock)
            return socks[0]
        live, half, ended, stuck = (joined(t) for _ in range(4))
        wanted = {t.port_of(live[0]): "ESTAB", t.port_of(half[0]): "FIN-WAIT-2", t.port_of(ended[0]): "TIME-WAIT",
                  t.port_of(stuck[0]): "FIN-WAIT-1"}
        half[0].shutdown(socket.SHUT_WR)
        ended[0].close()
        equal(ended[1].recv(1), b"")
        ended[1].close()
        stuck[0].setblocking(False)
        while error_of(stuck[0].send, b"x" * 65536) is None:
            pass
        stuck[0].shutdown(socket.SHUT_WR)
        kept(*live, *half, *stuck)
        with inside(Link.NEAR):
            listener = kept(t.listener(host=t.any))
            wanted[t.port_of(listener)] = "LISTEN"
            nobody = t.host[:-1] + "9"
            rtnetlink.add_neighbour("v0", nobody, "02:00:00:00:01:09")
            calling = kept(t.socket())
            calling.setblocking(False)
            equal(error_of(t.connect, calling, 7, nobody), "EINPROGRESS")
            wanted[t.port_of(calling)] = "SYN-SENT"

            until(lambda: by_port(listed("-a")) == wanted, text=lambda: f"{by_port(listed('-a'))}, not {wanted}")
            for words, states in (("listen", {"LISTEN"}), ("fin-wait-2", {"FIN-WAIT-2"}), ("closing", set()),
                                  ("established,time-wait", {"ESTAB", "TIME-WAIT"}), ("bucket", {"TIME-WAIT"}),
                                  ("synchronized", set(wanted.values()) - {"LISTEN", "SYN-SENT"})):
                equal(text_by_port("-t", words), {port: s for port, s in wanted.items() if s in states}, words)
            equal(set(by_port(listed()).values()), {"ESTAB", "FIN-WAIT-1", "FIN-WAIT-2", "SYN-SENT"})
            equal(set(by_port(listed("-l")).values()), {"LISTEN"})
            equal(set(text_by_port("state", "time-wait").values()), {"TIME-WAIT"})
            equal(set(text_by_port("exclude", "connected").values()), {"LISTEN"})
            for arguments in (("-t", "established,nonesuch"), ("state", "nonesuch")):
                check("unknown state 'nonesuch'" in refused("ss", *arguments), arguments)
        with inside(Link.FAR):
            equal(text_by_port("-t", "close-wait"), {t.port_of(half[1]): "CLOSE-WAIT"})


# struct tcp_info: where each member is, how wide, and what it is called in JSON.
TCP_INFO = {"rto": (8, "I"), "ato": (12, "I"), "snd_mss": (16, "I"), "rcv_mss": (20, "I"), "pmtu": (60, "I"),
            "rtt": (68, "I"), "rttvar": (72, "I"), "advmss": (84, "I"), "rcv_space": (96, "I"),
            "retrans_segs": (100, "I"), "bytes_acked": (120, "Q"), "bytes_received": (128, "Q"), "segs_out": (136, "I"),
            "segs_in": (140, "I"), "min_rtt": (148, "I"), "data_segs_in": (152, "I"), "data_segs_out": (156, "I"),
            "delivery_rate": (160, "Q"), "busy_time": (168, "Q"), "bytes_sent": (200, "Q"),
            "bytes_retrans": (208, "Q"), "reord_seen": (220, "I"), "snd_wnd": (228, "I")}


def told(sock, name):
    where, kind = TCP_INFO[name]
    return struct.unpack_from("=" + kind, sock.getsockopt(TCP, socket.TCP_INFO, 256), where)[0]


def was_reduced(sock):
    """A lost probe of the tail is repaired without."""
    return struct.unpack_from("=I", sock.getsockopt(TCP, socket.TCP_INFO, 80), 76)[0] != 0x7fffffff    # ssthresh


def items(text):
    """What an information line says, as far as it is name:value."""
    return dict(re.findall(r"(\w+):([^ ]+)", text))


def meminfo(sock):
    return list(struct.unpack("=9I", sock.getsockopt(SOL, SO_MEMINFO, 36)))


def unacknowledged(sock):
    return struct.unpack("i", fcntl.ioctl(sock, termios.TIOCOUTQ, bytes(4)))[0]


@test(V4, V6, OURS4)
def ss_tells_what_a_connection_knows(t):
    with Link() as link:
        link.netem("delay", "3ms", leaving=(Link.NEAR,))
        client, server = joined(t)
        link.netem("delay", "3ms", "loss", "2%", leaving=(Link.NEAR,))    # not of the SYN, or cwnd begins with one
        client.setsockopt(TCP, socket.TCP_CONGESTION, b"reno")
        mss = 1448 if t.host == Link.V4 else 1428
        with inside(Link.NEAR):
            row, text = row_of(client), text_of(client, "-i")
            equal((row["cc"], row["info"]["ssthresh"], row["info"]["retrans_segs"]), ("reno", None, 0))
            equal(row["info"]["cwnd"], 10 * mss)    # RFC 6928
            check("ssthresh:" not in text and " retrans:" not in text, text)
            equal(items(text)["cwnd"], "10")

        size, part, received = 0, b"x" * 200_000, threading.Event()

        def swallow():
            while server.recv(1 << 18):
                pass
            received.set()
        threading.Thread(target=swallow, daemon=True).start()
        while not was_reduced(client):
            client.sendall(part)
            size += len(part)
            until(lambda: unacknowledged(client) == 0)
        with inside(Link.NEAR):
            row, text = row_of(client), text_of(client, "-i")
        info = row["info"]
        # What the test knows.
        equal((info["snd_mss"], info["pmtu"], info["bytes_acked"], info["unacked"], info["unsent"], info["in_flight"]),
              (mss, 1500, size, 0, 0, 0))
        equal(info["bytes_sent"], size + info["bytes_retrans"])
        check(3000 <= info["min_rtt"] <= info["rtt"] + info["rttvar"] * 4, info)
        check(info["rto"] >= 200_000, info)
        check(info["retrans_segs"] >= 1 and info["bytes_retrans"] >= 1, info)
        check(2 * mss <= info["ssthresh"] < size, info)
        check(0 < info["delivery_rate"] < 1e9, info)
        equal({name: value for name, value in info["options"].items() if value},
              {"timestamps": True, "sack": True, "window_scaling": True})
        equal((row["recv_q"], row["send_q"], row["timer"]), (0, 0, "none"))
        # What the socket says to who asks it.
        equal({name: info[name] for name in TCP_INFO}, {name: told(client, name) for name in TCP_INFO})
        with inside(Link.FAR):
            far = row_of(server)["info"]
        equal((far["bytes_received"], far["rcv_wnd"], far["rcv_wscale"]),
              (size, info["snd_wnd"], info["snd_wscale"]))
        # The text says the same.
        said = items(text)
        equal(text.split("\n")[1].split()[0], "reno")
        equal(float(said["rto"].removesuffix("ms")), info["rto"] / 1000)
        equal([float(number) for number in said["rtt"].removesuffix("ms").split("/")],
              [info["rtt"] / 1000, info["rttvar"] / 1000])
        equal([int(said[name]) for name in ("cwnd", "ssthresh", "retrans", "mss", "snd_wnd", "rcv_wnd", "bytes_sent")],
              [info["cwnd"] // mss, info["ssthresh"] // mss, info["retrans_segs"], mss, info["snd_wnd"],
               info["rcv_wnd"], info["bytes_sent"]])
        equal(said["wscale"], f"{info['snd_wscale']},{info['rcv_wscale']}")
        check(re.search(r" delivery_rate [\d.]+ [kMG]?bit/s", text), text)
        check(" ts sack " in text, text)
        client.close()
        check(received.wait(30), "no end arrived")
        server.close()


@test(SLUICE4, SLUICE6, REAL4)
def ss_tells_of_memory_and_queues(t):
    with alone():
        client, server = t.pair()
        client.setsockopt(SOL, socket.SO_SNDBUF, 70_000)
        server.setsockopt(SOL, socket.SO_RCVBUF, 90_000)
        client.sendall(b"x" * 5000)
        until(lambda: unacknowledged(client) == 0)
        row = row_of(server)
        memory = row["memory"]
        equal((row["recv_q"], memory["rcvbuf"]), (5000, 180_000))
        check(5000 <= memory["rmem_alloc"] <= 20_000, memory)
        equal(row_of(client)["memory"]["sndbuf"], 140_000)

        client.setblocking(False)

        def full():
            """The client's row, when nothing moves; a timer may still move a part that its peer finds room for."""
            while error_of(client.send, b"x" * 10_000) is None:
                pass
            row = row_of(client)
            return row if row["info"]["unacked"] == 0 and row["send_q"] == unacknowledged(client) > 0 else None
        row = until(full)
        check(row["memory"]["wmem_queued"] >= row["send_q"], row)

        def told_alike(sock):
            """By getsockopt(), before and after, and by ss in both forms; a probe may come between."""
            before = meminfo(sock)
            row, text = row_of(sock), text_of(sock, "-m")
            letters = ("r", "rb", "t", "tb", "f", "w", "o", "bl", "d")
            skmem = ",".join(name + str(value) for name, value in zip(letters, before))
            return before == list(row["memory"].values()) == meminfo(sock) and f"\t skmem:({skmem})\n" in text
        for sock in (client, server):
            until(lambda: told_alike(sock), text="other numbers than SO_MEMINFO's")
        abort(client, server)


@test(SLUICE4, SLUICE6, REAL4)
def ss_tells_of_a_listeners_queue(t):
    with alone():
        listener = t.listener(backlog=3)
        clients = [t.socket() for _ in range(2)]
        for client in clients:
            t.connect(client, t.port_of(listener))
        until(lambda: row_of(listener, state="listening")["recv_q"] == 2)
        row, text = row_of(listener, state="listening"), text_of(listener, state="listening")
        equal((row["state"], row["send_q"], row["listen"]),
              ("LISTEN", 3, {"accept_queue": 2, "backlog": 3, "half_open": 0}))
        equal(text.split()[:3], ["LISTEN", "2", "3"])
        check("info" not in row, row)
        abort(*clients)


@test(SLUICE4, REAL4)
def ss_tells_whose_a_socket_is(t):
    with alone():
        client, server = t.pair()
        client.setsockopt(SOL, socket.SO_MARK, 0x1234)
        server.shutdown(socket.SHUT_WR)
        with open("/proc/self/comm") as file:
            name = file.read().strip()
        owner = {"program": name, "pid": os.getpid(), "fd": client.fileno()}
        cookie = struct.unpack("=Q", client.getsockopt(SOL, SO_COOKIE, 8))[0]
        until(lambda: "shutdown:r" in text_of(client, "-e").split())
        row, text = row_of(client, "-p"), text_of(client, "-p", "-e")
        equal((row["owners"], row["uid"], row["inode"], row["cookie"], row["mark"], row["shutdown"]),
              ([owner], 0, os.fstat(client.fileno()).st_ino, cookie, 0x1234, 1))
        check(f'users:(("{name}",pid={os.getpid()},fd={client.fileno()}))' in text, text)
        for item in (f"ino:{row['inode']}", f"sk:{cookie:x}", "fwmark:0x1234"):
            check(item in text.split(), f"no {item} in {text}")
        check("uid:" not in text, text)    # root's
        check("users:" not in text_of(client, "-e"), "owners unasked for")

        back, forth = os.pipe()
        pid = os.fork()
        if pid == 0:
            with contextlib.suppress(BaseException):
                os.close(forth)
                os.setuid(NOBODY)
                theirs = t.pair()
                os.close(server.fileno())
                os.read(back, 1)
                theirs[0].close()
            os._exit(0)
        os.close(back)
        try:
            until(lambda: len(listed(f"uid = {NOBODY}")) == 2)
            rows = listed("-p", f"uid = {NOBODY}")
            equal([(row["uid"], row["owners"][0]["pid"]) for row in rows], [(NOBODY, pid)] * 2)
            check(f" uid:{NOBODY} " in sluice("ss", "-e", f"uid = {NOBODY}").stdout, "no uid")
            equal(len(listed(f"uid != {NOBODY}")), 2)
            equal({holder["pid"] for holder in row_of(client, "-p")["owners"]}, {os.getpid(), pid}, "owners")
        finally:
            os.close(forth)
            os.waitpid(pid, 0)
        equal(row_of(client, "-p")["owners"], [owner])
        abort(client, server)


@test()
def ss_filters():
    with alone():
        socks = [sock for t in (SLUICE4, SLUICE6, REAL4) for sock in t.pair()] + [SLUICE6.listener()]
        rows = listed("-a")
        equal(len(rows), 7)
        middle = sorted(row["local"]["port"] for row in rows)[3]
        v6 = next(row for row in rows if row["local"]["address"] == "::1" and row["peer"]["port"])
        real = next(row for row in rows if row["wire"] == "tcp")
        one, other = v6["local"]["port"], real["local"]["port"]

        def local(row):
            return row["local"]["port"]

        def v4(row, end="local"):
            return row[end]["address"].startswith("127.")
        # Their grammar is tested by itself (tests/unit-tools).
        cases = {
            f"sport = :{one}": lambda row: local(row) == one,
            f"dport != {one}": lambda row: row["peer"]["port"] != one,
            f"sport <= {middle}": lambda row: local(row) <= middle,
            "dst 127.0.0.0/8": lambda row: v4(row, "peer"),
            f"src [::1]:{one}": lambda row: row is v6,
            f"src != 127.0.0.1 and dst :{one}": lambda row: not v4(row) and row["peer"]["port"] == one,
            "wire = tcp": lambda row: row["wire"] == "tcp",
            "state listening or uid = 1": lambda row: row["state"] == "LISTEN",
            f"( sport = {one} or sport = {other} ) and wire tcp": lambda row: row is real,
            f"not ( sport = {one} | src 127.0.0.1 ) wire native": lambda row: local(row) != one and not v4(row),
        }
        for text, holds in cases.items():
            want = [(local(row), row["peer"]["port"]) for row in rows if holds(row)]
            equal(sorted((local(row), row["peer"]["port"]) for row in listed("-a", text)), sorted(want), text)
        for text in ("sport", "src 127.0.0.1/33", "( sport = 1", "wire < tcp", "nonesuch", "not " * 200 + "wire tcp"):
            check(refused("ss", text).startswith("sluice: "), text)
        abort(*socks)


# ---- words that are wrong, and help ----------------------------------------------------

@test()
def wrong_words_are_named():
    for words, complaint in (((), "which command? (see sluice --help)"),
                             (("nonesuch", "1", "2"), "no such command: nonesuch (see sluice --help)"),
                             (("--nonesuch",), "not expected: --nonesuch (see sluice --help)"),
                             (("help", "nonesuch"), "no such command: nonesuch (see sluice --help)"),
                             (("ss", "--nonesuch"), "not expected: --nonesuch (see sluice ss --help)"),
                             (("send", "a:1", "b", "c d", "e"), "not expected: c d (see sluice send --help)"),
                             (("send",), "HOST:PORT is missing (see sluice send --help)"),
                             (("recv",), "[ADDRESS:]PORT is missing (see sluice recv --help)"),
                             (("send", "10.0.0.1"), "10.0.0.1: HOST:PORT is wanted"),
                             (("set",), "set takes NAME VALUE, or LOCAL:PORT REMOTE:PORT and then cc NAME, sndbuf SIZE "
                              "or rcvbuf SIZE (see sluice set --help)"),
                             (("stat", "-c", "3"), "--count requires --watch (see sluice stat --help)"),
                             (("stat", "-w", "0"), "--watch: Value 0 not in range 0.010000 to 1000000.000000 "
                              "(see sluice stat --help)"),
                             (("ss", "-w", "soon"), "--watch: Value soon not in range 0.010000 to 1000000.000000 "
                              "(see sluice ss --help)"),
                             (("send", "--tcp", "--tcp-kernel", "a:1"),
                              "--tcp excludes --tcp-kernel (see sluice send --help)")):
        done = sluice(*words, check=False)
        equal((done.returncode, done.stdout, done.stderr), (2, "", f"sluice: {complaint}\n"), words)


@test()
def every_command_explains_itself():
    overview = sluice("--help").stdout
    equal(sluice("help").stdout, overview)
    commands = overview.split("Subcommands:\n")[1].split("\n\n")[0].splitlines()
    for command in (line.split()[0] for line in commands):
        text = sluice(command, "--help").stdout
        equal(sluice("help", command).stdout, text)
        check(f"Usage: sluice {command} [OPTIONS]" in text, text)
        for word in "REQUIRED", "Excludes", "FLOAT", "TEXT", "words":    # of the library's, not ours
            check(word not in text, f"{word} in {text}")
    for usage in "send [OPTIONS] HOST:PORT [FILE]", "run [OPTIONS] PROGRAM [ARGUMENT...]":
        check(f"sluice {usage}\n" in sluice("help", usage.split()[0]).stdout, usage)


# ---- get and set -----------------------------------------------------------------------

PAIRS = SLUICE4, SLUICE6, INET, INET6, REAL4, REAL6


def ends(t, client, server):
    host = f"[{t.host}]" if ":" in t.host else t.host
    return f"{host}:{t.port_of(client)}", f"{host}:{t.port_of(server)}"


def settings(sock):
    return (sock.getsockopt(TCP, socket.TCP_CONGESTION, 16).rstrip(b"\0").decode(),
            sock.getsockopt(SOL, socket.SO_SNDBUF), sock.getsockopt(SOL, socket.SO_RCVBUF))


def carries(client, server, size=1 << 18):
    data = os.urandom(size)
    threading.Thread(target=client.sendall, args=(data,), daemon=True).start()
    check(server.recv(size, socket.MSG_WAITALL) == data, "other bytes than were sent")


@test(*PAIRS)
def set_changes_a_live_connection(t):
    reference = TCP4.socket()    # kernel TCP's idea of what is asked for
    reference.setsockopt(SOL, SO_SNDBUFFORCE, 1_000_000)
    reference.setsockopt(SOL, SO_RCVBUFFORCE, 1 << 30)
    _, sndbuf, rcvbuf = settings(reference)
    client, server = t.pair()
    here, there = ends(t, client, server)
    others, before = settings(server), settings(client)

    sluice("set", here, there, "cc", "reno")
    equal(settings(client), ("reno", *before[1:]))
    sluice("set", here, there, "sndbuf", "1000000")
    equal(settings(client), ("reno", sndbuf, before[2]))
    carries(client, server)
    sluice("set", here, there, "rcvbuf", "1G", "cc", "cubic", "sndbuf", "64K")
    equal(settings(client), ("cubic", 2 << 16, rcvbuf))
    carries(client, server)
    carries(server, client)
    equal(settings(server)[0], others[0], "the other end has")

    now = settings(client)
    for words, complaint in ((("cc", "nonesuch"), "no such congestion-control algorithm"),
                             (("sndbuf", "50K", "cc", "nonesuch"), "no such congestion-control algorithm"),
                             (("sndbuf", "0"), "no size of a buffer"), (("rcvbuf", "3G"), "no size of a buffer"),
                             (("rcvbuf", "much"), "not a number"), (("mss", "500"), "can be set, not 'mss'"),
                             (("cc",), "set takes")):
        check(complaint in refused("set", here, there, *words), words)
        equal(settings(client), now, f"after {words}")
    for address in ((here, here), (there + "1", here), (here, "127.0.0.1:0")):
        refused("set", *address, "cc", "reno")
    abort(client, server)
    check("no such connection" in refused("set", here, there, "cc", "reno"), "it is gone")


@test(*PAIRS)
def get_tells_of_a_live_connection(t):
    client, server = t.pair()
    here, there = ends(t, client, server)
    names = "cc", "sndbuf", "rcvbuf"

    def told(*words):
        return tuple(sluice("get", "-r", here, there, *words).stdout.split())

    def wanted():
        cc, *sizes = settings(client)
        return (cc, *map(str, sizes))
    equal(told(), wanted())
    sluice("set", here, there, "cc", "reno", "sndbuf", "1M", "rcvbuf", "100000")
    equal(told(), ("reno", str(2 << 20), "200000"))
    equal(told(*names), wanted())
    equal(told("rcvbuf", "cc"), ("200000", "reno"), "in the order of asking")
    rows = json.loads(sluice("get", "--json", here, there).stdout)
    equal({name: row["value"] for name, row in rows.items()}, dict(zip(names, settings(client))))
    equal([line.split()[:2] for line in sluice("get", here, there).stdout.splitlines()],
          [["Name", "Value"], ["cc", "reno"], ["sndbuf", "2M"], ["rcvbuf", "200000"]])
    equal(sluice("get", there, here, "-r").stdout.split()[0], settings(server)[0], "the other end's own")

    def failing(*words):
        done = sluice("get", *words, check=False)
        return done.returncode, done.stdout, done.stderr
    equal(failing(here, there, "cc", "mss"),
          (1, "", "sluice: of a connection cc, sndbuf and rcvbuf can be shown, not 'mss'\n"))
    equal(failing(here)[0], 2, "half of the addresses")
    equal(failing(here, "there:")[0], 2, "no address")
    listener = t.listener()
    nobody = here.rpartition(":")[0] + ":0"
    for address in ((here, here), (there + "1", here), (ends(t, listener, listener)[0], nobody)):
        status, out, err = failing(*address)
        check((status, out) == (1, "") and err.endswith(": no such connection\n"), (address, status, out, err))
    client.close()
    equal(server.recv(1), b"")
    server.close()
    gone = 1, "", f"sluice: {here} {there}: no such connection\n"
    until(lambda: failing(here, there) == gone, text="TIME-WAIT has no such things")
    until(lambda: "no such connection" in failing(there, here)[2], text="the other end is gone")


@test()
def get_and_set_mean_the_native_one_of_two():
    """Connections may have the same addresses on both wires."""
    here, there = (f"127.0.0.1:{next(ports)}" for _ in range(2))
    pairs = []
    for t in (REAL4, INET):
        listener = t.listener(port=int(there.split(":")[1]))
        client = t.socket()
        t.bind(client, int(here.split(":")[1]))
        t.connect(client, t.port_of(listener))
        pairs.append((client, t.accept(listener)))
    real, native = pairs
    equal(sluice("get", "-r", here, there, "cc").stdout, "cubic\n")
    sluice("set", here, there, "cc", "reno")
    equal((settings(native[0])[0], settings(real[0])[0]), ("reno", "cubic"))
    equal(sluice("get", "-r", here, there, "cc").stdout, "reno\n")
    abort(*native)
    equal(sluice("get", "-r", here, there, "cc").stdout, "cubic\n")
    sluice("set", here, there, "cc", "reno")
    equal(settings(real[0])[0], "reno")
    abort(*real)


@test()
def set_is_told_by_get():
    with alone():
        for name, text, value in (("rto_min", "50ms", 50_000), ("time_wait", "1.5s", 1_500_000),
                                  ("rmem_max", "1M", 1 << 20), ("congestion_control", "reno", "reno")):
            sluice("set", name, text)
            row = json.loads(sluice("get", "--json", name).stdout)[name]
            equal((row["value"], row["from"]), (value, "set"), name)
            equal(sluice("get", "-r", name).stdout, f"{value}\n")
        client, server = SLUICE4.pair()
        equal(settings(client)[0], "reno")
        check(50_000 <= row_of(client)["info"]["rto"] < 200_000, "rto_min isn't that")
        abort(client, server)
        equal(sluice("get", "rto_min", "time_wait", "congestion_control").stdout.count("\n"), 4)
        names = [line.split()[0] for line in sluice("get").stdout.splitlines()[1:]]
        equal(names, list(json.loads(sluice("get", "--json").stdout)))


def become_nobody():
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    call(libc.prctl, PR_SET_DUMPABLE, 1)    # or /proc/self is root's


def enter_user_namespace(more=0):
    """As unshare -Ur does."""
    call(libc.unshare, CLONE_NEWUSER | more)
    for name, text in ("setgroups", "deny"), ("uid_map", f"0 {NOBODY} 1"), ("gid_map", f"0 {NOBODY} 1"):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def refuse_everything(here, there):
    for words in (("rto_min", "50ms"), ("rto_min", "default"), ("congestion_control", "reno"),
                  (here, there, "cc", "reno"), (here, there, "sndbuf", "1M")):
        complaint = refused("set", *words)
        check("CAP_NET_ADMIN" in complaint, complaint)


@test()
def a_secret_is_shown_to_the_administrator_who_asks_for_it():
    key = sluice("get", "--raw", "fastopen_key").stdout.strip()
    check(len(key) >= 35, key)
    equal(json.loads(sluice("get", "--json", "fastopen_key").stdout)["fastopen_key"]["value"], key)
    for words in (), ("--raw",), ("--json",):
        check(key not in sluice("get", *words).stdout, words)
    equal(json.loads(sluice("get", "--json").stdout)["fastopen_key"]["value"], None)
    check("(hidden)" in sluice("get").stdout)


@test()
def set_is_for_the_administrator():
    client, server = SLUICE4.pair()
    here, there = ends(SLUICE4, client, server)
    before, defaults = settings(client), sluice("get", "--json").stdout

    def as_nobody():
        become_nobody()
        refuse_everything(here, there)
        equal(sluice("get", "--json").stdout, defaults)    # to look is for all
        check("CAP_NET_ADMIN" in refused("get", "fastopen_key"))
        check("CAP_NET_ADMIN" in refused("get", "--raw", "fastopen_key"))
        check(here in sluice("ss").stdout, "nobody sees nothing")
        sluice("stat")
    in_a_child(as_nobody)
    equal((settings(client), sluice("get", "--json").stdout), (before, defaults))
    abort(client, server)


@test()
def root_of_a_user_namespace_sets_its_own():
    client, server = SLUICE4.pair()
    here, there = ends(SLUICE4, client, server)
    before, defaults = settings(client), sluice("get", "--json").stdout

    def without_a_network_of_its_own():
        become_nobody()
        enter_user_namespace()
        equal(os.getuid(), 0)
        refuse_everything(here, there)
        check("CAP_NET_ADMIN" in refused("get", "fastopen_key"))

    def with_one():
        become_nobody()
        enter_user_namespace(CLONE_NEWNET)
        rtnetlink.set_link("lo", up=True)
        for name, value in (("rto_min", "50000"), ("congestion_control", "reno")):
            sluice("set", name, value)
            equal(sluice("get", "-r", name).stdout, value + "\n")
        check(len(sluice("get", "-r", "fastopen_key").stdout) == 36)
        for t in (SLUICE4, REAL6):
            mine = t.pair()
            equal(settings(mine[0])[0], "reno")
            sluice("set", *ends(t, *mine), "cc", "cubic", "sndbuf", "64K", "rcvbuf", "1G")
            reference = mine[1]    # as it may have by itself
            equal(error_of(reference.setsockopt, SOL, SO_RCVBUFFORCE, 1 << 30), "EPERM")
            reference.setsockopt(SOL, socket.SO_RCVBUF, 1 << 30)
            equal(settings(mine[0]), ("cubic", 2 << 16, settings(reference)[2]))
        check("no such connection" in refused("set", here, there, "cc", "reno"), "the host's is in reach")
    in_a_child(without_a_network_of_its_own)
    in_a_child(with_one)
    equal((settings(client), sluice("get", "--json").stdout), (before, defaults))
    abort(client, server)


if __name__ == "__main__":
    run(*sys.argv[1:])
