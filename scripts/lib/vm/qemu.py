# SPDX-License-Identifier: GPL-2.0
"""Debian's kernels in QEMU: the command line, and whether KVM can run a guest."""

import hashlib
import os
import subprocess
from pathlib import Path

from .common import GUEST, VmError, cache_directory, kernel_question, run_quietly, write_whole
from .guestfiles import initramfs
from .sandbox import die_with_parent

SETTINGS = {"channel": "/dev/vport0p1", "channel_is_tty": ""}

QEMU = "qemu-system-x86_64"
PROBE_SECONDS = 10
# String copies of the emulated "rep movsb" go byte by byte; the kernel has a
# faster way when the processor does not advertise fast ones.
EMULATED_CPU = "max,-erms,-fsrm"


def machine(accelerator):
    cpu = "host" if accelerator == "kvm" else EMULATED_CPU
    return [QEMU, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
            "-machine", "pc", "-accel", accelerator, "-cpu", cpu]


def boot(kernel, arguments):
    return ["-kernel", kernel_question("path", kernel), "-initrd", str(initramfs(kernel)),
            "-append", " ".join(("console=ttyS0,115200 loglevel=5 panic=-1 oops=panic "
                                 "tsc=reliable no_timer_check", *arguments))]


# --- KVM ----------------------------------------------------------------------

def probe_kvm(kernel):
    """Boots a guest that says one line: a kvm device may exist and run none."""
    command = machine("kvm") + ["-m", "256M", "-serial", "stdio"]
    command += boot(kernel, ["SLUICE_PROBE=1"])
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=PROBE_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0 and b"sluice: the guest runs" in done.stdout


def kvm_works(kernel):
    """Asked of the machine once for each of its boots and each guest kernel."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text()
    identity = boot_id + run_quietly(QEMU, "--version") + kernel_question("path", kernel)
    answer = cache_directory() / f"kvm-{hashlib.sha256(identity.encode()).hexdigest()[:16]}"
    if not answer.exists():
        write_whole(answer, b"yes\n" if probe_kvm(kernel) else b"no\n")
    return answer.read_bytes() == b"yes\n"


# --- the command line ---------------------------------------------------------

def command(options, channel_fd, log, run_file):
    """How to start the machine; its channel is the socket channel_fd."""
    if options.icount and options.cpus not in (None, 1):
        raise VmError("--icount runs one CPU")
    accelerator = "kvm" if not options.icount and kvm_works(options.kernel) else "tcg"
    arguments = [f"SLUICE_RUN={run_file}", f"SLUICE_GUEST={GUEST}"]
    cpus = options.cpus or 2
    words = machine(accelerator)
    if options.icount:
        cpus = 1
        words += ["-icount", "shift=0,sleep=off"]
        arguments += ["nokaslr", "norandmaps"]
    return words + [
        "-smp", str(cpus), "-m", options.mem or "2G",
        "-chardev", f"file,id=console,path={log},append=on", "-serial", "chardev:console",
        "-chardev", f"socket,id=channel,fd={channel_fd}", "-device", "virtio-serial-pci",
        "-device", "virtserialport,chardev=channel,name=sluice",
        "-fsdev", "local,id=root,path=/,security_model=none,readonly=on,multidevs=remap",
        "-device", "virtio-9p-pci,fsdev=root,mount_tag=root",
    ] + boot(options.kernel, arguments)


confine = die_with_parent
