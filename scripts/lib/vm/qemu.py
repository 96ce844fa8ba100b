# SPDX-License-Identifier: GPL-2.0
"""QEMU running one of Debian's kernels: its command line, and whether KVM works."""
import os
import subprocess
import tempfile

from .common import VmError, cache_directory, digest, kernel_fact, note, output_of, read_file
from .common import write_atomically
from .initramfs import initramfs
from .sandbox import die_with_parent

QEMU = "qemu-system-x86_64"
# Its first number is the order in which virtio devices were found.
CHANNEL = "/dev/vport*p1"
SCRATCH = tempfile.gettempdir()
KVM = "/dev/kvm"
BOOT_ID = "/proc/sys/kernel/random/boot_id"
PROBE_SECONDS = 10
PROBE_SAYS = b"sluice: the guest runs"

# Without these two the kernel copies memory eight bytes an instruction; with
# them, one, which is slow when each instruction is emulated.
EMULATED_CPU = "max,-erms,-fsrm"


def machine(kernel_path, initramfs_path, arguments):
    return [QEMU, "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
            "-machine", "q35,usb=off,smbus=off,sata=off", "-serial", "stdio",
            "-kernel", kernel_path, "-initrd", initramfs_path, "-append", " ".join(arguments)]


def console_arguments():
    # Warnings and worse go to the console from the start, the rest once the
    # guest is up. A panic or an oops ends the guest. On a busy machine an emulated
    # processor may make no headway for 20 s, which is no lockup; 60 s are one.
    return ["console=ttyS0", "loglevel=5", "panic=-1", "oops=panic", "printk.devkmsg=on",
            "watchdog_thresh=30", "rcupdate.rcu_cpu_stall_timeout=60"]


def kvm_runs_a_guest(kernel_path, initramfs_path):
    command = machine(kernel_path, initramfs_path, console_arguments() + ["SLUICE_PROBE=1"])
    command += ["-accel", "kvm", "-cpu", "host", "-m", "256M"]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, timeout=PROBE_SECONDS)
    except subprocess.TimeoutExpired:
        return False
    return PROBE_SAYS in done.stdout


def kvm_works(kernel_path, initramfs_path):
    """Whether KVM can really run this guest; asked once for each boot of the machine."""
    if not os.access(KVM, os.R_OK | os.W_OK):
        return False
    key = digest(read_file(BOOT_ID), kernel_path, output_of([QEMU, "--version"], QEMU))
    path = os.path.join(cache_directory(), f"kvm-{key}")
    if not os.path.exists(path):
        note("trying whether KVM can run a guest (once)")
        works = kvm_runs_a_guest(kernel_path, initramfs_path)
        note("it can" if works else "it cannot; guests are emulated")
        write_atomically(path, b"yes" if works else b"no")
    return read_file(path) == b"yes"


def processor(options, kernel_path, initramfs_path):
    if options.icount:
        return ["-accel", "tcg,thread=single", "-cpu", EMULATED_CPU, "-smp", "1",
                "-icount", "shift=0,sleep=off"]
    if kvm_works(kernel_path, initramfs_path):
        return ["-accel", "kvm", "-cpu", "host", "-smp", str(options.cpus)]
    return ["-accel", "tcg,thread=multi", "-cpu", EMULATED_CPU, "-smp", str(options.cpus)]


def command_line(options, run_file, guest_directory, channel):
    """The command that boots the guest; channel is a socket's number to pass on."""
    kernel_path = kernel_fact("path", options.kernel)
    initramfs_path = initramfs(kernel_fact("release", options.kernel))
    arguments = console_arguments() + [f"SLUICE_GUEST={guest_directory}", f"SLUICE_RUN={run_file}"]
    if options.icount:
        arguments += ["nokaslr", "norandmaps"]
    command = machine(kernel_path, initramfs_path, arguments)
    command += processor(options, kernel_path, initramfs_path)
    command += ["-m", options.mem,
                "-fsdev", "local,id=root,path=/,security_model=none,readonly=on,multidevs=remap",
                "-device", "virtio-9p-pci,fsdev=root,mount_tag=root",
                "-device", "virtio-serial-pci,max_ports=2",
                "-chardev", f"socket,id=channel,fd={channel}",
                "-device", "virtserialport,chardev=channel,name=channel"]
    return command


def check(options):
    if options.time_travel:
        raise VmError("--time-travel needs --kernel uml or uml-debug")
    if options.icount and options.cpus not in (None, 1):
        raise VmError("--icount means one CPU")
    options.cpus = options.cpus or 2
    options.mem = options.mem or "2G"


# It has the machine's files through its own read-only export: no more is needed.
confine = die_with_parent
