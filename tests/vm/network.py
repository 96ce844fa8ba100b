#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# The whole system, inside the VM: transfers through bad links, a thousand
# connections, namespaces, the tools, loading and unloading, bad input.
import hashlib
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from network import (Link, counter, counters, inside, insmod, rmmod, sluice)  # noqa: E402
from network import run as command  # noqa: E402
from runner import check, equal, run, test  # noqa: E402
from transport import (AF_SLUICE, INET, SLUICE4, SLUICE6, Transport, call, error_of, libc,  # noqa: E402
                       ports)

V4 = Transport("sluice-v4", AF_SLUICE, 0, Link.V4, "::")
V6 = Transport("sluice-v6", AF_SLUICE, 0, Link.V6, "::")
V4_INET = Transport("inet-253", socket.AF_INET, 253, Link.V4, "0.0.0.0")


def joined(t):
    """A client in the near namespace, its server in the far one."""
    with inside(Link.FAR):
        listener = t.listener(host=t.host)
    with inside(Link.NEAR):
        client = t.socket()
        t.connect(client, t.port_of(listener))
    server = t.accept(listener)
    listener.close()
    return client, server


def digest_of(sock):
    digest, size = hashlib.sha256(), 0
    while part := sock.recv(1 << 18):
        digest.update(part)
        size += len(part)
    return size, digest.hexdigest()


