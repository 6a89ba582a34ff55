"""Validation errors of FastAPI and pydantic are logged without values, as text and as data."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError, ResponseValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field, ValidationError

from tests.unit.instrumentation.test_http import Observed

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.instrumentation.logs.conftest import Log

shop = logging.getLogger("shop")


class Login(BaseModel):
    user: str = Field(max_length=3)
    password: str = Field(min_length=12)
    answers: list[int]


SENT = {"user": "hunter2", "password": "hunter2", "answers": ["hunter2", {"pin": "hunter2"}, "'hunter2'"]}
WAYS: dict[str, Callable[[Any], None]] = {
    "str": lambda error: shop.error("refused: %s", error),
    "repr": lambda error: shop.error("refused: %r", error),
    "f-string": lambda error: shop.error(f"refused: {error.errors()}"),
    "argument": lambda error: shop.error("refused: %s", error.errors()),
    "arguments": lambda error: shop.error("%d faults: %s", len(error.errors()), error.errors()[0]),
    "exception": lambda error: shop.error("refused", exc_info=error),
    "message": shop.error,
    "tuple": lambda error: shop.error(f"{error.args} {(error, error.errors())}"),
}


def service(way: str) -> FastAPI:
    app = FastAPI()

    @app.exception_handler(RequestValidationError)
    @app.exception_handler(ResponseValidationError)
    async def refused(request: Request, error: Any) -> JSONResponse:
        del request
        WAYS[way](error)
        return JSONResponse({}, 422)

    @app.post("/login")
    async def login(body: Login) -> None:
        raise AssertionError(body)

    @app.get("/out", response_model=list[Login])
    async def out() -> list[Any]:
        return [SENT]

    return app


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("path", [("POST", "/login"), ("GET", "/out")])
def test_a_request_or_an_answer_that_does_not_fit_leaves_no_value(path: tuple[str, str], way: str, log: Log) -> None:
    Observed(service(way), store=log.store).call(path, json=SENT)
    (said,) = [line for line in log.lines if line["logger"] == "shop"]
    assert "hunter2" not in log.text
    if way != "repr":  # an answer's is empty
        assert "***" in str(said)
        assert "string_too_" in str(said)


@pytest.mark.parametrize("way", [*WAYS, "json"])
def test_pydantic_without_fastapi_leaves_no_value(way: str, log: Log) -> None:
    with pytest.raises(ValidationError) as raised:
        Login.model_validate(SENT)
    if way == "json":
        shop.error(raised.value.json())
        shop.error("refused: %s", raised.value.json(indent=2))
    else:
        WAYS[way](raised.value)
    assert "string_too_" in log.text
    assert "hunter2" not in log.text


def test_fields_with_ordinary_names_stay(log: Log) -> None:
    with pytest.raises(ValidationError) as raised:
        Login.model_validate({**SENT, "user": "joe from Köln"})
    shop.error("refused", extra={"faults": raised.value.errors(include_url=False, include_context=False)})
    inputs = {fault["loc"][0]: fault["input"] for fault in log.last["faults"]}
    assert (inputs["user"], inputs["password"]) == ("joe from Köln", "***")
