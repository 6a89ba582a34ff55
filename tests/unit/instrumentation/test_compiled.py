"""The compiled request path is used if it is installed and compatible, and any server accepts the resulting app."""

from __future__ import annotations

import asyncio
import importlib.abc
import importlib.machinery
import logging
import sys
import tomllib
from inspect import iscoroutinefunction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import _sidelight_speedups
import pytest
from fastapi import FastAPI
from hypercorn.utils import is_asgi
from prometheus_client import CollectorRegistry
from uvicorn import Config

import instrumentation
from instrumentation import speedups
from instrumentation.http import middleware
from instrumentation.http.compiled import fastest
from instrumentation.settings import parse_settings
from instrumentation.store import LocalStore
from tests.unit.instrumentation.test_http import METRICS_ALONE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import ModuleType

    from instrumentation.settings import Settings

ROOT = Path(__file__).parents[3]
NAME = "_sidelight_speedups"


@pytest.fixture(autouse=True)
def chosen_anew() -> Iterator[None]:
    speedups.module.cache_clear()
    yield
    speedups.module.cache_clear()


def chosen(caplog: pytest.LogCaptureFixture) -> tuple[Any, list[str]]:
    with caplog.at_level(logging.INFO, logger="instrumentation"):
        found = {fastest() for _ in range(2)}
    return found.pop(), [record.getMessage() for record in caplog.records]


def test_it_is_used_if_it_is_installed(caplog: pytest.LogCaptureFixture) -> None:
    assert chosen(caplog) == (_sidelight_speedups.measuring, [])


def test_if_it_is_not_installed_python_is_used_without_a_log_line(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, NAME, None)
    assert chosen(caplog) == (middleware.measuring, [])


def test_another_revision_is_not_used_and_logged_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_sidelight_speedups, "REVISION", 7)
    found, (said,) = chosen(caplog)
    assert found is middleware.measuring
    assert said == (
        "sidelight-speedups has revision 7, but 5 is needed; requests are counted without it. "
        "Reinstall sidelight[speedups]."
    )


def test_one_that_cannot_be_loaded_is_not_used_and_logged_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(importlib.abc.MetaPathFinder, importlib.abc.Loader):
        def find_spec(
            self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
        ) -> importlib.machinery.ModuleSpec | None:
            del path, target
            return importlib.machinery.ModuleSpec(name, self) if name == NAME else None

        def exec_module(self, module: ModuleType) -> None:
            raise ImportError(f"undefined symbol in {module.__name__}")

    monkeypatch.delitem(sys.modules, NAME)
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    found, (said,) = chosen(caplog)
    assert found is middleware.measuring
    assert said.startswith("sidelight-speedups cannot be loaded (undefined symbol in _sidelight_speedups); ")


def test_both_name_the_same_revision_and_so_do_the_versions() -> None:
    project = tomllib.loads((ROOT / "speedups" / "pyproject.toml").read_text())["project"]
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert _sidelight_speedups.REVISION == speedups.REVISION
    assert project["version"].partition(".")[0] == str(speedups.REVISION)
    assert extras["speedups"] == [f"{project['name']}>={speedups.REVISION},<{speedups.REVISION + 1}"]


def observed(app: Any, settings: Settings | None = None) -> Any:
    return instrumentation.instrument(
        app, settings=settings or METRICS_ALONE, store=LocalStore(), registry=CollectorRegistry()
    )


def stack(settings: Settings | None = None) -> Any:
    """What stands outermost in a service."""
    app = observed(FastAPI(), settings)
    app.middleware_stack = app.build_middleware_stack()
    return app.middleware_stack


def test_a_service_is_measured_by_the_compiled_layer() -> None:
    assert type(stack()).__name__ == "Measured"
    assert callable(stack().app)


def test_with_exemplars_python_is_used() -> None:
    assert iscoroutinefunction(stack(parse_settings({"metrics": {"exemplars": True}})))


async def bare(scope: Any, receive: Any, send: Any) -> None:
    del scope, receive
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def test_servers_take_a_bare_app_for_one_of_asgi_3() -> None:
    app = observed(bare)
    assert type(app.app) is type(bare)
    assert iscoroutinefunction(app.__call__)
    assert is_asgi(app)
    config = Config(app, log_config=None)
    config.load()
    assert config.loaded_app is not None
    assert type(config.loaded_app).__name__ == "ProxyHeadersMiddleware"


def test_a_bare_app_answers() -> None:
    sent = []

    async def send(message: Any) -> None:
        sent.append(message["type"])

    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    asyncio.run(observed(bare)(scope, None, send))
    assert sent == ["http.response.start", "http.response.body"]


def test_it_has_no_other_objects_to_make() -> None:
    running = stack()({}, None, None)
    running.close()
    for kind in (type(stack()), type(running)):
        with pytest.raises(TypeError, match="cannot create"):
            kind()


def test_a_wrong_argument_is_refused_as_python_refuses_it() -> None:
    for measuring in (_sidelight_speedups.measuring, middleware.measuring):
        with pytest.raises(TypeError, match="missing 5 required keyword-only arguments"):
            measuring(bare)  # type: ignore[call-arg]
        with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"):
            measuring(bare, colour="blue")  # type: ignore[call-arg]
