"""A real Alertmanager with the generated configuration: routes, inhibition and the text of messages."""

from __future__ import annotations

import json
import queue
import re
import subprocess
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import yaml

from alerts import ALERTS, generated, groups
from alerts.alertmanager import messages
from alerts.checking.series import kept_labels
from instrumentation.settings import parse_settings
from sidelight.chart.alertmanager import NAMESPACE, alertmanager_parts
from sidelight.toolchain import processes, tool

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from instrumentation.settings import Settings

DEADLINE = 60.0  # seconds; the machine may be busy
MINUTE = 60_000  # milliseconds
BEGAN, AROUND = 1_795_749_120_000, 30 * MINUTE  # when ALERT began, and what a dashboard shows around it
ALERT = {
    "status": "firing",
    "labels": {"alertname": "HighErrorRate", "job": "shop", "severity": "critical"},
    "annotations": {
        "summary": "Too many requests are answered with an error.",
        "description": "shop answered 6.25% of its requests of the last 5m with an error; the limit is 5%. <b>&",
        "runbook_url": "https://runbooks.example/HighErrorRate.md",
        "dashboard_url": "https://grafana.example/d/sidelight-operations?var-job=shop",
    },
    "startsAt": "2026-11-27T03:12:00Z",
    "endsAt": "2026-11-27T03:47:00Z",
}


