"""The payment provider: an external service, which runs in this process so that the example needs no network."""

import asyncio
from itertools import count
from typing import Annotated

import httpx
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, Field

from instrumentation import ExternalServiceError, instrument_client, retry_with_backoff, time_limit

PROVIDER_SECONDS = 0.01
SHARE = 0.029  # of the amount, plus a fixed part, like usual card payment providers
FIXED_USD = 0.30
LIMIT_SECONDS = 2.0
BUSY = 20  # the provider is busy once in this many charges

provider = FastAPI(title="Payments")
numbers = count(1)


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


async def charge(cents: int) -> float:
    """Charge a customer and return the provider's fee in US dollars.

    Raises:
        ExternalServiceError: The provider refused, or did not answer.
    """
    try:
        return await _charge(cents)
    except httpx.HTTPError as error:
        raise ExternalServiceError("The payment provider cannot be reached; nothing was charged.") from error


@retry_with_backoff(max_attempts=3, exceptions=(httpx.TransportError, httpx.HTTPStatusError))
async def _charge(cents: int) -> float:
    async with time_limit(LIMIT_SECONDS, "the payment provider"):
        response = await client.post("/charges", json={"cents": cents})
    response.raise_for_status()
    return float(response.json())


async def answers() -> None:
    """Whether the provider is healthy, for ``health_check``."""
    (await client.get("/health")).raise_for_status()
