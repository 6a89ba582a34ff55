"""A rollout fails no request: the new version serves before the old one stops, and Prometheus drops the old one first."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from sidelight.demo import DemoError
from sidelight.demo.scenario import PHASES, Phase
from sidelight.demo.services import Services, Shop

ROLLOUT = next(phase for phase in PHASES if phase.version)


class Parts:
    """Fakes of all parts, which note what is done to them."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.scraped: dict[str, bool] = {}
        old = self.start("1.0.0")
        self.services = Services(
            shop=old,
            shops=self,  # type: ignore[arg-type]
            files=self,  # type: ignore[arg-type]
            watch=self,  # type: ignore[arg-type]
            load=SimpleNamespace(url=old.url),  # type: ignore[arg-type]
            prometheus=self.process("prometheus"),
            alertmanager=self.process("alertmanager"),
            page=self.process("page"),
            webhook=SimpleNamespace(),  # type: ignore[arg-type]
            spans=SimpleNamespace(),  # type: ignore[arg-type]
        )

    def process(self, name: str) -> Any:
        return SimpleNamespace(url=f"http://{name}", running=True, argv=(name,), tail=lambda: "out of memory")

    def start(self, version: str) -> Shop:
        self.done.append(f"start {version}")
        return Shop(version=version, process=self.process(version), stop=lambda: self.done.append(f"stop {version}"))

    def write_targets(self, instances: list[str]) -> None:
        self.done.append(f"scrape {' '.join(instances)}")

    def scrapes(self, instance: str) -> bool | None:
        return self.scraped.get(instance)


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> Parts:
    parts = Parts()

    def put(url: str, **request: Any) -> httpx.Response:
        parts.done.append(f"put {url} {request['json']}")
        return httpx.Response(200, request=httpx.Request("PUT", url))

    monkeypatch.setattr(httpx, "put", put)
    return parts


def test_a_rollout_takes_one_step_after_the_other(parts: Parts) -> None:
    steps = parts.services.begin(ROLLOUT)
    parts.done.clear()
    assert next(steps) == "Prometheus to scrape version 1.1.0"
    assert parts.done == ["start 1.1.0", "scrape 1.0.0 1.1.0"]
    assert parts.services.load.url == "http://1.0.0"

    parts.done.clear()
    parts.scraped = {"1.0.0": True, "1.1.0": False}
    assert next(steps) == "Prometheus to scrape version 1.1.0"
    parts.scraped = {"1.0.0": True, "1.1.0": True}
    assert next(steps) == "Prometheus to forget version 1.0.0"
    assert parts.done == ["scrape 1.1.0"]
    assert parts.services.load.url == "http://1.1.0"

    parts.done.clear()
    parts.scraped = {"1.1.0": True}
    assert list(steps) == []
    assert parts.done == ["stop 1.0.0", "put http://1.1.0/faults {}"]


def test_an_ordinary_phase_only_changes_the_faults(parts: Parts) -> None:
    parts.done.clear()
    assert list(parts.services.begin(Phase(name="", happens="", error_ratio=0.07, latency_seconds=1.3))) == []
    assert parts.done == ["put http://1.0.0/faults {'error_ratio': 0.07, 'latency_seconds': 1.3}"]


def test_a_shop_that_takes_no_faults_is_named(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(httpx, "put", lambda url, **_: httpx.Response(404, request=httpx.Request("PUT", url)))
    with pytest.raises(DemoError, match="The shop does not accept faults: Client error '404 Not Found'"):
        list(parts.services.begin(PHASES[0]))


@pytest.mark.parametrize(
    ("part", "name"),
    [
        ("shop", "The shop"),
        ("prometheus", "Prometheus"),
        ("alertmanager", "Alertmanager"),
        ("page", "The page of dashboards"),
    ],
)
def test_a_stopped_part_is_named_with_the_end_of_its_log(parts: Parts, part: str, name: str) -> None:
    parts.services.check()
    process: Any = parts.services.shop.process if part == "shop" else getattr(parts.services, part)
    process.running = False
    with pytest.raises(DemoError, match=f"{name} stopped during the demo; the end of its log:\nout of memory"):
        parts.services.check()
