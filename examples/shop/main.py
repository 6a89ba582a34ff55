"""The service: its routes, and the two lines that instrument it."""

import os
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI

import instrumentation

from . import catalog, checkout, faults, payments, prices, search, stock
from .mails import mails
from .signals import CATALOG


@asynccontextmanager
async def working(app: FastAPI) -> AsyncIterator[None]:
    """Send mails and update prices while the shop runs."""
    async with mails.sending(app), prices.updating(app):
        yield


app = FastAPI(title="Shop", lifespan=working)
app.include_router(catalog.router, prefix="/catalog")
app.include_router(search.router)
app.include_router(checkout.router)
app.include_router(stock.router)


if os.environ.get("SHOP_FAULTS") == "1":
    faults.install(app)


def customer(scope: MutableMapping[str, Any]) -> str | None:
    """The user of a request. A real shop would read it from the session that its authentication put into the scope."""
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == b"x-customer"), None)


instrumentation.instrument(app, user_id=customer)
CATALOG.read(lambda: len(catalog.ITEMS))
instrumentation.health_check(
    "payments", payments.answers, required=False
)  # without it, the shop still sells on account
