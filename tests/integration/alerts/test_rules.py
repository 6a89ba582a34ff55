"""The generated files, given to the programs that consume them."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from alerts import generated
from instrumentation.settings import Settings, parse_settings
from sidelight.tools import tool

if TYPE_CHECKING:
    from pathlib import Path

PROMTOOLS = pytest.mark.parametrize("promtool", ["promtool-oldest", "promtool"])

SETTINGS: dict[str, object] = {
    "defaults": {},
    "other thresholds": {
        "thresholds": {
            "error_ratio": {"warning": 0.003, "critical": 0.25},
            "latency_p95_seconds": {"warning": 0.33, "critical": 30.0},
        },
        "alerting": {"minimum_bad_events": 7},
    },
    "overrides and more labels": {
        "thresholds": {
            "overrides": [
                {"match": {"job": "search"}, "latency_p95_seconds": {"critical": 2.2, "warning": 1.3}},
                {"match": {"namespace": "batch", "job": "nightly"}, "error_ratio": {"critical": 0.2, "warning": 0.1}},
            ]
        },
        "alerting": {"group_by": ["job", "namespace"]},
    },
    "other times": {
        "metrics": {"scrape_interval": "30s"},
        "alerting": {
            "window": "3m",
            "evaluation_interval": "20s",
            "for": {"critical": "1m", "warning": "10m", "info": "3m"},
            "keep_firing_for": "30s",
            "deployment_lookback": "1h",
        },
    },
    "the demo's times": {
        "metrics": {"scrape_interval": "1s"},
        "alerting": {
            "window": "10s",
            "evaluation_interval": "1s",
            "for": {"critical": "3s", "warning": "5s", "info": "2s"},
            "keep_firing_for": "2s",
            "deployment_lookback": "25s",
        },
    },
}
ALL_SETTINGS = pytest.mark.parametrize("data", SETTINGS.values(), ids=SETTINGS)


def run(*argv: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in argv], cwd=cwd, capture_output=True, text=True, timeout=120, check=False
    )


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).write_text(text)


@ALL_SETTINGS
@PROMTOOLS
def test_prometheus_accepts_the_rules_and_their_tests_hold(promtool: str, data: object, tmp_path: Path) -> None:
    write(tmp_path, generated(parse_settings(data)))
    checked = run(tool(promtool), "check", "rules", "--lint=all", "--lint-fatal", "rules.yaml", cwd=tmp_path)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    tested = run(tool(promtool), "test", "rules", "rules_test.yaml", cwd=tmp_path)
    assert tested.returncode == 0, tested.stdout + tested.stderr


MUTATIONS = {
    "the critical error threshold moves up": ("ratio_rate5m > 0.05", "ratio_rate5m > 0.0502"),
    "the critical error threshold moves down": ("ratio_rate5m > 0.05", "ratio_rate5m > 0.0498"),
    "the warning error threshold moves up": ("ratio_rate5m > 0.01", "ratio_rate5m > 0.0102"),
    "a comparison turns round": ("p95_rate5m > 1\n", "p95_rate5m < 1\n"),
    "the latency threshold leaves its edge": ("p95_rate5m > 0.5\n", "p95_rate5m > 0.51\n"),
    "the quantile is another": ("histogram_quantile(0.95", "histogram_quantile(0.9"),
    "errors are absent, not 0": ("\n      or\n      0 * job:http_server_requests:rate5m", ""),
    "idle services divide by 0": ("(job:http_server_requests:rate5m > 0)", "job:http_server_requests:rate5m"),
    "an idle p95 is NaN": (" >= 0\n", "\n"),
    "one bad event is enough": (":rate5m) >= 3", ":rate5m) >= 1"),
    "one slow request is enough": ("}))) >= 3", "}))) >= 1"),
    "an alert does not wait": ("for: 2m", "for: 0s"),
    "an alert never ends": ("keep_firing_for: 2m", "keep_firing_for: 2h"),
    "a sentence changes": ("with an error; the limit", "with errors; the limit"),
    "a rollout counts while the old version runs": (" == 1)", " >= 1)"),
    "a first install counts as a deployment": (
        "\n      and on (job) count by (job) (job_service_version:target_info:count offset 15m)",
        "",
    ),
    "scaling up counts as a deployment": (" unless job_service_version:target_info:count offset 15m", ""),
    "jobs that are not ours are watched": ("and on (job) max_over_time", "unless on (job) max_over_time"),
    "one instance up of two counts as none": ("sum by (job) (up) == 0", "min by (job) (up) == 0"),
    "the watchdog sleeps": ("vector(1)", "vector(1) < 1"),
}


@pytest.mark.parametrize(("was", "becomes"), MUTATIONS.values(), ids=MUTATIONS)
def test_a_rule_that_is_wrong_fails_its_tests(was: str, becomes: str, tmp_path: Path) -> None:
    files = generated(Settings())
    assert was in files["rules.yaml"]
    write(tmp_path, files | {"rules.yaml": files["rules.yaml"].replace(was, becomes)})
    tested = run(tool("promtool"), "test", "rules", "rules_test.yaml", cwd=tmp_path)
    assert tested.returncode == 1, tested.stdout
    assert "FAILED" in tested.stdout + tested.stderr


RECEIVERS: dict[str, Any] = {
    "default": {"webhook": {"url": "http://hooks.example/x"}},
    "critical": {
        "pagerduty": {"routing_key_file": "/run/secrets/pagerduty"},
        "slack": {"api_url_file": "/run/secrets/slack", "channel": "#page"},
    },
}


@pytest.mark.parametrize("receivers", [{}, RECEIVERS], ids=["none", "three kinds"])
def test_alertmanager_accepts_its_configuration(receivers: object, tmp_path: Path) -> None:
    settings = parse_settings({"alerting": {"receivers": receivers}})
    write(tmp_path, generated(settings))
    checked = run(tool("amtool"), "check-config", "alertmanager.yaml", cwd=tmp_path)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        (["alertname=HighErrorRate", "severity=critical", "job=shop"], "critical"),
        (["alertname=HighErrorRate", "severity=warning", "job=shop"], "warning"),
        (["alertname=DeploymentCompleted", "severity=info", "kind=event", "job=shop"], "info"),
        (["alertname=Watchdog", "severity=none"], "watchdog"),
        (["alertname=SomethingOfTheUsers", "severity=page"], "default"),
    ],
)
def test_an_alert_is_routed_to_its_receiver(labels: list[str], receiver: str, tmp_path: Path) -> None:
    write(tmp_path, generated(Settings()))
    command = (tool("amtool"), "config", "routes", "test", "--config.file=alertmanager.yaml")
    right = run(*command, f"--verify.receivers={receiver}", *labels, cwd=tmp_path)
    assert right.returncode == 0, right.stdout + right.stderr
    wrong = run(*command, "--verify.receivers=nobody", *labels, cwd=tmp_path)
    assert wrong.returncode != 0


def test_every_rule_has_a_test_and_every_alert_one_that_fires() -> None:
    files = generated(Settings())
    rules = [rule for group in yaml.safe_load(files["rules.yaml"])["groups"] for rule in group["rules"]]
    fired = {
        (check["alertname"], alert["exp_labels"]["severity"])
        for test in yaml.safe_load(files["rules_test.yaml"])["tests"]
        for check in test.get("alert_rule_test", [])
        for alert in check["exp_alerts"]
    }
    assert fired == {(rule["alert"], rule["labels"]["severity"]) for rule in rules if "alert" in rule}
