#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# nftables, NAT, connection tracking and IPsec, inside the VM: what they do to kernel
# TCP, shown first, they do to real TCP on Sluice, on either end of it.
import contextlib
import errno
import ipaddress
import os
import select
import socket
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from mix import KERNEL4, KERNEL6, OURS4, Mix  # noqa: E402
from network import Link, beyond, file_holds, inside  # noqa: E402
from network import run as command  # noqa: E402
from nft import counted, set_rules  # noqa: E402
from runner import check, equal, run, test, until  # noqa: E402
from traffic import abort, exchange  # noqa: E402
from transport import Transport, error_of  # noqa: E402

OURS6 = Transport("inet6-257", socket.AF_INET6, 257, Link.V6, "::")
KERNELS = Mix("kernel-v4", KERNEL4, KERNEL4), Mix("kernel-v6", KERNEL6, KERNEL6)
CLIENTS = Mix("to-kernel-v4", OURS4, KERNEL4), Mix("to-kernel-v6", OURS6, KERNEL6)
SERVERS = Mix("from-kernel-v4", KERNEL4, OURS4), Mix("from-kernel-v6", KERNEL6, OURS6)
BOTH = Mix("both-ours-v4", OURS4, OURS4), Mix("both-ours-v6", OURS6, OURS6)
PORT, OTHER = 7001, 8080
IP_MTU, IPV6_MTU = 14, 24


def host(mix, network, number):
    """The addresses of Link (network 1) and of what is beyond it (2)."""
    if mix.server.host == Link.V4:
        return f"10.{network}.0.{number}"
    return f"fd0{network - 1 and network}::{number}"


def to(mix, address, port=""):
    """As the target of a rule of NAT."""
    address = f"[{address}]" if ":" in address and port else address
    return f"{'ip' if mix.server.host == Link.V4 else 'ip6'} to {address}{port and f':{port}'}"


def rules(namespace, **chains):
    """chains: a hook with a kind and a policy, and its rules."""
    priority = {"filter": "filter", "nat-output": "-100", "nat-prerouting": "dstnat", "nat-postrouting": "srcnat"}
    set_rules(namespace, *((hook, kind, priority["filter" if kind == "filter" else f"nat-{hook}"], *more)
                           for hook, (kind, *more) in chains.items()))


def joined(mix, address, port, listen_at=None, listen_in=Link.FAR):
    """A connection to that address and port, where a listener of PORT is to be reached."""
    with inside(listen_in):
        listener = mix.server.listener(host=listen_at or mix.server.any, port=PORT)
    with inside(Link.NEAR):
        client = mix.client.socket()
        client.settimeout(20)
        client.connect((address, port))
    check(select.select([listener], [], [], 20)[0], "nobody to accept")
    server = mix.server.accept(listener)
    listener.close()
    return client, server


@contextlib.contextmanager
def behind_a_router():
    """A third host, who keeps to the narrow link's MTU when it talks to the router, but offers a full MSS."""
    with Link(), beyond() as last:
        command("ip", "-n", last, "-batch", "-", input="""
            route add 10.2.0.1/32 dev w2 mtu 1300 advmss 1460
            route add fd02::1/128 dev w2 mtu 1300 advmss 1440
            """)
        yield last


# ---- NAT ---------------------------------------------------------------------------

@test(*KERNELS, *CLIENTS, *BOTH)
def a_router_hides_the_client(mix):
    with behind_a_router() as last:
        rules(Link.FAR, postrouting=("nat", "accept", 'oifname "w1" masquerade'))
        client, server = joined(mix, host(mix, 2, 2), PORT, listen_in=last)
        equal(server.getpeername()[0], host(mix, 2, 1), "the client's address")
        equal(client.getsockname()[0], host(mix, 1, 1))
        exchange(client, server, 200000)


