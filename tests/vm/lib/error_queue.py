# SPDX-License-Identifier: GPL-2.0
# The error queue of a socket of any family.
import os
import socket


def take(sock, family=socket.AF_INET):
    """recvmsg() of it, which Python knows of families of its own alone. family: has the form of its addresses."""
    with socket.socket(family, socket.SOCK_STREAM, fileno=os.dup(sock.fileno())) as known:
        return known.recvmsg(1 << 17, 512, socket.MSG_ERRQUEUE)
