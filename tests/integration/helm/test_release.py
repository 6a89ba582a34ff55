"""``helm test`` asks a real Prometheus, and what the charts render is what was read and approved."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from sidelight.toolchain import processes
from tests.integration.helm.test_schemas import FULL, MINIMAL

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.helm.conftest import Chart

GOLDENS = Path(__file__).parent / "goldens"
UPDATE = "SIDELIGHT_UPDATE_GOLDENS"
BOARD = {"operations.json": '{"title": "Operations"}\n'}


def asked(chart: Chart, url: str, attempts: int) -> subprocess.CompletedProcess[str]:
    """Run what the Pod of ``helm test`` runs."""
    values = {"test": {"enabled": True, "prometheusURL": f"{url}/", "attempts": attempts}}
    (pod,) = (one for one in chart.rendered(values) if one["kind"] == "Pod")
    assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
    (container,) = pod["spec"]["containers"]
    env = {row["name"]: row["value"] for row in container["env"]}
    return subprocess.run(
        container["command"], env={**os.environ, **env}, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize("loaded", [True, False])
def test_helm_test_says_whether_prometheus_has_loaded_the_rules(loaded: bool, chart: Chart, tmp_path: Path) -> None:  # noqa: FBT001
    groups = chart.groups()
    rules = tmp_path / "rules.yaml"
    rules.write_text(yaml.safe_dump({"groups": groups if loaded else groups[1:]}))
    config = tmp_path / "prometheus.yml"
    config.write_text(yaml.safe_dump({"rule_files": [str(rules)]}))
    with processes.prometheus(config, tmp_path / "data") as prometheus:
        done = asked(chart, prometheus.url, 30 if loaded else 1)
    assert done.returncode == (0 if loaded else 1), done.stderr
    if loaded:
        assert "has loaded every group: sidelight.http" in done.stdout
    else:
        assert "has not loaded: sidelight.http. Does its ruleSelector fit" in done.stderr


@pytest.mark.parametrize(("name", "values"), [("default", {}), ("minimal", MINIMAL), ("full", FULL)])
def test_what_is_rendered_is_what_was_approved(name: str, values: dict[str, Any], build: Callable[..., Chart]) -> None:
    """Where it changes on purpose: ``SIDELIGHT_UPDATE_GOLDENS=1 make test ARGS='-k approved'``, and read the difference."""
    done = build(dashboards=BOARD).template(values)
    assert done.returncode == 0, done.stderr
    golden = GOLDENS / f"{name}.yaml"
    if os.environ.get(UPDATE):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(done.stdout)
    assert done.stdout == golden.read_text()
