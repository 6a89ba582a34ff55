"""Nothing around the service."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.variants import Installed

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import FastAPI


async def no_page() -> bytes:
    """There are no metrics."""
    return b""


def install(build: Callable[..., FastAPI]) -> Installed:
    """Build the service alone."""
    return Installed(build(), no_page)
