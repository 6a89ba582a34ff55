"""Runs the service's health checks: in a thread if they would block the event loop, and with anything that they raise contained."""

from __future__ import annotations

import asyncio
import dis
import functools
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from instrumentation.log_once import LogOnce
from instrumentation.offload import in_thread

if TYPE_CHECKING:
    from collections.abc import Generator

Probe: TypeAlias = Callable[[], object | Awaitable[object]]

BLOCKING_SECONDS = 0.1
"""A check that blocks the event loop for this long is moved to a thread, or a warning is logged."""

_THREAD = "sidelight-health"
_WAITING = frozenset(("GET_AWAITABLE", "GET_AITER"))  # what await, async with and async for are made of


class Outcome(NamedTuple):
    """The result of a check.

    Attributes:
        value: Its return value.
        error: The exception it raised, which may be ``SystemExit``; None without one.
    """

    value: object
    error: BaseException | None


class Probing:
    """Runs a check repeatedly.

    A plain function runs in a thread. An async function runs on the event loop, unless it awaits nothing: then it runs
    in a thread too. If an async function has blocked the loop without yielding to it once, it runs in a thread from
    then on, until it needs the loop.

    Args:
        name: The name of the check.
        probe: The function of the check, without parameters.
    """

    def __init__(self, name: str, probe: Probe) -> None:
        self._name = name
        self._probe: Callable[[], Any] = probe
        self._is_async = is_async(probe)
        self._is_aside = not self._is_async or not _awaits(probe)
        self._needs_loop = False
        self._log_once = LogOnce()

    @property
    def is_on_loop(self) -> bool:
        """Whether it runs on the event loop and so can be cancelled."""
        return not self._is_aside

    async def outcome(self) -> Outcome:
        """Run the check and return its result or its exception, since a raised ``SystemExit`` would end the event loop."""
        try:
            return Outcome(await self._value(), None)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - see above
            return Outcome(None, error)

    async def _value(self) -> object:
        if not self._is_async:
            value = await in_thread(self._probe, _THREAD)
        elif self._is_aside:
            try:
                value = await in_thread(self._to_its_end, _THREAD)
            except RuntimeError:  # it needs the loop: "no running event loop", or what _to_its_end raises
                self._is_aside, self._needs_loop = False, True
                value = await self._on_loop()
        else:
            value = await self._on_loop()
        while inspect.isawaitable(value):
            value = await value
        return value

    def _to_its_end(self) -> object:
        running = self._probe()
        try:
            running.send(None)
        except StopIteration as ended:
            return ended.value
        running.close()
        raise RuntimeError("it waits for the event loop")

    async def _on_loop(self) -> object:
        steps = _Steps(self._probe())
        try:
            return await steps
        finally:
            if steps.longest >= BLOCKING_SECONDS:
                self._blocked(steps)

    def _blocked(self, steps: _Steps) -> None:
        if not steps.has_waited and not self._needs_loop:
            self._is_aside = True
        cure = "it runs in a thread from now on" if self._is_aside else "use a plain function, which runs in a thread"
        text = "health check %s blocked the event loop for %.1f s; %s"
        self._log_once(text, self._name, steps.longest, cure, about="block")


class _Steps:
    """Wraps an awaitable and measures its longest step."""

    def __init__(self, awaitable: Awaitable[object]) -> None:
        self._within = awaitable.__await__()
        self.longest = 0.0
        self.has_waited = False

    def __await__(self) -> Generator[Any, Any, object]:
        step: Callable[..., Any] = functools.partial(self._within.send, None)
        while True:
            began = time.perf_counter()
            try:
                waited_for = step()
            except StopIteration as ended:
                return ended.value
            finally:
                self.longest = max(self.longest, time.perf_counter() - began)
            self.has_waited = True
            try:
                step = functools.partial(self._within.send, (yield waited_for))
            except BaseException as error:  # noqa: BLE001 - the inner awaitable handles everything, also cancellation
                step = functools.partial(self._within.throw, error)


def is_async(probe: Any) -> bool:
    """Whether a probe is an async function, or an object with an async ``__call__``."""
    return inspect.iscoroutinefunction(probe) or inspect.iscoroutinefunction(getattr(probe, "__call__", None))  # noqa: B004 - the question is whether it is async, not whether it exists


def _awaits(probe: Any) -> bool:
    """Whether an async function awaits anything; also True if it has no Python code."""
    while isinstance(probe, functools.partial):
        probe = probe.func
    code = getattr(probe if hasattr(probe, "__code__") else getattr(probe, "__call__", None), "__code__", None)  # noqa: B004 - as above
    return code is None or any(instruction.opname in _WAITING for instruction in dis.get_instructions(code))