def exchange(client, server, size):
    """Both directions at once, each to its end; sums compared."""
    data = [os.urandom(size), os.urandom(size)]
    results = {}

    def send(sock, payload):
        sock.sendall(payload)
        sock.shutdown(socket.SHUT_WR)

    def receive(name, sock):
        results[name] = digest_of(sock)

    threads = [threading.Thread(target=send, args=(client, data[0])),
               threading.Thread(target=send, args=(server, data[1])),
               threading.Thread(target=receive, args=("server", server)),
               threading.Thread(target=receive, args=("client", client))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    equal(results["server"], (size, hashlib.sha256(data[0]).hexdigest()), "far end got")
    equal(results["client"], (size, hashlib.sha256(data[1]).hexdigest()), "near end got")


# ---- transfers ---------------------------------------------------------------------

@test(V4, V6, V4_INET, limit=60)
def clean_link(t):
    with Link():
        client, server = joined(t)
        exchange(client, server, 20 << 20)


@test(V4, V6, V4_INET, limit=120)
def bad_link(t):
    with Link() as link:
        link.netem("delay", "5ms", "1ms", "loss", "2%", "reorder", "2%", "duplicate", "1%", "corrupt", "1.5%")
        client, server = joined(t)
        exchange(client, server, 500000)
        far = counters(Link.FAR)
        check(far["retrans_segs"] > 0, "nothing was lost")
        check(far["bad_checksum"] + far["bad_header"] > 0, "nothing was corrupted")


@test(V4, V6, limit=60)
def small_mtu(t):
    with Link() as link:
        link.mtu(1280 if t is V6 else 576)
        client, server = joined(t)
        exchange(client, server, 1 << 20)


@test(V4, V6, limit=60)
def path_mtu_is_discovered(t):
    with Link():
        # Behind the far end a narrower link, to a third namespace.
        command("ip", "netns", "add", "beyond")
        try:
            command("ip", "link", "add", "w1", "netns", Link.FAR, "type", "veth",
                    "peer", "name", "w2", "netns", "beyond")
            for ns, device, number in ((Link.FAR, "w1", 1), ("beyond", "w2", 2)):
                command("ip", "-n", ns, "addr", "add", f"10.2.0.{number}/24", "dev", device)
                command("ip", "-n", ns, "addr", "add", f"fd02::{number}/64", "dev", device, "nodad")
                command("ip", "-n", ns, "link", "set", device, "up")
            command("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1", namespace=Link.FAR)
            command("ip", "-n", Link.NEAR, "route", "add", "10.2.0.0/24", "via", "10.1.0.2")
            command("ip", "-n", Link.NEAR, "route", "add", "fd02::/64", "via", "fd00::2")
            # The last host offers a full MSS, as if it didn't know of the narrow link.
            command("ip", "-n", Link.FAR, "link", "set", "w1", "mtu", "1300")
            command("ip", "-n", "beyond", "route", "add", "10.1.0.0/24", "via", "10.2.0.1",
                    "mtu", "1300", "advmss", "1460")
            command("ip", "-n", "beyond", "route", "add", "fd00::/64", "via", "fd02::1",
                    "mtu", "1300", "advmss", "1440")
            host = "fd02::2" if t is V6 else "10.2.0.2"
            with inside("beyond"):
                listener = t.listener(host=host)
            with inside(Link.NEAR):
                client = t.socket()
                t.connect(client, t.port_of(listener), host)
            server = t.accept(listener)
            exchange(client, server, 1 << 20)
            check(counter("mtu_reductions", Link.NEAR) >= 1, "the path MTU went unnoticed")
        finally:
            command("ip", "netns", "del", "beyond")


@test(SLUICE4, SLUICE6, INET, limit=120)
def thousand_connections(t):
    import resource
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


@test(V4, limit=60)
def namespace_goes_under_a_live_connection(t):
    with Link():
        client, server = joined(t)
        client.sendall(b"x" * 1000)
    del server
    client.close()


# ---- tools ------------------------------------------------------------------------------

@test()
def ss_shows_connections():
    client, server = SLUICE4.pair()
    listener = SLUICE4.listener(backlog=7)
    client.sendall(b"x" * 1234)
    time.sleep(0.3)
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


def refused(*arguments, **more):
    """One line of complaint, and a non-zero exit."""
    done = sluice(*arguments, check=False, **more)
    check(done.returncode != 0, f"{arguments} succeeded")
    lines = done.stderr.strip().splitlines()
    equal(len(lines), 1, f"{arguments} complains in lines: {lines}")
    return lines[0]


@test()
def tools_refuse_in_one_line():
    check("nonesuch" in refused("get", "nonesuch") or "no such" in refused("get", "nonesuch"))
    refused("set", "nonesuch", "1")
    refused("set", "rto_min", "0")
    refused("set", "rto_min", "many")
    refused("set", "congestion_control", "nonesuch")
    refused("set", "127.0.0.1:1", "127.0.0.1:2", "cc", "reno")
    refused("send", "127.0.0.1:1", "/etc/hostname")
    refused("send", "no-port", "/etc/hostname")
    refused("send", "127.0.0.1:1", "/nonexistent")


@test()
def setting_needs_the_capability():
    done = command("setpriv", "--reuid", "65534", "--clear-groups", os.path.join("build", "userspace", "sluice"),
                   "set", "rto_min", "100ms", check=False)
    check(done.returncode != 0 and len(done.stderr.strip().splitlines()) == 1, done)
    check("100000" not in sluice("get", "-r", "rto_min").stdout)


@test()
def full_disk_and_closed_pipe_are_told():
    listener = SLUICE4.listener()
    port = SLUICE4.port_of(listener)
    listener.close()
    with open("/dev/full", "w") as full:
        receiver = subprocess.Popen([os.path.join("build", "userspace", "sluice"), "recv", str(port)],
                                    stdout=full, stderr=subprocess.PIPE, text=True)
        for _ in range(50):
            if f":{port} " in sluice("ss", "-l").stdout:
                break
            time.sleep(0.1)
        sluice("send", "-q", f"127.0.0.1:{port}", "/etc/services", check=False)
        complaint = receiver.communicate(timeout=10)[1]
    check(receiver.returncode != 0, "recv to a full disk succeeded")
    check("No space" in complaint, complaint)
    done = subprocess.run("build/userspace/sluice get | true", shell=True, stderr=subprocess.PIPE, text=True)
    check("terminate" not in done.stderr, done.stderr)


# ---- bad input ---------------------------------------------------------------------------

def raw_segment(port, payload=b"", flags=0x02, words=5, checksum=None):
    header = struct.pack("!HHIIBBHHH", 5555, port, 1, 0, words << 4, flags, 1000, 0, 0)
    pseudo = socket.inet_aton("127.0.0.1") * 2 + struct.pack("!BBH", 0, 6, len(header) + len(payload))
    total = sum(struct.unpack(f"!{(len(pseudo + header + payload) + 1) // 2}H",
                              (pseudo + header + payload).ljust((len(pseudo + header + payload) + 1) // 2 * 2, b"\0")))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    right = ~total & 0xffff
    return header[:16] + struct.pack("!H", right if checksum is None else checksum) + header[18:] + payload


@test()
def malformed_segments_are_counted():
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, 253)
    listener = SLUICE4.listener()
    port = SLUICE4.port_of(listener)
    before = counters()
    raw.sendto(raw_segment(port)[:10], ("127.0.0.1", 0))           # truncated
    raw.sendto(raw_segment(port, words=15), ("127.0.0.1", 0))      # header longer than the segment
    raw.sendto(raw_segment(port, words=3), ("127.0.0.1", 0))       # header too short
    raw.sendto(raw_segment(port, checksum=1), ("127.0.0.1", 0))    # wrong checksum
    raw.sendto(raw_segment(port, flags=0x03), ("127.0.0.1", 0))    # SYN and FIN
    raw.sendto(raw_segment(port, flags=0x06), ("127.0.0.1", 0))    # SYN and RST
    raw.sendto(b"", ("127.0.0.1", 0))
    raw.sendto(os.urandom(1400), ("127.0.0.1", 0))
    time.sleep(0.3)
    after = counters()
    check(after["bad_header"] - before["bad_header"] >= 3, "bad_header")
    check(after["bad_checksum"] - before["bad_checksum"] >= 1, "bad_checksum")
    check(after["bad_flags"] - before["bad_flags"] >= 2, "bad_flags")
    client = SLUICE4.socket()
    SLUICE4.connect(client, port)


@test()
def random_segments_do_no_harm():
    client, server = SLUICE4.pair()
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, 253)
    source, destination = SLUICE4.port_of(client), SLUICE4.port_of(server)
    for _ in range(3000):
        noise = bytearray(os.urandom(20 + os.urandom(1)[0] % 60))
        noise[0:4] = struct.pack("!HH", source, destination)
        noise[12] = (5 + noise[12] % 11) << 4
        raw.sendto(noise, ("127.0.0.1", 0))
    client.sendall(b"alive")
    equal(server.recv(5), b"alive")


def netlink(protocol, message):
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
    sock.bind((0, 0))
    sock.settimeout(2)
    sock.send(message)
    try:
        return sock.recv(65536)
    except (TimeoutError, socket.timeout):
        return b""


def netlink_error(answer):
    kind = struct.unpack_from("=H", answer, 4)[0] if len(answer) >= 20 else None
    return -struct.unpack_from("=i", answer, 16)[0] if kind == 2 else None


@test()
def wrong_netlink_messages_are_refused():
    # sock_diag: no body, a short one, one byte.
    for body in (struct.pack("=BB", AF_SLUICE, 0), struct.pack("=BBHI", AF_SLUICE, 0, 0, 0)):
        message = struct.pack("=IHHII", 16 + len(body), 20, 0x301, 1, 0) + body
        equal(netlink_error(netlink(4, message)), 22)
    # One that is not there.
    body = struct.pack("=BBHI", AF_SLUICE, 0, 0, 0) + bytes(40)
    equal(netlink_error(netlink(4, struct.pack("=IHHII", 16 + len(body), 20, 1, 1, 0) + body)), 2)
    # Generic netlink: the family's number, then requests that lack or cut what they need.
    name = struct.pack("=HH", 4 + 7, 2) + b"sluice\0\0"
    answer = netlink(16, struct.pack("=IHHIIBBH", 20 + len(name), 16, 1, 1, 0, 3, 1, 0) + name)
    at, family = 20, None
    while at < len(answer):
        length, kind = struct.unpack_from("=HH", answer, at)
        if kind == 1:
            family = struct.unpack_from("=H", answer, at + 4)[0]
        at += (length + 3) & ~3
    check(family, "no generic netlink family")
    for operation in range(1, 20):
        for attributes in (b"", struct.pack("=HH", 4, 1), struct.pack("=HHI", 8, 11, 1), struct.pack("=HHI", 8, 200, 1),
                           struct.pack("=HHB3x", 5, 2, 1), struct.pack("=HH", 3, 1), os.urandom(40)):
            body = struct.pack("=BBH", operation, 1, 0) + attributes
            netlink(16, struct.pack("=IHHII", 16 + len(body), family, 5, 1, 0) + body)
    check(sluice("stat").returncode == 0)


# ---- the module: last, for they unload it ----------------------------------------------------

@test(limit=60)
def unloading_is_refused_while_sockets_exist():
    sock = SLUICE4.socket()
    done = rmmod(patience=0)
    check(done.returncode != 0, "unloaded under an open socket")
    sock.close()
    done = rmmod()
    check(done.returncode == 0, done.stderr)
    check("is the module loaded" in refused("ss"))
    check("is the module loaded" in refused("stat"))
    check("is the module loaded" in refused("send", "127.0.0.1:1", "/etc/hostname"))
    insmod()


@test(limit=60)
def taken_family_is_refused():
    check(rmmod().returncode == 0)
    done = insmod("family=2", check=False)
    check(done.returncode != 0, "took over AF_INET")
    insmod("family=31", check=False)
    rmmod()
    insmod()


@test(limit=170)
def loads_and_unloads_under_traffic():
    for _ in range(5):
        with Link():
            traffic = []
            for t in (V4, V6):
                pid = os.fork()
                if pid == 0:
                    client, server = joined(t)
                    threading.Thread(target=lambda: [server.recv(1 << 18) for _ in iter(int, 1)], daemon=True).start()
                    while True:
                        client.send(b"x" * 65536)
                traffic.append(pid)
            time.sleep(1)
            check(rmmod(patience=0).returncode != 0, "unloaded under traffic")
            for pid in traffic:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
        done = rmmod(patience=20)
        check(done.returncode == 0, done.stderr)
        insmod()


if __name__ == "__main__":
    os.chdir(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    run(sys.argv[1] if len(sys.argv) > 1 else None)
