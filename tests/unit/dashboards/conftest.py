"""Dashboards of several settings, planned panels included."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from dashboards import DASHBOARDS
from instrumentation import catalog
from instrumentation.settings import Settings, parse_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Walk = Callable[[Any], Iterator[tuple[str, Any]]]

VARIANTS = {
    "defaults": {},
    "namespaces": {"alerting": {"group_by": ["job", "namespace"]}},
    "overrides": {
        "thresholds": {
            "overrides": [
                {"match": {"job": "search"}, "latency_p95_seconds": {"critical": 2.5}},
                {"match": {"job": 'say "hi"'}, "error_ratio": {"warning": 0.02}},
            ]
        }
    },
    "budgets": {
        "thresholds": {
            "overrides": [
                {"match": {"job": "search"}, "daily_usd": 3.0, "cpu_used_ratio": {"warning": 0.7}},
                {"match": {"queue": "emails"}, "queue_depth": {"warning": 7}},
                {"match": {"path": "/static"}, "disk_used_ratio": {"warning": 0.83}},
            ]
        },
        "budget": {"daily_usd": 7.0},
    },
}


@pytest.fixture(params=VARIANTS)
def settings(request: pytest.FixtureRequest) -> Settings:
    return parse_settings(VARIANTS[request.param])


@pytest.fixture
def every_row_emitted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "METRICS", tuple(replace(metric, emitted=True) for metric in catalog.METRICS))


@pytest.fixture
def built(settings: Settings, request: pytest.FixtureRequest) -> dict[str, dict[str, Any]]:
    """Every dashboard with every panel, those of planned rows too."""
    request.getfixturevalue("every_row_emitted")
    return {name: build(settings) for name, build in DASHBOARDS.items()}


def _walk(data: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    yield path, data
    if isinstance(data, dict):
        for key, value in data.items():
            yield from _walk(value, f"{path}.{key}")
    elif isinstance(data, list):
        for item in data:
            yield from _walk(item, f"{path}[]")


@pytest.fixture
def walk() -> Walk:
    """Path and value of everything inside a dashboard."""
    return _walk


@pytest.fixture
def queue_depth_planned(monkeypatch: pytest.MonkeyPatch) -> None:
    """The code that records queue_depth is still to come."""
    rows = (replace(row, emitted=row.name != "queue_depth") for row in catalog.METRICS)
    monkeypatch.setattr(catalog, "METRICS", tuple(rows))
