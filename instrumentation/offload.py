"""Runs a function in a daemon thread of its own, so that neither the event loop nor the end of the process waits for it."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")


def start_thread(work: Callable[[], _T], name: str) -> Future[_T]:
    """Run a function in a new daemon thread.

    Args:
        work: The function.
        name: The name of the thread.

    Returns:
        The future of its result. It has the exception of the function, ``SystemExit`` too, or the ``RuntimeError`` of a
        process that cannot start more threads.
    """
    future: Future[_T] = Future()
    future.set_running_or_notify_cancel()  # so that a cancelled caller cannot cancel it halfway

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - it is raised where the result is read
            future.set_exception(error)

    try:
        threading.Thread(target=run, name=name, daemon=True).start()
    except RuntimeError as error:
        future.set_exception(error)
    return future


async def in_thread(work: Callable[[], _T], name: str) -> _T:
    """Await a function that runs in a new daemon thread.

    asyncio's own thread pool may be full of the app's work, and a function that hangs must not keep the process from
    exiting. If the event loop is not asyncio's, the function is called directly.

    Args:
        work: The function.
        name: The name of the thread.

    Returns:
        What the function returns; an exception is raised, ``SystemExit`` too.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return work()
    return await asyncio.wrap_future(start_thread(work, name))
