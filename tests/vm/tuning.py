#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# What an administrator tuned by sysctl holds here too, inside the VM, until
# `sluice set` says otherwise. Where a program can see it, kernel TCP runs
# first, as the reference.
import contextlib
import errno
import json
import os
import select
import socket
import struct
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from filters import classic_filter  # noqa: E402
from network import Link, connections, counter, inside, refused, sluice, tune  # noqa: E402
from network import run as command  # noqa: E402
from runner import check, equal, run, test, until  # noqa: E402
from segment import SYN  # noqa: E402
from tap import Tap  # noqa: E402
from traffic import V4, V4_INET, V4_TCP, V6, abort, joined  # noqa: E402
from transport import INET, INET6, REAL4, REAL6, SLUICE4, SLUICE6, TCP4, TCP6, error_of, ports  # noqa: E402

ALL = (TCP4, TCP6, SLUICE4, SLUICE6, INET, INET6, REAL4)
FAR = (V4_TCP, V4, V6, V4_INET)
SOL, TCP = socket.SOL_SOCKET, socket.IPPROTO_TCP
# What is busy looks at the sysctls once in a jiffy, which is never longer than this.
TICK = 0.02


def path_of(name):
    return "/proc/sys/net/" + ("" if name.startswith("core/") else "ipv4/") + name


@contextlib.contextmanager
def sysctl(name, value):
    """In this thread's namespace, and then again what it was."""
    with open(path_of(name)) as file:
        before = file.read()
    change(name, value)
    try:
        yield
    finally:
        change(name, before)


def change(name, value):
    with open(path_of(name), "w") as file:
        file.write(str(value))


def told(name):
    with open(path_of(name)) as file:
        return file.read().split()


@contextlib.contextmanager
def set_to(name, value):
    sluice("set", name, str(value))
    try:
        yield
    finally:
        sluice("set", name, "default")


def got(name, namespace=None):
    return json.loads(sluice("get", "--json", name, namespace=namespace).stdout)[name]


# ---- what the tool tells ---------------------------------------------------------------

@test()
def each_value_tells_where_it_came_from():
    rows = json.loads(sluice("get", "--json").stdout)
    equal({row["from"] for row in rows.values()}, {"default", "sysctl"})
    equal(rows["time_wait"]["from"], "default")
    check("sysctl" not in rows["time_wait"], rows["time_wait"])
    for name, row in rows.items():
        if name != "fastopen_key":      # there may be none
            equal(row["from"], "sysctl" if "sysctl" in row else "default", name)
    # Each has the value that the file says, but for its unit.
    for name, row in rows.items():
        if not row.get("sysctl") or "default" not in row or name in ("orphan_retries", "max_syn_backlog", "payload_share"):
            continue
        path, _, index = row["sysctl"].removeprefix("net.").partition("[")
        words = told(path.replace(".", "/").removeprefix("ipv4/"))
        number = int(words[int(index.rstrip("]") or 0)])
        scale = 1000000 if row["unit"] == "us" and not path.endswith("_us") else 1
        equal(row["value"], max(row["min"], min(row["max"], number * scale)), f"{name} and {row['sysctl']}")
        equal(row["default"], row["value"], name)
    equal(rows["congestion_control"]["value"], told("tcp_congestion_control")[0])
    equal(rows["mem"]["value"].split(), told("tcp_mem"))
    equal(rows["ip_local_port_range"]["value"].split(), told("ip_local_port_range"))
    equal(rows["payload_share"]["value"], 50)


# What counts for the whole machine, which the first namespace alone may change.

@test()
def the_machines_memory_is_tcps_until_it_is_set():
    with sysctl("tcp_mem", "10000 20000 30000"):
        equal((got("mem")["value"], got("mem")["from"]), ("10000 20000 30000", "sysctl"))
        sluice("set", "mem", "1000 2000 3000")
        equal((got("mem")["value"], got("mem")["from"]), ("1000 2000 3000", "set"))
        with open("/sys/module/sluice/parameters/mem") as file:
            equal(file.read(), "1000,2000,3000\n")
        with Link():
            equal(got("mem", Link.FAR)["value"], "1000 2000 3000")
            check("first network namespace" in refused("set", "mem", "1 2 3", namespace=Link.FAR))
            check("first network namespace" in refused("set", "mem", "default", namespace=Link.FAR))
        for wrong in ("1 2", "3 2 1", "0 1 2", "1 2 3 4", "many"):
            check("three rising numbers of pages" in refused("set", "mem", wrong), wrong)
        equal(got("mem")["value"], "1000 2000 3000")
        sluice("set", "mem", "default")
        equal((got("mem")["value"], got("mem")["from"]), ("10000 20000 30000", "sysctl"))


