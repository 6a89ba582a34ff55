"""Wraps any kind of function (sync, coroutine, generator, async generator) so that each call runs within a context."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator
    from contextlib import AbstractContextManager

    Context = Callable[[], AbstractContextManager[object]]
    Function = Callable[..., Any]


def within(context: Context, function: Function) -> Function:
    """A function that behaves like the given one, with each call in a new context.

    The call of a generator lasts from its first item until it ends or is closed.

    Args:
        context: Returns a new context.
        function: The function; a class is treated as a function that returns its instances.
    """
    own_call = getattr(type(function), "__call__", None)  # noqa: B004 - for an object that is not a function
    made = next(make for is_kind, make in _KINDS if is_kind(function) or is_kind(own_call))
    return functools.wraps(function)(made(context, function))


def _plain(context: Context, function: Function) -> Function:
    def call(*args: Any, **kwargs: Any) -> Any:
        with context():
            return function(*args, **kwargs)

    return call


def _coroutine(context: Context, function: Function) -> Function:
    async def call(*args: Any, **kwargs: Any) -> Any:
        with context():
            return await function(*args, **kwargs)

    return call


def _generator(context: Context, function: Function) -> Function:
    def call(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        with context():
            return (yield from function(*args, **kwargs))

    return call


def _async_generator(context: Context, function: Function) -> Function:
    async def call(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        with context():
            inner = cast("AsyncGenerator[Any, Any]", function(*args, **kwargs))
            try:
                step = inner.__anext__()
                while True:
                    try:
                        item = await step
                    except StopAsyncIteration:
                        return
                    try:  # `yield from` is not allowed here, so this does the same
                        step = inner.asend((yield item))
                    except GeneratorExit:
                        raise
                    except BaseException as error:  # noqa: BLE001 - the inner generator decides
                        step = inner.athrow(error)
            finally:
                await inner.aclose()

    return call


_KINDS: tuple[tuple[Callable[[object], bool], Callable[[Context, Function], Function]], ...] = (
    (inspect.isasyncgenfunction, _async_generator),
    (inspect.isgeneratorfunction, _generator),
    (inspect.iscoroutinefunction, _coroutine),
    (lambda _: True, _plain),
)
