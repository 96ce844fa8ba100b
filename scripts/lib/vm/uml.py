# SPDX-License-Identifier: GPL-2.0
"""User-mode Linux: its command line. It is a process of this machine."""
from .common import REPOSITORY, VmError, kernel_fact
from .sandbox import deny_writing, die_with_parent

CHANNEL = "/dev/ttyS0"

# Where it keeps its memory: a directory that the guest covers with its own.
SCRATCH = "/run" if REPOSITORY.startswith("/dev/shm/") else "/dev/shm"


def command_line(options, run_file, guest_directory, channel):
    """The command that boots the guest; channel is a socket's number to pass on."""
    command = [kernel_fact("path", options.kernel), f"mem={options.mem}",
               "rootfstype=hostfs", "root=/dev/root", "ro",
               f"init={guest_directory}/uml-init",
               f"SLUICE_GUEST={guest_directory}", f"SLUICE_RUN={run_file}",
               "con=null", "con0=null,fd:1", "ssl=null", f"ssl0=fd:{channel}",
               "loglevel=5", "panic=-1", "oops=panic", "printk.devkmsg=on",
               f"uml_dir={SCRATCH}/"]
    if options.time_travel:
        command.append("time-travel=inf-cpu")
    return command


def check(options):
    if options.icount:
        raise VmError("--icount needs --kernel 6.1 or 6.12 (see --time-travel)")
    if options.cpus not in (None, 1):
        raise VmError(f"--kernel {options.kernel} has one CPU")
    options.mem = options.mem or "1G"


def confine():
    """Runs in the new process, before user-mode Linux."""
    deny_writing(SCRATCH)
    die_with_parent()