@test(*KERNELS, *CLIENTS, *BOTH)
def own_connections_get_another_source(mix):
    with Link():
        nine = host(mix, 1, 9)
        command("ip", "-n", Link.NEAR, "addr", "add", nine, "dev", "v0",
                *(("nodad", "preferred_lft", "0") if ":" in nine else ()))    # not to be chosen by itself
        command("ip", "-n", Link.FAR, "neigh", "replace", nine, "lladdr", Link.MAC + "1", "dev", "v1", "nud", "permanent")
        rules(Link.NEAR, postrouting=("nat", "accept", f"tcp dport {PORT} snat {to(mix, nine)}"))
        client, server = joined(mix, host(mix, 1, 2), PORT)
        equal(server.getpeername()[0], nine)
        equal(client.getsockname()[0], host(mix, 1, 1))
        exchange(client, server, 200000)


@test(*KERNELS, *CLIENTS, *BOTH)
def own_connections_get_another_destination(mix):
    """To another port of the host, and from a network that there is no way to, past the far end, to it."""
    with Link():
        elsewhere = "10.9.9.9" if mix.server.host == Link.V4 else "fd09::9"
        command("ip", "-n", Link.NEAR, "route", "add", elsewhere, "dev", "lo")
        rules(Link.NEAR, output=("nat", "accept", f"tcp dport {OTHER} dnat {to(mix, mix.server.host, PORT)}"))
        for address in (mix.server.host, elsewhere):
            client, server = joined(mix, address, OTHER)
            equal(client.getpeername()[:2], (address, OTHER))
            equal(server.getsockname()[:2], (mix.server.host, PORT))
            exchange(client, server, 100000)


@test(*KERNELS, *CLIENTS, *SERVERS, *BOTH)
def own_connections_are_redirected_here(mix):
    with Link():
        rules(Link.NEAR, output=("nat", "accept", f"tcp dport {OTHER} redirect to :{PORT}"))
        client, server = joined(mix, mix.server.host, OTHER, listen_in=Link.NEAR)
        equal(server.getsockname()[1], PORT)
        check(ipaddress.ip_address(server.getsockname()[0]).is_loopback, server.getsockname())
        exchange(client, server, 100000)


@test(*KERNELS, *SERVERS, *BOTH)
def a_port_is_redirected_to_a_listener(mix):
    with Link():
        rules(Link.FAR, prerouting=("nat", "accept", f"tcp dport {OTHER} redirect to :{PORT}"))
        client, server = joined(mix, mix.server.host, OTHER)
        equal(server.getsockname()[:2], (mix.server.host, PORT))
        exchange(client, server, 200000)


@test(*KERNELS, *SERVERS, *BOTH)
def a_destination_becomes_a_listener(mix):
    """Of the same host, and of one behind it."""
    with behind_a_router() as last:
        for address, where in ((mix.server.host, Link.FAR), (host(mix, 2, 2), last)):
            rules(Link.FAR, prerouting=("nat", "accept", f"tcp dport {OTHER} dnat {to(mix, address, PORT)}"))
            client, server = joined(mix, mix.server.host, OTHER, listen_at=address, listen_in=where)
            equal(client.getpeername()[:2], (mix.server.host, OTHER))
            equal(server.getsockname()[:2], (address, PORT))
            exchange(client, server, 100000)


# ---- where a connection was going ------------------------------------------------------

TO_MAPPED = [Mix(f"{name}-maps-v4", KERNEL4, Transport(name, socket.AF_INET6, protocol, Link.V4, "::"))
             for name, protocol in (("kernel", 0), ("ours", 257))]
ORIGINAL_DST = 80    # SO_ORIGINAL_DST, IP6T_SO_ORIGINAL_DST


def destination_option(mix):
    """Its level and number, and the size of the answer."""
    return (socket.IPPROTO_IP, ORIGINAL_DST, 16) if mix.server.host == Link.V4 else \
        (socket.IPPROTO_IPV6, ORIGINAL_DST, 28)


@test(*KERNELS, *SERVERS, *TO_MAPPED)
def nobody_knows_where_an_unconnected_socket_was_going(mix):
    """Least of all where no connections are tracked, as when this test comes first."""
    with open("/proc/modules") as file:
        loaded = any(line.startswith("nf_conntrack ") for line in file)
    equal(error_of(mix.server.socket().getsockopt, *destination_option(mix)), "ENOENT" if loaded else "ENOPROTOOPT")


