# SPDX-License-Identifier: GPL-2.0
"""Places, errors and kernels that all parts of scripts/vm share."""

import os
import subprocess
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
GUEST = REPOSITORY / "scripts/lib/vm/guest"
KERNELS = ("6.1", "6.12", "uml", "uml-debug")


class VmError(Exception):
    """The machine could not be set up; the text says why."""


def cache_directory():
    """Where built things live that outlast a build tree; the same as in scripts/kernels."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    path = Path(os.environ.get("SLUICE_CACHE") or Path(base) / "sluice")
    path.mkdir(parents=True, exist_ok=True)
    return path


def run_quietly(*command):
    """The command's output without the last newline; its own errors stay visible."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    except FileNotFoundError:
        raise VmError(f"{command[0]} is not installed (run scripts/setup)") from None
    except subprocess.CalledProcessError as error:
        raise VmError(f"{Path(command[0]).name} failed") from error
    return done.stdout.rstrip("\n")


def kernel_question(question, kernel):
    return run_quietly(str(REPOSITORY / "scripts/kernels"), question, kernel)


def write_whole(path, data, mode=0o644):
    """Writes a file that others may read at any moment: they see all of it or none."""
    scratch = path.with_name(f"{path.name}.{os.getpid()}")
    scratch.write_bytes(data)
    scratch.chmod(mode)
    scratch.rename(path)
