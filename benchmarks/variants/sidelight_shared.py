"""Sidelight in Python, with counts in a file shared by all workers of a service."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.variants.sidelight import with_store
from instrumentation.store.shared_store import SharedStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import FastAPI

    from benchmarks.variants import Installed

_FOLDERS: list[tempfile.TemporaryDirectory[str]] = []  # each is removed when the process ends


def install(build: Callable[..., FastAPI]) -> Installed:
    """Instrument the service."""
    return with_store(build, shared_store())


def shared_store() -> SharedStore:
    """A store in a separate folder."""
    _FOLDERS.append(tempfile.TemporaryDirectory(prefix="sidelight-benchmark-"))
    return SharedStore(Path(_FOLDERS[-1].name))
