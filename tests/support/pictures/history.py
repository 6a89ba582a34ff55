"""A day of a shop as a stored history, for dashboards whose steps are hours: the demo takes only minutes."""

from __future__ import annotations

import math
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from alerts.recording.services import recorded
from alerts.recording.users import daily_active_users
from instrumentation import catalog
from sidelight.toolchain import processes, run_command, tool
from tests.support.errors import MeasurementError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from instrumentation.settings import Settings

HOURS = 25  # a day, and one hour for the first rates
_STEP = 60  # seconds
_SECONDS = 300.0
DAY = 86_400
_INSTANCES = ("10.0.0.7:8000", "10.0.0.8:8000")
_ROUTES = {"/catalog/items/{sku}": 3.0, "/search": 2.0, "/checkout": 1.0}  # requests per second at noon
_WORKFLOWS = {"checkout": (1.0, 0.02), "receipt_mail": (0.9, 0.005)}  # executions per second at noon, failed share
_USD = 0.002  # of an execution of the first workflow
_EDGES = (0.05, 0.1, 0.25, 0.5)


@contextmanager
def day(folder: Path, settings: Settings, end: float) -> Iterator[str]:
    """The address of a Prometheus with a day that ends now.

    Args:
        folder: An empty folder.
        settings: The settings of the dashboards, with a budget.
        end: The end of the day, in Unix seconds.

    Raises:
        MeasurementError: promtool does not accept the history.
    """
    file, data = folder / "history.om", folder / "data"
    with file.open("w") as stream:
        stream.writelines(_lines(settings, int(end)))
    argv = [str(tool("promtool")), "tsdb", "create-blocks-from", "openmetrics", str(file), str(data)]
    made = run_command(argv, timeout=_SECONDS, cwd=folder, environ=os.environ)
    if made.status:
        raise MeasurementError(f"promtool: {made.output.strip()}", code="history_failed")
    (folder / "prometheus.yml").write_text("{}\n")
    with processes.prometheus(folder / "prometheus.yml", data) as process:
        yield process.url


def _lines(settings: Settings, end: int) -> Iterator[str]:
    start = (end - HOURS * 3600) // _STEP * _STEP
    times = range(start, end + 1, _STEP)
    for name, series in _families(settings, times).items():
        yield f"# TYPE {name} gauge\n"
        for labels, values in series.items():
            yield from (f"{name}{{{labels}}} {value:g} {at}\n" for at, value in zip(times, values, strict=True))
    yield "# EOF\n"


def _load(at: float) -> float:
    """The share of the load at noon: little at night."""
    return 0.55 - 0.45 * math.cos(2 * math.pi * (at % DAY) / DAY)


def _families(settings: Settings, times: range) -> dict[str, dict[str, list[float]]]:
    of = recorded(settings)
    load = _added([_load(at) * _STEP for at in times])
    made: dict[str, dict[str, list[float]]] = {}

    def put(name: str, labels: str, values: list[float]) -> None:
        made.setdefault(name, {})[f'job="shop"{labels}'] = values

    def counted(name: str, labels: str, factor: float) -> None:
        for instance in _INSTANCES:
            put(name, f',instance="{instance}"{labels}', [factor * value / len(_INSTANCES) for value in load])

    for instance in _INSTANCES:
        put(catalog.TARGET_INFO.name, f',instance="{instance}",service_version="1.7.3"', [1.0] * len(times))
    for route, rate in _ROUTES.items():
        counted(f"{catalog.HTTP_SERVER_REQUEST_DURATION.name}_count", f',http_route="{route}"', rate)
    counted(of.request_totals, "", sum(_ROUTES.values()))
    counted(of.execution_totals, "", sum(rate for rate, _ in _WORKFLOWS.values()))
    for workflow, (rate, failed) in _WORKFLOWS.items():
        label = f',workflow="{workflow}"'
        counted(catalog.WORKFLOWS_CREATED.name, label, rate)
        counted(catalog.WORKFLOW_EXECUTIONS.name, f'{label},outcome="success"', rate * (1 - failed))
        counted(catalog.WORKFLOW_EXECUTIONS.name, f'{label},outcome="failure"', rate * failed)
        for place, edge in enumerate((*_EDGES, "+Inf"), start=1):
            bucket = f'{label},outcome="success",le="{edge}"'
            counted(f"{catalog.WORKFLOW_DURATION.name}_bucket", bucket, rate * place / (len(_EDGES) + 1))
    counted(catalog.WORKFLOW_COST.name, ',workflow="checkout"', _USD)
    today = [_USD * sum(_load(second) * _STEP for second in range(at // DAY * DAY, at, _STEP)) for at in times]
    whole = _USD * sum(_load(second) * _STEP for second in range(0, DAY, _STEP))
    put(of.cost_today, "", today)
    put(of.budget_spent, "", [value / (1.2 * whole) for value in today])
    put(of.cost_forecast, "", [whole] * len(times))
    put(daily_active_users(settings), "", [4217.0] * len(times))
    return made


def _added(values: list[float]) -> list[float]:
    total, sums = 0.0, []
    for value in values:
        total += value
        sums.append(total)
    return sums
