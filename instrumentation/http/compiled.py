"""Which of the two request paths is taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

from instrumentation import speedups
from instrumentation.http import middleware

if TYPE_CHECKING:
    from collections.abc import Callable

    from instrumentation.asgi import ASGIApp


def fastest() -> Callable[..., ASGIApp]:
    """``measuring``, compiled where that is installed and fits; else of Python."""
    return getattr(speedups.module(), "measuring", middleware.measuring)
