"""Trying again what failed for a moment, on stamina: exponential backoff with jitter, a number of attempts, a time budget."""

from __future__ import annotations

import functools
import inspect
import math
import sys
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

import stamina

from instrumentation import catalog
from instrumentation.errors import AppError, InstrumentationError
from instrumentation.store import add, default_store

if TYPE_CHECKING:
    from collections.abc import Callable

    from instrumentation.store import Store

_P = ParamSpec("_P")
_R = TypeVar("_R")
_PASSING = {  # answers that another attempt may turn; the rest of 4xx says the same again
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.TOO_EARLY,
    HTTPStatus.TOO_MANY_REQUESTS,
}


def retry_with_backoff(  # noqa: PLR0913 - the settings of a policy, all but one by keyword
    max_attempts: int = 3,
    *,
    initial_delay: float = 0.1,
    exceptions: type[Exception] | tuple[type[Exception], ...] = (ConnectionError, TimeoutError),
    max_delay: float = 5.0,
    time_budget: float = 30.0,
    store: Store | None = None,
) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Try a function or coroutine function again where it fails for a moment.

    What is permanent is never tried again, whatever ``exceptions`` says: an ``AppError`` that is the caller's fault, and
    an HTTP answer (``httpx.HTTPStatusError``) of 4xx other than 408, 425 and 429. Where the answer says Retry-After, in
    seconds, or an ``AppError`` has ``retry_after``, the next attempt waits for so long, or is not made where that is
    beyond the time budget. The last failure goes on as it is. The function must be idempotent.

    Args:
        max_attempts: How often it is called at most, the first time included.
        initial_delay: Seconds before the second attempt; doubled for each further one, with up to as much again by chance.
        exceptions: What is worth another attempt.
        max_delay: Seconds between two attempts at most, but for Retry-After.
        time_budget: Seconds from the first call after which no attempt begins.
        store: Where retries are counted; the process's own store by default.

    Raises:
        InstrumentationError: ``retry_invalid``, ``retry_function_invalid``.
    """
    _check(max_attempts, exceptions, initial_delay=initial_delay, max_delay=max_delay, time_budget=time_budget)

    def decorated(function: Callable[_P, _R]) -> Callable[_P, _R]:
        name = _name(function)
        settings: dict[str, Any] = {
            "on": functools.partial(_when, exceptions, time_budget),
            "attempts": max_attempts,
            "timeout": time_budget,
            "wait_initial": initial_delay,
            "wait_max": max_delay,
            "wait_jitter": initial_delay,
        }

        def count(attempt: stamina.Attempt) -> None:
            if attempt.num > 1:
                add(store or default_store(), catalog.RETRIES, (name,), 1.0)

        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)  # noqa: RET503 - the last attempt raises
            async def call_async(*args: _P.args, **kwargs: _P.kwargs) -> Any:
                async for attempt in stamina.retry_context(**settings):
                    with attempt:
                        count(attempt)
                        return await function(*args, **kwargs)

            return cast("Callable[_P, _R]", call_async)

        @functools.wraps(function)  # noqa: RET503 - the last attempt raises
        def call(*args: _P.args, **kwargs: _P.kwargs) -> Any:
            for attempt in stamina.retry_context(**settings):
                with attempt:
                    count(attempt)
                    return function(*args, **kwargs)

        return call

    return decorated


def _when(exceptions: type[Exception] | tuple[type[Exception], ...], longest: float, error: Exception) -> bool | float:
    """Whether to try again, or after how many seconds."""
    if not isinstance(error, exceptions):
        return False
    status, after = _answer(error)
    if (
        status is not None
        and HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR
        and status not in _PASSING
    ):
        return False
    if after is None:
        return True
    return after if after <= longest else False  # nobody waits an hour within a request


def _answer(error: Exception) -> tuple[int | None, float | None]:
    """The HTTP status behind an error and the seconds of its Retry-After, where it has them."""
    if isinstance(error, AppError):
        return error.status, error.retry_after
    httpx = sys.modules.get("httpx")
    if httpx is None or not isinstance(error, httpx.HTTPStatusError):
        return None, None
    said = error.response.headers.get("retry-after", "")
    return error.response.status_code, float(said) if said.isdecimal() else None


def _name(function: Callable[..., object]) -> str:
    if not callable(function) or inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise InstrumentationError(
            f"retry_with_backoff got {getattr(function, '__qualname__', type(function).__name__)}; "
            "give a function or a coroutine function, since half of a generator cannot be taken back.",
            code="retry_function_invalid",
        )
    module = getattr(function, "__module__", "")
    return f"{module}.{getattr(function, '__qualname__', type(function).__qualname__)}"


def _check(max_attempts: object, exceptions: object, **seconds: object) -> None:
    if not isinstance(max_attempts, int) or isinstance(max_attempts, bool) or max_attempts < 1:
        raise _invalid("max_attempts", max_attempts, "give a whole number of at least 1")
    kinds = exceptions if isinstance(exceptions, tuple) else (exceptions,)
    if not kinds or not all(isinstance(kind, type) and issubclass(kind, Exception) for kind in kinds):
        raise _invalid("exceptions", exceptions, "give exception classes, such as (ConnectionError, TimeoutError)")
    for name, value in seconds.items():
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not (is_number and math.isfinite(cast("float", value)) and cast("float", value) > 0):
            raise _invalid(name, value, "give seconds as a number above 0")


def _invalid(name: str, given: object, allowed: str) -> InstrumentationError:
    return InstrumentationError(
        f"retry_with_backoff: {name} got {given!r:.60}; {allowed}.", code="retry_invalid", details={"parameter": name}
    )
