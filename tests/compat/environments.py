"""Environments in the cache outside the repository, each made once with uv."""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import _sidelight_speedups

from sidelight.toolchain import Toolbox

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).parents[2]
CACHE = Toolbox().cache.parent / "compat"
OURS = (ROOT / "instrumentation", Path(_sidelight_speedups.__file__))
"""What is linked into a folder that becomes part of PYTHONPATH, so that no other package of the repository is."""


def environment(name: str, wanted: Sequence[str]) -> Path:
    """The folder of an environment's programs, with packages and what Sidelight itself needs, tracing included.

    Args:
        name: Part of the name of the folder.
        wanted: Requirements.
    """
    facts = "\n".join((*wanted, (ROOT / "pyproject.toml").read_text("utf-8"), sys.version))
    folder = CACHE / f"env-{name}-{hashlib.sha256(facts.encode()).hexdigest()[:12]}"
    with locked(folder):
        if not (folder / "ready").exists():
            uv = (sys.executable, "-m", "uv", "--quiet", "--no-config")
            python = folder / "bin/python"
            run(*uv, "venv", "--clear", "--python", sys.executable, folder)
            ours = ("--requirement", ROOT / "pyproject.toml", "--extra", "tracing")
            run(*uv, "pip", "install", "--python", python, *wanted, *ours)
            (folder / "ready").touch()
    return folder / "bin"


def link_ours(folder: Path) -> None:
    """Make Sidelight importable from a folder."""
    for ours in OURS:
        (folder / ours.name).symlink_to(ours)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Let only one process at a time make a folder."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def run(*argv: object) -> None:
    """Run a program.

    Raises:
        RuntimeError: It failed.
    """
    ended = subprocess.run([str(part) for part in argv], capture_output=True, text=True, timeout=900, check=False)
    if ended.returncode:
        raise RuntimeError(f"{' '.join(map(str, argv))}: {ended.stderr[-2000:]}")
