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
    folder = tmp_path_factory.mktemp("history")
    history = History(folder)
    (folder / "prometheus.yml").write_text("global: {external_labels: {cluster: eu}}\n")
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


@pytest.mark.parametrize(
    ("expr", "says"),
    [
        (
            "sum(rate(wait_seconds_bucket[90y] offset 11y)) > 0",
            "the last 36865 days, and this Prometheus keeps them for 100y",
        ),
        ("max_over_time(up[101y:1y]) == 0", "the last 36865 days, and this Prometheus keeps them for 100y"),
        ("max_over_time(up[1h]) == 0", ""),
    ],
)
def test_a_range_is_not_longer_than_samples_are_kept(
    expr: str, says: str, prometheus: Prometheus, tmp_path: Path
) -> None:
    of_retention = [each for each in found(prometheus, tmp_path, expr) if "retention" in each]
    assert [each for each in of_retention if each.endswith(says)] == of_retention
    assert bool(of_retention) == bool(says)


@pytest.mark.parametrize(
    ("was", "becomes", "says"),
    [
        (
            '"s"',
            '"{{ $externalLabels.region }}"',
            "summary reads the external label region, which this Prometheus does not have",
        ),
        ('"s"', '"{{ .ExternalLabels.cluster }}"', ""),
        ('"severity"', '"cluster"', "sets the label cluster, which is an external label of this Prometheus"),
    ],
)
def test_external_labels_are_those_of_the_prometheus(
    was: str, becomes: str, says: str, prometheus: Prometheus, tmp_path: Path
) -> None:
    (tmp_path / "rules.yaml").write_text(rule('up{job="shop"} == 0').replace(was, becomes))
    report = find([tmp_path / "rules.yaml"], Settings(), ["rule/label"], partial(ask, prometheus=prometheus))
    assert [each.message for each in report.findings] == ([says] if says else [])


def test_a_server_without_a_status_is_asked_for_the_rest() -> None:
    page = httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(404, text="not found")))
    other = Prometheus("http://localhost", client=page)
    assert other.retention == ("", float("inf"))
    assert other.external_labels is None


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
