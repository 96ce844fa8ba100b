# SPDX-License-Identifier: GPL-2.0
"""What the guest starts with: the initramfs, the agent, the description of the run."""

import hashlib
import lzma
import shlex
from pathlib import Path

from .common import GUEST, VmError, cache_directory, kernel_question, run_quietly, write_whole

BUSYBOX = Path("/bin/busybox")
BOOT_MODULES = ("virtio_pci", "virtio_console", "9pnet_virtio", "9p", "overlay")


def digest(*parts):
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def agent():
    """The agent, compiled once for each version of its source."""
    source = GUEST / "agent.c"
    path = cache_directory() / f"agent-{digest(source.read_bytes())}"
    if not path.exists():
        scratch = path.with_name(f"{path.name}.new-{id(path)}")
        run_quietly("gcc", "-static", "-Os", "-Wall", "-o", str(scratch), str(source))
        write_whole(path, scratch.read_bytes(), 0o755)
        scratch.unlink()
    return path


# --- initramfs ----------------------------------------------------------------

def module_files(kernel):
    """The modules that reach the root file system, each after those it needs."""
    release = kernel_question("release", kernel)
    files = []
    for name in BOOT_MODULES:
        answer = run_quietly("/sbin/modprobe", "--show-depends", "--set-version", release, name)
        for line in answer.splitlines():
            word, _, rest = line.partition(" ")
            if word == "insmod" and rest.split()[0] not in files:
                files.append(rest.split()[0])
    return [Path(name) for name in files]


def module_content(path):
    data = path.read_bytes()
    return lzma.decompress(data) if path.suffix == ".xz" else data


def cpio_entry(name, mode, data=b"", device=(0, 0)):
    """One file in the "newc" format."""
    path = name.encode() + b"\0"
    fields = (0, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(path), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + path
    return head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4)


def pack_initramfs(modules):
    if not BUSYBOX.exists():
        raise VmError(f"{BUSYBOX} is missing (run scripts/setup)")
    entries = [cpio_entry(name, 0o040755) for name in
               ("bin", "dev", "lower", "memory", "modules", "proc", "root", "sys")]
    entries.append(cpio_entry("dev/console", 0o020600, device=(5, 1)))
    entries.append(cpio_entry("bin/busybox", 0o100755, BUSYBOX.read_bytes()))
    entries.append(cpio_entry("init", 0o100755, (GUEST / "initramfs-init").read_bytes()))
    for number, path in enumerate(modules):
        name = f"modules/{number:02}-{path.name.removesuffix('.xz')}"
        entries.append(cpio_entry(name, 0o100644, module_content(path)))
    return b"".join(entries) + cpio_entry("TRAILER!!!", 0)


def initramfs(kernel):
    """The initramfs for one of Debian's kernels, made again when what it holds changed."""
    modules = module_files(kernel)
    parts = [(GUEST / "initramfs-init").read_bytes(), Path(__file__).read_bytes()]
    for path in (BUSYBOX, *modules):
        if not path.exists():
            raise VmError(f"{path} is missing (run scripts/setup)")
        parts.append(f"{path} {path.stat().st_size} {path.stat().st_mtime_ns}".encode())
    image = cache_directory() / f"initramfs-{kernel}-{digest(*parts)}"
    if not image.exists():
        write_whole(image, pack_initramfs(modules))
    return image


# --- the run ------------------------------------------------------------------

def describe_run(settings, environment, command, terminal):
    """Shell text that guest/session reads: variables, and the function run_command."""
    lines = [f"{name}={shlex.quote(str(value))}" for name, value in settings.items()]
    words = [str(agent()), *(["-t"] if terminal else []), "3", *command]
    exports = [f"\texport {shlex.quote(f'{name}={value}')}"
               for name, value in environment.items()]
    lines += ["run_command() {", *exports, "\t" + shlex.join(words), "}"]
    return "\n".join(lines) + "\n"
