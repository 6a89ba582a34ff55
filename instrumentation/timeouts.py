"""A time limit for awaited code, with an error that says what took too long."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator  # noqa: TC003 - for typing.get_type_hints
from contextlib import asynccontextmanager

from instrumentation.errors import ExternalTimeoutError, InstrumentationError


@asynccontextmanager
async def time_limit(seconds: float, what: str) -> AsyncIterator[None]:
    """Cancel the code in the block when the time limit is exceeded; also a decorator for coroutine functions.

    A TimeoutError raised in the block is not changed. A thread cannot be cancelled from outside; set a timeout on the client
    that it uses.

    Args:
        seconds: The limit.
        what: What the code waits for, such as ``"the payment provider"``, for the error message.

    Raises:
        ExternalTimeoutError: The time limit was exceeded.
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
