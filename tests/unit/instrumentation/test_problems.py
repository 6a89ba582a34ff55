"""An error becomes a problem document that helps the caller and shows no internals."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from fastapi import FastAPI, HTTPException
from fastapi.responses import PlainTextResponse
from prometheus_client import CollectorRegistry
from pydantic import BaseModel
from starlette.applications import Starlette

from instrumentation import errors, instrument
from instrumentation.errors import (
    AppError,
    ExternalServiceError,
    InstrumentationError,
    NotFoundError,
    RateLimitedError,
)
from instrumentation.http.problems import problem_documents
from instrumentation.settings import Settings
from instrumentation.store import LocalStore
from tests.unit.instrumentation.test_http import METRICS_ALONE

if TYPE_CHECKING:
    from starlette.requests import Request


class Order(BaseModel):
    sku: str
    card: int


class Client:
    """Asks an app in this process."""

    def __init__(self, app: Any, *, raises: bool = False) -> None:
        self._transport = httpx.ASGITransport(app, raise_app_exceptions=raises)

    def get(self, path: str) -> httpx.Response:
        return self.ask("GET", path)

    def post(self, path: str, json: object) -> httpx.Response:
        return self.ask("POST", path, json=json)

    def ask(self, method: str, path: str, **content: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            async with httpx.AsyncClient(transport=self._transport, base_url="http://shop") as client:
                return await client.request(method, path, **content)

        return asyncio.run(ask())


class Service:
    """A service that raises given exceptions."""

    def __init__(self, *, all_documents: bool = True) -> None:
        self.store = LocalStore()
        self.app = FastAPI()
        self.raises: Exception = Exception()
        if all_documents:
            problem_documents(self.app, store=self.store)

        @self.app.get("/")
        async def raise_it() -> None:
            raise self.raises

        @self.app.post("/orders")
        async def order(order: Order) -> None: ...

        instrument(self.app, settings=METRICS_ALONE, store=self.store, registry=CollectorRegistry())
        self.client = Client(self.app)

    def get(self, error: Exception) -> httpx.Response:
        self.raises = error
        return self.client.get("/")

    @property
    def counted(self) -> dict[str, float]:
        return {row.labels[0]: row.slots[0] for row in self.store.series() if row.metric.name == "app_errors_total"}


FAMILY = {
    "ValidationError": (400, "Bad Request", "validation_failed"),
    "AuthenticationError": (401, "Unauthorized", "authentication_failed"),
    "PermissionDeniedError": (403, "Forbidden", "permission_denied"),
    "NotFoundError": (404, "Not Found", "not_found"),
    "ConflictError": (409, "Conflict", "conflict"),
    "RateLimitedError": (429, "Too Many Requests", "rate_limited"),
    "ExternalServiceError": (503, "Service Unavailable", "external_service_failed"),
    "ExternalTimeoutError": (504, "Gateway Timeout", "external_service_timeout"),
}


@pytest.mark.parametrize("name", FAMILY)
def test_each_error_of_the_family_has_its_document(name: str) -> None:
    status, title, code = FAMILY[name]
    service = Service(all_documents=False)
    response = service.get(getattr(errors, name)("It is so."))
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json() == {
        "type": "about:blank", "title": title, "status": status, "detail": "It is so.", "code": code,
    }  # fmt: skip
    assert service.counted == {code: 1.0}


def test_the_family_is_whole() -> None:
    found = {kind.__name__ for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, AppError)}
    assert found == {"AppError", *FAMILY}


def test_the_code_and_details_of_a_client_error_are_shown() -> None:
    service = Service()
    document = service.get(NotFoundError("There is no order 7.", "no_order", {"order": 7, "inner": object()})).json()
    assert (document["code"], document["details"]) == ("no_order", {"order": 7, "inner": "<object>"})


@pytest.mark.parametrize("details", [{"x": float("nan")}, {"x": {(1, 2): 3}}])
def test_details_that_json_cannot_say_are_left_out(details: dict[str, Any]) -> None:
    response = Service().get(NotFoundError("No.", details=details))
    assert (response.status_code, response.json()["detail"]) == (404, "No.")
    assert "details" not in response.json()


def test_details_of_a_server_error_are_not_shown_and_logged_with_their_cause(caplog: pytest.LogCaptureFixture) -> None:
    error = ExternalServiceError("The payment provider is down.", "provider_down", {"host": "10.0.0.7"})
    error.__cause__ = OSError("inner cause")
    with caplog.at_level(logging.ERROR, "instrumentation"):
        document = Service().get(error).json()
    assert document["detail"] == "The payment provider is down."
    assert "10.0.0.7" not in str(document)
    assert "inner cause" in caplog.text
    assert "provider_down" in caplog.text


def test_a_rate_limited_client_gets_the_time_to_retry() -> None:
    assert Service().get(RateLimitedError("Slow down.", retry_after=1.2)).headers["retry-after"] == "2"


def test_an_unhandled_exception_shows_nothing_and_is_raised() -> None:
    service = Service()
    response = service.get(KeyError("password=hunter2"))
    assert response.status_code == 500
    assert response.json() == {
        "type": "about:blank", "title": "Internal Server Error", "status": 500, "code": "internal_error",
    }  # fmt: skip
    assert service.counted == {"internal_error": 1.0}
    with pytest.raises(KeyError):
        Client(service.app, raises=True).get("/")


def test_validation_names_the_place_and_the_rule_never_the_value() -> None:
    service = Service()
    response = service.client.post("/orders", json={"sku": 7, "card": "4111111111111111x"})
    assert response.status_code == 422
    assert "4111111111111111x" not in response.text
    assert response.json()["errors"] == [
        {"path": "body.sku", "problem": "Input should be a valid string", "rule": "string_type"},
        {
            "path": "body.card",
            "problem": "Input should be a valid integer, unable to parse string as an integer",
            "rule": "int_parsing",
        },
    ]
    assert service.counted == {"validation_failed": 1.0}


def test_an_http_exception_keeps_its_status_text_and_headers() -> None:
    service = Service()
    response = service.get(HTTPException(401, "Who are you?", {"www-authenticate": "Basic"}))
    assert response.headers["www-authenticate"] == "Basic"
    assert response.json() == {
        "type": "about:blank", "title": "Unauthorized", "status": 401, "detail": "Who are you?", "code": "http_401",
    }  # fmt: skip
    assert service.client.get("/none").json()["title"] == "Not Found"
    assert service.get(HTTPException(304)).content == b""
    assert service.get(HTTPException(418, {"cups": 3})).json()["details"] == {"cups": 3}
    assert service.get(HTTPException(599)).json()["title"] == "Error"


def test_instrument_changes_only_the_responses_of_its_own_errors() -> None:
    service = Service(all_documents=False)
    assert service.get(HTTPException(404, "no")).json() == {"detail": "no"}
    assert service.get(KeyError()).text == "Internal Server Error"
    assert "input" in service.client.post("/orders", json={"sku": 7}).json()["detail"][0]


def test_a_handler_of_the_users_own_stays() -> None:
    app = FastAPI()

    @app.exception_handler(HTTPException)
    @app.exception_handler(AppError)
    async def own(_request: Request, _error: Exception) -> PlainTextResponse:
        return PlainTextResponse("own", 418)

    @app.get("/{kind}")
    async def raise_it(kind: str) -> None:
        raise NotFoundError("no") if kind == "ours" else HTTPException(404)

    problem_documents(app, store=LocalStore())
    instrument(app, settings=Settings(), store=LocalStore(), registry=CollectorRegistry())
    client = Client(app)
    assert [client.get(path).text for path in ("/ours", "/theirs")] == ["own", "own"]


def test_starlette_has_the_documents_too() -> None:
    app = Starlette()
    problem_documents(app, store=LocalStore())
    assert Client(app).get("/none").headers["content-type"] == "application/problem+json"


def test_what_is_no_app_is_refused() -> None:
    with pytest.raises(InstrumentationError, match=r"problem_documents\(\) got int; give a Starlette or FastAPI app"):
        problem_documents(7)
