"""Retries of transient failures, with stamina: exponential backoff with jitter, a number of attempts, a time budget."""

from __future__ import annotations

import functools
import inspect
import math
import time
from collections.abc import Callable  # noqa: TC003 - for typing.get_type_hints
from contextlib import suppress
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, ParamSpec, TypeVar, cast

import stamina

from instrumentation import catalog
from instrumentation.errors import AppError, InstrumentationError
from instrumentation.store import Store, add, default_store

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
    """Retry a function or coroutine function after transient failures.

    Permanent failures are never retried, whatever ``exceptions`` says: an ``AppError`` that is the caller's fault, and the
    errors of HTTP clients, such as ``httpx.HTTPStatusError``, with a 4xx status other than 408, 425 and 429. If the
    response has a Retry-After header, in seconds or as a date (RFC 9110, section 10.2.3), or an ``AppError`` has
    ``retry_after``, the next attempt waits that long; if that is beyond the time budget, there is none. The last error is
    raised unchanged. The function must be idempotent.

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

        def attempts() -> Any:
            policy = stamina.retry_context(
                on=functools.partial(_when, exceptions, time.monotonic() + time_budget),
                attempts=max_attempts,
                timeout=time_budget,
                wait_initial=initial_delay,
                wait_max=max_delay,
                wait_jitter=initial_delay,
            )
            return policy.with_name(name, (), {})  # for its log lines, without the arguments, which may be secrets

        def count(attempt: stamina.Attempt) -> None:
            if attempt.num > 1:
                add(store or default_store(), catalog.RETRIES, (name,), 1.0)

        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)  # noqa: RET503 - the last attempt raises
            async def call_async(*args: _P.args, **kwargs: _P.kwargs) -> Any:
                async for attempt in attempts():
                    with attempt:
                        count(attempt)
                        return await function(*args, **kwargs)

            return cast("Callable[_P, _R]", call_async)

        @functools.wraps(function)  # noqa: RET503 - the last attempt raises
        def call(*args: _P.args, **kwargs: _P.kwargs) -> Any:
            for attempt in attempts():
                with attempt:
                    count(attempt)
                    return function(*args, **kwargs)

        return call

    return decorated


def _when(exceptions: type[Exception] | tuple[type[Exception], ...], deadline: float, error: Exception) -> bool | float:
    """Whether to try again, or after how many seconds."""
    if not isinstance(error, exceptions):
        return False
    status, after = _response(error)
    if (
        status is not None
        and HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR
        and status not in _PASSING
    ):
        return False
    if not after:
        return True
    return after if time.monotonic() + after <= deadline else False


def _response(error: Exception) -> tuple[int | None, float | None]:
    """The HTTP status of the response behind an error, and the seconds of its Retry-After header, if it has them."""
    if isinstance(error, AppError):
        return error.status, error.retry_after
    with suppress(Exception):  # a property of the error may raise
        response: Any = getattr(error, "response", None)  # of httpx, requests, and clients made from them
        response = error if response is None else response  # of aiohttp and urllib
        found = (getattr(response, name, None) for name in ("status_code", "status", "code"))
        status = next((value for value in found if isinstance(value, int)), None)
        if status is not None:
            return status, seconds_of(response.headers.get("retry-after", ""), time.time())
    return None, None


def seconds_of(retry_after: str, now: float) -> float | None:
    """How long a Retry-After header says to wait; None if it says nothing that can be understood.

    Args:
        retry_after: The value of the header: seconds, or a date.
        now: Seconds since 1970.

    >>> seconds_of("120", 0.0), seconds_of("Thu, 01 Jan 1970 00:00:07 GMT", 3.0), seconds_of("soon", 0.0)
    (120.0, 4.0, None)
    """
    said = str(retry_after).strip()
    if said.isascii() and said.isdigit():
        return float(said)
    try:
        date = parsedate_to_datetime(said)
    except (ValueError, OverflowError):
        return None
    return max(0.0, (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now)


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
