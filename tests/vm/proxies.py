#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# Transparent proxies, rules that ask whose a packet is, and those that ask user space, inside
# the VM: what nftables does for kernel TCP, shown first, it does for real TCP on Sluice.
import contextlib
import os
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from cgroup import Cgroup  # noqa: E402
from mix import BOTH_OURS, KERNEL4, KERNEL6, OURS4, OURS6, Mix  # noqa: E402
from network import Link, beyond, inside, insmod, kernel_word, rmmod, sluice, states, tune  # noqa: E402
from network import run as command  # noqa: E402
from nfqueue import ACCEPT, STOP, Queue  # noqa: E402
from nft import counted, counters, set_rules  # noqa: E402
from runner import check, equal, run, test, until  # noqa: E402
from traffic import abort, exchange  # noqa: E402
from transport import Transport, error_of  # noqa: E402

OURS_INET6 = Transport("inet6-257", socket.AF_INET6, 257, Link.V6, "::")
DUAL = Transport("inet6-257-dual", socket.AF_INET6, 257, Link.V4, "::")
KERNELS = Mix("kernel-v4", KERNEL4, KERNEL4), Mix("kernel-v6", KERNEL6, KERNEL6)
SERVERS = Mix("from-kernel-v4", KERNEL4, OURS4), Mix("from-kernel-v6", KERNEL6, OURS_INET6)
CLIENTS = Mix("to-kernel-v4", OURS4, KERNEL4), Mix("to-kernel-v6", OURS_INET6, KERNEL6)
DUALS = Mix("kernel-dual", KERNEL4, Transport("tcp6-dual", socket.AF_INET6, 0, Link.V4, "::")), \
    Mix("from-kernel-dual", KERNEL4, DUAL)
PROXIES = *KERNELS, *SERVERS, *BOTH_OURS, *DUALS
PORT, WEB = 50080, 80
TRANSPARENT = {socket.AF_INET: (socket.IPPROTO_IP, 19), socket.AF_INET6: (socket.IPPROTO_IPV6, 75)}
MARK = 7


def is_v6(mix):
    return mix.client.host == Link.V6


def stranger(mix):
    """An address that nobody has, to which the near end's way is by the far one."""
    return "fd09::9" if is_v6(mix) else "10.9.0.9"


def make_transparent(sock, on=1):
    family = sock.family if sock.family in TRANSPARENT else socket.AF_INET6
    sock.setsockopt(*TRANSPARENT[family], on)


def deliver_marked(namespace):
    """What rules have marked by 1 is for this host."""
    for version, everything in (("-4", "0.0.0.0/0"), ("-6", "::/0")):
        command("ip", version, "-n", namespace, "rule", "add", "fwmark", "1", "lookup", "100")
        command("ip", version, "-n", namespace, "route", "add", "local", everything, "dev", "lo", "table", "100")


@contextlib.contextmanager
def proxied():
    """The far end is on the way to strangers, and may take what is for them."""
    with Link():
        command("ip", "-n", Link.NEAR, "route", "add", "10.9.0.0/24", "via", Link.V4)
        command("ip", "-n", Link.NEAR, "route", "add", "fd09::/64", "via", Link.V6)
        command("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1", namespace=Link.FAR)
        deliver_marked(Link.FAR)
        yield


def rules(namespace, **chains):
    """chains: prerouting (as the kernel's documentation has it, before NAT), input, or postrouting, which is NAT."""
    kinds = {"prerouting": ("filter", "-150"), "input": ("filter", "0"), "postrouting": ("nat", "100")}
    set_rules(namespace, *((hook, *kinds[hook], "accept", *lines) for hook, lines in chains.items()))


def to_proxy(mix, address=""):
    address = f"[{address}]" if ":" in address else address
    return f"tproxy {'ip6' if is_v6(mix) else 'ip'} to {address}:{PORT} meta mark set 1 accept"


DIVERT = "meta l4proto tcp socket transparent 1 counter meta mark set 1 accept"


def proxy(mix, host=None, transparent=True):
    with inside(Link.FAR):
        listener = mix.server.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if transparent:
            make_transparent(listener)
        mix.server.bind(listener, PORT, host or mix.server.any)
        listener.listen()
    return listener


def connected(mix, listener, address, port):
    with inside(Link.NEAR):
        client = mix.client.socket()
        mix.client.connect(client, port, address)
    return client, mix.server.accept(listener)


def name_of(sock):
    """Its own address and port, IPv4 as such."""
    return sock.getsockname()[0].removeprefix("::ffff:"), sock.getsockname()[1]