class Sink:
    """Takes what Alertmanager posts, by the path it posts it to."""

    def __init__(self) -> None:
        self.heard: queue.Queue[tuple[str, Any]] = queue.Queue()
        heard = self.heard

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                heard.put((self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *_: object) -> None:
                """Silence: the test's output is for the test."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def until(self, wanted: set[tuple[str, str, str]]) -> set[tuple[str, str, str]]:
        """Path, alert and status of what arrives until all that is wanted did."""
        found: set[tuple[str, str, str]] = set()
        deadline = time.monotonic() + DEADLINE
        while not wanted <= found and time.monotonic() < deadline:
            try:
                path, body = self.heard.get(timeout=1)
            except queue.Empty:
                continue
            found |= {(path, one["labels"]["alertname"], one["status"]) for one in body["alerts"]}
        return found


@pytest.fixture
def sink() -> Iterator[Sink]:
    sink = Sink()
    thread = threading.Thread(target=sink.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield sink
    sink.server.shutdown()
    thread.join()
    sink.server.server_close()


@contextmanager
def alertmanager(folder: Path, **alerting: object) -> Iterator[httpx.Client]:
    notification = {"group_wait": "1s", "group_interval": "1s", "watchdog_interval": "1s"}
    for name, text in generated(parse_settings({"alerting": {"notification": notification, **alerting}})).items():
        (folder / name).write_text(text)
    with (
        processes.alertmanager(folder / "alertmanager.yaml", folder / "data") as process,
        httpx.Client(base_url=process.url) as client,
    ):
        yield client


def post(client: httpx.Client, *alerts: dict[str, str], ends: bool = False) -> None:
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 1))
    times = {"endsAt": moment} if ends else {}
    client.post("/api/v2/alerts", json=[{"labels": labels, **times} for labels in alerts]).raise_for_status()


def labels(alertname: str, severity: str, job: str = "shop") -> dict[str, str]:
    return {"alertname": alertname, "severity": severity, "job": job}


def hook(sink: Sink, path: str) -> dict[str, Any]:
    return {"webhook": {"url": f"{sink.url}/{path}"}}


def inhibited(client: httpx.Client) -> set[frozenset[tuple[str, str]]]:
    alerts = client.get("/api/v2/alerts").json()
    return {frozenset(one["labels"].items()) for one in alerts if one["status"]["inhibitedBy"]}


def held_back(client: httpx.Client, expected: list[dict[str, str]]) -> list[dict[str, str]]:
    """The labels of the alerts that are held back, once all that are expected to be are; what else is held back shows then."""
    wanted = {frozenset(labels.items()) for labels in expected}
    deadline = time.monotonic() + DEADLINE
    while not wanted <= (found := inhibited(client)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return ordered(map(dict, found))


def ordered(labels: Iterable[dict[str, str]]) -> list[dict[str, str]]:
    return sorted(labels, key=lambda one: sorted(one.items()))


def test_each_severity_and_each_team_gets_its_own_alerts(sink: Sink, tmp_path: Path) -> None:
    receivers = {"default": hook(sink, "default"), "critical": hook(sink, "pager"), "watchdog": hook(sink, "switch")}
    payments = {"name": "payments", "match": {"job": "checkout"}, "receivers": {"default": hook(sink, "payments")}}
    with alertmanager(tmp_path, receivers=receivers, teams=[payments]) as client:
        post(
            client,
            labels("HighErrorRate", "critical"),
            labels("HighLatencyP95", "warning"),
            labels("MemoryNearLimit", "critical", "checkout"),
            labels("DiskFillingUp", "warning", "checkout"),
            {"alertname": "Watchdog", "severity": "none"},
            labels("OfTheUser", "page"),
        )
        wanted = {
            ("/pager", "HighErrorRate", "firing"),
            ("/default", "HighLatencyP95", "firing"),
            ("/payments", "MemoryNearLimit", "firing"),
            ("/payments", "DiskFillingUp", "firing"),
            ("/switch", "Watchdog", "firing"),
            ("/default", "OfTheUser", "firing"),
        }
        assert sink.until(wanted) == wanted


def test_only_alerts_explained_by_a_worse_one_are_inhibited(sink: Sink, tmp_path: Path) -> None:
    with alertmanager(tmp_path, receivers={"default": hook(sink, "all")}) as client:
        post(client, labels("HighErrorRate", "critical"), labels("ServiceDown", "critical", "checkout"))
        sink.until({("/all", "HighErrorRate", "firing"), ("/all", "ServiceDown", "firing")})
        post(
            client,
            labels("HighErrorRate", "warning"),
            labels("HighErrorRate", "warning", "search"),
            labels("HighLatencyP95", "warning"),
            labels("HighLatencyP95", "critical", "checkout"),
            labels("DeploymentCompleted", "info", "checkout"),
        )
        wanted = {
            ("/all", "HighErrorRate", "firing"),
            ("/all", "HighLatencyP95", "firing"),
            ("/all", "DeploymentCompleted", "firing"),
        }
        assert wanted <= sink.until(wanted)
        expected = [labels("HighErrorRate", "warning"), labels("HighLatencyP95", "critical", "checkout")]
        assert held_back(client, expected) == ordered(expected)


EVERY_ALERT = {
    "defaults": parse_settings({"budget": {"daily_usd": 7.0}}),
    "overrides, more labels and other words": parse_settings(
        {
            "budget": {"daily_usd": 7.0},
            "alerting": {"group_by": ["region", "job"], "severities": {"critical": "page", "warning": "ticket"}},
            "thresholds": {"overrides": [{"match": {"job": "search"}, "queue_depth": {"critical": 7000}}]},
        }
    ),
}
"""Settings with which every alert of the table has its rules."""


def as_operator_writes(rules: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The chart's rules as the Prometheus Operator gives them to Alertmanager."""

    def matchers(those: list[dict[str, str]]) -> list[str]:
        return [f"{one['name']}{one.get('matchType', '=')}{json.dumps(one['value'])}" for one in those]

    return [
        {
            "source_matchers": matchers(rule["sourceMatch"]),
            "target_matchers": matchers(rule["targetMatch"]),
            "equal": ["namespace" if label == NAMESPACE else label for label in rule["equal"]],
        }
        for rule in rules
    ]


@pytest.fixture(params=[(name, origin) for name in EVERY_ALERT for origin in ("file", "chart")], ids="-".join)
def inhibiting(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Settings, httpx.Client]]:
    """Settings, and an Alertmanager that has the inhibition rules made from them, as the file or the chart says them."""
    name, origin = request.param
    settings = EVERY_ALERT[name]
    files = generated(settings)
    config = yaml.safe_load(files["alertmanager.yaml"])
    if origin == "chart":
        parts: Any = alertmanager_parts(settings, groups(settings))
        config["inhibit_rules"] = as_operator_writes(parts["inhibitRules"])
    (tmp_path / messages.FILE).write_text(files[messages.FILE])
    (tmp_path / "alertmanager.yaml").write_text(yaml.safe_dump(config))
    with (
        processes.alertmanager(tmp_path / "alertmanager.yaml", tmp_path / "data") as process,
        httpx.Client(base_url=process.url) as client,
    ):
        yield settings, client


def every_alert(settings: Settings) -> dict[tuple[str, str], frozenset[str]]:
    return kept_labels(groups(settings), settings.alerting.group_by)


def sent(settings: Settings, alert: str, severity: str, **others: str) -> dict[str, str]:
    """The labels of an alert as Prometheus sends it, its own Prometheus' labels included."""
    values = {label: f"this {label}" for label in every_alert(settings)[alert, severity]}
    word = getattr(settings.alerting.severities, severity)
    return {**values, "job": alert, "cluster": "eu", "alertname": alert, "severity": word, **others}


def test_an_alert_holds_back_its_own_warning_and_that_of_no_neighbour(
    inhibiting: tuple[Settings, httpx.Client],
) -> None:
    settings, client = inhibiting
    kept = every_alert(settings)
    both = [alert for alert, severity in kept if severity == "critical" and (alert, "warning") in kept]
    post(client, *(sent(settings, alert, "critical", override="job=search") for alert in both))
    own = [sent(settings, alert, "warning") for alert in both]
    neighbours = [
        sent(settings, alert, "warning", **{label: "another"})
        for alert in both
        for label in [*kept[alert, "warning"], "cluster"]
    ]
    post(client, *own, *neighbours)
    assert {alert for alert, _ in kept} == {alert.name for alert in ALERTS}
    assert len(neighbours) > 2 * len(both)
    assert held_back(client, own) == ordered(own)


