"""Requests excluded by a setting; docs/reference/behaviours.md is made from these names."""

from __future__ import annotations

import logging
from typing import Any, get_args

import pytest
from fastapi import FastAPI
from fastapi.responses import PlainTextResponse

from instrumentation.catalog import HTTP_SERVER_REQUEST_DURATION
from instrumentation.errors import SettingsError
from instrumentation.http.recorder import METHODS, OTHER_METHOD
from instrumentation.settings import Settings, parse_settings
from instrumentation.settings.http import Method
from tests.unit.instrumentation.test_http import Observed, shop


def settings(**http: Any) -> Settings:
    return parse_settings({"http": http, "logging": {"enabled": False}})


# --- Requests that are not counted ------------------------------------------------------------------------------------


def test_a_method_of_excluded_methods() -> None:
    """nothing: no count, no active request, no series at 0; it has its correlation id"""
    during = []
    app = shop()

    @app.middleware("http")
    async def look(request: Any, call_next: Any) -> Any:
        during.append((request.method, observed.active()))
        return await call_next(request)

    observed = Observed(app, settings(excluded_methods=["POST", "OPTIONS", "GET"]))
    responses = observed.call(("GET", "/items/1"), ("OPTIONS", "/items/1"), ("POST", "/broken"))
    assert observed.counted() == {}
    assert [active for _, active in during] == [{}, {}, {}]
    assert all("x-correlation-id" in response.headers for response in responses)
    observed.call(("PUT", "/items/1"))
    assert observed.counted() == {("PUT", "/items/{item}", "405", ""): 1}
    assert {row.labels[0] for row in observed.store.series() if row.metric is HTTP_SERVER_REQUEST_DURATION} == {"PUT"}


def test_unknown_methods_if_other_is_one_of_excluded_methods() -> None:
    """nothing"""
    observed = Observed(shop(), settings(excluded_methods=["_OTHER"]))
    observed.call(("BREW", "/items/1"), ("BREW", "/none"), ("GET", "/none"))
    assert observed.counted() == {("GET", "", "404", ""): 1}


def test_a_method_of_excluded_methods_and_an_instrumented_app_that_is_mounted() -> None:
    """nothing: the inner app does not count it either"""
    outer = FastAPI()
    observed = Observed(outer, settings(excluded_methods=["GET"]))
    outer.mount("/tenants/{tenant}", observed.again(shop()).app)
    observed.call(("GET", "/tenants/acme/items/7"))
    assert observed.counted() == {}


def test_what_no_route_matches_if_count_unmatched_is_false() -> None:
    """nothing; a 404 of a route counts"""
    app = shop()
    app.add_api_route("/old/{x}", lambda: PlainTextResponse("gone", 404))
    observed = Observed(app, settings(count_unmatched=False))
    observed.call(("GET", "/wp-login.php"), ("GET", "/old/7"), ("GET", "/items/1"))
    assert observed.counted() == {("GET", "/old/{x}", "404", ""): 1, ("GET", "/items/{item}", "200", ""): 1}
    assert observed.active() == {"GET": 0.0}


def test_a_bare_app_if_count_unmatched_is_false(caplog: pytest.LogCaptureFixture) -> None:
    """counted: no route matches any of its requests, which is logged once"""
    with caplog.at_level(logging.WARNING, logger="instrumentation"):
        observed = Observed(PlainTextResponse("here"), settings(count_unmatched=False))
    observed.call(("GET", "/any"))
    assert observed.counted() == {("GET", "", "200", ""): 1}
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith("http.count_unmatched: false has no effect on an app of no known framework")


# --- Settings ---------------------------------------------------------------------------------------------------------


def test_every_method_that_is_counted_can_be_excluded() -> None:
    assert set(get_args(Method)) == {*METHODS, OTHER_METHOD}


@pytest.mark.parametrize("wrong", ["get", "BREW", ""])
def test_a_method_that_is_never_counted_is_refused(wrong: str) -> None:
    with pytest.raises(SettingsError) as error:
        parse_settings({"http": {"excluded_methods": ["HEAD", wrong]}})
    assert error.value.message.endswith(
        f'http.excluded_methods.1: got "{wrong}"; give a list of methods in capitals, such as [OPTIONS]; _OTHER stands for '
        "all unknown methods."
    )