@test()
def the_machines_orphans_are_tcps_until_they_are_set():
    with sysctl("tcp_max_orphans", 77), Link():
        for namespace in (None, Link.FAR):
            until(lambda: got("max_orphans", namespace)["value"] == 77)
            equal(got("max_orphans", namespace)["from"], "sysctl")
        sluice("set", "max_orphans", "5", namespace=Link.FAR)
        equal((got("max_orphans", Link.FAR)["value"], got("max_orphans", Link.FAR)["default"]), (5, 77))
        equal(got("max_orphans")["value"], 77)


@test()
def what_is_set_wins_until_it_is_taken_back():
    with sysctl("tcp_retries2", 9):
        equal((got("retries2")["value"], got("retries2")["from"]), (9, "sysctl"))
        sluice("set", "retries2", "5")
        change("tcp_retries2", 10)
        row = got("retries2")
        equal((row["value"], row["from"], row["default"]), (5, "set", 10))
        lines = sluice("get", "retries2").stdout.splitlines()
        equal(lines[1].split()[:4], ["retries2", "5", "set", "10"])
        equal(sluice("get", "--raw", "retries2").stdout.strip(), "5")
        sluice("set", "retries2", "default")
        equal((got("retries2")["value"], got("retries2")["from"]), (10, "sysctl"))
    sluice("set", "time_wait", "5s")
    equal(got("time_wait")["from"], "set")
    sluice("set", "time_wait", "default")
    equal((got("time_wait")["value"], got("time_wait")["from"]), (60000000, "default"))
    check("no such parameter" in refused("set", "nonesuch", "default"))


@test()
def what_cannot_be_taken_back_says_why():
    sluice("set", "delayed_ack_max", "500ms")
    sluice("set", "delayed_ack_min", "400ms")
    try:
        check("delayed_ack_min would be above delayed_ack_max" in refused("set", "delayed_ack_max", "default"))
        equal(got("delayed_ack_max")["value"], 500000)
    finally:
        sluice("set", "delayed_ack_min", "default")
        sluice("set", "delayed_ack_max", "default")


@test()
def a_user_can_take_nothing_back():
    pid = os.fork()
    if pid == 0:
        os.setuid(65534)
        os._exit(0 if "CAP_NET_ADMIN" in refused("set", "retries2", "default") else 1)
    equal(os.waitpid(pid, 0)[1], 0)


@test()
def namespaces_are_tuned_apart():
    with Link(), sysctl("tcp_retries2", 7):
        tune(Link.NEAR, tcp_retries2=8)
        sluice("set", "retries2", "9", namespace=Link.FAR)
        equal([got("retries2", namespace)["value"] for namespace in (None, Link.NEAR, Link.FAR)], [7, 8, 9])
        sluice("set", "retries2", "default", namespace=Link.FAR)
        equal(got("retries2", Link.FAR)["value"], 15)


@test()
def a_new_namespace_begins_as_the_kernels_own():
    """It inherits what TCP's does: buffers do, retries don't."""
    with sysctl("tcp_rmem", "4096 55555 666666"), sysctl("tcp_retries2", 7), Link():
        with inside(Link.NEAR):
            inherited = told("tcp_rmem"), told("tcp_retries2")
        equal(inherited[0], ["4096", "55555", "666666"])
        equal(got("rmem_default", Link.NEAR)["value"], 55555)
        equal(got("rmem_max", Link.NEAR)["value"], 666666)
        equal(got("retries2", Link.NEAR)["value"], int(inherited[1][0]))


def lose_everything_to(host):
    """From the near namespace: its link-layer address is nobody's."""
    command("ip", "-n", Link.NEAR, "neigh", "replace", host, "lladdr", "02:00:00:00:00:99", "dev", "v0")


