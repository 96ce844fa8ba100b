# SPDX-License-Identifier: GPL-2.0
"""The initramfs that brings a Debian kernel to the machine's root file system.

It holds busybox, guest/initramfs-init and the modules that 9p over virtio, the
overlay and the channel need, in the order they must be loaded.
"""
import gzip
import lzma
import os
import stat

from .common import GUEST, VmError, cache_directory, digest, output_of, read_file
from .common import write_atomically

MODULES = ("virtio_pci", "virtio_console", "9p", "9pnet_virtio", "overlay")
BUSYBOX = "/bin/busybox"
DIRECTORIES = ("bin", "dev", "lower", "memory", "root", "modules")


def module_files(release):
    """Paths of MODULES and all they depend on, each after what it needs."""
    files = []
    for module in MODULES:
        listing = output_of(["/sbin/modprobe", "--set-version", release, "--show-depends", module],
                            f"looking for module {module} of Linux {release}")
        for line in listing.splitlines():
            words = line.split()
            if words[0] == "insmod" and words[1] not in files:
                files.append(words[1])
    return files


def module_content(path):
    if path.endswith(".xz"):
        return lzma.decompress(read_file(path))
    if path.endswith(".gz"):
        return gzip.decompress(read_file(path))
    if path.endswith(".ko"):
        return read_file(path)
    raise VmError(f"{path}: unknown compression")


def cpio_entry(name, mode, data=b""):
    """One member of a "newc" archive; the kernel needs no other field set."""
    encoded = name.encode() + b"\0"
    fields = [0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(encoded), 0]
    entry = b"070701" + b"".join(b"%08x" % field for field in fields) + encoded
    entry += bytes(-len(entry) % 4)
    return entry + data + bytes(-len(data) % 4)


def archive(modules):
    parts = [cpio_entry(name, stat.S_IFDIR | 0o755) for name in DIRECTORIES]
    parts.append(cpio_entry("bin/busybox", stat.S_IFREG | 0o755, read_file(BUSYBOX)))
    init = read_file(os.path.join(GUEST, "initramfs-init"))
    parts.append(cpio_entry("init", stat.S_IFREG | 0o755, init))
    for number, path in enumerate(modules):
        name = f"modules/{number:02}-{os.path.basename(path).split('.')[0]}.ko"
        parts.append(cpio_entry(name, stat.S_IFREG | 0o644, module_content(path)))
    parts.append(cpio_entry("TRAILER!!!", 0))
    return b"".join(parts)


def initramfs(release):
    """The path of the initramfs for a kernel release, made unless the cache has it."""
    try:
        key = digest(release, read_file(f"/lib/modules/{release}/modules.dep"),
                     read_file(os.path.join(GUEST, "initramfs-init")),
                     read_file(__file__), read_file(BUSYBOX))
    except OSError as error:
        raise VmError(f"{error.filename}: {error.strerror} (run scripts/setup)")
    path = os.path.join(cache_directory(), f"initramfs-{release}-{key}")
    if not os.path.exists(path):
        write_atomically(path, archive(module_files(release)))
    return path
