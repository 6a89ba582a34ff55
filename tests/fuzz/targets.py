"""What is fuzzed. Each target gets bytes, and raises if a promise of the documentation does not hold for them."""

from __future__ import annotations

import asyncio
import json
import math
import os
import re
import secrets
import socket
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest.mock import patch

import yaml
from prometheus_client import CollectorRegistry

from alerts.promql import PromqlError, formatted, parse
from instrumentation.auditing.chain import Key, as_json, head_in
from instrumentation.auditing.trail import AuditTrail, head_path, read_head
from instrumentation.auditing.verify import verify
from instrumentation.catalog import WORKFLOWS_CREATED
from instrumentation.correlation import usable
from instrumentation.errors import SettingsError
from instrumentation.exposition.formats import Page
from instrumentation.http.connections import Limits
from instrumentation.http.correlation import _taken
from instrumentation.http.page import MetricsPage, Request, metrics_page
from instrumentation.http.server import _Handler, _Server
from instrumentation.redaction import Redactor
from instrumentation.retry import seconds_of
from instrumentation.settings import Settings, load_settings
from instrumentation.store import LocalStore, add
from instrumentation.tracing.decodable import decodable, restore
from sidelight.checks import find
from sidelight.objectives.openslo import OpenSloError, imported, rule_file

if TYPE_CHECKING:
    from collections.abc import Callable

    from instrumentation.asgi import ASGIApp, Message, Receive, Scope, Send

_SECRET = "hunter2correcthorse"  # noqa: S105 - of the fuzzer alone
_HEADER_SAFE = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")


class Target(NamedTuple):
    """One parser.

    Attributes:
        run: Gives bytes to it; raises if they break it.
        seeds: Valid inputs, from which others are made.
        promise: What must hold for every input.
    """

    run: Callable[[bytes], None]
    seeds: tuple[bytes, ...]
    promise: str


class BrokenPromiseError(Exception):
    """A promise does not hold."""


def _hold(*, that: bool, otherwise: str) -> None:
    if not that:
        raise BrokenPromiseError(otherwise)


@cache
def _folder() -> Path:
    folder = tempfile.TemporaryDirectory(prefix="sidelight-fuzz-")
    _kept.append(folder)
    return Path(folder.name)


_kept: list[Any] = []


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


# --- Settings ---------------------------------------------------------------------------------------------------------


def settings(data: bytes) -> None:
    """A settings file, and a variable of OpenTelemetry, from the same bytes."""
    file = _folder() / "sidelight.yaml"
    file.write_bytes(data)
    for environ in ({}, {"OTEL_RESOURCE_ATTRIBUTES": _text(data), "OTEL_EXPORTER_OTLP_HEADERS": _text(data)}):
        try:
            load_settings(file, environ)
        except SettingsError as error:
            _hold(that=bool(error.faults), otherwise="an error without a fault")


# --- The metrics page -------------------------------------------------------------------------------------------------


@cache
def _page() -> MetricsPage:
    store = LocalStore()
    add(store, WORKFLOWS_CREATED, ("orders",), 7.0)
    return metrics_page(store, CollectorRegistry(), Settings())


def negotiation(data: bytes) -> None:
    """The headers and the query of a scrape."""
    first, _, rest = data.decode("latin-1").partition("\n")
    query, _, encoding = rest.partition("\n")
    response = _page().answer(Request("GET", query, {"accept": first, "accept-encoding": encoding}))
    _hold(that=response.status == 200, otherwise=f"status {response.status}")
    kind = response.headers["content-type"]
    _hold(that=kind.startswith(("text/plain", "application/openmetrics-text")), otherwise=f"content type {kind}")


def merged_page(data: bytes) -> None:
    """A metrics page of another library."""
    for kind in ("text/plain; version=0.0.4", "application/openmetrics-text; version=1.0.0"):
        body = _page()._merger.merge(Page(data, kind), ()).body
        _hold(that=b"workflows_created" in body, otherwise="our metrics are missing")


@cache
def _server() -> _Server:
    return _Server(_page(), "127.0.0.1", 0, "/metrics", Limits())


