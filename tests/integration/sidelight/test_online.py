"""A real Prometheus answers which series exist, what expressions cost, and when alerts would have fired."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

import httpx
import pytest
from typer.testing import CliRunner

from instrumentation.errors import SidelightError
from instrumentation.settings import Settings
from sidelight.checks import find
from sidelight.checks.online import Prometheus
from sidelight.checks.online import find as ask
from sidelight.cli import app
from tests.support.prometheus_history import Prometheus as History

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = 1_700_000_000 - 1_700_000_000 % 7200
HOUR = 3_600
FAILS = range(NOW - 5 * HOUR, NOW - 4 * HOUR)


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Six hours in which ``up`` was 0 for one."""
    history = History(tmp_path_factory.mktemp("history"))
    times = range(NOW - 6 * HOUR, NOW + 1, 60)
    history.take(
        [
            *(f'up{{job="shop",instance="a"}} {int(at not in FAILS)} {at}\n' for at in times),
            *(f'wait_seconds_bucket{{job="shop",le="{le}"}} {(at - NOW + 6 * HOUR) // 60} {at}\n' for le in ("0.5", "1", "+Inf") for at in times),
        ],
        "up", "wait_seconds_bucket",
    )  # fmt: skip
    with history.running() as client:
        asked = Prometheus(str(client.base_url), now=lambda: NOW)
        yield asked
        asked.close()


def rule(expr: str, wait: str = "5m") -> str:
    rule = {
        "alert": "A", "expr": expr, "for": wait, "labels": {"severity": "warning"},
        "annotations": {"summary": "s", "description": "d", "runbook_url": "r"},
    }  # fmt: skip
    return json.dumps({"groups": [{"name": "g", "rules": [rule]}]})


def found(prometheus: Prometheus, folder: Path, expr: str, history: float = 0, wait: str = "5m") -> list[str]:
    path = folder / "rules.yaml"
    path.write_text(rule(expr, wait))
    report = find([path], Settings(), ask=partial(ask, prometheus=prometheus, history=history))
    return [f"{finding.check.name}: {finding.message}" for finding in report.findings]


WRONG = {
    'upp{job="shop"} == 0': "online/metric: reads upp, which does not exist",
    'up{jobb="shop"} == 0': "online/label: uses the label jobb, which no series of up has",
    "sum by (pod) (up) == 0": "online/label: uses the label pod, which no series of up has",
    'up{job="shop", instance="b"} == 0': 'online/empty: up{instance="b",job="shop"} matches no series',
    "histogram_quantile(0.9, sum by (le) (rate(wait_seconds_bucket[5m]))) > 0.7": (
        "online/edge: compares a percentile of wait_seconds_bucket with 0.7, which is not a bucket edge"
    ),
    "up * on () group_left () (up or up offset 1h or label_replace(up, 'job', 'b', '', '')) > 0": (
        "online/fails: cannot be evaluated"
    ),
}


@pytest.mark.parametrize("expr", WRONG)
def test_what_cannot_work_in_this_prometheus_is_found(expr: str, prometheus: Prometheus, tmp_path: Path) -> None:
    assert any(each.startswith(WRONG[expr]) for each in found(prometheus, tmp_path, expr))


@pytest.mark.parametrize(
    "expr",
    [
        'up{job="shop"} == 0',
        "sum by (job) (up) == 0",
        "histogram_quantile(0.9, sum by (le) (rate(wait_seconds_bucket[5m]))) > 0.5",
    ],
)
def test_what_works_is_no_finding(expr: str, prometheus: Prometheus, tmp_path: Path) -> None:
    assert found(prometheus, tmp_path, expr) == []


@pytest.mark.parametrize(
    ("expr", "wait", "says"),
    [
        ("up == 0", "5m", "would have fired 1 time in the last 6 hours, together for 55 minutes"),
        ("up == 0", "2h", "would not have fired in the last 6 hours"),
        ("up == 2", "5m", "would not have fired in the last 6 hours"),
    ],
)
def test_the_history_counts_firings(expr: str, wait: str, says: str, prometheus: Prometheus, tmp_path: Path) -> None:
    assert f"online/history: {says}" in found(prometheus, tmp_path, expr, 6 * HOUR, wait)


def test_an_address_without_a_prometheus_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(SidelightError, match=r"--prometheus: http://127\.0\.0\.1:9 gives no answer \("):
        found(Prometheus("http://127.0.0.1:9"), tmp_path, "up == 0")
    page = httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(404, text="<html>")))
    with pytest.raises(SidelightError, match="give the address of a Prometheus"):
        found(Prometheus("http://localhost", client=page), tmp_path, "up == 0")


@pytest.mark.parametrize("arguments", [["--history", "7d"], ["--history", "soon", "--prometheus", "http://localhost"]])
def test_a_history_needs_a_duration_and_a_prometheus(arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(rule("up == 0"))
    ended = CliRunner().invoke(app, ["check", str(tmp_path), *arguments])
    assert ended.exit_code == 2
    assert "--history" in ended.output
