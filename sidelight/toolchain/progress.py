"""Shows what is being downloaded or built, and for how long, on a terminal; prints nothing into a log."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from rich.console import Console
from rich.progress import DownloadColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    Advance = Callable[[int], None]


class Step(Protocol):
    """Shows one step while its context is open."""

    def __call__(self, text: str, *, total: int | None = None) -> AbstractContextManager[Advance]:
        """Show a text, and the bytes of ``total`` that the returned function has been given."""


@contextmanager
def on_terminal(text: str, *, total: int | None = None) -> Iterator[Advance]:
    """Show a step on stderr with its elapsed time, and a download with its megabytes; nothing in a log."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    size = (DownloadColumn(),) if total is not None else ()
    columns = (SpinnerColumn(), TextColumn("{task.description}"), *size, TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(text, total=total)
        yield lambda done: progress.advance(task, done)
