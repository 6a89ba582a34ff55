"""Sidelight in C with its defaults: metrics, the correlation id and a JSON access line per request."""

from __future__ import annotations

from typing import TYPE_CHECKING

import _sidelight_speedups

from benchmarks.variants.sidelight_logs import with_defaults

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import FastAPI

    from benchmarks.variants import Installed


def install(build: Callable[..., FastAPI]) -> Installed:
    """Instrument the service; its log is discarded."""
    return with_defaults(build, _sidelight_speedups)
