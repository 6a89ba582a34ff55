"""Runs a blocking function in a thread of its own, so that the event loop does not wait for it."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")


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
    future: Future[_T] = Future()
    future.set_running_or_notify_cancel()  # so that a cancelled caller cannot cancel it halfway

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - it is raised where the result is awaited
            future.set_exception(error)

    threading.Thread(target=run, name=name, daemon=True).start()
    return await asyncio.wrap_future(future)
