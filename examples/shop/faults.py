"""Faults on demand, for the demo only: nothing of it is there unless the service starts with SHOP_FAULTS=1.

``PUT /faults {"error_ratio": 0.02, "latency_seconds": 0.7}`` lets exactly every 50th request fail, by a real exception
behind the router, and each take 0.7 s longer. ``PUT /faults {}`` ends that.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from fractions import Fraction
from typing import Annotated, Any

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Message, Receive, Send], Awaitable[None]]
Sleep = Callable[[float], Awaitable[None]]

CONTROL = "/faults"
UNHARMED = {CONTROL, "/health", "/stock/events"}  # a stream is open for long; requests alone are to fail evenly


class InjectedError(Exception):
    """The error that was asked for."""


class Faults(BaseModel):
    """How the service shall suffer.

    Attributes:
        error_ratio: The share of requests that fail, 0 to 1.
        latency_seconds: How much longer each request takes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    error_ratio: Annotated[float, Field(ge=0, le=1)] = 0.0
    latency_seconds: Annotated[float, Field(ge=0, le=10)] = 0.0

    def fails(self, number: int) -> bool:
        """Whether the request of this number fails, counted from 1; evenly spread and the same every time.

        >>> [number for number in range(1, 151) if Faults(error_ratio=0.02).fails(number)]
        [50, 100, 150]
        """
        ratio = Fraction(str(self.error_ratio))  # as written: the float 0.29 times 100 is below 29
        return number * ratio // 1 > (number - 1) * ratio // 1


class FaultMiddleware:
    """Slows and fails responses at their first byte, when the router has chosen the route they count for.

    Args:
        app: The app within.
        sleep: Waits some seconds.
    """

    def __init__(self, app: ASGIApp, sleep: Sleep) -> None:
        self.app = app
        self._sleep = sleep
        self._requests = 0

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Let a request suffer as ``app.state.faults`` says."""
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
                    raise InjectedError(f"{faults.error_ratio:.1%} of the requests shall fail, and this is one of them")
            await send(message)

        await self.app(scope, receive, suffer)


def install(app: FastAPI, sleep: Sleep = asyncio.sleep) -> None:
    """Add the control endpoint and the middleware to an app.

    Args:
        app: The app.
        sleep: Waits some seconds.
    """
    app.state.faults = Faults()
    app.add_middleware(FaultMiddleware, sleep=sleep)

    @app.put(CONTROL)
    async def set_faults(faults: Faults) -> Faults:
        """Change what the requests from now on suffer."""
        app.state.faults = faults
        return faults