# ---- new sockets -------------------------------------------------------------------------

@test(*ALL)
def buffers_at_creation(t):
    # At once, too: nothing waits for a clock to tick.
    for size in range(50000, 50020):
        with sysctl("tcp_rmem", f"4096 {size} 6291456"), sysctl("tcp_wmem", f"4096 {size + 100} 4194304"):
            sock = t.socket()
        equal(sock.getsockopt(SOL, socket.SO_RCVBUF), size)
        equal(sock.getsockopt(SOL, socket.SO_SNDBUF), size + 100)
    if t.sluice:
        with set_to("rmem_default", "33333"), sysctl("tcp_rmem", "4096 44444 6291456"):
            equal(t.socket().getsockopt(SOL, socket.SO_RCVBUF), 33333)
            sluice("set", "rmem_default", "default")
            equal(t.socket().getsockopt(SOL, socket.SO_RCVBUF), 44444)


@test(*ALL)
def congestion_control_of_that_name(t):
    def name(sock):
        return sock.getsockopt(TCP, socket.TCP_CONGESTION, 16).rstrip(b"\0").decode()
    with sysctl("tcp_congestion_control", "reno"):
        old = t.socket()
        equal(name(old), "reno")
        if t.sluice:
            equal(got("congestion_control")["from"], "sysctl")
            with set_to("congestion_control", "cubic"):
                equal(name(t.socket()), "cubic")
                equal(got("congestion_control")["from"], "set")
            equal(name(t.socket()), "reno")
    equal(name(t.socket()), "cubic")
    equal(name(old), "reno")


@test(*ALL)
def local_ports_are_of_the_range(t):
    with sysctl("ip_local_port_range", "41000 41009"):
        listener = t.listener()
        for _ in range(3):
            client = t.socket()
            t.connect(client, t.port_of(listener))
            check(41000 <= t.port_of(client) <= 41009, t.port_of(client))
        if not t.sluice:
            return
        equal((got("ip_local_port_range")["value"], got("ip_local_port_range")["from"]), ("41000 41009", "sysctl"))
        with set_to("ip_local_port_range", "42000 42003"):
            equal((got("ip_local_port_range")["value"], got("ip_local_port_range")["from"]), ("42000 42003", "set"))
            for bound in (False, True):
                client = t.socket()
                if bound:
                    t.bind(client, 0)
                else:
                    t.connect(client, t.port_of(listener))
                check(42000 <= t.port_of(client) <= 42003, t.port_of(client))
        t.bind(client := t.socket(), 0)
        check(41000 <= t.port_of(client) <= 41009, t.port_of(client))


@test()
def a_range_of_ports_is_what_the_sysctl_would_take():
    for wrong in ("42000", "42003 42000", "0 50000", "1023 50000", "42000 65536", "42000 42001 42002", "many"):
        equal(error_of(change, "ip_local_port_range", wrong) if wrong.count(" ") == 1 else "EINVAL", "EINVAL", wrong)
        check("two ports are wanted" in refused("set", "ip_local_port_range", wrong), wrong)
    equal(got("ip_local_port_range")["from"], "sysctl")
    with sysctl("ip_unprivileged_port_start", 500), set_to("ip_local_port_range", "500 50000"):
        check("two ports are wanted" in refused("set", "ip_local_port_range", "499 50000"))
        equal(got("ip_local_port_range")["value"], "500 50000")


@test(*ALL)
def the_backlog_is_cut_to_somaxconn(t):
    listener = t.listener(backlog=4000)
    with sysctl("core/somaxconn", 2):
        listener.listen(4000)
    equal(struct.unpack_from("=I", listener.getsockopt(TCP, socket.TCP_INFO, 256), 28)[0], 2, "tcpi_sacked")
    listener.listen(3000)
    equal(struct.unpack_from("=I", listener.getsockopt(TCP, socket.TCP_INFO, 256), 28)[0], 3000)


