"""The line of the service's own code that led to a call: not of a library, of Python or of Sidelight."""

from __future__ import annotations

import os
import sys
import sysconfig
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asyncio import Task
    from collections.abc import Iterator
    from types import FrameType

_OURS = str(Path(__file__).resolve().parents[1]) + os.sep
_LIBRARIES = tuple(
    {_OURS, *(sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib"))}
)


def line_of_service() -> str:
    """File and line of the innermost frame of the service's own code; empty if there is none."""
    for frame in _frames(sys._getframe(1)):  # noqa: SLF001 - the one way to the code that called
        shown = shown_path(frame.f_code.co_filename)
        if shown:
            return f"{shown}:{frame.f_lineno}"
    return ""


@lru_cache(maxsize=1000)
def shown_path(file: str) -> str:
    """A file of the service, relative to the working directory if it is below it; empty for any other file."""
    if file.startswith(("<", *_LIBRARIES)) or f"{os.sep}site-packages{os.sep}" in file:
        return ""
    try:
        return str(Path(file).relative_to(Path.cwd()))
    except (ValueError, OSError):
        return file


def line_of_task(task: Task[Any]) -> str:
    """File and line of the service's innermost coroutine that a task awaits; empty if there is none."""
    found = ""
    awaited: Any = task.get_coro()
    while awaited is not None:
        frame = getattr(awaited, "cr_frame", None) or getattr(awaited, "ag_frame", None)
        shown = shown_path(frame.f_code.co_filename) if frame else ""
        found = f"{shown}:{frame.f_lineno}" if frame and shown else found
        awaited = getattr(awaited, "cr_await", None) or getattr(awaited, "ag_await", None)
    return found


def _frames(frame: FrameType | None) -> Iterator[FrameType]:
    """The frames of a call, and those of the greenlets within which it runs, as in SQLAlchemy's asyncio extension."""
    greenlets = sys.modules.get("greenlet")
    within = greenlets.getcurrent() if greenlets else None
    while frame is not None:
        yield frame
        frame = frame.f_back
        if frame is None and within is not None:
            within = within.parent
            frame = None if within is None else within.gr_frame
