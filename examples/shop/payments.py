"""The payment provider: an external service, which runs in this process so that the example needs no network."""

import asyncio
from fractions import Fraction
from itertools import count
from typing import Annotated

import httpx
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, Field

from instrumentation import AppError, ExternalServiceError, instrument_client, retry_with_backoff, time_limit

from .signals import PAYMENTS

PROVIDER_SECONDS = 0.01
SHARE = 0.029  # of the amount, plus a fixed part, like usual card payment providers
FIXED_USD = 0.30
LIMIT_SECONDS = 2.0
BUSY = 20  # the provider is busy once in this many charges

provider = FastAPI(title="Payments")
numbers = count(1)


class PaymentDeclinedError(AppError):
    """The provider declined the payment."""

    status = 402
    default_code = "payment_declined"


class Declines:
    """Which charges the provider declines; none, except in the demo.

    Attributes:
        ratio: The share of charges that it declines, from 0 to 1.
    """

    def __init__(self) -> None:
        self.ratio = 0.0
        self._charges = 0

    def next(self) -> bool:
        """Whether the next charge is declined; these are evenly spread."""
        self._charges += 1
        ratio = Fraction(str(self.ratio))
        return self._charges * ratio // 1 > (self._charges - 1) * ratio // 1


declines = Declines()


class Charge(BaseModel):
    """An amount to pay."""

    cents: Annotated[int, Field(ge=0)]


@provider.get("/health")
async def health() -> None:
    """Answer that the provider is healthy."""


@provider.post("/charges")
async def charges(charge: Charge) -> float:
    """Take some time and the money, and answer with the fee in US dollars; sometimes ask the client to retry."""
    await asyncio.sleep(PROVIDER_SECONDS)
    if next(numbers) % BUSY == 0:
        raise HTTPException(503, "Busy; try again.")
    return FIXED_USD + SHARE * charge.cents / 100


client = instrument_client(
    httpx.AsyncClient(
        transport=httpx.ASGITransport(provider), base_url="http://payments.example", timeout=LIMIT_SECONDS
    )
)


def authorize() -> None:
    """Ask whether the customer may be charged.

    Raises:
        PaymentDeclinedError: The provider declined.
    """
    if declines.next():
        PAYMENTS.add(outcome="declined")
        raise PaymentDeclinedError("The payment was declined; nothing was charged.")


async def charge(cents: int) -> float:
    """Charge a customer and return the provider's fee in US dollars.

    Raises:
        ExternalServiceError: The provider refused, or did not answer.
    """
    try:
        fee = await _charge(cents)
    except httpx.HTTPError as error:
        PAYMENTS.add(outcome="failed")
        raise ExternalServiceError("The payment provider cannot be reached; nothing was charged.") from error
    PAYMENTS.add(outcome="accepted")
    return fee


@retry_with_backoff(max_attempts=3, exceptions=(httpx.TransportError, httpx.HTTPStatusError))
async def _charge(cents: int) -> float:
    async with time_limit(LIMIT_SECONDS, "the payment provider"):
        response = await client.post("/charges", json={"cents": cents})
    response.raise_for_status()
    return float(response.json())


async def answers() -> None:
    """Whether the provider is healthy, for ``health_check``."""
    (await client.get("/health")).raise_for_status()
