"""Sidelight in C, with counts in the memory of a single process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import _sidelight_speedups

from benchmarks.variants.sidelight import with_store
from instrumentation.store import LocalStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import FastAPI

    from benchmarks.variants import Installed


def install(build: Callable[..., FastAPI]) -> Installed:
    """Instrument the service."""
    return with_store(build, LocalStore(), _sidelight_speedups)
