"""The service without instrumentation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.variants import Installed

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import FastAPI


async def no_page() -> bytes:
    """An empty page."""
    return b""


def install(build: Callable[..., FastAPI]) -> Installed:
    """Build the service without instrumentation."""
    return Installed(build(), no_page)
