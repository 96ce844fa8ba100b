# SPDX-License-Identifier: GPL-2.0
"""What every part of scripts/vm shares: places, and how it gives up."""
import hashlib
import os
import subprocess
import sys

REPOSITORY = os.path.realpath(os.path.join(os.path.dirname(__file__), "../../.."))
SCRIPTS = os.path.join(REPOSITORY, "scripts")
GUEST = os.path.join(SCRIPTS, "lib/vm/guest")
RUNS = os.path.join(REPOSITORY, "build/vm")

# Exit statuses of scripts/vm itself, next to the command's own.
STATUS_EMULATOR_FAULT = 98
STATUS_GUEST_TROUBLE = 99
STATUS_TIMEOUT = 124
STATUS_NO_GUEST = 125
STATUS_LEFT = 130


class VmError(Exception):
    """The guest cannot be started: one line for the user."""


def note(text):
    sys.stderr.write(f"vm: {text}\n")
    sys.stderr.flush()


def cache_directory():
    base = os.environ.get("SLUICE_CACHE")
    if not base:
        xdg = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        base = os.path.join(xdg, "sluice")
    os.makedirs(base, exist_ok=True)
    return base


def digest(*parts):
    """A short name for exactly this content (strings and bytes)."""
    sha = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else part.encode()
        sha.update(len(data).to_bytes(8, "big") + data)
    return sha.hexdigest()[:16]


def read_file(path):
    with open(path, "rb") as file:
        return file.read()


def write_atomically(path, data, mode=0o644):
    """Never leaves half a file under its final name, whoever else writes it."""
    scratch = f"{path}.{os.getpid()}"
    with open(scratch, "wb") as file:
        file.write(data)
    os.chmod(scratch, mode)
    os.replace(scratch, path)


def output_of(command, what):
    """A helper's standard output; its own message reaches the user on failure."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    except OSError as error:
        raise VmError(f"cannot run {command[0]}: {error.strerror} (run scripts/setup)")
    if done.returncode:
        raise VmError(f"{what} failed")
    return done.stdout.decode()


def kernel_fact(action, kernel):
    """path, release or build-dir of a kernel; builds a user-mode kernel if needed."""
    return output_of([os.path.join(SCRIPTS, "kernels"), action, kernel],
                     f"scripts/kernels {action} {kernel}").strip()