# ---- whose what comes in is --------------------------------------------------------

def early_is_all_there_is():
    """Nobody looks for sockets yet who would find them for other rules, too. So these tests come first."""
    with open("/proc/modules") as file:
        return kernel_word() in ("6.1", "6.12") and "nf_socket" not in file.read()


@test(*KERNELS, *SERVERS, *CLIENTS)
def input_knows_whose_established_packets_are(mix):
    """By early demultiplexing; where that is off, it doesn't."""
    for on in (1, 0) if mix in KERNELS or early_is_all_there_is() else (1,):
        with Link():
            namespace = Link.NEAR if mix in CLIENTS else Link.FAR
            where = f"tcp {'s' if mix in CLIENTS else 'd'}port {PORT}"
            tune(namespace, tcp_early_demux=on)
            with inside(Link.FAR):
                listener = mix.server.listener(port=PORT)
            rules(namespace, input=[f"{where} meta skuid 0 counter", f"{where} meta skuid 1 counter"])
            client, server = connected(mix, listener, mix.server.host, PORT)
            sender, receiver = (server, client) if mix in CLIENTS else (client, server)
            sender.sendall(b"x")
            equal(receiver.recv(1), b"x")
            equal(bool(counted(namespace, "input", "skuid 0")), bool(on))
            equal(counted(namespace, "input", "skuid 1"), 0)
            abort(client, server)
            listener.close()


# ---- tproxy ------------------------------------------------------------------------

@test(*PROXIES)
def a_proxy_is_given_what_is_for_others(mix):
    """On another port, and under the name of whom the client called, whatever the address it is at."""
    with proxied():
        for host, at in ((None, ""), (mix.client.host, mix.client.host)):
            if host and mix in DUALS:
                continue    # IPv4 of such a listener is the wildcard's
            rules(Link.FAR, prerouting=[f"tcp dport {WEB} counter {to_proxy(mix, at)}"])
            listener = proxy(mix, host)
            client, server = connected(mix, listener, stranger(mix), WEB)
            if mix.server.family != OURS6.family:    # Python knows no addresses of that family
                equal(name_of(server), (stranger(mix), WEB))
            equal(mix.server.port_of(server), WEB)
            listener.close()
            check(counted(Link.FAR, "prerouting", "tproxy") >= 2)
            rules(Link.FAR, prerouting=[DIVERT])
            exchange(client, server, 200000)


@test(*PROXIES)
def established_connections_are_diverted(mix):
    """The rules of the kernel's documentation, and a rule for what is new alone."""
    with proxied():
        rules(Link.FAR, prerouting=[DIVERT, f"tcp dport {WEB} tcp flags & (syn | ack) == syn {to_proxy(mix)}"])
        listener = proxy(mix)
        for _ in range(3):
            client, server = connected(mix, listener, stranger(mix), WEB)
            exchange(client, server, 100000, beside=("LISTEN",))
        check(counted(Link.FAR, "prerouting", "transparent") >= 15)
        listener.close()


@test(*KERNELS, *SERVERS, *BOTH_OURS)
def what_waits_out_its_time_is_diverted(mix):
    """The client's FIN comes again to a TIME_WAIT, which is no socket, and is acknowledged."""
    with proxied():
        rules(Link.FAR, prerouting=["tcp flags & fin == fin socket transparent 1 counter meta mark set 1 accept",
                                    DIVERT, f"tcp dport {WEB} tcp flags & (syn | ack) == syn {to_proxy(mix)}"])
        listener = proxy(mix)
        client, server = connected(mix, listener, stranger(mix), WEB)
        server.close()
        equal(client.recv(1), b"")
        rules(Link.NEAR, input=[f"tcp sport {WEB} drop"])
        client.close()
        until(lambda: counted(Link.FAR, "prerouting", "fin") >= 2, text="the FIN never came again")
        command("nft", "flush", "ruleset", namespace=Link.NEAR)
        with inside(Link.NEAR):
            until(lambda: "LAST-ACK" not in command("ss", "-tanH").stdout + sluice("ss", "-anH").stdout,
                  text="the FIN is never acknowledged")
        listener.close()


