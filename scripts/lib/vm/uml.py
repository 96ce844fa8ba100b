# SPDX-License-Identifier: GPL-2.0
"""User-mode Linux: the command line, and what its process may do."""

from .common import GUEST, REPOSITORY, VmError, kernel_question
from .sandbox import deny_writing, die_with_parent

SETTINGS = {"channel": "/dev/ttyS0", "channel_is_tty": "1"}

# Where it keeps its memory: a directory that the guest does not see anyway.
SCRATCH = next(path for path in ("/dev/shm", "/run") if not REPOSITORY.is_relative_to(path))


def command(options, channel_fd, _log, run_file):
    """How to start the machine; it writes its console to standard error."""
    if options.icount:
        raise VmError("--icount is for 6.1 and 6.12; user-mode Linux has --time-travel")
    if options.cpus not in (None, 1):
        raise VmError("user-mode Linux runs one CPU")
    words = [kernel_question("path", options.kernel), f"mem={options.mem or '1G'}",
             f"uml_dir={SCRATCH}/",
             "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro",
             f"init={GUEST}/uml-init", "console=tty0", "con0=null,fd:2", "con=null",
             f"ssl0=fd:{channel_fd}", "ssl=null", "loglevel=7", "panic=-1", "oops=panic",
             f"SLUICE_RUN={run_file}", f"SLUICE_GUEST={GUEST}"]
    if options.time_travel:
        words.append("time-travel=inf-cpu")
    return words


def confine():
    """Runs in the new process, before user-mode Linux."""
    deny_writing(SCRATCH)
    die_with_parent()
