# SPDX-License-Identifier: GPL-2.0
# Runs test functions, each for its transports, with a limit on time; prints a
# line for each and counts at the end.
import contextlib
import os
import shlex
import signal
import sys
import time
import traceback

tests = []

# They load modules, change sysctls and fill the memory.
if "SLUICE_VM" not in os.environ:
    sys.exit(f"{sys.argv[0]} changes the machine it runs on; in a VM: scripts/vm -- {shlex.join(sys.argv)}")


def test(*transports, limit=300):
    """Registers a function for each transport (or once, without), to end in `limit` seconds, even on a busy machine."""
    def register(function):
        for transport in transports or (None,):
            tests.append((function, transport, limit))
        return function
    return register


class TooLong(Exception):
    pass


def out_of_time(_signal, _frame):
    raise TooLong("took too long")


def check(condition, text="not true"):
    if not condition:
        raise AssertionError(text)


def equal(got, wanted, text=""):
    if got != wanted:
        raise AssertionError(f"{text or 'got'}: {got!r}, not {wanted!r}")


def until(holds, seconds=20, text="never came to be"):
    """Waits for an event that nothing tells of: what holds() says when it is true."""
    end = time.monotonic() + seconds
    while True:
        late = time.monotonic() > end    # as it was before the last look
        if result := holds():
            return result
        if late:
            raise AssertionError(text() if callable(text) else text)
        time.sleep(0.01)


class TooLate(Exception):
    """The machine stood still: what was to be seen was over before it was looked at. The test runs again."""


@contextlib.contextmanager
def within(seconds):
    """What is looked at in here is so only for that long; later, nothing follows from it."""
    begin = time.monotonic()
    try:
        yield
    finally:
        if (passed := time.monotonic() - begin) >= seconds:
            raise TooLate(f"{passed:.2f} s, not {seconds}")


def attempt(function, transport, tries=5):
    """Who is too late every time fails."""
    for left in reversed(range(tries)):
        try:
            return function(transport) if transport else function()
        except TooLate as late:
            if not left:
                raise
            print(f"       {function.__name__}: {late}; again", flush=True)


def run(*only):
    """All tests, or those whose names have one of these words in them."""
    passed = failed = 0
    signal.signal(signal.SIGALRM, out_of_time)
    for function, transport, limit in tests:
        name = function.__name__ + (f"[{transport.name}]" if transport else "")
        if only and not any(word in name for word in only):
            continue
        begin = time.monotonic()
        signal.alarm(limit)
        try:
            attempt(function, transport)
            result, passed = "ok", passed + 1
        except Exception:
            result, failed = "FAILED", failed + 1
            traceback.print_exc(file=sys.stdout)
        finally:
            signal.alarm(0)
        print(f"{result:6} {name} ({time.monotonic() - begin:.2f} s)", flush=True)
    if not passed + failed:
        print(f"no test has {' or '.join(only)} in its name")
    print(f"{passed} passed, {failed} failed", flush=True)
    sys.exit(1 if failed or not passed else 0)