def request(data: bytes) -> None:
    """A request to the metrics port."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(5)
        theirs.settimeout(5)
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        theirs.sendall(data[: 1 << 16])
        theirs.shutdown(socket.SHUT_WR)
        _server().connections.admit(ours, "127.0.0.1")
        try:
            _Handler(ours, ("127.0.0.1", 1), _server())
        finally:
            _server().connections.remove(ours)
        ours.shutdown(socket.SHUT_WR)
        answer = theirs.recv(1 << 16)
    _hold(that=not answer or answer.startswith((b"HTTP/1.0 ", b"<!DOCTYPE", b"# HELP")), otherwise=f"{answer[:80]!r}")


# --- Headers ----------------------------------------------------------------------------------------------------------


def correlation(data: bytes) -> None:
    """The headers that may contain a correlation id."""
    names = (b"x-correlation-id", b"x-request-id")
    headers = [(names[number % 2], value) for number, value in enumerate(data.split(b"\n"))]
    current = _taken({"type": "http", "headers": headers})
    _hold(that=_HEADER_SAFE.fullmatch(current) is not None, otherwise=f"the id {current!r}")
    _hold(
        that=usable(data) == (_HEADER_SAFE.fullmatch(_text(data)) is not None and data[:1].isalnum()),
        otherwise="usable",
    )


def retry_after(data: bytes) -> None:
    """The header Retry-After."""
    seconds = seconds_of(_text(data), 1_700_000_000.0)
    _hold(that=seconds is None or (seconds >= 0 and not math.isnan(seconds)), otherwise=f"{seconds} seconds")


async def _app(scope: Scope, receive: Receive, send: Send) -> None:
    del receive
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"".join(value for _, value in scope["headers"])})


@cache
def _traced() -> tuple[ASGIApp, ...]:
    """An app under Sidelight's spans, and one under those of OpenTelemetry's instrumentation."""
    from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware  # noqa: PLC0415 - only here
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - only here

    from instrumentation.tracing.server_spans import ServerSpans  # noqa: PLC0415 - only here

    def failed(*_: object, error: BaseException, **__: object) -> None:
        raise error

    spans = ServerSpans(TracerProvider(), lambda _: "", lambda _: False)
    spans._log_once = failed  # type: ignore[assignment]
    with patch.dict(
        os.environ, {"OTEL_SEMCONV_STABILITY_OPT_IN": "http"}
    ):  # read once in a process, and Sidelight's choice
        contrib: Any = OpenTelemetryMiddleware(
            _app, server_request_hook=lambda _, scope: restore(scope), tracer_provider=TracerProvider()
        )
    return spans.around(_app), decodable(contrib)


async def _receive() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


def traced_request(data: bytes) -> None:
    """The headers and the query of a request while tracing is on."""
    names = (b"traceparent", b"tracestate", b"baggage", b"host", b"user-agent", b"x-any")
    query, *values = data.split(b"\n")
    for app in _traced():
        sent: list[Message] = []

        async def send(message: Message, sent: list[Message] = sent) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": "/",
            "root_path": "",
            "query_string": query,
            "headers": list(zip(names, values, strict=False)),
            "client": ("192.0.2.7", 1),
            "server": ("192.0.2.3", 80),
            "asgi": {"version": "3.0"},
        }
        _loop().run_until_complete(app(scope, _receive, send))
        _hold(that=sent[1]["body"] == b"".join(values[: len(names)]), otherwise="the app gets other headers")


@cache
def _loop() -> asyncio.AbstractEventLoop:
    return asyncio.new_event_loop()


# --- Redaction --------------------------------------------------------------------------------------------------------


@cache
def _redactor() -> Redactor:
    return Redactor(queries=True)


def redaction_of_text(data: bytes) -> None:
    """A log line before and behind a secret."""
    before, _, behind = _text(data).partition("\n")
    masked = _redactor().text(f"{before}\npassword={_SECRET}\n{behind}")
    _hold(that=_SECRET not in masked, otherwise=f"the secret is in {masked!r}")


def redaction_of_data(data: bytes) -> None:
    """Fields beside a secret."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        value = _text(data)
    masked = _redactor().value({"given": value, "password": _SECRET, "nested": [{"api_key": _SECRET}, value]})
    _hold(that=_SECRET not in str(masked), otherwise=f"the secret is in {masked!r}")


# --- Audit ------------------------------------------------------------------------------------------------------------

_KEY = Key(secrets.token_bytes(32))  # a new one, so that what a corpus keeps of former runs is not sealed with it


@cache
def _trail() -> tuple[Path, bytes, dict[int, bytes]]:
    path = _folder() / "audit.log"
    trail = AuditTrail(path, {_KEY.id: _KEY})
    for number in range(3):
        trail.append(as_json(event="user.login", actor="7f3c", number=number))
    trail.close()
    head = read_head(path, {_KEY.id: _KEY})
    if head is None:
        raise BrokenPromiseError("a trail without a head")
    return path, path.read_bytes(), {head.seq: head.seal}


def audit_file(data: bytes) -> None:
    """A trail that somebody without the key has written."""
    path, whole, heads = _trail()
    path.write_bytes(data)
    report = verify([path], {_KEY.id: _KEY}, heads)
    is_whole = data.startswith(whole)  # an incomplete line may follow, which an entry later covers
    _hold(that=is_whole or report.fault is not None, otherwise="a changed trail verifies")
    path.write_bytes(whole)