@test(*KERNELS, *SERVERS, *BOTH, *TO_MAPPED)
def a_proxy_learns_where_a_connection_was_going(mix):
    level, number, size = destination_option(mix)
    with Link():
        rules(Link.FAR, prerouting=("nat", "accept", f"tcp dport {OTHER} redirect to :{PORT}"))
        client, server = joined(mix, mix.server.host, OTHER)
        answer = server.getsockopt(level, number, size)
        family, at = (socket.AF_INET, 4) if level == socket.IPPROTO_IP else (socket.AF_INET6, 8)
        host = socket.inet_pton(family, mix.server.host)
        equal(struct.unpack_from("=H", answer) + struct.unpack_from("!H", answer, 2), (family, OTHER))
        equal((answer[at:at + len(host)], answer[4:at] + answer[at + len(host):]), (host, bytes(8)))
        equal(server.getsockopt(level, number, 100)[:size], answer)
        for room in 4, size - 1:
            equal(error_of(server.getsockopt, level, number, room), "EINVAL", f"{room} bytes")
        equal(error_of(client.getsockopt, level, number, size), "ENOENT", "nobody tracks at the near end")
        equal(error_of(server.setsockopt, level, number, answer), "ENOPROTOOPT")
        exchange(client, server, 100000)


# ---- firewalls ------------------------------------------------------------------------

KNOWN = "ct state established,related accept", "ct state invalid counter"


@test(*KERNELS, *CLIENTS, *SERVERS)
def who_lets_in_what_is_known_lets_it_in(mix):
    with Link():
        rules(Link.NEAR, input=("filter", "drop", *KNOWN))
        rules(Link.FAR, input=("filter", "drop", *KNOWN, f"tcp dport {PORT} ct state new counter accept"))
        client, server = joined(mix, mix.server.host, PORT)
        exchange(client, server, 200000)
        for namespace in (Link.NEAR, Link.FAR):
            equal(counted(namespace, "input", "ct state invalid"), 0, f"strange to {namespace}")
        equal(counted(Link.FAR, "input", "ct state new"), 1)


@test(*KERNELS, *CLIENTS)
def a_related_message_lowers_the_mtu_through_nat(mix):
    """It quotes what the router has changed, and comes in as what belongs to a connection alone."""
    with behind_a_router() as last:
        rules(Link.FAR, postrouting=("nat", "accept", 'oifname "w1" masquerade'))
        rules(Link.NEAR, input=("filter", "drop", "ct state related counter accept", *KNOWN))
        client, server = joined(mix, host(mix, 2, 2), PORT, listen_in=last)
        level, option = (socket.IPPROTO_IP, IP_MTU) if mix.server.host == Link.V4 else (socket.IPPROTO_IPV6, IPV6_MTU)
        with inside(Link.NEAR):
            equal(client.getsockopt(level, option), 1500)
            client.sendall(b"x" * 100000)
            equal(len(server.recv(100000, socket.MSG_WAITALL)), 100000)
            equal(client.getsockopt(level, option), 1300)
        check(counted(Link.NEAR, "input", "ct state related") >= 1)
        exchange(client, server, 100000)


# What a rule for each of these ports says to a SYN, and what connect() says then.
REFUSALS = {
    Link.V4: ((1, "tcp reset", "ECONNREFUSED"), (2, "icmp port-unreachable", "ECONNREFUSED"),
              (3, "icmp host-unreachable", "EHOSTUNREACH"), (4, "icmp net-unreachable", "ENETUNREACH"),
              (5, "icmp admin-prohibited", "EHOSTUNREACH")),
    Link.V6: ((1, "tcp reset", "ECONNREFUSED"), (2, "icmpv6 port-unreachable", "ECONNREFUSED"),
              (3, "icmpv6 addr-unreachable", "EHOSTUNREACH"), (4, "icmpv6 no-route", "ENETUNREACH"),
              (5, "icmpv6 admin-prohibited", "EACCES")),
}


def result_of(client, begun):
    if begun != "EINPROGRESS":
        return begun
    return errno.errorcode[until(lambda: client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))]