@test(*KERNELS, *SERVERS)
def who_comes_again_reaches_the_proxy_again(mix):
    """From the same port, while the server waits out its time; whatever the order of rules, and who looks on input."""
    new = f"tcp dport {WEB} {to_proxy(mix)}"
    with proxied():
        listener = proxy(mix)
        for chains in {"prerouting": [new]}, {"prerouting": [new], "input": ["counter"]}, {"prerouting": [DIVERT, new]}:
            rules(Link.FAR, **chains)
            for _ in range(2):
                with inside(Link.NEAR):
                    client = mix.client.socket()
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    mix.client.bind(client, 40000, mix.client.any)
                    client.settimeout(10)
                    client.connect((stranger(mix), WEB))
                server = mix.server.accept(listener)
                server.close()
                equal(client.recv(1), b"")
                client.close()
                until(lambda: "TIME-WAIT" in command("ss", "-tanH", namespace=Link.FAR).stdout or
                      states(Link.FAR)["TIME-WAIT"])
        listener.close()


@test(*KERNELS, *SERVERS, *BOTH_OURS)
def a_proxy_must_be_transparent(mix):
    """It may become so, and cease to be, while it listens; and a rule for one that doesn't listen gives it nothing."""
    with proxied():
        rules(Link.FAR, prerouting=[f"tcp dport {WEB} {to_proxy(mix)}", "counter meta mark set 2 accept"])
        listener = proxy(mix, transparent=False)

        def fails():
            before = counted(Link.FAR, "prerouting", "mark set 0x00000002")
            with inside(Link.NEAR):
                client = mix.client.socket()
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_SYNCNT, 1)
                client.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    mix.client.connect(client, WEB, stranger(mix))
            until(lambda: counted(Link.FAR, "prerouting", "mark set 0x00000002") > before)
            client.close()

        fails()
        make_transparent(listener)
        client, server = connected(mix, listener, stranger(mix), WEB)
        abort(server, client)
        make_transparent(listener, 0)
        fails()
        make_transparent(listener)
        client, server = connected(mix, listener, stranger(mix), WEB)
        abort(server, client)
        listener.close()
        fails()


@test(*KERNELS, *SERVERS)
def many_knock_at_a_proxy_at_once(mix):
    with proxied():
        rules(Link.FAR, prerouting=[DIVERT, f"tcp dport {WEB} {to_proxy(mix)}"])
        listener = proxy(mix)
        clients = []
        with inside(Link.NEAR):
            for _ in range(100):
                client = mix.client.socket()
                client.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    mix.client.connect(client, WEB, stranger(mix))
                clients.append(client)
        servers = [mix.server.accept(listener) for _ in clients]
        equal({mix.server.port_of(server) for server in servers}, {WEB})
        abort(*servers, *clients)
        listener.close()


@test(*KERNELS, *SERVERS, *BOTH_OURS)
def equals_share_what_a_proxy_is_given(mix):
    """SO_REUSEPORT."""
    with proxied():
        rules(Link.FAR, prerouting=[DIVERT, f"tcp dport {WEB} {to_proxy(mix)}"])
        listeners = []
        with inside(Link.FAR):
            for _ in range(2):
                listener = mix.server.socket()
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                make_transparent(listener)
                mix.server.bind(listener, PORT)
                listener.listen()
                listener.setblocking(False)
                listeners.append(listener)
        with inside(Link.NEAR):
            clients = [mix.client.socket() for _ in range(40)]
            for client in clients:
                mix.client.connect(client, WEB, stranger(mix))
        got = [[], []]

        def accept():
            for listener, servers in zip(listeners, got):
                with contextlib.suppress(BlockingIOError):
                    while True:
                        servers.append(mix.server.accept(listener))
            return len(got[0]) + len(got[1]) == len(clients)

        until(accept)
        check(all(len(servers) >= 5 for servers in got), [len(servers) for servers in got])
        abort(*got[0], *got[1], *clients)
        for listener in listeners:
            listener.close()


# ---- the client's address --------------------------------------------------------------

def call_as_client(mix):
    """From the far end, in the name of the near one, to what is beyond. A socket, and what connect() said."""
    host, server_host = ("fd00::1", "fd02::2") if is_v6(mix) else ("10.1.0.1", "10.2.0.2")
    with inside(Link.FAR):
        client = mix.client.socket()
        make_transparent(client)
        mix.client.bind(client, 0, host)
        return client, error_of(mix.client.connect, client, WEB, server_host)


@test(*KERNELS, *CLIENTS)
def a_proxy_calls_under_the_clients_name(mix):
    """Its answers are for the client, but `socket` finds whose they are."""
    with Link(), beyond() as last:
        deliver_marked(Link.FAR)
        rules(Link.FAR, prerouting=[DIVERT])
        with inside(last):
            listener = mix.server.listener(host=mix.server.any, port=WEB)
        client, error = call_as_client(mix)
        equal(error, None)
        server = mix.server.accept(listener)
        equal(server.getpeername()[0], "fd00::1" if is_v6(mix) else "10.1.0.1")
        exchange(client, server, 200000, beside=("LISTEN",))
        check(counted(Link.FAR, "prerouting", "transparent") >= 5)
        listener.close()


