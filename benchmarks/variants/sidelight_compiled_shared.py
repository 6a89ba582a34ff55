"""Sidelight in C, with counts in a file shared by all workers of a service."""

from __future__ import annotations

from typing import TYPE_CHECKING

import _sidelight_speedups

from benchmarks.variants.sidelight import with_store
from benchmarks.variants.sidelight_shared import shared_store

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import FastAPI

    from benchmarks.variants import Installed


def install(build: Callable[..., FastAPI]) -> Installed:
    """Instrument the service."""
    return with_store(build, shared_store(), _sidelight_speedups)