@test(*KERNELS, *CLIENTS)
def a_refusal_has_its_error(mix):
    """On the way out, and at the other end."""
    with Link():
        refusals = REFUSALS[mix.server.host]
        lines = [f"tcp dport {port} reject with {answer}" for port, answer, _ in refusals]
        for namespace, hook in ((Link.NEAR, "output"), (Link.FAR, "input")):
            rules(namespace, **{hook: ("filter", "accept", *lines)})
            clients = []
            for port, _, _ in refusals:
                with inside(Link.NEAR):
                    client = mix.client.socket()
                client.setblocking(False)
                clients.append((client, error_of(client.connect, (mix.server.host, port))))
            for (client, begun), (_, answer, error) in zip(clients, refusals):
                equal(result_of(client, begun), error, f"{answer} at {hook}")
            command("nft", "flush", "ruleset", namespace=namespace)


@test(*KERNELS, *CLIENTS, *SERVERS)
def what_is_dropped_on_the_way_out_is_sent_again(mix):
    """SYN, and SYN with ACK: no error, and no failure once the rule is gone."""
    with Link():
        rules(Link.NEAR, output=("filter", "accept", "tcp flags & (syn | ack) == syn counter drop"))
        with inside(Link.FAR):
            listener = mix.server.listener(host=mix.server.host, port=PORT)
        with inside(Link.NEAR):
            client = mix.client.socket()
            client.setblocking(False)
            equal(error_of(client.connect, (mix.server.host, PORT)), "EINPROGRESS")
        check(counted(Link.NEAR, "output", "drop"))
        equal(client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), 0)
        rules(Link.FAR, output=("filter", "accept", "tcp flags & (syn | ack) == (syn | ack) counter drop"))
        command("nft", "flush", "ruleset", namespace=Link.NEAR)
        until(lambda: counted(Link.FAR, "output", "drop"))
        command("nft", "flush", "ruleset", namespace=Link.FAR)
        server = mix.server.accept(listener)
        listener.close()
        client.settimeout(20)
        client.sendall(b"after all")
        equal(server.recv(9, socket.MSG_WAITALL), b"after all")
        abort(client, server)


@test(*KERNELS, *CLIENTS, *SERVERS)
def a_connection_is_reset_by_a_rule(mix):
    with Link():
        client, server = joined(mix, mix.server.host, PORT)
        rules(Link.FAR, input=("filter", "accept", f"tcp dport {PORT} reject with tcp reset"))
        client.sendall(b"no more")
        equal(error_of(client.recv, 1), "ECONNRESET")
        equal(error_of(server.recv, 1, socket.MSG_DONTWAIT), "EAGAIN", "what the rule took")
        command("nft", "flush", "ruleset", namespace=Link.FAR)
        abort(client, server)


@test(*KERNELS, *CLIENTS, *SERVERS)
def a_rule_lowers_the_mss(mix):
    """Of both ends, by what it makes of the SYN: leaving, or coming in."""
    level, option = socket.IPPROTO_TCP, socket.TCP_MAXSEG
    with Link():
        for namespace, hook in ((Link.NEAR, "output"), (Link.FAR, "input")):
            rules(namespace, **{hook: ("filter", "accept", "tcp flags syn tcp option maxseg size set 700")})
            client, server = joined(mix, mix.server.host, PORT)
            equal(server.getsockopt(level, option), 688)    # of 700 bytes the timestamps take 12
            exchange(client, server, 100000)
            command("nft", "flush", "ruleset", namespace=namespace)


@test(*KERNELS, *CLIENTS, *SERVERS)
def a_proxy_answers_syns_first(mix):
    """synproxy: the listener is told of those alone who answered it, by sequence numbers that it translates."""
    with Link():
        set_rules(Link.FAR,
                  ("prerouting", "filter", "-300", "accept", f"tcp dport {PORT} tcp flags syn notrack"),
                  ("input", "filter", "0", "accept", f"tcp dport {PORT} ct state invalid,untracked counter synproxy "
                   "mss 1460 wscale 7 timestamp sack-perm", "ct state invalid drop"))
        with inside(Link.FAR), file_holds("/proc/sys/net/netfilter/nf_conntrack_tcp_loose", "0"):
            client, server = joined(mix, mix.server.host, PORT)
        exchange(client, server, 200000)
        check(counted(Link.FAR, "input", "synproxy") >= 2)


