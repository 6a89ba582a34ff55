"""Who receives the chart's alerts with the Alertmanager configuration that the Prometheus Operator generates."""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import yaml

from alerts import generated
from alerts.alertmanager.messages import inlined, message
from instrumentation.settings import parse_settings
from sidelight.toolchain import processes, tool
from tests.integration.alerts.test_alertmanager import DEADLINE, Sink
from tests.integration.helm.prometheus_operator import (
    EXCEPT_FOR_ALERTMANAGERS,
    NONE,
    ON_NAMESPACE,
    Alertmanager,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from conftest import Chart

RECORDED = Path(__file__).parent / "recorded"
STRATEGIES = (ON_NAMESPACE, EXCEPT_FOR_ALERTMANAGERS, NONE)
NAMESPACES = {"alerting": {"group_by": ["namespace", "job"]}}
OWNER = {"sidelight": "monitoring/obs-sidelight"}
# As kube-prometheus-stack has it: its own receiver hears what no other route matches, and every Watchdog.
BASE = {
    "route": {
        "receiver": "null",
        "group_by": ["namespace"],
        "routes": [{"receiver": "null", "matchers": ['alertname="Watchdog"']}],
    },
    "receivers": [{"name": "null"}],
    "templates": [],
}
HOOK = {"webhook": {"urlSecret": {"name": "hooks", "key": "default"}}}
PAGER = {"pagerduty": {"routingKey": {"name": "pager", "key": "shop"}}}
FILES = "/etc/alertmanager/secrets"
EVERY_KIND = {
    "slack": {"api_url_file": f"{FILES}/slack/url", "channel": "#shop"},
    "pagerduty": {"routing_key_file": f"{FILES}/pager/shop"},
    "opsgenie": {"api_key_file": f"{FILES}/opsgenie/key", "api_url": "https://api.eu.opsgenie.com"},
    "email": {"to": "a@b.example", "from": "c@d.example", "smarthost": "mail.example:587", "auth_username": "c",
              "auth_password_file": f"{FILES}/mail/password", "require_tls": False},
    "webhook": [{"url_file": f"{FILES}/hooks/default"}, {"url": "http://hooks.example/plain"}],
    "msteamsv2": {"webhook_url_file": f"{FILES}/teams/address"},
}  # fmt: skip
RECEIVERS = {
    "alerting": {
        "group_by": ["namespace", "job"],
        "receivers": {
            "default": EVERY_KIND,
            "critical": {"pagerduty": {"routing_key_file": "/run/secrets/pager-key"}},
            "info": {},
            "watchdog": {"webhook": {"url": "http://switch.example:8080/ping"}},
        },
        "teams": [
            {"name": "search", "match": {"job": "search"}, "receivers": {"default": {}, "warning": EVERY_KIND}},
            {"name": "staging", "match": {"namespace": "shop-staging"}},
        ],
        "mute_times": [{"name": "nights", "from": "22:00", "to": "06:00", "severities": ["warning"]}],
    }
}
CONTENT = {
    f"{FILES}/slack/url": ("slack", "url", "https://hooks.slack.example/1"),
    f"{FILES}/pager/shop": ("pager", "shop", "R0UT1NG"),
    f"{FILES}/opsgenie/key": ("opsgenie", "key", "0p5"),
    f"{FILES}/mail/password": ("mail", "password", "p455"),
    f"{FILES}/teams/address": ("teams", "address", "https://teams.example/workflow"),
    f"{FILES}/hooks/default": ("hooks", "default", "http://hooks.example/default"),
    "/run/secrets/pager-key": ("sidelight-receivers", "pager-key", "K3Y"),
}


def secrets() -> dict[tuple[str, str], dict[str, str]]:
    found: dict[tuple[str, str], dict[str, str]] = {}
    for name, key, value in CONTENT.values():
        found.setdefault(("monitoring", name), {})[key] = value
    return found


def routed(strategy: str = ON_NAMESPACE, receivers: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Values under which the chart's alerts are routed."""
    given = {"default": HOOK, "critical": PAGER} if receivers is None else receivers
    return {"alertmanagerConfig": {"enabled": True, "matcherStrategy": strategy, "receivers": given}}


def configuration(
    chart: Chart, values: Mapping[str, Any], strategy: str, *arguments: str, alertmanager: str = "monitoring"
) -> dict[str, Any]:
    """Alertmanager's configuration, by an Alertmanager object in the namespace given."""
    objects = [one for one in chart.rendered(values, *arguments) if one["kind"] == "AlertmanagerConfig"]
    return Alertmanager(namespace=alertmanager, strategy=strategy, secrets=secrets()).configuration(BASE, *objects)


def hears(config: Mapping[str, Any], labels: Mapping[str, str], folder: Path) -> set[str]:
    """The receivers that amtool finds for an alert; it is older than some of their fields."""
    file = folder / "alertmanager.yaml"
    receivers = [{"name": one["name"]} for one in config["receivers"]]
    file.write_text(yaml.safe_dump({**config, "receivers": receivers}))
    command = [tool("amtool"), "config", "routes", "test", f"--config.file={file}"]
    pairs = [f"{name}={json.dumps(value)}" for name, value in labels.items()]
    done = subprocess.run([*command, *pairs], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.strip().split(","))


@pytest.fixture
def sink() -> Iterator[Sink]:
    sink = Sink()
    thread = Thread(target=sink.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield sink
    sink.server.shutdown()
    thread.join()
    sink.server.server_close()


@dataclass(frozen=True, kw_only=True)
class Made:
    """How a chart is built, and where files may be written."""

    build: Callable[..., Chart]
    folder: Path


@pytest.fixture
def made(build: Callable[..., Chart], tmp_path: Path) -> Made:
    return Made(build=build, folder=tmp_path)


def rule_labels(chart: Chart, values: Mapping[str, Any], alert: str, severity: str) -> dict[str, str]:
    labels: dict[str, str] = {"alertname": alert, **chart.alerts(alert, values)[severity]["labels"]}
    return labels


def fired(labels: Mapping[str, str], **of_series: str) -> dict[str, str]:
    """An alert's labels as Prometheus makes them: the rule's win over the series', and a template reads the series'."""
    template = "{{ $labels.namespace }}"
    filled = {name: value.replace(template, of_series.get("namespace", "")) for name, value in labels.items()}
    return {name: value for name, value in {**of_series, **filled}.items() if value}


# --- The operator ----------------------------------------------------------------------------------------------------


CASES: dict[str, tuple[dict[str, Any], str, str]] = {
    "every-kind": (RECEIVERS, ON_NAMESPACE, "monitoring"),
    "on-namespace": (NAMESPACES, ON_NAMESPACE, "monitoring"),
    "except-for-its-own": (NAMESPACES, EXCEPT_FOR_ALERTMANAGERS, "monitoring"),
    "except-for-another": (NAMESPACES, EXCEPT_FOR_ALERTMANAGERS, "alerting"),
    "none": (NAMESPACES, NONE, "monitoring"),
}


@pytest.mark.parametrize("case", CASES)
def test_the_fake_operator_gives_the_results_of_the_real_one(case: str, build: Callable[..., Chart]) -> None:
    """``SIDELIGHT_OPERATOR=program`` asks the operator's own code again: a program built of recorded/main.go."""
    file = RECORDED / f"{case}.json"
    if program := os.environ.get("SIDELIGHT_OPERATOR"):
        given = to_record(build, *CASES[case])
        done = subprocess.run(
            [program], input=json.dumps(given), capture_output=True, text=True, timeout=60, check=True
        )
        file.write_text(json.dumps({"given": given, "answered": yaml.safe_load(done.stdout)}, indent=1) + "\n")
    recorded = json.loads(file.read_text())
    given, answered = recorded["given"], recorded["answered"]
    secrets = {(one["namespace"], one["name"]): one["data"] for one in given["secrets"]}
    alertmanager = Alertmanager(namespace=given["namespace"], strategy=given["strategy"], secrets=secrets)
    assert alertmanager.configuration(json.loads(given["base"]), *given["configs"]) == answered


def to_record(build: Callable[..., Chart], settings: dict[str, Any], strategy: str, namespace: str) -> dict[str, Any]:
    values = routed(strategy, {} if settings is RECEIVERS else None)
    objects = build(parse_settings(settings)).rendered(values)
    return {
        "version": "0.28.1",
        "strategy": strategy,
        "namespace": namespace,
        "base": json.dumps(BASE),
        "secrets": [
            {"namespace": namespace, "name": name, "data": data} for (namespace, name), data in secrets().items()
        ],
        "configs": [one for one in objects if one["kind"] == "AlertmanagerConfig"],
    }


# --- Arrival ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alertmanager", ["monitoring", "alerting"])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_by_default_every_alert_arrives_under_every_strategy(
    strategy: str, alertmanager: str, build: Callable[..., Chart], tmp_path: Path
) -> None:
    chart, values = build(parse_settings(NAMESPACES)), routed()
    config = configuration(chart, values, strategy, alertmanager=alertmanager)
    critical, watchdog = (
        rule_labels(chart, values, *alert) for alert in (("HighErrorRate", "critical"), ("Watchdog", "none"))
    )
    alert = fired(critical, namespace="shop-staging", job="shop")
    assert hears(config, alert, tmp_path) == {"monitoring/obs-sidelight/critical"}
    assert hears(config, fired(watchdog), tmp_path) == {"monitoring/obs-sidelight/watchdog", "null"}


@pytest.mark.parametrize(
    ("told", "strategy", "alertmanager", "heard"),
    [
        (EXCEPT_FOR_ALERTMANAGERS, EXCEPT_FOR_ALERTMANAGERS, "monitoring", "monitoring/obs-sidelight/critical"),
        (EXCEPT_FOR_ALERTMANAGERS, EXCEPT_FOR_ALERTMANAGERS, "alerting", "null"),
        (EXCEPT_FOR_ALERTMANAGERS, ON_NAMESPACE, "monitoring", "null"),
        (NONE, NONE, "alerting", "monitoring/obs-sidelight/critical"),
        (NONE, ON_NAMESPACE, "monitoring", "null"),
    ],
)
def test_with_another_strategy_alerts_keep_their_namespace_and_need_it(
    told: str, strategy: str, alertmanager: str, heard: str, made: Made
) -> None:
    chart, values = made.build(parse_settings(NAMESPACES)), routed(told)
    labels = rule_labels(chart, values, "HighErrorRate", "critical")
    assert labels == {"alertname": "HighErrorRate", "severity": "critical", **OWNER}
    config = configuration(chart, values, strategy, alertmanager=alertmanager)
    assert hears(config, fired(labels, namespace="shop-staging", job="shop"), made.folder) == {heard}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_alerts_of_others_are_not_taken(strategy: str, chart: Chart, tmp_path: Path) -> None:
    config = configuration(chart, routed(), strategy)
    of_others = {"alertname": "etcdMembersDown", "severity": "critical", "namespace": "kube-system"}
    assert hears(config, of_others, tmp_path) == {"null"}
    assert hears(config, {**of_others, "namespace": "monitoring"}, tmp_path) == {"null"}
    assert hears(config, {"alertname": "Watchdog", "severity": "none"}, tmp_path) == {"null"}


def test_each_of_two_releases_gets_only_its_own_alerts(chart: Chart, tmp_path: Path) -> None:
    values = routed()
    objects = {}
    for release in ("obs", "web"):
        done = chart.helm("template", release, chart.path, "--namespace", "monitoring", "--set-json",
                          f"alertmanagerConfig={json.dumps(values['alertmanagerConfig'])}")  # fmt: skip
        objects[release] = {one["kind"]: one for one in yaml.safe_load_all(done.stdout) if one}
    config = Alertmanager(strategy=NONE, secrets=secrets()).configuration(
        BASE, *(kinds["AlertmanagerConfig"] for kinds in objects.values())
    )
    for release, kinds in objects.items():
        (labels,) = (
            rule["labels"]
            for group in kinds["PrometheusRule"]["spec"]["groups"]
            for rule in group["rules"]
            if rule.get("alert") == "ServiceAbsent"
        )
        heard = hears(config, fired(labels, alertname="ServiceAbsent", job="shop"), tmp_path)
        assert heard == {f"monitoring/{release}-sidelight/warning"}


QUICK = {
    "alerting": {
        **NAMESPACES["alerting"],
        "evaluation_interval": "1s",
        "window": "20s",
        "for": {"critical": "1s", "warning": "1s"},
        "notification": {"group_wait": "1s", "group_interval": "1s", "watchdog_interval": "1s"},
    },
    "metrics": {"scrape_interval": "1s"},
}
FULL_DISK = b'disk_used_bytes{path="/var/lib"} 99\ndisk_size_bytes{path="/var/lib"} 100\n'


@contextmanager
def page(text: bytes) -> Iterator[str]:
    """Host and port of what answers every scrape with a text."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            """Silence: the test's output is for the test."""

    with ThreadingHTTPServer((processes.LOOPBACK, 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"{processes.LOOPBACK}:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_from_a_full_disk_in_another_namespace_to_the_pager_under_on_namespace(
    sink: Sink, build: Callable[..., Chart], tmp_path: Path
) -> None:
    to = {name: {"webhook": {"urlSecret": {"name": "hooks", "key": name}}} for name in ("critical", "watchdog")}
    objects = {one["kind"]: one for one in build(parse_settings(QUICK)).rendered(routed(receivers=to))}
    hooks = {("monitoring", "hooks"): {name: f"{sink.url}/{name}" for name in to}}
    config = Alertmanager(secrets=hooks).configuration(BASE, objects["AlertmanagerConfig"])
    (tmp_path / "alertmanager.yaml").write_text(yaml.safe_dump(config))
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(objects["PrometheusRule"]["spec"]))
    with (
        page(FULL_DISK) as shop,
        processes.alertmanager(tmp_path / "alertmanager.yaml", tmp_path / "alerts") as alertmanager,
    ):
        target = {"targets": [shop], "labels": {"namespace": "shop-staging"}}
        prometheus = {
            "global": {"scrape_interval": "1s"},
            "rule_files": ["rules.yaml"],
            "scrape_configs": [{"job_name": "shop", "static_configs": [target]}],
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": [alertmanager.url.split("/")[2]]}]}]},
        }
        (tmp_path / "prometheus.yaml").write_text(yaml.safe_dump(prometheus))
        with processes.prometheus(tmp_path / "prometheus.yaml", tmp_path / "data"):
            wanted = {("/critical", "DiskFillingUp", "firing"), ("/watchdog", "Watchdog", "firing")}
            assert sink.until(wanted) == wanted
            alerts = httpx.get(f"{alertmanager.url}/api/v2/alerts", trust_env=False, timeout=DEADLINE).json()
    (disk,) = (one["labels"] for one in alerts if one["labels"]["severity"] == "critical")
    assert (disk["namespace"], disk["exported_namespace"], disk["job"]) == ("monitoring", "shop-staging", "shop")


# --- The labels ------------------------------------------------------------------------------------------------------


def test_every_alert_says_whose_it_is_and_no_value_may_say_otherwise(chart: Chart) -> None:
    for values in ({}, routed(NONE)):
        labels = [rule["labels"] for group in chart.groups(values) for rule in group["rules"] if "alert" in rule]
        assert {one["sidelight"] for one in labels} == {"monitoring/obs-sidelight"}
        assert not any("namespace" in one for one in labels)
    own = {"alerts": {"Watchdog": {"labels": {"sidelight": "mine"}}}}
    assert "'/alerts/Watchdog/labels/sidelight'" in chart.refused(own)


def test_a_namespace_of_one_s_own_needs_another_strategy(chart: Chart) -> None:
    own = {"rules": {"alertLabels": {"namespace": "shop"}}}
    refusal = chart.refused({**own, **routed()})
    assert (
        "labels.namespace: got shop, but under alertmanagerConfig.matcherStrategy OnNamespace this label is" in refusal
    )
    assert chart.alerts("Watchdog", {**own, **routed(NONE)})["none"]["labels"]["namespace"] == "shop"


def test_under_on_namespace_an_alert_names_the_release_s_namespace_and_the_service_s(
    build: Callable[..., Chart],
) -> None:
    chart = build(parse_settings(NAMESPACES))
    labels = chart.alerts("HighErrorRate", routed())["critical"]["labels"]
    assert (labels["namespace"], labels["exported_namespace"]) == ("monitoring", "{{ $labels.namespace }}")
    assert (
        "exported_namespace" not in chart.alerts("Watchdog", routed())["none"]["labels"]
    )  # vector(1) has no namespace


def test_grouping_inhibition_teams_and_messages_read_the_service_s_namespace(build: Callable[..., Chart]) -> None:
    team = {"name": "staging", "match": {"namespace": "shop-staging"}}
    chart = build(parse_settings({"alerting": {**NAMESPACES["alerting"], "teams": [team]}}))
    for strategy, label in ((ON_NAMESPACE, "exported_namespace"), (NONE, "namespace")):
        (spec,) = (one["spec"] for one in chart.rendered(routed(strategy)) if one["kind"] == "AlertmanagerConfig")
        assert spec["route"]["groupBy"] == ["alertname", label, "job"]
        assert all(label in rule["equal"] for rule in spec["inhibitRules"])
        (route,) = (one for one in spec["route"]["routes"] if one["receiver"] == "staging-default")
        assert route["matchers"] == [{"name": label, "value": "shop-staging"}]
        other = "namespace" if label != "namespace" else "exported_namespace"
        assert f"Labels.{other} " not in json.dumps(spec)


# --- Receivers -------------------------------------------------------------------------------------------------------


def by_name(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Every receiver's targets, without what their messages say."""
    return {
        one["name"].removeprefix(prefix): {
            kind: [dict(plain(kind.removesuffix("_configs"), target)) for target in targets]
            for kind, targets in one.items()
            if kind != "name"
        }
        for one in config["receivers"]
        if one["name"].startswith(prefix)
    }


def plain(kind: str, target: Mapping[str, Any]) -> Any:
    """Fields with the content of files in place of their paths."""
    for name, value in target.items():
        if name not in message(kind):
            yield (name.removesuffix("_file"), CONTENT[value][2]) if name.endswith("_file") else (name, value)


def test_the_receivers_of_the_settings_are_those_of_the_chart(build: Callable[..., Chart], tmp_path: Path) -> None:
    settings = parse_settings(RECEIVERS)
    ours = yaml.safe_load(generated(settings)["alertmanager.yaml"])
    (one,) = (one for one in build(settings).rendered(routed(NONE, {})) if one["kind"] == "AlertmanagerConfig")
    theirs = Alertmanager(strategy=NONE, secrets=secrets()).configuration(BASE, one)
    prefix = "monitoring/obs-sidelight/"
    assert by_name(theirs, prefix) == by_name(ours)
    assert {name for name, targets in by_name(ours).items() if not targets} == {
        "info", "search-default", "search-info", "search-critical", "staging-info"
    }  # fmt: skip
    for severity in ("critical", "warning", "info", "none", "page"):
        for job in ("shop", "search"):
            for namespace in ("shop", "shop-staging"):
                alert = {"alertname": "HighErrorRate", "severity": severity, "job": job, "namespace": namespace}
                (mine,) = hears(ours, alert, tmp_path)
                assert hears(theirs, {**alert, **OWNER}, tmp_path) == {prefix + mine}


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_a_message_is_the_same_from_the_chart_and_from_the_settings(kind: str, build: Callable[..., Chart]) -> None:
    chart = build(parse_settings(RECEIVERS))
    (one,) = (one for one in chart.rendered(routed(NONE, {})) if one["kind"] == "AlertmanagerConfig")
    theirs = Alertmanager(strategy=NONE, secrets=secrets()).configuration(BASE, one)
    (receiver,) = (one for one in theirs["receivers"] if one["name"] == "monitoring/obs-sidelight/default")
    targets = receiver[f"{kind}_configs"]
    assert len(targets) == (2 if kind == "webhook" else 1)
    for target in targets:
        said = inlined(kind, parse_settings(NAMESPACES))
        assert {name: target[name] for name in said} == said


def test_a_receiver_of_the_values_replaces_that_of_the_settings_and_null_takes_it_away(
    build: Callable[..., Chart],
) -> None:
    chart = build(parse_settings(RECEIVERS))
    values = routed(NONE, {"default": HOOK, "critical": None, "search-warning": {}})
    (one,) = (one for one in chart.rendered(values) if one["kind"] == "AlertmanagerConfig")
    targets = {receiver["name"]: sorted(set(receiver) - {"name"}) for receiver in one["spec"]["receivers"]}
    assert targets == {
        "default": ["webhookConfigs"],
        "watchdog": ["webhookConfigs"],
        "info": [],
        "critical": ["webhookConfigs"],
        "warning": ["webhookConfigs"],
        "search-default": [],
        "search-info": [],
        "search-critical": [],
        "search-warning": [],
        "staging-default": ["webhookConfigs"],
        "staging-info": [],
        "staging-critical": ["webhookConfigs"],
        "staging-warning": ["webhookConfigs"],
    }