# ---- what else rules ask of a socket -----------------------------------------------------

@test(*KERNELS, *SERVERS)
def a_socket_has_a_mark_and_an_address(mix):
    """Of the listener, of what it accepted, before routing and on input."""
    asked = ["socket mark 0x7 counter", "socket mark 0x8 counter", "socket wildcard 0 counter",
             "socket wildcard 1 counter"]
    with Link():
        only = f"tcp dport {PORT} "
        rules(Link.FAR, **{chain: [only + question for question in asked] for chain in ("prerouting", "input")})
        with inside(Link.FAR):
            listener = mix.server.socket()
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, MARK)
            mix.server.bind(listener, PORT, mix.server.any)
            listener.listen()
        client, server = connected(mix, listener, mix.server.host, PORT)

        def counts():
            return {chain: [count for _, count in counters(Link.FAR, chain)] for chain in ("prerouting", "input")}

        before = counts()
        client.sendall(b"x")
        equal(server.recv(1), b"x")
        server.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, MARK + 1)
        between = counts()
        client.sendall(b"x")
        equal(server.recv(1), b"x")
        after = counts()
        for chain in ("prerouting", "input"):
            check(before[chain][0] >= 1 and not before[chain][1], f"{chain}: {before}")
            check(before[chain][3] >= 1, f"{chain}: the listener is at the wildcard: {before}")
            check(between[chain][0] > before[chain][0], f"{chain}: {before} {between}")
            check(between[chain][2] > before[chain][2], f"{chain}: what it accepted has an address: {before} {between}")
            check(after[chain][1] > between[chain][1], f"{chain}: {between} {after}")
        abort(client, server)
        listener.close()


@test(*SERVERS)
def kernel_tcps_connections_stay_its_own(mix):
    """Though a listener of ours has followed on their port."""
    kernels = KERNELS[SERVERS.index(mix)]
    only = f"tcp dport {PORT} "
    with Link():
        with inside(Link.FAR):
            listener = kernels.server.listener(port=PORT)
        client, server = connected(kernels, listener, mix.server.host, PORT)
        listener.close()
        with inside(Link.FAR):
            listener = mix.server.socket()
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, MARK)
            mix.server.bind(listener, PORT, mix.server.any)
            listener.listen()
        rules(Link.FAR, **{chain: [only + "socket mark 0x7 counter", only + "socket mark 0x0 counter"]
                           for chain in ("prerouting", "input")})
        client.sendall(b"x")
        equal(server.recv(1), b"x")
        for chain in ("prerouting", "input"):
            equal(counted(Link.FAR, chain, "mark 0x00000007"), 0)
            check(counted(Link.FAR, chain, "mark 0x00000000") >= 1)
        abort(client, server)
        listener.close()


@test(*KERNELS, *SERVERS)
def a_proxy_may_bind_to_a_device_later(mix):
    """And is given nothing from any other then."""
    with proxied():
        rules(Link.FAR, prerouting=[f"tcp dport {WEB} {to_proxy(mix)}", f"tcp dport {WEB} counter drop"])
        listener = proxy(mix)
        for device in "lo", "v1":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
            with inside(Link.NEAR):
                client = mix.client.socket()
                client.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    mix.client.connect(client, WEB, stranger(mix))
            if device == "lo":
                until(lambda: counted(Link.FAR, "prerouting", "drop"))
            else:
                abort(mix.server.accept(listener))
            client.close()
        listener.close()


@test(*KERNELS, *SERVERS)
def a_socket_is_of_a_cgroup(mix):
    with Link(), Cgroup() as group:
        with group.entered(), inside(Link.FAR):
            listener = mix.server.listener(port=PORT)
        rules(Link.FAR, input=[f'tcp dport {PORT} socket cgroupv2 level 1 "sluice-test" counter'])
        with inside(Link.FAR):
            other = mix.server.listener(port=WEB)
        first = connected(mix, listener, mix.server.host, PORT)
        exchange(*first, 10000, beside=("LISTEN",))
        seen = counted(Link.FAR, "input", "cgroupv2")
        check(seen >= 5, seen)
        second = connected(mix, other, mix.server.host, WEB)
        exchange(*second, 10000, beside=("LISTEN",))
        equal(counted(Link.FAR, "input", "cgroupv2"), seen)
        listener.close()
        other.close()
        command("nft", "flush", "ruleset", namespace=Link.FAR)