@test(*KERNELS, *CLIENTS, *SERVERS)
def all_that_leaves_is_somebodys(mix):
    """From the SYN or the SYN with ACK to the RST."""
    namespace, way = (Link.NEAR, "dport") if mix in CLIENTS else (Link.FAR, "sport")
    with Link():
        rules(namespace, output=("filter", "accept", f"tcp {way} {PORT} meta skuid 0 counter accept",
                                 f"tcp {way} {PORT} counter comment \"nobodys\""))
        client, server = joined(mix, mix.server.host, PORT)
        for sender, receiver in ((client, server), (server, client)):
            sender.sendall(b"x" * 5000)
            receiver.recv(5000, socket.MSG_WAITALL)
        abort(client, server)
        equal(counted(namespace, "output", "nobodys"), 0)
        check(counted(namespace, "output", "skuid") >= 3)


# ---- connection tracking -----------------------------------------------------------------

def tracked(namespace, port):
    """The words of what the namespace's conntrack knows of that port."""
    with inside(namespace), open("/proc/thread-self/net/nf_conntrack") as table:
        return [line.split() for line in table if f"dport={port} " in line]


@test(*KERNELS, *CLIENTS, *SERVERS)
def tracking_follows_a_connection_to_its_end(mix):
    """By FIN from both sides, and by RST: assured while it lives, and then forgotten."""
    with Link():
        for namespace in (Link.NEAR, Link.FAR):
            rules(namespace, input=("filter", "accept", *KNOWN), output=("filter", "accept", *KNOWN))
            with inside(namespace):
                for state in ("time_wait", "close"):
                    with open(f"/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_{state}", "w") as file:
                        file.write("1")
        for end in (lambda client, server: exchange(client, server, 50000), abort):
            client, server = joined(mix, mix.server.host, PORT)
            client.sendall(b"x")
            equal(server.recv(1), b"x")
            for namespace in (Link.NEAR, Link.FAR):
                entries = tracked(namespace, PORT)
                equal(len(entries), 1, entries)
                check("ESTABLISHED" in entries[0] and "[ASSURED]" in entries[0], entries)
            end(client, server)
            for namespace in (Link.NEAR, Link.FAR):
                until(lambda: not tracked(namespace, PORT), 20, lambda: tracked(namespace, PORT))
                for hook in ("input", "output"):
                    equal(counted(namespace, hook, "ct state invalid"), 0, f"strange to {namespace}'s {hook}")


@test(*KERNELS, *BOTH)
def authenticated_segments_come_in(mix):
    """And no others, where a policy has it so (RFC 4302)."""
    ends = (Link.NEAR, host(mix, 1, 1)), (Link.FAR, host(mix, 1, 2))
    with Link():
        for ns, here in ends:
            for source, destination in ((ends[0][1], ends[1][1]), (ends[1][1], ends[0][1])):
                which = "src", source, "dst", destination
                command("ip", "-n", ns, "xfrm", "state", "add", *which, "proto", "ah", "spi", "256",
                        "mode", "transport", "auth", "hmac(sha1)", "0x" + "5a" * 20)
                command("ip", "-n", ns, "xfrm", "policy", "add", *which, "proto", "tcp",
                        "dir", "out" if source == here else "in", "tmpl", "proto", "ah", "mode", "transport")
        exchange(*mix.joined(), 100000)
        command("ip", "-n", Link.NEAR, "xfrm", "policy", "flush")
        with inside(Link.FAR):
            listener = mix.server.listener(host=mix.server.host)
        with inside(Link.NEAR):
            client = mix.client.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", 1, 0))
        equal(error_of(client.connect, (mix.server.host, mix.server.port_of(listener))), "EINPROGRESS")
        client.close()
        listener.close()


if __name__ == "__main__":
    run(*sys.argv[1:])