@pytest.mark.parametrize(
    ("alert", "slo", "other"),
    [("HighErrorRate", "availability", "latency"), ("HighLatencyP95", "latency", "availability")],
)
def test_a_page_inhibits_the_warning_about_the_same_requests(
    alert: str, slo: str, other: str, inhibiting: tuple[Settings, httpx.Client]
) -> None:
    settings, client = inhibiting

    def budget(severity: str, job: str, slo: str) -> dict[str, str]:
        return sent(settings, "ErrorBudgetBurn", severity, job=job, slo=slo)

    post(client, sent(settings, alert, "critical", job="fast"), budget("critical", "slow", slo))
    explained = [budget("warning", "fast", slo), sent(settings, alert, "warning", job="slow")]
    others = [
        budget("warning", "fast", other),
        budget("warning", "other", slo),
        sent(settings, alert, "warning", job="other"),
    ]
    post(client, *explained, *others)
    assert held_back(client, explained) == ordered(explained)


def test_a_service_that_is_down_holds_back_its_other_alerts_and_no_others(
    inhibiting: tuple[Settings, httpx.Client],
) -> None:
    settings, client = inhibiting
    targets = [key for key in every_alert(settings) if key[0] not in {"ServiceDown", "Watchdog"}]
    down = {key: f"{key} is down" for key in targets}
    post(client, *(sent(settings, "ServiceDown", "critical", job=job) for job in down.values()))
    explained = [sent(settings, *key, job=job) for key, job in down.items() if key[0] != "DeploymentCompleted"]
    others = [sent(settings, *key, job=f"{key} is up") for key in targets]
    elsewhere = [{**labels, "cluster": "us"} for labels in explained]
    events = [sent(settings, *key, job=job) for key, job in down.items() if key[0] == "DeploymentCompleted"]
    post(client, *explained, *others, *elsewhere, *events)
    assert held_back(client, explained) == ordered(explained)


def test_the_end_of_an_event_is_not_sent_and_the_end_of_an_alert_is(sink: Sink, tmp_path: Path) -> None:
    both = (labels("DeploymentCompleted", "info"), labels("HighErrorRate", "critical"))
    with alertmanager(tmp_path, receivers={"default": hook(sink, "all")}) as client:
        post(client, *both)
        sink.until({("/all", "DeploymentCompleted", "firing"), ("/all", "HighErrorRate", "firing")})
        post(client, *both, ends=True)
        heard = sink.until({("/all", "HighErrorRate", "resolved")})
        post(client, labels("Later", "critical"))
        heard |= sink.until({("/all", "Later", "firing")})
    assert ("/all", "HighErrorRate", "resolved") in heard
    assert ("/all", "DeploymentCompleted", "resolved") not in heard


def test_in_a_mute_time_a_warning_waits_and_what_is_critical_is_sent(sink: Sink, tmp_path: Path) -> None:
    always = {"name": "always", "severities": ["warning"]}
    receivers = {"default": hook(sink, "all")}
    with alertmanager(tmp_path, receivers=receivers, mute_times=[always]) as client:
        post(client, labels("HighErrorRate", "warning"))
        post(client, labels("HighLatencyP95", "critical"))
        heard = sink.until({("/all", "HighLatencyP95", "firing")})
        post(client, labels("Later", "critical"))
        heard |= sink.until({("/all", "Later", "firing")})
    assert heard == {("/all", "HighLatencyP95", "firing"), ("/all", "Later", "firing")}


def test_slack_gets_a_message_to_act_on(sink: Sink, tmp_path: Path) -> None:
    (tmp_path / "slack").write_text(f"{sink.url}/slack")
    slack = {"slack": {"api_url_file": str(tmp_path / "slack"), "channel": "#shop"}}
    with alertmanager(tmp_path, receivers={"default": slack}) as client:
        alert = {key: ALERT[key] for key in ("labels", "annotations")}
        client.post("/api/v2/alerts", json=[alert]).raise_for_status()
        path, body = sink.heard.get(timeout=DEADLINE)
    (attachment,) = body["attachments"]
    assert (path, body["channel"]) == ("/slack", "#shop")
    assert attachment["title"] == "CRITICAL: HighErrorRate of shop"
    dashboard = r"https://grafana\.example/d/sidelight-operations\?var-job=shop&from=\d{13}&to=now"
    assert re.fullmatch(dashboard, attachment["title_link"])
    assert attachment["color"] == "danger"
    lines = attachment["text"].splitlines()
    assert lines[0] == "Too many requests are answered with an error."
    assert lines[1].endswith("with an error; the limit is 5%. &lt;b&gt;&amp;")
    assert lines[2].startswith("Since 20")
    assert re.fullmatch(rf"<{dashboard}\|Dashboard>", lines[3])
    assert lines[4] == "<https://runbooks.example/HighErrorRate.md|Runbook>"


