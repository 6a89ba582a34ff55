"""Which objects `instrument()` takes for ASGI or WSGI apps, and the messages for those that it refuses."""

from __future__ import annotations

from functools import partial, wraps
from typing import TYPE_CHECKING, Any
from unittest.mock import MagicMock

import pytest
from fastapi import APIRouter, FastAPI
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Router

from instrumentation.errors import InstrumentationError
from instrumentation.http.interfaces import interface_of

if TYPE_CHECKING:
    from collections.abc import Callable


async def asgi(scope: Any, receive: Any, send: Any) -> None: ...


async def asgi_of_other_names(a: Any, b: Any, c: Any) -> None: ...


async def asgi_of_any_arguments(*args: Any) -> None: ...


def asgi_that_returns_a_coroutine(scope: Any, receive: Any, send: Any) -> Any: ...


def wsgi(environ: Any, start_response: Any) -> Any: ...


def wsgi_of_shorter_names(env: Any, sr: Any) -> Any: ...


def wsgi_with_an_option(environ: Any, start_response: Any, option: Any = None) -> Any: ...


def create_app() -> FastAPI: ...


async def create_app_of(name: str = "shop") -> FastAPI: ...


def asgi_2(scope: Any) -> Any: ...


class AppOfAiohttp:
    def __call__(self) -> AppOfAiohttp: ...


async def view(request: Any) -> Any: ...


def any_arguments(*args: Any, **kwargs: Any) -> Any: ...


def two_arguments(event: Any, context: Any) -> Any: ...


def required_option(environ: Any, start_response: Any, *, option: Any) -> Any: ...


def decorated(function: Any) -> Any:
    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return call


class Asgi:
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...

    def method(self, environ: Any, start_response: Any) -> Any: ...


class Wsgi:
    def __call__(self, environ: Any, start_response: Any) -> Any: ...


class Endpoint(HTTPEndpoint): ...


@pytest.mark.parametrize(
    "app",
    [
        FastAPI(), Starlette(), Router(), CORSMiddleware(asgi), asgi, asgi_of_other_names, asgi_of_any_arguments,
        asgi_that_returns_a_coroutine, Asgi(), Asgi().__call__, partial(asgi), decorated(asgi), Endpoint,
    ],
)  # fmt: skip
def test_an_app_of_asgi(app: Any) -> None:
    assert interface_of(app) == "asgi"


@pytest.mark.parametrize(
    "app", [wsgi, wsgi_of_shorter_names, wsgi_with_an_option, Wsgi(), Asgi().method, partial(wsgi), decorated(wsgi)]
)
def test_an_app_of_wsgi(app: Any) -> None:
    assert interface_of(app) == "wsgi"


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (None, "None; give the ASGI or WSGI app, such as FastAPI(), Flask(__name__) or get_asgi_application()."),
        ("shop:app", "'shop:app'; give the ASGI or WSGI app, such as "),
        (object(), "an object of object; give the ASGI or WSGI app, such as "),
        (FastAPI, "the class FastAPI; give an instance of it."),
        (APIRouter(), "an APIRouter; give the app that includes it, "),
        (create_app, "the function create_app(); give the app that it returns."),
        (create_app_of, "the function create_app_of(name='shop'); give the app that it returns."),
        (
            AppOfAiohttp(),
            "AppOfAiohttp(); an ASGI app takes (scope, receive, send), a WSGI app (environ, start_response).",
        ),
        (asgi_2, "asgi_2(scope); an ASGI app takes (scope, receive, send), a WSGI app "),
        (view, "view(request); an ASGI app takes "),
        (required_option, "required_option(environ, start_response, *, option); an ASGI app takes "),
    ],
)
def test_what_is_no_app_is_refused(given: Any, sentence: str) -> None:
    with pytest.raises(InstrumentationError) as caught:
        interface_of(given)
    assert caught.value.code == "app_invalid"
    assert caught.value.message.startswith(f"instrument() got {sentence}")


@pytest.mark.parametrize("given", [any_arguments, two_arguments, MagicMock(), int.__add__])
def test_if_the_interface_is_ambiguous_the_caller_must_name_it(given: Callable[..., Any]) -> None:
    with pytest.raises(InstrumentationError) as caught:
        interface_of(given)
    assert caught.value.code == "interface_unclear"
    assert caught.value.message.endswith('is an ASGI or a WSGI app; pass interface="asgi" or interface="wsgi".')
    assert (interface_of(given, "asgi"), interface_of(given, "wsgi")) == ("asgi", "wsgi")


def test_the_callers_choice_takes_precedence_except_for_objects_that_cannot_be_called() -> None:
    assert interface_of(APIRouter(), "asgi") == "asgi"
    with pytest.raises(InstrumentationError, match="got the class FastAPI"):
        interface_of(FastAPI, "asgi")


def test_an_interface_that_nobody_knows_is_refused() -> None:
    with pytest.raises(InstrumentationError) as caught:
        interface_of(asgi, "rsgi")
    assert caught.value.message == 'instrument(): interface: got \'rsgi\'; give "asgi" or "wsgi".'