@test(*ALL)
def connect_gives_up_as_often_as_told(t):
    """On a connection under way, too: the last SYN is the one that is last then."""
    with Link(), inside(Link.NEAR):
        host = Link.V6 if ":" in t.host else Link.V4
        lose_everything_to(host)
        clients, begin = [], time.monotonic()
        for retries in 1, 6:
            change("tcp_syn_retries", retries)
            clients.append(t.socket())
            clients[-1].setblocking(False)
            equal(error_of(t.connect, clients[-1], 80, host), "EINPROGRESS")
        time.sleep(0.3)
        change("tcp_syn_retries", 1)
        for client in clients:
            poll = select.poll()
            poll.register(client, 0)
            check(poll.poll(6500 - (time.monotonic() - begin) * 1000))    # 1 s and 2 s, or 1 s and 1 s; one more takes 4 s
            equal(errno.errorcode[client.getsockopt(SOL, socket.SO_ERROR)], "ETIMEDOUT")


@test(*ALL)
def the_first_syn_timeouts_are_alike_as_told(t):
    """By a sysctl of Linux 6.5 and later. Sluice knows how on any."""
    kernel_knows = os.path.exists(path_of("tcp_syn_linear_timeouts"))
    with Link(), inside(Link.NEAR):
        host = Link.V6 if ":" in t.host else Link.V4
        lose_everything_to(host)
        if kernel_knows:
            change("tcp_syn_linear_timeouts", 3)
        elif t.sluice:
            equal((got("syn_linear_timeouts")["value"], got("syn_linear_timeouts")["from"]), (0, "default"))
            sluice("set", "syn_linear_timeouts", "3")
        else:
            return
        client = t.socket()
        client.setblocking(False)
        equal(error_of(t.connect, client, 80, host), "EINPROGRESS")
        begin = time.monotonic()
        until(lambda: client.getsockopt(TCP, socket.TCP_INFO, 256)[2] == 3, 20, "tcpi_retransmits")
        check(time.monotonic() - begin < 5, time.monotonic() - begin)   # 3 s, where doubling takes 7
        if t.sluice:
            equal(counter("syn_retrans", Link.NEAR), 3)
        client.close()


# ---- what is agreed upon ---------------------------------------------------------------------

def agreed(sock):
    """tcpi_options: timestamps 1, SACK 2, window scaling 4."""
    return sock.getsockopt(TCP, socket.TCP_INFO, 256)[5] & 7


@test(*FAR)
def options_are_offered_as_told(t):
    with Link():
        for name, bit in (("tcp_timestamps", 1), ("tcp_sack", 2), ("tcp_window_scaling", 4)):
            for namespace in (Link.NEAR, Link.FAR):     # the client's, the server's
                before = joined(t)
                equal([agreed(sock) for sock in before], [7, 7])
                tune(namespace, **{name: 0})
                pair = joined(t)
                equal([agreed(sock) for sock in pair], [7 & ~bit] * 2, f"without {name} in {namespace}")
                after = []
                if t.sluice:
                    option = {1: "timestamps", 2: "sack", 4: "window_scaling"}[bit]
                    live = [entry["info"]["options"][option] for entry in connections(Link.NEAR)]
                    equal(sorted(live), [False, True], "sluice ss -i")
                    sluice("set", option, "1", namespace=namespace)
                    after += joined(t)
                    equal([agreed(sock) for sock in after], [7, 7], f"{option} is set")
                    sluice("set", option, "default", namespace=namespace)
                    after += joined(t)
                    equal([agreed(sock) for sock in after[2:]], [7 & ~bit] * 2, f"{option} isn't any more")
                tune(namespace, **{name: 1})
                abort(*before, *pair, *after)


