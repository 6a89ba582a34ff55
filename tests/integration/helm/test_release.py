"""``helm test`` queries a real Prometheus, and the rendered charts match the approved files."""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from instrumentation.settings import parse_settings
from sidelight.toolchain import processes
from tests.integration.helm.prometheus_operator import NONE, ON_NAMESPACE, Alertmanager
from tests.integration.helm.test_routing import BASE, QUICK, page, routed
from tests.integration.helm.test_schemas import FULL, MINIMAL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sidelight.toolchain.processes import Process
    from tests.integration.helm.conftest import Chart

GOLDENS = Path(__file__).parent / "goldens"
UPDATE = "SIDELIGHT_UPDATE_GOLDENS"
BOARD = {"operations.json": '{"title": "Operations"}\n'}


def asked(
    chart: Chart, url: str, attempts: int, values: Mapping[str, Any] | None = None, alertmanager: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run what the Pod of ``helm test`` runs."""
    test = {"enabled": True, "prometheusURL": f"{url}/", "attempts": attempts}
    values = {**(values or {}), "test": {**test, **({"alertmanagerURL": alertmanager} if alertmanager else {})}}
    (pod,) = (one for one in chart.rendered(values) if one["kind"] == "Pod")
    assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
    (container,) = pod["spec"]["containers"]
    env = {row["name"]: row["value"] for row in container["env"]}
    return subprocess.run(
        container["command"], env={**os.environ, **env}, capture_output=True, text=True, timeout=120, check=False
    )


@contextmanager
def loaded(folder: Path, *files: list[dict[str, Any]], **config: Any) -> Iterator[Process]:
    """A Prometheus that has loaded these groups, a file for each list."""
    for number, groups in enumerate(files):
        (folder / f"rules{number}.yaml").write_text(yaml.safe_dump({"groups": groups}))
    (folder / "prometheus.yml").write_text(yaml.safe_dump({"rule_files": [f"{folder}/rules*.yaml"], **config}))
    with processes.prometheus(folder / "prometheus.yml", folder / "data") as prometheus:
        yield prometheus


@pytest.mark.parametrize("complete", [True, False])
def test_helm_test_says_whether_prometheus_has_loaded_the_rules(complete: bool, chart: Chart, tmp_path: Path) -> None:  # noqa: FBT001
    groups = chart.groups()
    with loaded(tmp_path, groups if complete else groups[1:]) as prometheus:
        done = asked(chart, prometheus.url, 30 if complete else 1)
    assert done.returncode == (0 if complete else 1), done.stderr
    if complete:
        assert "has loaded every group: sidelight.http" in done.stdout
    else:
        assert "has not loaded: sidelight.http. Does its ruleSelector fit" in done.stderr


def test_helm_test_does_not_take_another_release_s_rules_for_its_own(chart: Chart, tmp_path: Path) -> None:
    other = json.loads(json.dumps(chart.groups()).replace("monitoring/obs-sidelight", "web/obs-sidelight"))
    with loaded(tmp_path, other) as prometheus:
        done = asked(chart, prometheus.url, 1)
    assert done.returncode == 1
    assert "has loaded the groups of another release, but not those of monitoring/obs-sidelight." in done.stderr


def test_helm_test_names_a_release_beside_it(chart: Chart, tmp_path: Path) -> None:
    mine = chart.groups()
    other = json.loads(json.dumps(mine).replace("monitoring/obs-sidelight", "web/obs-sidelight"))
    with loaded(tmp_path, mine, other) as prometheus:
        done = asked(chart, prometheus.url, 30)
    assert 'Also loaded: rules with "sidelight":"web/obs-sidelight".' in done.stdout
    assert done.returncode == 0


@pytest.mark.parametrize("scraped", [True, False])
def test_helm_test_says_whether_pods_are_scraped(scraped: bool, chart: Chart, tmp_path: Path) -> None:  # noqa: FBT001
    values = {"podMonitor": {"enabled": True, "selector": {"matchLabels": {"app": "shop"}}}}
    with page(b"up_and_well 1\n") as shop:
        job = {
            "job_name": "podMonitor/monitoring/obs-sidelight/0",
            "scrape_interval": "1s",
            "static_configs": [{"targets": [shop] if scraped else []}],
        }
        with loaded(tmp_path, chart.groups(), scrape_configs=[job]) as prometheus:
            done = asked(chart, prometheus.url, 30 if scraped else 1, values)
    if scraped:
        assert "scrapes pods by podMonitor/monitoring/obs-sidelight/0" in done.stdout
    assert done.returncode == (0 if scraped else 1), done.stderr
    assert ("scrapes no pod by podMonitor/monitoring/obs-sidelight/0." in done.stderr) is not scraped


@pytest.mark.parametrize(
    ("told", "fault"),
    [
        (ON_NAMESPACE, ""),
        (NONE, "does not lead it to the receiver monitoring/obs-sidelight/watchdog."),
        ("", "has not loaded the AlertmanagerConfig monitoring/obs-sidelight."),
    ],
)
def test_helm_test_says_whether_alerts_reach_their_receivers(
    told: str, fault: str, build: Callable[..., Chart], tmp_path: Path
) -> None:
    chart, values = build(parse_settings(QUICK)), routed(told or ON_NAMESPACE, {})
    objects = [one for one in chart.rendered(values) if told and one["kind"] == "AlertmanagerConfig"]
    (tmp_path / "alertmanager.yaml").write_text(yaml.safe_dump(Alertmanager().configuration(BASE, *objects)))
    with processes.alertmanager(tmp_path / "alertmanager.yaml", tmp_path / "alerts") as alertmanager:
        to = {"alertmanagers": [{"static_configs": [{"targets": [alertmanager.url.split("/")[2]]}]}]}
        with loaded(tmp_path, chart.groups(values), alerting=to) as prometheus:
            done = asked(chart, prometheus.url, 8 if fault else 30, values, alertmanager.url)
    if fault:
        assert (done.returncode, fault in done.stderr) == (1, True), done.stderr
    else:
        assert (done.returncode, done.stderr) == (0, "")
        assert "has loaded the routes of monitoring/obs-sidelight, and leads its Watchdog to them" in done.stdout


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