@test(*KERNELS, *CLIENTS)
def answers_to_another_source_are_the_sockets(mix):
    """NAT has given it another address, and they are still for that one where the rule sees them."""
    nine = "fd00::9" if is_v6(mix) else "10.1.0.9"
    with Link():
        command("ip", "-n", Link.NEAR, "addr", "add", nine, "dev", "v0",
                *(("nodad", "preferred_lft", "0") if ":" in nine else ()))
        command("ip", "-n", Link.FAR, "neigh", "replace", nine, "lladdr", Link.MAC + "1", "dev", "v1")
        rules(Link.NEAR, prerouting=[f"tcp sport {PORT} socket mark 0x7 counter"],
              postrouting=[f"tcp dport {PORT} snat {'ip6' if is_v6(mix) else 'ip'} to {nine}"])
        with inside(Link.FAR):
            listener = mix.server.listener(port=PORT)
        with inside(Link.NEAR):
            client = mix.client.socket()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, MARK)
            mix.client.connect(client, PORT, mix.server.host)
        server = mix.server.accept(listener)
        equal(server.getpeername()[0], nine)
        exchange(client, server, 50000, beside=("LISTEN",))
        check(counted(Link.NEAR, "prerouting", "mark") >= 5)
        listener.close()


@test(*KERNELS, *CLIENTS)
def messages_about_a_connection_are_the_sockets(mix):
    """What a router says to a proxy of its connection under another's name is for the proxy."""
    protocol = "icmpv6" if is_v6(mix) else "icmp"
    with Link(), beyond() as last:
        deliver_marked(Link.FAR)
        rules(Link.FAR, prerouting=[DIVERT, DIVERT.replace("l4proto tcp", f"l4proto {protocol}")])
        rules(last, input=[f"tcp dport {WEB} reject with {protocol} admin-prohibited"])
        client, error = call_as_client(mix)
        equal(error, "EACCES" if is_v6(mix) else "EHOSTUNREACH")
        check(counted(Link.FAR, "prerouting", f"l4proto {protocol if protocol == 'icmp' else 'ipv6-icmp'}") >= 1)
        client.close()


# ---- verdicts from user space -------------------------------------------------------------

@test(*KERNELS, *CLIENTS, *SERVERS)
def user_space_lets_segments_in(mix):
    """From an early hook and the last one; by verdicts after which the other hooks are asked, and aren't."""
    with Link():
        for priority in "0", "2147483647":
            for verdict in ACCEPT, STOP:
                namespace, way = (Link.NEAR, "sport") if mix in CLIENTS else (Link.FAR, "dport")
                set_rules(namespace, ("input", "filter", priority, "accept", f"tcp {way} {PORT} queue num 5"))
                with Queue(namespace, 5, verdict) as queue:
                    with inside(Link.FAR):
                        listener = mix.server.listener(port=PORT)
                    client, server = connected(mix, listener, mix.server.host, PORT)
                    listener.close()
                    exchange(client, server, 100000)
                    check(queue.seen >= 5, queue.seen)


# ---- what stands in for a listener ---------------------------------------------------------

@test(*SERVERS)
def ss_shows_a_proxy_that_it_cannot_end(mix):
    with proxied():
        rules(Link.FAR, prerouting=[f"tcp dport {WEB} {to_proxy(mix)}"])
        listener = proxy(mix)

        def shown():
            return command("ss", "-tlnHp", f"sport = :{PORT}", namespace=Link.FAR).stdout.split()

        equal(shown()[0], "LISTEN")
        check("users:" not in " ".join(shown()), shown())
        command("ss", "-K", "-tln", f"sport = :{PORT}", namespace=Link.FAR, check=False)
        equal(shown()[:1], ["LISTEN"])
        client, server = connected(mix, listener, stranger(mix), WEB)
        abort(server, client)
        listener.close()
        equal(shown(), [])


@test()
def the_module_goes_and_comes_while_rules_ask():
    """Those who look for sockets are there already when it comes."""
    with proxied():
        rules(Link.FAR, prerouting=[DIVERT], input=["socket mark 0x7 counter"])
        equal(rmmod().returncode, 0)
        insmod()
        listener = proxy(SERVERS[0])
        rules(Link.FAR, prerouting=[DIVERT, f"tcp dport {WEB} tcp flags & (syn | ack) == syn {to_proxy(SERVERS[0])}"])
        client, server = connected(SERVERS[0], listener, stranger(SERVERS[0]), WEB)
        exchange(client, server, 100000, beside=("LISTEN",))
        listener.close()


if __name__ == "__main__":
    run(*sys.argv[1:])
