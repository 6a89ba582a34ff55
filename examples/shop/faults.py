"""Faults on demand, only for the demo: they exist only if the service starts with SHOP_FAULTS=1.

``PUT /faults {"error_ratio": 0.02, "latency_seconds": 0.7}`` makes exactly every 50th request fail, with a real exception
behind the router, and each request take 0.7 s longer. ``PUT /faults {}`` ends this.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from fractions import Fraction
from typing import Annotated, Any

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field

from .payments import declines

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Message, Receive, Send], Awaitable[None]]
Sleep = Callable[[float], Awaitable[None]]

CONTROL = "/faults"
UNHARMED = {CONTROL, "/health", "/stock/events"}  # a stream is open for long; requests alone are to fail evenly


class InjectedError(Exception):
    """The requested error."""


class Faults(BaseModel):
    """The faults to apply.

    Attributes:
        error_ratio: The share of requests that fail, from 0 to 1.
        latency_seconds: Additional latency of each request.
        declined_ratio: The share of payments that are declined, from 0 to 1.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    error_ratio: Annotated[float, Field(ge=0, le=1)] = 0.0
    latency_seconds: Annotated[float, Field(ge=0, le=10)] = 0.0
    declined_ratio: Annotated[float, Field(ge=0, le=1)] = 0.0

    def fails(self, number: int) -> bool:
        """Whether the request with this number, from 1, fails; failures are evenly spread and deterministic.

        >>> [number for number in range(1, 151) if Faults(error_ratio=0.02).fails(number)]
        [50, 100, 150]
        """
        ratio = Fraction(str(self.error_ratio))  # the decimal as written: the float 0.29 times 100 is below 29
        return number * ratio // 1 > (number - 1) * ratio // 1


class FaultMiddleware:
    """Delays and fails responses at their first byte, when the router has chosen the route.

    Args:
        app: The wrapped app.
        sleep: Sleeps for some seconds.
    """

    def __init__(self, app: ASGIApp, sleep: Sleep) -> None:
        self.app = app
        self._sleep = sleep
        self._requests = 0

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Apply ``app.state.faults`` to a request."""
        if scope["type"] != "http" or scope["path"] in UNHARMED:
            await self.app(scope, receive, send)
            return
        faults: Faults = scope["app"].state.faults
        self._requests += 1
        fails = faults.fails(self._requests)

        async def suffer(message: Message) -> None:
            if message["type"] == "http.response.start":
                await self._sleep(faults.latency_seconds)
                if fails:
                    raise InjectedError(
                        f"{faults.error_ratio:.1%} of the requests fail on purpose, and this is one of them"
                    )
            await send(message)

        await self.app(scope, receive, suffer)


def install(app: FastAPI, sleep: Sleep = asyncio.sleep) -> None:
    """Add the control endpoint and the middleware to an app.

    Args:
        app: The app.
        sleep: Sleeps for some seconds.
    """
    app.state.faults = Faults()
    app.add_middleware(FaultMiddleware, sleep=sleep)

    @app.put(CONTROL)
    async def set_faults(faults: Faults) -> Faults:
        """Set the faults of all further requests."""
        app.state.faults = faults
        declines.ratio = faults.declined_ratio
        return faults
