# SPDX-License-Identifier: GPL-2.0
"""Filters on what a socket receives: of each segment they let so many bytes pass; of 0, none passes."""
import ctypes
import os
import socket
import struct

from runner import check
from transport import libc

ATTACH_FILTER, DETACH_FILTER, LOCK_FILTER, ATTACH_BPF = 26, 27, 44, 50


def classic_filter(sock, keep):
    code = ctypes.create_string_buffer(struct.pack("=HBBI", 6, 0, 0, keep & 0xffffffff))    # ret
    sock.setsockopt(socket.SOL_SOCKET, ATTACH_FILTER, struct.pack("@HP", 1, ctypes.addressof(code)))


def extended_filter(sock, keep):
    """By bpf(2)."""
    code = ctypes.create_string_buffer(struct.pack("=BBHi", 0xb7, 0, 0, keep) + b"\x95" + bytes(7))    # r0 = keep; exit
    license_name = ctypes.create_string_buffer(b"GPL")
    attributes = struct.pack("=IIQQ", 1, 2, ctypes.addressof(code), ctypes.addressof(license_name)).ljust(120, b"\0")
    fd = libc.syscall({"x86_64": 321}[os.uname().machine], 5, attributes, len(attributes))
    check(fd >= 0, os.strerror(ctypes.get_errno()))
    sock.setsockopt(socket.SOL_SOCKET, ATTACH_BPF, fd)
    os.close(fd)
