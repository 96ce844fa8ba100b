# SPDX-License-Identifier: GPL-2.0
# Network namespaces, and the links, addresses and neighbours in them, without
# starting a program: each start takes long on an emulated CPU.
import contextlib
import ctypes
import os
import socket
import struct

from netlink import ACK, CREATE, REPLACE, ROUTE, ask, attribute
from transport import call, libc

CLONE_NEWNET = 0x40000000
MS_BIND, MS_REC, MS_SHARED, MNT_DETACH = 4096, 16384, 1 << 20, 2
NAMED = "/run/netns"    # where `ip netns` looks for namespaces
NEWLINK, GETLINK, NEWADDR, NEWNEIGH = 16, 18, 20, 28    # RTM_*
IFLA_OPERSTATE, IF_OPER_UP = 16, 6
IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_LINKINFO, IFLA_NET_NS_FD, IFLA_GSO_MAX_SEGS = 1, 3, 4, 18, 28, 40
IFF_UP, IFA_F_NODAD, NUD_PERMANENT = 1, 2, 0x80
RTF_LOCAL = 1 << 31


def path_of(namespace):
    return f"{NAMED}/{namespace}"


def mount(source, target, flags):
    call(libc.mount, source.encode(), target.encode(), b"none", ctypes.c_ulong(flags), None)


@contextlib.contextmanager
def namespace_file(path):
    number = os.open(path, os.O_RDONLY)
    try:
        yield number
    finally:
        os.close(number)


@contextlib.contextmanager
def back_here():
    """However this thread leaves its namespace in there, it comes back."""
    with namespace_file("/proc/thread-self/ns/net") as here:
        try:
            yield
        finally:
            call(libc.setns, here, CLONE_NEWNET)


@contextlib.contextmanager
def inside(namespace):
    """This thread is in the namespace; sockets made there stay there."""
    with namespace_file(path_of(namespace)) as there, back_here():
        call(libc.setns, there, CLONE_NEWNET)
        yield


def exists(namespace):
    return os.path.exists(path_of(namespace))


def share_named():
    """As `ip netns add` has it, or that would put a mount above what is there."""
    os.makedirs(NAMED, exist_ok=True)
    try:
        mount("none", NAMED, MS_SHARED | MS_REC)
    except OSError:    # no mount yet: then it can't be shared
        mount(NAMED, NAMED, MS_BIND | MS_REC)
        mount("none", NAMED, MS_SHARED | MS_REC)


def create(namespace):
    """With its loopback up."""
    share_named()
    os.close(os.open(path_of(namespace), os.O_CREAT | os.O_EXCL | os.O_RDONLY, 0))
    with back_here():
        call(libc.unshare, CLONE_NEWNET)
        mount("/proc/thread-self/ns/net", path_of(namespace), MS_BIND)
        set_link("lo", up=True)


def delete(namespace):
    call(libc.umount2, path_of(namespace).encode(), MNT_DETACH)
    os.unlink(path_of(namespace))


def request(kind, flags, body):
    error, _ = ask(ROUTE, kind, flags | ACK, body)
    if error:
        raise OSError(f"rtnetlink message {kind}: {error}")


def link_message(*attributes, index=0, flags=0):
    return struct.pack("=BxHiII", 0, 0, index, flags, flags) + b"".join(attributes)


def add_veth(*ends):
    """ends: two of (namespace, device, hardware address). Of devices with one index, each in a namespace of its own,
    Linux 6.1 doesn't see that they are a pair, and lets a second pass before an end that came up may send."""
    with contextlib.ExitStack() as files:
        def described(namespace, device, mac):
            file = files.enter_context(namespace_file(path_of(namespace)))
            return (attribute(IFLA_IFNAME, device.encode() + b"\0"), attribute(IFLA_ADDRESS, hardware(mac)),
                    attribute(IFLA_NET_NS_FD, struct.pack("=i", file)))
        one, other = (described(*end) for end in ends)
        peer = attribute(1, link_message(*other, index=102))    # VETH_INFO_PEER
        kind = attribute(1, b"veth\0") + attribute(2, peer)    # IFLA_INFO_KIND and _DATA
        request(NEWLINK, CREATE, link_message(*one, attribute(IFLA_LINKINFO, kind), index=101))


def hardware(mac):
    return bytes.fromhex(mac.replace(":", ""))


def number(value):
    return struct.pack("=I", value)


def set_link(device, up=False, mtu=None, gso_max_segs=None):
    """In this thread's namespace, as are those below."""
    attributes = [attribute(kind, number(value)) for kind, value in
                  ((IFLA_MTU, mtu), (IFLA_GSO_MAX_SEGS, gso_max_segs)) if value]
    request(NEWLINK, 0, link_message(*attributes, index=socket.if_nametoindex(device), flags=IFF_UP if up else 0))


def is_operational(device):
    """Does it send? An end of a pair does some time after the other came up: until then it drops what it is given."""
    error, answer = ask(ROUTE, GETLINK, ACK, link_message(index=socket.if_nametoindex(device)))
    if error:
        raise OSError(f"{device}: {error}")
    at = 32    # behind the headers of the message and of the link
    while at + 4 <= len(answer):
        length, kind = struct.unpack_from("=HH", answer, at)
        if kind == IFLA_OPERSTATE:
            return answer[at + 4] == IF_OPER_UP
        at += max(4, length + 3 & ~3)
    raise OSError(f"{device}: no state")


def packed(host):
    """Its family and its bytes."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return family, socket.inet_pton(family, host)


def add_address(device, host, prefix):
    """Usable at once: no duplicate is looked for."""
    family, address = packed(host)
    request(NEWADDR, CREATE, struct.pack("=BBBBI", family, prefix, IFA_F_NODAD, 0, socket.if_nametoindex(device)) +
            attribute(1, address) + attribute(2, address))    # IFA_ADDRESS, IFA_LOCAL


def is_local(host):
    """Does this namespace receive for the IPv6 address? A kernel thread adds the route some time after the address."""
    address = packed(host)[1].hex()
    with open("/proc/thread-self/net/ipv6_route", encoding="ascii") as routes:
        fields = [line.split() for line in routes]
    return any(field[:2] == [address, "80"] and int(field[8], 16) & RTF_LOCAL for field in fields)


def add_neighbour(device, host, mac):
    """For ever."""
    family, address = packed(host)
    request(NEWNEIGH, CREATE | REPLACE,
            struct.pack("=BxxxiHBB", family, socket.if_nametoindex(device), NUD_PERMANENT, 0, 0) +
            attribute(1, address) + attribute(2, hardware(mac)))    # NDA_DST, NDA_LLADDR