@test(*ALL)
def the_first_window_is_what_adv_win_scale_leaves(t):
    """Of the buffer, in the SYN and in its answer. Linux itself ignores it since 6.6."""
    if not t.sluice and os.environ["SLUICE_VM"] != "6.1":
        return
    with sysctl("tcp_rmem", "4096 100000 6291456"):
        for scale, most in ((1, 50000), (2, 65535), (-2, 25000), (-4, 6250)):
            with sysctl("tcp_adv_win_scale", scale):
                syn, syn_ack, _ = seen_of(t)[0]
            for packet in syn, syn_ack:
                window, = struct.unpack_from("!H", packet.header, 14)
                check(most * 9 // 10 <= window <= most, f"a window of {window} with {scale}")


# ---- live connections ----------------------------------------------------------------------

@test(*ALL)
def keepalive_follows_until_the_socket_has_its_own(t):
    client, _server = t.pair()
    with sysctl("tcp_keepalive_time", 777), sysctl("tcp_keepalive_intvl", 55), sysctl("tcp_keepalive_probes", 4):
        for option, value in ((socket.TCP_KEEPIDLE, 777), (socket.TCP_KEEPINTVL, 55), (socket.TCP_KEEPCNT, 4)):
            equal(client.getsockopt(TCP, option), value)
            client.setsockopt(TCP, option, value - 1)
            equal(client.getsockopt(TCP, option), value - 1)
    equal(client.getsockopt(TCP, socket.TCP_KEEPIDLE), 776)


@test(*ALL)
def keepalive_of_a_silent_peer_ends_as_told(t):
    """With sysctls that change when the connection is there already."""
    client, server = t.pair()
    classic_filter(server, 0)
    with sysctl("tcp_keepalive_time", 1), sysctl("tcp_keepalive_intvl", 1), sysctl("tcp_keepalive_probes", 2):
        client.setsockopt(SOL, socket.SO_KEEPALIVE, 1)
        client.settimeout(30)
        begin = time.monotonic()
        equal(error_of(client.recv, 1), "ETIMEDOUT")
        check(2.5 < time.monotonic() - begin < 10, time.monotonic() - begin)
    abort(server)


@test(*ALL)
def fin_timeout_is_told_by_linger2(t):
    client, _server = t.pair()
    with sysctl("tcp_fin_timeout", 33):
        equal(client.getsockopt(TCP, socket.TCP_LINGER2), 33)
    equal(client.getsockopt(TCP, socket.TCP_LINGER2), int(told("tcp_fin_timeout")[0]))


@test(V4, V6)
def fin_wait_2_lasts_as_told(t):
    """By the sysctl of the moment in which the FIN is acknowledged."""
    with Link():
        client, server = joined(t)
        with inside(Link.FAR):
            change("tcp_fin_timeout", 2)
        time.sleep(TICK)
        server.close()
        equal(client.recv(1), b"")
        begin = time.monotonic()
        until(lambda: not connections(Link.FAR), 10, lambda: str(connections(Link.FAR)))
        check(0.5 < time.monotonic() - begin < 8, time.monotonic() - begin)
        client.close()


@test(*ALL)
def unsent_bytes_make_a_socket_unwritable(t):
    """tcp_notsent_lowat, on a connection that is there already, whose peer doesn't read."""
    client, server = t.pair(before_listen=lambda sock: sock.setsockopt(SOL, socket.SO_RCVBUF, 4096))
    client.setblocking(False)
    client.setsockopt(SOL, socket.SO_SNDBUF, 1 << 20)
    equal(client.getsockopt(TCP, socket.TCP_NOTSENT_LOWAT), 0, "the socket's own")
    for _ in range(30):
        error_of(client.send, b"x" * 4096)
    time.sleep(0.2)
    equal(len(select.select([], [client], [], 0)[1]), 1, "writable before")
    with sysctl("tcp_notsent_lowat", 10000):
        time.sleep(TICK)
        equal(len(select.select([], [client], [], 0)[1]), 0, "writable with 10000")
        client.setsockopt(TCP, socket.TCP_NOTSENT_LOWAT, 1 << 20)
        equal(len(select.select([], [client], [], 0)[1]), 1, "writable by its own")
        client.setsockopt(TCP, socket.TCP_NOTSENT_LOWAT, 0)
        equal(len(select.select([], [client], [], 0)[1]), 0, "writable with 10000 again")
    time.sleep(TICK)
    equal(len(select.select([], [client], [], 0)[1]), 1, "writable after")
    server.close()


@test(V4, V6)
def retries_end_a_live_connection_as_told(t):
    with Link():
        client, server = joined(t)
        client.settimeout(30)
        lose_everything_to(t.host)
        client.send(b"x")
        with inside(Link.NEAR):
            change("tcp_retries2", 2)
        begin = time.monotonic()
        equal(error_of(client.recv, 1), "ETIMEDOUT")
        check(time.monotonic() - begin < 20, time.monotonic() - begin)
        abort(server)   # of whose FIN nobody would hear


@test(*FAR)
def connect_takes_a_time_wait_as_told(t):
    """A pair that is no loopback's: only when tcp_tw_reuse is 1, and after a second; bind() may at once."""
    with Link():
        with inside(Link.FAR):
            listener = t.listener(host=t.host)
        number = next(ports)

        def connect(bound=False):
            with inside(Link.NEAR):
                sock = t.socket()
                sock.setsockopt(SOL, socket.SO_REUSEADDR, 1)
                if bound:
                    t.bind(sock, number, t.any)
                return error_of(t.connect, sock, t.port_of(listener), t.host), sock

        def use():
            """A connection that leaves a TIME_WAIT on this side."""
            error, client = connect()
            equal(error, None)
            server = t.accept(listener)
            client.close()
            equal(server.recv(1), b"")
            server.close()

        with inside(Link.NEAR):
            change("ip_local_port_range", f"{number} {number}")
        time.sleep(max(0, 2 - time.monotonic()))    # after boot kernel TCP takes second 0 for no timestamp
        use()
        time.sleep(2.1)
        equal(connect()[0], "EADDRNOTAVAIL", "by default loopback alone")
        with inside(Link.NEAR):
            change("tcp_tw_reuse", 1)
        use()
        with inside(Link.NEAR):
            change("tcp_tw_reuse", 0)
        time.sleep(2.1)
        equal(connect()[0], "EADDRNOTAVAIL")
        error, client = connect(bound=True)
        equal(error, None)
        abort(client)


@test(*FAR)
def mtu_probing_leaves_a_black_hole(t):
    """Something on the way drops large packets, and tells nobody."""
    with Link():
        for ns, device in ((Link.NEAR, "v0"), (Link.FAR, "v1")):
            command("ethtool", "-K", device, "tso", "off", "gso", "off", namespace=ns)
        command("nft", "-f", "-", namespace=Link.FAR, input="""
            table inet hole {
                chain in {
                    type filter hook prerouting priority filter; policy accept;
                    meta length > 1240 drop
                }
            }""")
        with inside(Link.NEAR):
            change("tcp_mtu_probing", 1)
        client, server = joined(t)
        data = os.urandom(300000)
        sender = threading.Thread(target=client.sendall, args=(data,))
        sender.start()
        got = b""
        while len(got) < len(data):
            part = server.recv(1 << 16)
            check(part, "the stream ended")
            got += part
        sender.join()
        check(got == data, "the bytes differ")
        if t.sluice:
            check(counter("mtu_black_holes", Link.NEAR) >= 1)
            mss, = [entry["info"]["snd_mss"] for entry in connections(Link.NEAR)]
            check(mss <= 1240 - 40, mss)
        abort(client, server)


# ---- packets ---------------------------------------------------------------------------------

def seen_of(t, ask=lambda sock: None, server_sends=False):
    """The packets of a SYN, its SYN-ACK, and of data; and the two ends."""
    port = next(ports)
    listener = t.listener(port=port)
    client = t.socket()
    ask(client)
    with Tap(port) as tap:
        t.connect(client, port)
        server = t.accept(listener)
        (server if server_sends else client).sendall(b"data")
        syn, syn_ack = tap.next(lambda p: p.flags & SYN), tap.next(lambda p: p.flags & SYN)
        data = tap.next(lambda p: p.payload)
    listener.close()
    return (syn, syn_ack, data), client, server


def hops_of(t, ask=lambda sock: None):
    """TTL of those; and the two ends."""
    packets, client, server = seen_of(t, ask)
    return [packet.ttl for packet in packets], client, server


def next_hops(client, port):
    with Tap(port) as tap:
        client.sendall(b"more")
        return tap.next(lambda p: p.payload).ttl


@test(TCP4, SLUICE4, INET, REAL4)
def packets_carry_the_default_ttl(t):
    for ttl in (64, 33):
        with sysctl("ip_default_ttl", ttl):
            equal(hops_of(t)[0], [ttl] * 3)
    if not t.sluice:
        return
    with sysctl("ip_default_ttl", 33):
        old, client, server = hops_of(t)
        port = t.port_of(client)
        with set_to("ip_default_ttl", 44):
            equal((old, next_hops(client, port), next_hops(server, port)), ([33] * 3, 44, 44))
            equal(client.getsockopt(socket.IPPROTO_IP, socket.IP_TTL), 44)
            equal(t.socket().getsockopt(socket.IPPROTO_IP, socket.IP_TTL), 44)
            own = lambda sock: sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 55)
            equal(hops_of(t, own)[0], [55, 44, 55])
            client.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 44)
            sluice("set", "ip_default_ttl", "45")
            equal((next_hops(client, port), next_hops(server, port)), (44, 45), "its own by now")
            client.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, -1)
            equal(next_hops(client, port), 45)
            command("ip", "route", "change", "local", "127.0.0.1", "dev", "lo", "table", "local", "hoplimit", "99")
            try:
                equal(hops_of(t)[0], [99] * 3, "the route's")
                equal(hops_of(t, own)[0], [55, 99, 55])
            finally:
                command("ip", "route", "change", "local", "127.0.0.1", "dev", "lo", "table", "local")
        equal((next_hops(client, port), next_hops(server, port)), (33, 33))
        check("out of range" in refused("set", "ip_default_ttl", "256"))
        check("out of range" in refused("set", "ip_default_ttl", "0"))