def rendered(folder: Path, name: str, *alerts: dict[str, Any], kind: str = "text") -> str:
    (folder / messages.FILE).write_text(messages.to_template_file(parse_settings({"alerting": {"group_by": ["job"]}})))
    common = {key: alerts[0][key] for key in ("labels", "annotations")}
    data = {
        "receiver": "critical",
        "status": "resolved" if all(alert["status"] == "resolved" for alert in alerts) else "firing",
        "alerts": alerts,
        "groupLabels": {"alertname": "HighErrorRate"},
        "commonLabels": common["labels"],
        "commonAnnotations": common["annotations"],
        "externalURL": "http://alertmanager.example",
    }
    (folder / "data.json").write_text(json.dumps(data))
    ended = subprocess.run(
        [
            tool("amtool"),
            "template",
            "render",
            f"--template.glob={folder / messages.FILE}",
            f'--template.text={{{{ template "sidelight.{name}" . }}}}',
            f"--template.data={folder / 'data.json'}",
            f"--template.type={kind}",
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return ended.stdout


def test_a_text_says_what_since_when_and_where_to_look(tmp_path: Path) -> None:
    assert rendered(tmp_path, "text", ALERT).strip().splitlines() == [
        "Too many requests are answered with an error.",
        "shop answered 6.25% of its requests of the last 5m with an error; the limit is 5%. <b>&",
        "Since 2026-11-27 03:12 UTC",
        f"Dashboard: https://grafana.example/d/sidelight-operations?var-job=shop&from={BEGAN - AROUND}&to=now",
        "Runbook: https://runbooks.example/HighErrorRate.md",
    ]


def test_a_dashboard_opens_at_the_time_of_the_alert(tmp_path: Path) -> None:
    over = {**ALERT, "status": "resolved"}
    times = f"from={BEGAN - AROUND}&to={BEGAN + 35 * MINUTE + AROUND}"
    address = "https://grafana.example/d/sidelight-operations"
    assert rendered(tmp_path, "link", over).strip() == f"{address}?var-job=shop&{times}"
    of_no_job = {**over, "annotations": {**over["annotations"], "dashboard_url": address}}
    assert rendered(tmp_path, "link", of_no_job).strip() == f"{address}?{times}"
    assert f'<a href="{address}?{times.replace("&", "&amp;")}">' in rendered(tmp_path, "html", of_no_job, kind="html")


def test_a_text_of_a_resolved_alert_says_from_when_to_when(tmp_path: Path) -> None:
    over = {**ALERT, "status": "resolved"}
    assert "Over: 2026-11-27 03:12 to 03:47 UTC" in rendered(tmp_path, "text", over)
    assert rendered(tmp_path, "title", over).strip() == "RESOLVED: HighErrorRate of shop"
    assert rendered(tmp_path, "color", over).strip() == "good"


def test_an_alert_without_annotations_still_has_its_name(tmp_path: Path) -> None:
    bare = {**ALERT, "annotations": {}}
    assert rendered(tmp_path, "text", bare).strip().splitlines() == ["HighErrorRate", "Since 2026-11-27 03:12 UTC"]
    assert rendered(tmp_path, "link", bare).strip() == "http://alertmanager.example"


def test_of_many_alerts_ten_are_listed_and_the_rest_is_counted(tmp_path: Path) -> None:
    text = rendered(tmp_path, "text", *[ALERT] * 12)
    assert text.count("Since ") == 10
    assert text.rstrip().endswith("These are 10 of 12 alerts; all of them: http://alertmanager.example")
    assert rendered(tmp_path, "title", *[ALERT] * 12).strip() == "CRITICAL: HighErrorRate of shop (12 alerts)"


def test_a_mail_escapes_what_an_alert_says(tmp_path: Path) -> None:
    page = rendered(tmp_path, "html", ALERT, kind="html")
    assert "the limit is 5%. &lt;b&gt;&amp;</p>" in page
    assert '<a href="https://runbooks.example/HighErrorRate.md">Runbook</a>' in page


@pytest.mark.parametrize(
    ("severity", "priority"), [("critical", "P1"), ("warning", "P3"), ("info", "P5"), ("page", "P5")]
)
def test_a_severity_is_a_priority_of_opsgenie(severity: str, priority: str, tmp_path: Path) -> None:
    alert = {**ALERT, "labels": {**ALERT["labels"], "severity": severity}}  # type: ignore[dict-item]
    assert rendered(tmp_path, "priority", alert).strip() == priority
