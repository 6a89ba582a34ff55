"""Cases in which older versions of FastAPI and Starlette differ; their names are in docs/reference/behaviours.md too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fastapi import APIRouter, Depends, FastAPI

from tests.unit.instrumentation.test_behaviours import (
    BROKEN,
    Based,
    Case,
    deep,
    fastapi_service,
    here,
    outcome,
    ran,
    within,
)
from tests.unit.instrumentation.test_http import Observed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


def nested() -> FastAPI:
    leaf = APIRouter()
    leaf.add_route("/plain/{name}", here)
    leaf.mount("/m/{m}", deep())
    branch = APIRouter(prefix="/x/{x}")
    branch.include_router(leaf, prefix="/leaf")
    app = FastAPI()
    app.include_router(branch, prefix="/v1")
    return app


def cleaning() -> FastAPI:
    async def closing() -> AsyncIterator[None]:
        yield
        ran("closing")
        raise BROKEN

    app = FastAPI()
    app.add_api_route("/cleanup", lambda: ran("cleanup"), dependencies=[Depends(closing)])
    return app


CASES = {
    # --- Routes -------------------------------------------------------------------------------------------------------
    "a route of Starlette in nested routers": Case(
        "GET /v1/x/1/leaf/plain/2", ("GET", "/v1/x/{x}/leaf/plain/{name}", "200", ""), nested
    ),
    "an app mounted in a nested router": Case(
        "GET /v1/x/1/leaf/m/2/v1/a/b/3/c/4/leaf", ("GET", "/v1/x/{x}/leaf/m/{m}/v1/a/b/{b}/c/{c}/leaf", "200", ""), nested
    ),
    "an app mounted in a nested router that matches nothing": Case("GET /v1/x/1/leaf/m/2/x", ("GET", "", "404", ""), nested),
    # --- Statuses and errors ------------------------------------------------------------------------------------------
    "a dependency that fails after the response": Case("GET /cleanup", ("GET", "/cleanup", "200", ""), cleaning),
    # --- Streams ------------------------------------------------------------------------------------------------------
    "a stream that breaks off within BaseHTTPMiddleware, which ends it as if whole": Case(
        "GET /breaks", ("GET", "/breaks", "200", ""), lambda: within(Based, fastapi_service)
    ),
}  # fmt: skip


# --- Each of them -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_counted_once_as_and_nothing_changes(case: Case) -> None:
    assert case.make
    observed = Observed(case.make())
    assert outcome(case, observed.app) == outcome(case, case.make())
    assert observed.counted() == {case.counted: 1}
