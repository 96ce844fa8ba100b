# SPDX-License-Identifier: GPL-2.0
"""Finds in a kernel log what no healthy run leaves there."""

import re

TROUBLE = re.compile(
    r"Kernel panic|\bOops\b|\bBUG:|kernel BUG at|\bBUG! |WARNING: |\bKASAN: |UBSAN: |"
    r"Call Trace:|suspicious RCU usage|refcount_t: |unreferenced object|new suspected memory leaks|"
    r"scheduling while atomic|sleeping function called|[Ss]oft lockup|[Hh]ard LOCKUP|"
    r"blocked for more than|detected stalls?|self-detected stall|rcu_\w+ kthread starved|"
    r"possible (circular|recursive|irq lock) |inconsistent lock state|bad unlock balance|"
    r"held lock freed|lock held when returning|unregister_netdevice: waiting|"
    r"ref_tracker: |leaked reference|ODEBUG: |general protection fault[,:]|"
    r"Unable to handle kernel|stack-protector: |list_(add|del) corruption|"
    r"Bad page state|Slab cache .*(still|not empty)|Objects remaining in|"
    r"unable to (mount root|handle)|NULL pointer dereference|Out of memory: ")

# Said of a test module on every healthy machine.
HARMLESS = re.compile(r"(loading out-of-tree module taints|module verification failed)")


def read_lines(path):
    text = path.read_bytes().decode("utf-8", "replace") if path.exists() else ""
    return [line.rstrip("\r") for line in text.split("\n")]


def find_trouble(path):
    """The part of the log around its first bad line, as lines; empty when all is well."""
    lines = read_lines(path)
    for number, line in enumerate(lines):
        if TROUBLE.search(line) and not HARMLESS.search(line):
            return [text for text in lines[max(0, number - 3):number + 70] if text]
    return []


def last_lines(path, count=40):
    return [line for line in read_lines(path) if line][-count:]
