"""Histories in a real Prometheus: promtool evaluates the generated rules over them."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import httpx
import yaml

from alerts import groups
from sidelight.toolchain import processes, run_command, tool
from tests.support.errors import MeasurementError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from instrumentation.settings import Settings

Rule = dict[str, str]
_SECONDS = 600.0


class Prometheus:
    """A Prometheus that reads stored histories.

    Args:
        folder: The folder of its data.
        version: ``prometheus`` or ``prometheus-oldest``.
    """

    def __init__(self, folder: Path, version: str = "prometheus") -> None:
        self._folder = folder
        self._binary = tool(version)
        self._promtool = tool(version.replace("prometheus", "promtool"))
        (folder / "prometheus.yml").write_text("{}\n")

    def take(self, lines: Iterable[str], *families: str) -> None:
        """Store a history of OpenMetrics lines."""
        file = self._folder / "history.om"
        with file.open("w") as stream:
            stream.writelines(f"# TYPE {family} gauge\n" for family in families)
            stream.writelines(lines)
            stream.write("# EOF\n")
        self._tsdb("openmetrics", "--max-block-duration=24h", file, self._folder / "data")
        file.unlink()

    def record(self, rules: Sequence[Rule], interval: int, start: int, end: int) -> None:
        """Store the results of recording rules; each rule reads only what was stored before."""
        group = {"name": "recorded", "interval": f"{interval}s", "rules": list(rules)}
        file = self._folder / "rules.yml"
        file.write_text(yaml.safe_dump({"groups": [group]}))
        with self.running() as client:
            times = f"--url={client.base_url}", f"--start={start}", f"--end={end}"
            self._tsdb("rules", *times, f"--output-dir={self._folder / 'data'}", file)

    @contextmanager
    def running(self) -> Iterator[httpx.Client]:
        """Run Prometheus and yield an HTTP client for it."""
        flags = ("--storage.tsdb.retention.time=100y",)
        with (
            processes.prometheus(
                self._folder / "prometheus.yml", self._folder / "data", binary=self._binary, flags=flags
            ) as process,
            httpx.Client(base_url=process.url, timeout=_SECONDS, trust_env=False) as client,
        ):
            yield client

    def _tsdb(self, kind: str, *arguments: object) -> None:
        command = [str(part) for part in (self._promtool, "tsdb", "create-blocks-from", kind, *arguments)]
        done = run_command(command, timeout=_SECONDS, cwd=None, environ=os.environ)
        if done.status:
            raise MeasurementError(f"promtool {kind}: {done.output.strip()}", code="history_refused")


def answer(client: httpx.Client, expression: str, at: int) -> dict[str, float]:
    """The value for each job at a time."""
    found: Any = client.get("/api/v1/query", params={"query": expression, "time": at}).raise_for_status().json()
    return {series["metric"].get("job", ""): float(series["value"][1]) for series in found["data"]["result"]}


def rules_of(settings: Settings, group: str) -> list[Rule]:
    """The rules of a group, such as ``users``, as ``sidelight build`` writes them."""
    (found,) = (each.document() for each in groups(settings) if each.name == f"sidelight.{group}")
    return cast("list[Rule]", found["rules"])


def layers(rules: Sequence[Rule]) -> Iterator[list[Rule]]:
    """Recording rules in layers: the rules of a layer read only results of the layers before it."""
    left = list(rules)
    while left:
        names = {rule["record"] for rule in left}
        layer = [rule for rule in left if names.isdisjoint(re.findall(r"[\w:]+", rule["expr"]))]
        yield layer
        left = [rule for rule in left if rule not in layer]


class Cost(NamedTuple):
    """The cost of an evaluation, as reported by Prometheus.

    Attributes:
        seconds: Its duration.
        samples: The number of samples it read.
    """

    seconds: float
    samples: int


def cost_of(client: httpx.Client, expression: str, at: int) -> Cost:
    """The cost of one evaluation of an expression."""
    parameters: dict[str, str | int] = {"query": expression, "time": at, "stats": "all"}
    found: Any = client.get("/api/v1/query", params=parameters).raise_for_status().json()
    stats = found["data"]["stats"]
    return Cost(float(stats["timings"]["evalTotalTime"]), int(stats["samples"]["totalQueryableSamples"]))
