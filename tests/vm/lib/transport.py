# SPDX-License-Identifier: GPL-2.0
# Sockets of kernel TCP and of Sluice behind one face, so that one test runs on
# each and kernel TCP shows that the test itself is right.
import ctypes
import errno
import itertools
import os
import socket
import struct

AF_SLUICE = 22
SOL_SLUICE = 322

libc = ctypes.CDLL(None, use_errno=True)
ports = itertools.count(2000)


def call(function, *args):
    """A libc call: its result, or OSError."""
    result = function(*args)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def sluice_address(host, port, family=AF_SLUICE, scope=0):
    """struct sockaddr_sluice; an IPv4 host becomes v4-mapped."""
    packed = socket.inet_pton(socket.AF_INET6, host) if ":" in host else \
        b"\0" * 10 + b"\xff\xff" + socket.inet_pton(socket.AF_INET, host)
    return struct.pack("=H", family) + struct.pack("!HI", port, 0) + packed + struct.pack("=I", scope)


class Transport:
    """family, protocol: of socket(). host: this machine; any: the wildcard."""

    def __init__(self, name, family, protocol, host, any_host):
        self.name, self.family, self.protocol = name, family, protocol
        self.host, self.any = host, any_host
        self.sluice = name != "tcp4" and name != "tcp6"

    def socket(self, kind=socket.SOCK_STREAM):
        if self.family != AF_SLUICE:
            return socket.socket(self.family, kind, self.protocol)
        fd = call(libc.socket, AF_SLUICE, kind | socket.SOCK_CLOEXEC, self.protocol)
        return socket.socket(AF_SLUICE, socket.SOCK_STREAM, self.protocol, fileno=fd)

    def address(self, port, host=None):
        """As bytes (struct sockaddr). host: may name a device of this namespace as its scope, "fe80::1%eth0"."""
        host, _, device = (host or self.host).partition("%")
        scope = socket.if_nametoindex(device) if device else 0
        if self.family == AF_SLUICE:
            return sluice_address(host, port, scope=scope)
        if self.family == socket.AF_INET:
            return struct.pack("=H", self.family) + struct.pack("!H4s8x", port, socket.inet_aton(host))
        return sluice_address(host, port, socket.AF_INET6, scope)

    def bind(self, sock, port, host=None):
        raw = self.address(port, host)
        call(libc.bind, sock.fileno(), raw, len(raw))

    def connect(self, sock, port, host=None):
        """Blocking with the socket's time-out left to the kernel."""
        raw = self.address(port, host)
        call(libc.connect, sock.fileno(), raw, len(raw))

    @staticmethod
    def port_of(sock, peer=False):
        raw = ctypes.create_string_buffer(128)
        length = ctypes.c_uint32(128)
        call(libc.getpeername if peer else libc.getsockname, sock.fileno(), raw, ctypes.byref(length))
        return struct.unpack_from("!H", raw.raw, 2)[0]

    def listener(self, backlog=128, port=None, host=None, reuse=True):
        sock = self.socket()
        if reuse:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.bind(sock, port or next(ports), host)
        sock.listen(backlog)
        return sock

    def accept(self, listener, flags=0):
        fd = call(libc.accept4, listener.fileno(), None, None, socket.SOCK_CLOEXEC | flags)
        return socket.socket(self.family, socket.SOCK_STREAM, self.protocol, fileno=fd)

    def pair(self, before_connect=None, before_listen=None):
        """A connected client and server."""
        listener = self.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if before_listen:
            before_listen(listener)
        port = next(ports)
        self.bind(listener, port)
        listener.listen(16)
        client = self.socket()
        if before_connect:
            before_connect(client)
        self.connect(client, port)
        server = self.accept(listener)
        listener.close()
        return client, server


TCP4 = Transport("tcp4", socket.AF_INET, 0, "127.0.0.1", "0.0.0.0")
TCP6 = Transport("tcp6", socket.AF_INET6, 0, "::1", "::")
SLUICE4 = Transport("sluice4", AF_SLUICE, 0, "127.0.0.1", "::")
SLUICE6 = Transport("sluice6", AF_SLUICE, 0, "::1", "::")
INET = Transport("inet-253", socket.AF_INET, 253, "127.0.0.1", "0.0.0.0")
INET6 = Transport("inet6-253", socket.AF_INET6, 253, "::1", "::")
# Real TCP on the wire, by the numbers of two of its three entrances.
REAL4 = Transport("inet-257", socket.AF_INET, 257, "127.0.0.1", "0.0.0.0")
REAL6 = Transport("sluice6-tcp", AF_SLUICE, socket.IPPROTO_TCP, "::1", "::")


def error_of(function, *args):
    """The errno's name that a call fails with, or None."""
    try:
        function(*args)
    except OSError as e:
        return errno.errorcode.get(e.errno, str(e.errno))
    return None
