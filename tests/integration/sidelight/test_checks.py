"""``sidelight check`` finds what the real tools refuse, and its knowledge of PromQL is correct."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from instrumentation.settings import Settings
from sidelight.checks import Severity, find
from sidelight.checks.expressions import keeps_name
from sidelight.checks.trees import parsed
from sidelight.toolchain import processes, tool
from tests.support.collectors import until
from tests.support.prometheus import asked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sidelight.toolchain.processes import Process

RULES = """\
groups:
- name: shop
  rules:
  - alert: TooMany
    expr: sum by (job) (rate(requests_total[5m])) > 7
    for: 2m
    labels: {severity: warning}
    annotations: {summary: Too many., description: "{{ $labels.job }} has too many.", runbook_url: "https://a.example"}
"""
REFUSED = {
    "no YAML": RULES.replace("groups:", "groups: ["),
    "a key that nobody knows": RULES.replace("for: 2m", "four: 2m"),
    "no PromQL": RULES.replace("> 7", "> ("),
    "a duration in words": RULES.replace("2m", "two minutes"),
    "both": RULES.replace("alert: TooMany", "alert: TooMany\n    record: too_many"),
    "neither": RULES.replace("alert: TooMany", "labels2: {}"),
    "no expression": RULES.replace("expr: sum by (job) (rate(requests_total[5m])) > 7\n", "keep_firing_for: 1m\n"),
    "a group twice": RULES + RULES.replace("groups:\n", ""),
    "for in a recording rule": RULES.replace("alert: TooMany", "record: too_many"),
    "a template that does not end": RULES.replace("$labels.job }}", "$labels.job }"),
    "a type that does not fit": RULES.replace("sum by (job) (rate(requests_total[5m]))", "rate(requests_total)"),
}


NAMED = (
    "up", "(up)", "up > 0", "up and on () vector(1)", "up unless up > 7", "up or vector(1)", "vector(1) or up", "topk(1, up)",
    "last_over_time(up[1m])", "sort(up)", "sort_desc(up)", 'label_replace(up, "a", "b", "", "")', 'label_join(up, "a", "-", "job")',
)  # fmt: skip
NAMELESS = (
    "sum(up)", "max by (job) (up)", "-up", "up * 1", "up > bool 0", "rate(up[1m])", "max_over_time(up[1m])", "abs(up)", "vector(1)",
    "vector(1) and on () up", "topk(1, up + 0)", "sort(up / 1)", "sum(up) or vector(1)", "count_over_time(up[1m:1s])",
)  # fmt: skip


def promtool(path: Path) -> bool:
    done = subprocess.run([tool("promtool"), "check", "rules", path], capture_output=True, timeout=60, check=False)
    return done.returncode == 0


def errors(path: Path) -> list[str]:
    return [str(one) for one in find([path], Settings()).findings if one.check.severity is Severity.ERROR]


def test_what_promtool_takes_has_no_error(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(RULES)
    assert promtool(path)
    assert errors(path) == []


@pytest.mark.parametrize("wrong", REFUSED)
def test_what_promtool_refuses_is_an_error(wrong: str, tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(REFUSED[wrong])
    assert not promtool(path)
    assert errors(path)


@pytest.fixture(scope="module")
def itself(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A Prometheus that scrapes itself."""
    folder, port = tmp_path_factory.mktemp("prometheus"), processes.free_port()
    scrape = {"job_name": "itself", "scrape_interval": "250ms", "scrape_timeout": "250ms"}
    config = {"scrape_configs": [{**scrape, "static_configs": [{"targets": [f"{processes.LOOPBACK}:{port}"]}]}]}
    (folder / "prometheus.yml").write_text(json.dumps(config))
    with processes.prometheus(folder / "prometheus.yml", folder / "data", port=port) as process:
        until(lambda: asked(process, "rate(up[1m])"))
        yield process


@pytest.mark.parametrize("kept", [True, False])
def test_what_keeps_the_name_of_a_metric_is_what_prometheus_gives_one(itself: Process, *, kept: bool) -> None:
    for expression in NAMED if kept else NAMELESS:
        series = asked(itself, expression)
        assert series, expression
        assert any("__name__" in one["metric"] for one in series) == kept, expression
        assert keeps_name(parsed(expression)) == kept, expression