def dscp_option(t):
    return (socket.IPPROTO_IPV6, socket.IPV6_TCLASS) if ":" in t.host else (socket.IPPROTO_IP, socket.IP_TOS)


@test(*ALL, REAL6)
def answers_have_the_dscp_of_the_syn_where_told(t):
    for on in (0, 1):
        with sysctl("tcp_reflect_tos", on):
            (syn, syn_ack, data), _client, server = seen_of(t, lambda sock: sock.setsockopt(*dscp_option(t), 0xb8),
                                                            server_sends=True)
            equal([syn.tos, syn_ack.tos, data.tos & 0xfc], [0xb8] + [0xb8 * on] * 2)
            equal(server.getsockopt(*dscp_option(t)) & 0xfc, 0xb8 * on)


ONLY_MARKED = """
    table inet marked {
        chain out {
            type filter hook output priority 0; policy accept;
            ip saddr 127.0.0.9 meta mark != 7 drop
        }
    }"""


@test(*ALL)
def what_is_accepted_has_the_mark_of_the_syn_where_told(t):
    def accepted(host=None, prepare=lambda sock: None):
        listener = t.listener(host=host)
        prepare(listener)
        client = t.socket()
        client.setsockopt(SOL, socket.SO_MARK, 7)
        t.connect(client, t.port_of(listener), host)
        return t.accept(listener), client, listener
    equal(accepted()[0].getsockopt(SOL, socket.SO_MARK), 0)
    with sysctl("tcp_fwmark_accept", 1):
        server, _client, listener = accepted()
        equal((server.getsockopt(SOL, socket.SO_MARK), listener.getsockopt(SOL, socket.SO_MARK)), (7, 0))
        server = accepted(prepare=lambda sock: sock.setsockopt(SOL, socket.SO_MARK, 9))[0]
        equal(server.getsockopt(SOL, socket.SO_MARK), 9)
        if ":" in t.host:
            return
        command("nft", "-f", "-", input=ONLY_MARKED)
        try:
            server, client, _listener = accepted("127.0.0.9")
            server.sendall(b"data")
            equal(client.recv(10), b"data")
        finally:
            command("nft", "delete", "table", "inet", "marked")


@test(*ALL)
def segments_are_no_smaller_than_told(t):
    def small(sock):
        sock.setsockopt(TCP, socket.TCP_MAXSEG, 200)
    client, server = t.pair(before_connect=small)
    equal(server.getsockopt(TCP, socket.TCP_MAXSEG), 200 - 12)
    with sysctl("tcp_min_snd_mss", 600):
        client, server = t.pair(before_connect=small)
        equal(server.getsockopt(TCP, socket.TCP_MAXSEG), 600 - 12)
        server.sendall(bytes(5000))
        equal(len(client.recv(5000, socket.MSG_WAITALL)), 5000)


if __name__ == "__main__":
    run(*sys.argv[1:])