def audit_head(data: bytes) -> None:
    """A head that somebody without the key has written."""
    path, _, heads = _trail()
    real = head_path(path).read_bytes()
    try:
        head = head_in(data, {_KEY.id: _KEY})
    except KeyError:
        return
    _hold(that=head is None or data == real or {head.seq: head.seal} == heads, otherwise="a forged head is accepted")


# --- Files of other people --------------------------------------------------------------------------------------------


def promql(data: bytes) -> None:
    """An expression; what can be read is written in a form that reads the same."""
    try:
        tree = parse(_text(data), variables=True)
    except PromqlError:
        return
    text = formatted(tree)
    _hold(that=formatted(parse(text, variables=True)) == text, otherwise=f"{text!r} is not stable")


def checked_file(data: bytes) -> None:
    """A rule file, dashboard or collector configuration."""
    file = _folder() / f"file.{'json' if data[:1] == b'{' else 'yaml'}"
    file.write_bytes(data)
    for finding in find([file], Settings()).findings:
        _hold(that="because of a fault in sidelight check" not in finding.message, otherwise=finding.message)


def objectives(data: bytes) -> None:
    """OpenSLO documents."""
    file = _folder() / f"slo.{'json' if data[:1] in b'[{' else 'yaml'}"
    file.write_bytes(data)
    for read in (imported, rule_file):
        faults: list[OpenSloError] = []
        try:
            text = read([file], faults=faults)
        except (OpenSloError, SettingsError) as error:
            _hold(that=bool(str(error)), otherwise="an error without a sentence")
        else:
            _hold(
                that=set(yaml.safe_load(text)) <= {"slo", "groups"}, otherwise=f"other keys than slo and groups: {text}"
            )


OBJECTIVES = b"""apiVersion: openslo/v1
kind: SLO
metadata: {name: web}
spec:
  service: web
  indicator:
    spec:
      ratioMetric:
        counter: true
        good: {metricSource: {type: Prometheus, spec: {query: 'a_total{code!~"5.."}'}}}
        total: {metricSource: {metricSourceRef: ours, spec: {query: 'sum(rate(a_total[{{.window}}]))'}}}
  timeWindow: [{duration: 1w, isRolling: false, calendar: {startTime: 2022-01-01 12:00:00, timeZone: UTC}}]
  budgetingMethod: Timeslices
  objectives: [{op: gt, target: 0.995, timeSliceTarget: 0.95, timeSliceWindow: 1m}]
  alertPolicies: [p]
---
- {apiVersion: openslo/v1, kind: DataSource, metadata: {name: ours}, spec: {type: Prometheus}}
- apiVersion: openslo/v1
  kind: AlertPolicy
  metadata: {name: p}
  spec: {conditions: [{metadata: {name: c}, spec: {condition: {kind: burnrate, op: gt, threshold: 2, lookbackWindow: 1h}}}]}
"""
OBJECTIVES_ALPHA = b"""{"kind": "List", "items": [{"apiVersion": "openslo/v1alpha", "kind": "SLO", "metadata": {"name": "fast"}, "spec":
{"service": "web", "indicator": {"thresholdMetric": {"source": "datadog", "query": "request_ms"}},
"timeWindows": [{"count": 1, "unit": "Month"}], "objectives": [{"op": "lte", "value": 500, "target": 0.98}]}}]}"""
RESOURCES = b"""apiVersion: v1
kind: List
items:
- apiVersion: monitoring.coreos.com/v1
  kind: PrometheusRule
  metadata: {name: x}
  spec:
    groups:
    - name: g
      rules:
      - &a {alert: A, expr: 'label_replace(up, "a", "$1", "b", "(.*)") == 0 or vector(0)', for: 5 minutes}
      - {<<: *a, alert: B, annotations: {x: '{{ range $i, $e := query "up" }}{{ $e.Labels.x }}{{ else }}{{ .Value }}{{ end }}'}}
- kind: ConfigMap
  data: {x.yaml: "groups: []", y.json: '{"panels": [{"fieldConfig": {"defaults": {"unit": "seconds"}}}]}'}
"""
RULES = b"""groups:
  - name: shop
    rules:
      - alert: HighErrorRate
        expr: sum by (job) (rate(http_requests_total{code=~"5.."}[5m])) > 0.05
        for: 5m
        labels: {severity: critical}
        annotations: {summary: "{{ $labels.job }} has {{ $value | humanizePercentage }}"}
      - record: job:x:rate5m
        expr: sum by (job) (rate(x_total[5m]))
"""
DASHBOARD = json.dumps(
    {
        "title": "Shop",
        "panels": [
            {
                "type": "timeseries",
                "title": "Rate",
                "targets": [{"expr": "sum(rate(http_requests_total[$__rate_interval]))", "refId": "A"}],
                "fieldConfig": {
                    "defaults": {"unit": "reqps", "thresholds": {"steps": [{"value": None, "color": "green"}]}}
                },
            }
        ],
        "templating": {"list": [{"name": "job", "type": "query", "query": "label_values(up, job)"}]},
    }
).encode()
COLLECTOR = b"""receivers: {otlp: {protocols: {http: {endpoint: "localhost:4318"}}}}
processors: {batch: {}}
exporters: {otlp_http: {endpoint: "http://gateway:4318"}}
service: {pipelines: {traces: {receivers: [otlp], processors: [batch], exporters: [otlp_http]}}}
"""

