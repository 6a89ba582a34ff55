"""Dashboards generated from several settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dashboards import DASHBOARDS
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
def built(settings: Settings) -> dict[str, dict[str, Any]]:
    """Every dashboard."""
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
