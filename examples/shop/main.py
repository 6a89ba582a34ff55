"""The service: its routes, and the two lines that make it observed."""

import os

from fastapi import FastAPI

import instrumentation

from . import catalog, checkout, faults, search

app = FastAPI(title="Shop")
app.include_router(catalog.router, prefix="/catalog")
app.include_router(search.router)
app.include_router(checkout.router)


@app.get("/health")
async def health() -> dict[str, str]:
    """Tell that the service runs."""
    return {"status": "ok"}


if os.environ.get("SHOP_FAULTS") == "1":
    faults.install(app)

instrumentation.instrument(app)
