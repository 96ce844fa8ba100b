# SPDX-License-Identifier: GPL-2.0
"""Finds in a kernel's log what must not be there."""
import re

TROUBLE = re.compile(r"""
    Kernel\ panic | \bOops\b | \bBUG\b | WARNING: | Call\ Trace | cut\ here
    | \bint3:\ | general\ protection\ fault[,:] | unable\ to\ handle | divide\ error: | invalid\ opcode:
    | KASAN: | KFENCE: | UBSAN: | KCSAN: | ODEBUG:
    | possible\ recursive\ locking | possible\ circular\ locking | inconsistent\ lock\ state
    | suspicious\ RCU\ usage | DEBUG_LOCKS_WARN_ON | held\ lock\ freed
    | scheduling\ while\ atomic | sleeping\ function\ called
    | refcount_t: | ref_tracker: | leaked\ reference
    | unreferenced\ object | kmemleak:\ .*new\ suspected
    | soft\ lockup | hard\ LOCKUP | blocked\ for\ more\ than | rcu.*(?:stall|detected)
    | list_(?:add|del)\ corruption | corrupted\ list | Bad\ page | bad_page
    | Slab\ cache\ still\ has\ objects | Objects\ remaining | double\ free
    | page\ allocation\ failure | Out\ of\ memory: | unregister_netdevice:\ waiting
    | Attempt\ to\ release | protocol\ .*\ is\ buggy
""", re.VERBOSE)

# Each of these says only that the module is not the distribution's.
HARMLESS = re.compile(r"loading out-of-tree module taints kernel|module verification failed")

# Where the kernel patches its code there is a breakpoint meanwhile, on which the
# other processors wait. Emulated ones may execute it when it is gone already.
BREAKPOINT = re.compile(r"\bint3: 0000 \[")
BYTES_THERE = re.compile(r"Code: .*\b([0-9a-f]{2}) <[0-9a-f]{2}>")
# Now and then garbage gets into the flags, the one for single steps among it.
SINGLE_STEP = re.compile(r"WARNING: .* exc_debug_kernel\+")
FLAGS_THERE = re.compile(r"EFLAGS: ([0-9a-f]{8})\b")
HIGHEST_FLAG = 1 << 21

LINES_BEFORE, LINES_FROM = 5, 60


def first_trouble(lines):
    """The index of the first line of a complaint, or None."""
    for index, line in enumerate(lines):
        if TROUBLE.search(line) and not HARMLESS.search(line):
            return index
    return None


def emulator_is_to_blame(lines, index):
    """What QEMU did wrong, or None: a breakpoint of which the code that the complaint shows
    knows nothing, or a single step with flags that no processor has."""
    told = lines[index:index + LINES_FROM]
    if BREAKPOINT.search(lines[index]):
        shown = next(filter(None, map(BYTES_THERE.search, told)), None)
        if shown is not None and shown[1] != "cc":
            return "executed a breakpoint that the kernel had taken away"
    elif SINGLE_STEP.search(headline(lines, index)):
        if any(int(flags[1], 16) >= 2 * HIGHEST_FLAG for flags in filter(None, map(FLAGS_THERE.search, told))):
            return "made flags that no processor has"
    return None


def headline(lines, index):
    """The line that names the trouble: the first says "cut here" when one follows."""
    following = [line for line in lines[index:index + 3] if "cut here" not in line]
    return following[0].strip() if following else lines[index].strip()


def excerpt(lines, index):
    return lines[max(0, index - LINES_BEFORE):index + LINES_FROM]