TARGETS: dict[str, Target] = {
    "settings": Target(
        settings,
        (
            b"service: {name: shop}\nthresholds: {error_ratio: {critical: 0.05, warning: 0.02}}\n",
            b"metrics: {port: 9464, token_file: /run/t}\naudit: {path: a.log, fsync: always}\nalerting: {window: 10m}\n",
            b"service.name=shop,a=b%20c\n",
        ),
        "every fault is a sentence in a SettingsError",
    ),
    "negotiation": Target(
        negotiation,
        (b"application/openmetrics-text;version=1.0.0;q=0.8,text/plain;q=0.5\nname[]=a&name[]=b\ngzip;q=0, *;q=1",),
        "a scrape gets a page in a format of Prometheus, whatever its headers say",
    ),
    "merged_page": Target(
        merged_page,
        (b"# HELP a b\n# TYPE a counter\na 1\n", b'# TYPE http_x histogram\nhttp_x_bucket{le="1"} 2\n# EOF\n'),
        "the page of another library never hides ours",
    ),
    "request": Target(
        request,
        (
            b"GET /metrics HTTP/1.1\r\nhost: x\r\naccept: */*\r\nauthorization: Bearer x\r\n\r\n",
            b"HEAD / HTTP/1.0\r\n\r\n",
        ),
        "the metrics port answers or closes the connection, and no thread fails",
    ),
    "correlation": Target(
        correlation,
        (b"01JD7Z3V0Q", b"Root=1-5759e988-bd862e3fe1be46a994272793\nx", b"a\n\nb"),
        "an id from outside is safe in logs and headers",
    ),
    "retry_after": Target(
        retry_after, (b"120", b"Thu, 01 Jan 1970 00:00:07 GMT"), "a wait is a number of seconds, or unknown"
    ),
    "traced_request": Target(
        traced_request,
        (
            b"a=1\n00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\nrojo=1,congo=2\nuser=7;x\nexample.com:80\ncurl\nx",
        ),
        "no header makes a traced request fail, and the app gets the client's bytes",
    ),
    "redaction_of_text": Target(
        redaction_of_text,
        (
            b'login of joe@example.com token="abc"\nAuthorization: Bearer x',
            b"{'loc': ('body', 'password'), 'input': 'x'}\n\\\"secret\\\": \\\"y",
            b"postgres://joe:pw@db/x?code=1\n-----BEGIN PRIVATE KEY-----",
        ),
        "a password on a line of its own is masked, with any text around it",
    ),
    "redaction_of_data": Target(
        redaction_of_data,
        (b'{"user": {"id": 7, "password": "x"}, "items": [1, 2.5, null, "a=b"]}', b'[["authorization", "x"]]'),
        "a password under its name is masked, with any data beside it",
    ),
    "audit_file": Target(audit_file, (), "no trail verifies that was changed without the key"),
    "audit_head": Target(audit_head, (), "no head is accepted that was made without the key"),
    "promql": Target(
        promql,
        (
            b'sum by (job) (rate(x_total{a=~"b|c"}[5m] offset 1h)) / on (job) group_left (v) (y > bool 1e3) or vector(0)',
            b"histogram_quantile(0.95, sum(rate(h_bucket[5m:1m])) by (le)) unless -x @ start()",
        ),
        "an expression is read or refused with a PromqlError, and its written form is stable",
    ),
    "checked_file": Target(
        checked_file, (RULES, DASHBOARD, COLLECTOR, RESOURCES), "a file is checked or has a finding, and no check fails"
    ),
    "objectives": Target(
        objectives, (OBJECTIVES, OBJECTIVES_ALPHA), "a document becomes settings or rules, or an error says why not"
    ),
}
"""Every target by its name."""


def seeds(name: str) -> tuple[bytes, ...]:
    """The seeds of a target; those of the audit trail are sealed with a key, so they are made here."""
    if name == "audit_file":
        return (_trail()[1],)
    if name == "audit_head":
        return (head_path(_trail()[0]).read_bytes(),)
    return TARGETS[name].seeds
