"""The log says at the start which settings apply and that a service has no name."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import CollectorRegistry
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

import instrumentation
from instrumentation.settings import settings_source, startup_log
from instrumentation.store import LocalStore
from tests.unit.instrumentation.test_http import METRICS_ALONE, shop

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def unsaid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for said in (startup_log._log_source, startup_log._warn_unnamed, startup_log._log_variables):
        said.cache_clear()
    monkeypatch.chdir(tmp_path)
    for variable in ("SIDELIGHT_CONFIG", "OTEL_SERVICE_NAME"):
        monkeypatch.delenv(variable, raising=False)


def said(caplog: pytest.LogCaptureFixture, **given: Any) -> list[tuple[str, str]]:
    with caplog.at_level(logging.INFO, "instrumentation"):
        for _ in range(2):
            app = instrumentation.instrument(shop(), store=LocalStore(), registry=CollectorRegistry(), **given)
            with TestClient(app):
                pass
    return [(record.levelname, record.getMessage()) for record in caplog.records if record.module == "startup_log"]


def test_nothing_is_logged_before_the_app_is_served(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The service, or the operator of its server, may configure logging until then."""
    (tmp_path / "sidelight.yaml").write_text("logging: {enabled: false}\nhttp: {count_unmatched: false}")
    with caplog.at_level(logging.INFO, "instrumentation"):
        instrumentation.instrument(PlainTextResponse("here"), store=LocalStore(), registry=CollectorRegistry())
    assert caplog.messages == []


def test_the_file_is_named_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "sidelight.yaml").write_text("service: {name: shop}\nlogging: {enabled: false}")
    assert said(caplog) == [("INFO", f"settings: {tmp_path}/sidelight.yaml")]


def test_without_a_file_the_defaults_and_the_missing_name_are_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instrumentation.http, "load_settings", lambda: METRICS_ALONE)
    reason = f"settings: defaults, because {tmp_path}/sidelight.yaml does not exist and SIDELIGHT_CONFIG is not set"
    assert said(caplog) == [
        ("INFO", reason),
        (
            "WARNING",
            (
                "the service has no name and appears as unnamed-service in logs, traces and target_info; "
                "set service.name in sidelight.yaml, or OTEL_SERVICE_NAME"
            ),
        ),
    ]


def test_settings_that_the_caller_passes_are_not_named(caplog: pytest.LogCaptureFixture) -> None:
    assert [level for level, _ in said(caplog, settings=METRICS_ALONE)] == ["WARNING"]


def test_a_file_of_another_name_is_mentioned(tmp_path: Path) -> None:
    (tmp_path / "sidelight.yml").touch()
    assert f"({tmp_path}/sidelight.yml has another name and is not read)" in settings_source()


def test_the_variable_and_the_argument_name_a_file(tmp_path: Path) -> None:
    (tmp_path / "sidelight.yaml").touch()
    assert settings_source(environ={"SIDELIGHT_CONFIG": "/srv/a.yaml"}) == "/srv/a.yaml"
    assert settings_source("b.yaml", environ={"SIDELIGHT_CONFIG": "/srv/a.yaml"}) == f"{tmp_path}/b.yaml"
