# SPDX-License-Identifier: GPL-2.0
"""scripts/vm: options, one run of a guest from start to verdict."""
import argparse
import contextlib
import os
import shlex
import signal
import socket
import subprocess
import sys
import termios
import time
import tty

from . import qemu, uml, verdict
from .carrier import Carrier, OutputClosed
from .common import (GUEST, REPOSITORY, RUNS, STATUS_EMULATOR_FAULT, STATUS_GUEST_TROUBLE,
                     STATUS_LEFT, STATUS_NO_GUEST, STATUS_TIMEOUT, VmError, note, read_file)
from .common import digest, write_atomically

KERNELS = ("6.1", "6.12", "uml", "uml-debug")
KEEP_LOGS_SECONDS = 7 * 24 * 3600
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def parse(arguments):
    parser = argparse.ArgumentParser(
        prog="scripts/vm", usage="scripts/vm [OPTION...] [-- COMMAND...]",
        description="Run COMMAND (default: a shell) as root in a VM with the module loaded. "
        "The machine's files are visible; what the guest writes stays in its memory.",
        epilog="Exit status: COMMAND's; 99 when the guest's kernel complained or ended, "
        "98 when QEMU is to blame, 124 after --timeout, 125 when no guest could be started.")
    add = parser.add_argument
    add("--kernel", choices=KERNELS, default="6.12", help="default: 6.12")
    add("--cpus", type=int, metavar="N", help="default: 2; user-mode kernels have 1")
    add("--mem", metavar="SIZE", help="default: 2G; for user-mode kernels 1G")
    add("--icount", action="store_true",
        help="emulate with a clock that counts instructions, one CPU (for benchmarks)")
    add("--time-travel", action="store_true",
        help="user-mode kernels: sleeping takes no time, computing neither")
    add("--no-module", action="store_true", help="build and load no module")
    add("--module", metavar="FILE", help="load FILE instead of the current build of sluice.ko")
    add("--module-args", metavar="ARGS", default="", help='parameters, such as "family=22"')
    add("--no-rmmod", action="store_true", help="leave the module loaded at the end")
    add("--timeout", type=float, metavar="S",
        help="give up after S seconds (default: 600 with COMMAND, never without)")
    add("--env", action="append", default=[], metavar="NAME=VALUE",
        help="set in COMMAND's environment")
    add("command", nargs="*", metavar="COMMAND", help=argparse.SUPPRESS)
    if "--" in arguments:
        split = arguments.index("--")
        options = parser.parse_args(arguments[:split])
        if options.command:
            parser.error(f"write -- before the command: {options.command[0]}")
        options.command = arguments[split + 1:]
    else:
        options = parser.parse_args(arguments)
        if options.command:
            parser.error(f"write -- before the command: {options.command[0]}")
    for setting in options.env:
        if not setting.partition("=")[0].isidentifier() or "=" not in setting:
            parser.error(f"--env wants NAME=VALUE, not {setting!r}")
    return options


def find_module(options):
    """The module to load, freshly built; None with --no-module."""
    if options.module:
        path = os.path.abspath(options.module)
        if not os.path.isfile(path):
            raise VmError(f"no module {path}")
        return path
    if options.no_module:
        return None
    environment = {name: value for name, value in os.environ.items()
                   if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    # What make prints must not look like the command's output.
    built = subprocess.run(["make", "-s", "--no-print-directory", "-C", REPOSITORY, "module",
                            f"KERNEL={options.kernel}"],
                           env=environment, stdin=subprocess.DEVNULL, stdout=2)
    if built.returncode:
        raise VmError(f"building the module for {options.kernel} failed")
    path = os.path.join(REPOSITORY, "build/kmod", options.kernel, "sluice.ko")
    if not os.path.isfile(path):
        raise VmError(f"make module KERNEL={options.kernel} made no {path}")
    return path


def build_agent():
    """The program that runs the command in the guest (guest/agent.c)."""
    source = os.path.join(GUEST, "agent.c")
    path = os.path.join(RUNS, "agent-" + digest(read_file(source)))
    if not os.path.exists(path):
        scratch = f"{path}.{os.getpid()}"
        built = subprocess.run(["gcc", "-O2", "-Wall", "-Wextra", "-o", scratch, source])
        if built.returncode:
            raise VmError(f"building {source} failed")
        os.replace(scratch, path)
    return path


def write_run_file(path, options, module, agent, terminal):
    """What the guest's session is to do, as shell assignments."""
    term = os.environ.get("TERM", "dumb") if terminal else "dumb"
    environment = [f"PATH={PATH}", "HOME=/root", "USER=root", "LOGNAME=root", "SHELL=/bin/bash",
                   "LANG=C.UTF-8", f"TERM={term}",
                   f"SLUICE_VM={options.kernel}"] + options.env
    kind = uml if options.kernel.startswith("uml") else qemu
    settings = {
        "repository": REPOSITORY, "directory": os.getcwd(), "channel": kind.CHANNEL,
        "channel_is_tty": "y" if kind is uml else "", "agent": agent,
        "agent_options": "-t" if terminal else "", "module": module or "",
        "module_args": options.module_args, "keep_module": "y" if options.no_rmmod else "",
    }
    lines = [f"{name}={shlex.quote(value)}" for name, value in settings.items()]
    command = options.command or ["/bin/bash", "-l"]
    lines.append("set -- env -i " + " ".join(map(shlex.quote, environment + command)))
    write_atomically(path, ("\n".join(lines) + "\n").encode())


def start(options, run_file, channel):
    kind = uml if options.kernel.startswith("uml") else qemu
    command = kind.command_line(options, run_file, GUEST, channel.fileno())
    try:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, pass_fds=[channel.fileno()],
                                start_new_session=True, preexec_fn=kind.confine,
                                env=dict(os.environ, TMPDIR=kind.SCRATCH))
    except OSError as error:
        raise VmError(f"cannot run {command[0]}: {error.strerror} (run scripts/setup)")
    except subprocess.SubprocessError:
        raise VmError(f"this system does not let {command[0]} be confined (see sandbox.py)")


