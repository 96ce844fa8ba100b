# SPDX-License-Identifier: GPL-2.0
"""User-mode Linux: the command line."""

from .common import GUEST, VmError, kernel_question


def command(options, channel_fd, run_file):
    """How to start the machine; it writes its console to standard error."""
    if options.icount:
        raise VmError("--icount is for 6.1 and 6.12; user-mode Linux has --time-travel")
    if options.cpus not in (None, 1):
        raise VmError("user-mode Linux runs one CPU")
    words = [kernel_question("path", options.kernel), f"mem={options.mem or '1G'}",
             "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro",
             f"init={GUEST}/uml-init", "stderr=1", "con0=null,fd:2", "con=null", f"ssl0=fd:{channel_fd}", "ssl=null",
             "loglevel=7", "panic=-1", "oops=panic",
             f"SLUICE_RUN={run_file}", f"SLUICE_GUEST={GUEST}"]
    if options.time_travel:
        words.append("time-travel=inf-cpu")
    return words


SETTINGS = {"channel": "/dev/ttyS0", "channel_is_tty": "1"}
