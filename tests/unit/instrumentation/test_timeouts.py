"""Work that takes too long is abandoned, and the error names it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from instrumentation.errors import ExternalTimeoutError, InstrumentationError
from instrumentation.timeouts import time_limit


async def never() -> None:
    await asyncio.Event().wait()


def test_slow_work_is_abandoned_and_the_error_names_it() -> None:
    async def run() -> None:
        async with time_limit(0.01, "the payment provider"):
            await never()

    with pytest.raises(ExternalTimeoutError, match=r"^The payment provider did not answer within 0\.01 s\.$") as error:
        asyncio.run(run())
    assert (error.value.status, error.value.code) == (504, "external_service_timeout")
    assert error.value.details == {"seconds": 0.01}


def test_it_is_a_decorator_too() -> None:
    @time_limit(0.01, "it")
    async def slow() -> None:
        await never()

    for _ in range(2):
        with pytest.raises(ExternalTimeoutError):
            asyncio.run(slow())


def test_a_timeout_raised_inside_is_not_changed() -> None:
    inner = TimeoutError("inner")

    async def run() -> None:
        async with time_limit(60, "it"):
            raise inner

    with pytest.raises(TimeoutError) as error:
        asyncio.run(run())
    assert error.value is inner


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), "1", True])
def test_a_wrong_limit_is_refused(seconds: Any) -> None:
    async def run() -> None:
        async with time_limit(seconds, "the search"):
            pass

    with pytest.raises(InstrumentationError, match="for the search; give seconds as a number above 0"):
        asyncio.run(run())
