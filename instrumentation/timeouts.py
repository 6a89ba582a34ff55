"""A time limit for what is awaited, with an error that says what took too long."""

from __future__ import annotations

import asyncio
import math
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from instrumentation.errors import ExternalTimeoutError, InstrumentationError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@asynccontextmanager
async def time_limit(seconds: float, what: str) -> AsyncIterator[None]:
    """Give up on what is awaited in the block once the time is over; also a decorator for coroutine functions.

    A TimeoutError from within goes on as it is. What a thread does cannot be ended from outside: there, give the client
    that you call a timeout of its own.

    Args:
        seconds: The limit.
        what: What is waited for, such as ``"the payment provider"``; it stands in the error's sentence.

    Raises:
        ExternalTimeoutError: The time is over.
        InstrumentationError: ``time_limit_invalid``.
    """
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < math.inf:
        raise InstrumentationError(
            f"time_limit: got {seconds!r:.60} for {what}; give seconds as a number above 0.", code="time_limit_invalid"
        )
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            yield
    except TimeoutError as error:
        if not limit.expired():
            raise
        sentence = f"{what[:1].upper()}{what[1:]} did not answer within {seconds:g} s."
        raise ExternalTimeoutError(sentence, details={"seconds": seconds}) from error
