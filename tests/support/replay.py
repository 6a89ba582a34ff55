"""Replays histories through Prometheus' rule engine and reports when each alert fired."""

from __future__ import annotations

import json
import os
import re
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sidelight.toolchain import run_command, tool
from tests.support.errors import MeasurementError
from tests.support.histories import SCRAPE
from tests.support.rule_sets import PAGE, TICKET

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tests.support.histories import Service
    from tests.support.rule_sets import Group
    from tests.support.troubles import Trouble

EVERY = 30  # seconds between two evaluations
_SECONDS = 3600.0  # for a run
_FAILED = re.compile(r'expr: (?P<expr>"(?:[^"\\]|\\.)*").*?got: \{\} (?P<value>[\d.E+-]+)', re.DOTALL)


class Fired(NamedTuple):
    """When alerts of one severity fired for one service; alerts of the same severity count as one.

    Attributes:
        first: Seconds from the start of the history to the first evaluation at which one fired.
        last: Seconds to the last such evaluation.
        times: How often one started to fire.
    """

    first: float
    last: float
    times: int


def fired(
    group: Group, services: Iterable[Service | Trouble], promtool: str = "promtool"
) -> dict[tuple[str, str], Fired]:
    """The alerts that fired, by job and severity.

    Args:
        group: A group of rules.
        services: The services over whose histories the rules are evaluated, each in a separate process.
        promtool: ``promtool`` or ``promtool-oldest``.

    Raises:
        MeasurementError: promtool rejects the rules or the histories.
    """
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        each = threads.map(lambda service: _fired(group, service, promtool), services)
        return {key: found for of_one in each for key, found in of_one.items()}


def _fired(group: Group, service: Service | Trouble, promtool: str) -> dict[tuple[str, str], Fired]:
    asked = {severity: _questions(service, severity) for severity in (PAGE, TICKET)}
    test = {
        "interval": f"{SCRAPE}s",
        "input_series": list(service.series()),
        # The test expects that no alert fires, so promtool's output lists the alerts that did.
        "promql_expr_test": [check for checks in asked.values() for check in checks.values()],
    }
    output = _run({"groups": [group]}, test, promtool)
    found = {json.loads(each["expr"]): round(float(each["value"])) for each in _FAILED.finditer(output)}
    if not found and "SUCCESS" not in output:
        raise MeasurementError(f"promtool: {output.strip()[:2000]}", code="history_refused")
    return {
        (service.job, severity): Fired(**{name: found[str(check["expr"])] for name, check in checks.items()})
        for severity, checks in asked.items()
        if str(checks["first"]["expr"]) in found
    }


def _questions(service: Service | Trouble, severity: str) -> dict[str, dict[str, object]]:
    alerts = f'ALERTS{{alertstate="firing",job="{service.job}",severity="{severity}"}}'
    firing = f"max({alerts})"
    end = service.steady + service.seconds
    back = f"[{end}s:{EVERY}s]"
    asked = {
        "first": f"min_over_time(timestamp({firing}){back})",
        "last": f"max_over_time(timestamp({firing}){back})",
        "times": f"count_over_time(({firing} unless max({alerts} offset {EVERY}s)){back})",
    }
    return {name: {"expr": expr, "eval_time": f"{end}s", "exp_samples": []} for name, expr in asked.items()}


def _run(rules: Mapping[str, object], test: Mapping[str, object], promtool: str) -> str:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "rules.yaml").write_text(json.dumps(rules))
        document = {"rule_files": ["rules.yaml"], "evaluation_interval": f"{EVERY}s", "tests": [test]}
        (folder / "test.yaml").write_text(json.dumps(document))
        command = [str(tool(promtool)), "test", "rules", str(folder / "test.yaml")]
        return run_command(command, timeout=_SECONDS, cwd=folder, environ=os.environ).output