def stop(process):
    """Ends the guest and all its processes, whatever state they are in."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextlib.contextmanager
def raw_terminal(wanted):
    if not wanted:
        yield
        return
    saved = termios.tcgetattr(0)
    tty.setraw(0)
    try:
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, saved)


def judge(carrier, options, log_path):
    """The exit status, after saying what went wrong if something did."""
    lines = read_file(log_path).decode(errors="replace").replace("\r", "").splitlines()
    trouble = verdict.first_trouble(lines)
    problems = list(carrier.failures)
    if trouble is not None:
        problems.append("the kernel complained: " + verdict.headline(lines, trouble))
    if carrier.timed_out and not carrier.done:
        problems.insert(0, f"no end after {options.timeout:g} seconds")
    elif not carrier.done:
        problems.append("the guest ended before its command" if carrier.started
                        else "the guest did not start")
    elif carrier.timed_out:
        problems.append("the guest's console stopped working")
    elif carrier.exit_status is None and not problems:
        problems.append("the guest lost the command's exit status")
    if not problems:
        return carrier.exit_status
    if carrier.left and trouble is None:
        sys.stderr.write("\r\n")
        note(f"left the guest; its log is {log_path}")
        return STATUS_LEFT
    shown = verdict.excerpt(lines, trouble) if trouble is not None else lines[-40:]
    sys.stderr.write("".join(f"vm: | {line}\n" for line in shown))
    for problem in problems:
        note(f"FAILED: {problem}")
    note(f"the whole log is {log_path}")
    blame = verdict.emulator_is_to_blame(lines, trouble) if trouble is not None else None
    if blame:
        note(f"FAILED: QEMU {blame} (a fault of versions before 8.1): run it again")
        return STATUS_EMULATOR_FAULT
    timed_out = carrier.timed_out and not carrier.done
    return STATUS_TIMEOUT if timed_out else STATUS_GUEST_TROUBLE


def prune_logs():
    for entry in os.scandir(RUNS):
        with contextlib.suppress(OSError):
            if entry.name.endswith((".log", ".run")) and \
                    time.time() - entry.stat().st_mtime > KEEP_LOGS_SECONDS:
                os.unlink(entry.path)


def run(options):
    kind = uml if options.kernel.startswith("uml") else qemu
    kind.check(options)
    if options.timeout is None:
        options.timeout = 600 if options.command else 10 ** 9
    terminal = os.isatty(0) and os.isatty(1)
    if not options.command and not terminal:
        raise VmError("an interactive shell needs a terminal (or write -- COMMAND)")
    os.makedirs(RUNS, exist_ok=True)
    prune_logs()
    module, agent = find_module(options), build_agent()
    name = os.path.join(RUNS, time.strftime("%Y%m%d-%H%M%S-") + f"{options.kernel}-{os.getpid()}")
    write_run_file(name + ".run", options, module, agent, terminal)
    ours, guests = socket.socketpair()
    process = None
    with open(name + ".log", "wb") as log:
        try:
            process = start(options, name + ".run", guests)
            guests.close()
            carrier = Carrier(process, ours, log, time.monotonic() + options.timeout, terminal)
            if terminal:
                signal.signal(signal.SIGWINCH, lambda *_: carrier.send_window_size())
            with raw_terminal(terminal):
                carrier.carry()
        finally:
            if process:
                stop(process)
            os.unlink(name + ".run")
    return judge(carrier, options, name + ".log")


def main(arguments):
    options = parse(arguments)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    try:
        return run(options)
    except VmError as error:
        note(error)
        return STATUS_NO_GUEST
    except OutputClosed:
        return 128 + signal.SIGPIPE
