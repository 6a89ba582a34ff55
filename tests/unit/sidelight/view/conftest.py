"""A stand-in for Prometheus that records its requests, and the page's server in front of it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import httpx
import pytest

from instrumentation.settings import Settings
from sidelight.view.access import Rules
from sidelight.view.boards import Boards
from sidelight.view.prometheus import Prometheus, source
from sidelight.view.server import app

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

SERIES = {"metric": {"job": "shop"}}
ANSWERS: Mapping[str, Any] = {
    "query": {"resultType": "vector", "result": [{**SERIES, "value": [1000, "1"]}]},
    "query_range": {"resultType": "matrix", "result": [{**SERIES, "values": [[1000, "1"]]}]},
    "label/job/values": ["shop", "search"],
    "label/instance/values": ["10.0.0.1:8000"],
    "rules": {"groups": []},
}


@dataclass
class StandIn:
    """Answers like Prometheus' API, or as a test wants."""

    answers: dict[str, Any] = field(default_factory=lambda: dict(ANSWERS))
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    answer: Callable[[httpx.Request], httpx.Response] | None = None
    headers: list[httpx.Headers] = field(default_factory=list)

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.partition("/api/v1/")[2]
        self.asked.append((path, dict(parse_qsl(request.url.query.decode()))))
        self.headers.append(request.headers)
        if self.answer:
            return self.answer(request)
        return httpx.Response(200, json={"status": "success", "data": self.answers.get(path, [])})

    @property
    def queries(self) -> list[str]:
        return [parameters["query"] for path, parameters in self.asked if path.startswith("query")]


@pytest.fixture
def prometheus() -> StandIn:
    return StandIn()


@pytest.fixture
def boards() -> Boards:
    return Boards(Settings())


@dataclass
class Page:
    boards: Boards
    prometheus: StandIn

    @asynccontextmanager
    async def client(self, rules: Rules | None = None) -> AsyncIterator[httpx.AsyncClient]:
        where = source("http://prometheus.example:9090/path")
        behind = Prometheus(where, httpx.MockTransport(self.prometheus))
        served = app(self.boards, behind, rules or Rules(), lambda _: None)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(served), base_url="http://localhost:9797") as client:
            yield client
        await behind.close()


@pytest.fixture
def page(boards: Boards, prometheus: StandIn) -> Page:
    return Page(boards, prometheus)
