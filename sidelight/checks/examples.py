"""One example for each check: a file with a fault, and the same file without it."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

ALERT = """\
groups:
  - name: shop
    interval: 30s
    rules:
      - alert: TooMany
        expr: {expr}
        for: 2m
        labels: {{severity: warning}}
        annotations:
          summary: Too many.
          description: "{{{{ $labels.job }}}} has too many."
          runbook_url: https://example.org/TooMany
"""
RECORD = """\
groups:
  - name: shop
    rules:
      - record: {name}
        expr: {expr}
"""
SCOPE = 'job=~"$job",instance=~"$instance"'


def alert(expr: str, was: str = "", now: str = "") -> str:
    """A rule file with one alert; a part of it may be replaced."""
    text = ALERT.format(expr=json.dumps(expr))
    return text.replace(was, now) if was else text


def record(expr: str, name: str = "job:things:sum") -> str:
    """A rule file with one recording rule."""
    return RECORD.format(expr=json.dumps(expr), name=name)


def dashboard(**changes: Any) -> dict[str, Any]:
    """A dashboard with one panel in a row, and with changes."""
    variable = {"type": "query", "multi": True, "includeAll": True, "allValue": ".+", "refresh": 2}
    source = {"type": "prometheus", "uid": "${datasource}"}
    panel = {
        "id": 7,
        "type": "timeseries",
        "title": "Up",
        "description": "Whether it is up.",
        "datasource": source,
        "fieldConfig": {
            "defaults": {"unit": "short", "thresholds": {"steps": [{"value": None}, {"value": 0.01}, {"value": 0.05}]}}
        },
        "targets": [{"datasource": source, "expr": f"up{{{SCOPE}}}"}],
    }
    board = {
        "uid": "shop",
        "title": "Shop",
        "editable": False,
        "templating": {
            "list": [
                {"type": "datasource", "name": "datasource", "query": "prometheus"},
                {**variable, "name": "job", "query": "label_values(target_info, job)"},
                {**variable, "name": "instance", "query": {"query": 'label_values(up{job=~"$job"}, instance)'}},
            ]
        },
        "panels": [{"type": "row", "title": "All", "panels": [panel]}],
    }
    return put(board, changes)


def put(board: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Keys are paths, with dots."""
    for path, value in changes.items():
        *keys, last = (int(key) if key.isdecimal() else key for key in path.split("__"))
        place: Any = board
        for key in keys:
            place = place[key]
        if value is ...:
            del place[last]
        else:
            place[last] = value
    return board


VARIABLES = dashboard()["templating"]["list"]


def panel(**changes: Any) -> str:
    """A dashboard as JSON, with changes to its panel."""
    return json.dumps(
        dashboard(**{f"panels__0__panels__0__{path}": value for path, value in changes.items()}), indent=2
    )


def stack(expr: str = f"max(up{{{SCOPE}}})", **custom: Any) -> str:
    """A dashboard with a stacked graph."""
    """A stack with a red series."""
    red = {"id": "color", "value": {"mode": "fixed", "fixedColor": "red"}}
    return panel(
        targets__0__expr=expr,
        fieldConfig__defaults__custom={"stacking": {"mode": "normal"}, **custom},
        fieldConfig__overrides=[{"matcher": {"id": "byName", "options": "5xx"}, "properties": [red]}],
    )


def columns(**changes: Any) -> str:
    """A dashboard with a narrow table."""
    """A table of a third of the screen, with four columns."""
    expr = f"sum by (job, route, error) (rate(foo_total{{{SCOPE}}}[$__rate_interval]))"
    return panel(type="table", gridPos={"x": 0, "y": 0, "w": 8, "h": 8}, targets__0__expr=expr, **changes)


def tall(*, collapsed: bool = False) -> str:
    """A dashboard that is three screens high."""
    """A row with a panel of sixty grid units."""
    made = dashboard()
    (row,) = made["panels"]
    row["gridPos"] = {"x": 0, "y": 0, "w": 24, "h": 1}
    (one,) = row["panels"]
    one["gridPos"] = {"x": 0, "y": 1, "w": 24, "h": 60}
    made["panels"] = [row] if collapsed else [{**row, "panels": []}, one]
    return json.dumps(made, indent=2)


def board(**changes: Any) -> str:
    """A dashboard as JSON, with changes."""
    return json.dumps(dashboard(**changes), indent=2)


def asks(expr: str) -> str:
    """A dashboard whose panel has an expression."""
    return panel(targets__0__expr=expr)


def merges(expr: str) -> str:
    """A dashboard with a table that merges two queries."""
    targets = [{"expr": one, "format": "table"} for one in (f"count by (job) (up{{{SCOPE}}})", expr)]
    return panel(type="table", targets=targets, transformations=[{"id": "merge"}])


COLLECTOR = """\
extensions:
  file_storage: {directory: /queue}
  health_check: {endpoint: "127.0.0.1:13133"}
receivers:
  otlp: {protocols: {http: {endpoint: "127.0.0.1:4318"}}}
processors:
  memory_limiter: {check_interval: 1s, limit_mib: 100}
  redaction: {blocked_values: ["x$", "a$$1"]}
exporters:
  otlp_http:
    endpoint: http://gateway:4318
    headers: {authorization: "${env:TOKEN}"}
    sending_queue: {storage: file_storage}
service:
  extensions: [file_storage, health_check]
  telemetry: {metrics: {readers: [{pull: {exporter: {prometheus: {host: 127.0.0.1, port: 8888}}}}]}}
  pipelines:
    traces: {receivers: [otlp], processors: [memory_limiter, redaction], exporters: [otlp_http]}
    metrics: {receivers: [otlp], processors: [memory_limiter], exporters: [otlp_http]}
"""


def collector(was: str = "", now: str = "") -> str:
    """A collector configuration; a part of it may be replaced."""
    return COLLECTOR.replace(was, now) if was else COLLECTOR


class Example(NamedTuple):
    """An example of a check.

    Attributes:
        wrong: A file in which only this check finds something.
        right: The file without the fault.
        says: What the finding says.
    """

    wrong: str
    right: str
    says: str


SUM = "sum by (job) (rate(requests_total[5m]))"
EXAMPLES = {
    "file/parse": Example("groups: [\n", "groups: []\n", "not valid YAML"),
    "rule/schema": Example(
        alert(f"{SUM} > 7", "for: 2m", "for: 2m\n        four: 2m"), alert(f"{SUM} > 7"), "unknown key four"
    ),
    "rule/name": Example(
        record(SUM, "requests"), record(SUM, "job:requests:rate5m"), "is not named level:metric:operations"
    ),
    "rule/duplicate": Example(
        record("sum(foo)") + "      - {record: 'job:things:sum', expr: sum  (foo)}\n",
        record("sum(foo)") + "      - {record: 'job:things:sum', expr: sum(bar)}\n",
        "is the same as the rule on line 4",
    ),
    "rule/dependency": Example(
        record("sum(foo)", "job:a:sum") + "  - {name: b, rules: [{record: 'job:b:sum', expr: 'job:a:sum * 2'}]}\n",
        record("sum(foo)", "job:a:sum") + "      - {record: 'job:b:sum', expr: 'job:a:sum * 2'}\n",
        "reads job:a:sum, which the group shop records",
    ),
    "rule/interval": Example(
        alert(f"{SUM} > 7", "interval: 30s", "interval: 10m"),
        alert(f"{SUM} > 7", "interval: 30s", "interval: 5m"),
        "is evaluated every 10m",
    ),
    "rule/label": Example(
        alert(f"{SUM} > 7", "{severity: warning}", "{team: a}"), alert(f"{SUM} > 7"), "has no label severity"
    ),
    "alert/comparison": Example(alert(f"{SUM} > 7 or {SUM} < bool 3"), alert(f"{SUM} > 7 or {SUM} < 3"), "< bool 3"),
    "alert/for": Example(alert("foo > 7", "for: 2m", "for: 0s"), alert("foo > 7"), "after a single evaluation"),
    "alert/absent": Example(
        "# sidelight file/disable alert/for\n" + alert("absent(up{job='shop'})", "for: 2m", "for: 0m"),
        alert("absent(up{job='shop'})"),
        "uses absent() without for",
    ),
    "alert/template": Example(
        alert(f"{SUM} > 7", "$labels.job", "$labels.instance"),
        alert(f"{SUM} > 7"),
        "description reads the label instance",
    ),
    "alert/value": Example(
        alert(f"{SUM} > 7", "severity: warning", "severity: warning, now: '{{ $value }}'"),
        alert(f"{SUM} > 7", "severity: warning", "severity: warning, now: '{{ $labels.job }}'"),
        "the label now contains the value",
    ),
    "alert/humanize": Example(
        alert(f"{SUM} > 7", "has too many", "has {{ $value }}"),
        alert(f"{SUM} > 7", "has too many", "has {{ $value | humanize }}"),
        "shows the value with all its digits",
    ),
    "alert/annotation": Example(
        alert(f"{SUM} > 7", "runbook_url:", "runbook:"), alert(f"{SUM} > 7"), "has no runbook_url"
    ),
    "rule/unstable": Example(alert(f"topk(3, {SUM}) > 7"), alert(f"{SUM} > 7"), "depends on what topk() selects"),
    "file/suppression": Example(
        "# sidelight file/disable promql/rates\n" + record("sum(foo)"),
        "# sidelight file/disable promql/rate\n" + record("sum(foo)"),
        "disables promql/rates, which is not a check; write promql/rate if you meant that",
    ),
    "file/expired": Example(
        "# sidelight file/disable promql/rate until 2020-03-01 because it is old\n" + record("sum(foo)"),
        "# sidelight file/disable promql/rate until 2999-03-01 because it is new\n" + record("sum(foo)"),
        "disables promql/rate until 2020-03-01, which has passed",
    ),
    "promql/unread": Example(
        record("(" * 120 + "foo" + ")" * 120), record("(" * 50 + "foo" + ")" * 50), "nested more than 100 levels deep"
    ),
    "promql/window": Example(
        record("sum(rate(foo_total[30s]))"), record("sum(rate(foo_total[60s]))"), "covers fewer than 4 scrapes"
    ),
    "promql/label-replace": Example(
        record('label_replace(foo, "team", "$1", "job", "(a")'),
        record('label_replace(foo, "team", "$1", "job", "(a).*")'),
        "invalid regular expression: missing ): (a",
    ),
    "promql/group-reference": Example(
        record('label_replace(foo, "team", "$2", "job", "(a).*")'),
        record('label_replace(foo, "team", "$1", "job", "(a).*")'),
        "inserts $2, but its regular expression has 1 groups",
    ),
    "promql/or-vector": Example(
        record("sum by (team) (foo) or vector(0)"), record("sum(foo) or vector(0)"), "with the labels team"
    ),
    "promql/syntax": Example(record("sum(foo"), record("sum(foo)"), "not valid PromQL"),
    "promql/impossible": Example(
        record("sum by (job) (foo) / on (pod) sum by (pod) (bar)"),
        record("sum by (pod) (foo) / on (pod) sum by (pod) (bar)"),
        "matches on 'pod'",
    ),
    "promql/series": Example(
        record("max by (job) (process_resident_memory_bites)"),
        record("max by (job) (process_resident_memory_bytes)"),
        "use process_resident_memory_bytes if you meant that",
    ),
    "promql/regexp": Example(record('sum(foo{a=~"b"})'), record('sum(foo{a=~"b|c"})'), 'write a="b"'),
    "promql/counter": Example(record("sum(foo_total)"), record("sum(increase(foo_total[5m]))"), "counter foo_total"),
    "promql/rate": Example(
        record("rate(queue_depth[5m])"), record("deriv(queue_depth[5m])"), "rate() of queue_depth, which is a gauge"
    ),
    "promql/division": Example(record("avg(a / b)"), record("avg(a / (b > 0))"), "by a value that may be zero"),
    "promql/fragile": Example(
        record("sum without (pod) (a) / b"), record("sum by (job) (a) / on (job) b"), "only one side of /"
    ),
    "promql/edge": Example(
        record("histogram_quantile(0.9, sum by (le) (rate(http_server_request_duration_seconds_bucket[5m]))) > 0.7"),
        record("histogram_quantile(0.9, sum by (le) (rate(http_server_request_duration_seconds_bucket[5m]))) > 0.75"),
        "use an edge, such as 0.75 or 0.5",
    ),
    "promql/features": Example(record("sum(info(foo))"), record("sum(foo)"), "info() needs --enable-feature"),
    "promql/performance": Example(
        record("max by (job) (foo)", "job:foo:max")
        + "      - {record: 'job:foo:double', expr: max by (job) (foo) * 2}\n",
        record("max by (job) (foo)", "job:foo:max") + "      - {record: 'job:foo:double', expr: 'job:foo:max * 2'}\n",
        "computes what job:foo:max records",
    ),
    "dashboard/datasource-variable": Example(
        board(templating__list__0__query="loki"), board(), "has no variable for its data source"
    ),
    "dashboard/target-variables": Example(board(templating__list__1__allValue=".*"), board(), "has allValue '.*'"),
    "dashboard/variable-query": Example(
        board(templating__list__1__query="label_values(up{, job)"), board(), "has the query label_values(up{, job)"
    ),
    "dashboard/reload": Example(board(templating__list__2__refresh=1), board(), "variable instance: is not refreshed"),
    "dashboard/datasource": Example(panel(datasource="Prometheus"), board(), "uses the fixed data source 'Prometheus'"),
    "dashboard/description": Example(panel(description=...), board(), "has no description"),
    "dashboard/unit": Example(panel(fieldConfig__defaults__unit=""), board(), "has no unit"),
    "dashboard/unknown-unit": Example(
        panel(fieldConfig__defaults__unit="seconds"), panel(fieldConfig__defaults__unit="s"), "has the unit 'seconds'"
    ),
    "dashboard/no-targets": Example(panel(targets=[]), panel(targets=[], type="text"), "has no query"),
    "dashboard/scope": Example(
        asks(f'up{{job=~"$job"}} and up{{{SCOPE}}}'),
        asks(f'ALERTS{{job=~"$job"}} and up{{{SCOPE}}}'),
        "reads up without instance",
    ),
    "dashboard/rate-interval": Example(
        asks(f"rate(foo_total{{{SCOPE}}}[5m])"), asks(f"rate(foo_total{{{SCOPE}}}[$__rate_interval])"), "a rate over 5m"
    ),
    "dashboard/editable": Example(board(editable=...), board(), "can be edited"),
    "dashboard/threshold": Example(
        panel(fieldConfig__defaults__thresholds__steps__0__value="null"), board(), "thresholds 'null', 0.01, 0.05"
    ),
    "dashboard/merge": Example(
        merges(f"up{{{SCOPE}}}"), merges(f"max by (job) (up{{{SCOPE}}})"), "whose rows keep their metric name"
    ),
    "dashboard/uid": Example(board(uid=None), board(), "has no uid"),
    "dashboard/per-step": Example(
        asks(f"sum(increase(foo_total{{{SCOPE}}}[$__interval]))"),
        asks(f"3600 * sum(rate(foo_total{{{SCOPE}}}[$__interval]))"),
        "shows an increase per step",
    ),
    "dashboard/time-override": Example(panel(timeFrom="now/d"), board(), "has its own time range now/d"),
    "dashboard/cut-below": Example(
        panel(targets__0__expr=f"delta(up{{{SCOPE}}}[1h])", fieldConfig__defaults__min=0),
        panel(targets__0__expr=f"delta(up{{{SCOPE}}}[1h])", fieldConfig__defaults__custom={"axisSoftMin": 0}),
        "has min 0, but its values may be lower",
    ),
    "dashboard/zero-of-nothing": Example(
        asks(f"count(up{{{SCOPE}}} == 0) or vector(0)"),
        asks(f"count(up{{{SCOPE}}} == 0) or 0 * count(up{{{SCOPE}}})"),
        "returns 0 also if nothing is scraped",
    ),
    "dashboard/unknown-color": Example(
        panel(type="stat", fieldConfig__defaults__thresholds__steps__0__color="green"),
        panel(
            type="stat",
            fieldConfig__defaults__thresholds__steps__0__color="green",
            fieldConfig__defaults__mappings=[
                {"type": "special", "options": {"match": "null+nan", "result": {"text": "no data", "color": "text"}}}
            ],
        ),
        "is green if there is no data",
    ),
    "dashboard/always-red": Example(
        panel(fieldConfig__defaults__color={"mode": "fixed", "fixedColor": "dark-red"}),
        panel(fieldConfig__defaults__color={"mode": "fixed", "fixedColor": "blue"}),
        "is red whatever its values are",
    ),
    "dashboard/line-on-top": Example(stack(), stack(lineWidth=0), "draws a red line at the top of its stack"),
    "dashboard/dots": Example(
        panel(targets__0__interval="1h"),
        panel(targets__0__interval="1h", fieldConfig__defaults__custom={"drawStyle": "bars"}),
        "draws lines through steps of 1h",
    ),
    "dashboard/unbounded": Example(
        stack(f"sum by (job) (rate(foo_total{{{SCOPE}}}[$__rate_interval]))", lineWidth=0),
        stack(f"topk(10, sum by (job) (rate(foo_total{{{SCOPE}}}[$__rate_interval])))", lineWidth=0),
        "stacks a series for each job",
    ),
    "dashboard/ignored-variable": Example(
        board(templating__list=[*VARIABLES, {**VARIABLES[1], "name": "route", "query": "label_values(up, route)"}]),
        board(),
        "variable route: is read by 0 of 1 panels",
    ),
    "dashboard/cut-columns": Example(
        columns(), columns(fieldConfig__defaults__custom={"minWidth": 60}), "has 4 columns"
    ),
    "dashboard/tall": Example(tall(), tall(collapsed=True), "is 61 grid units high"),
    "collector/component": Example(
        collector("redaction", "attributes"), collector(), "the collector of `make tools` has no processor attributes"
    ),
    "collector/reference": Example(
        collector("storage: file_storage", "storage: file_storage/b"),
        collector(),
        "exporters.otlp_http.sending_queue.storage: refers to file_storage/b, which is not a defined extension",
    ),
    "collector/unused": Example(
        collector("[memory_limiter, redaction]", "[memory_limiter]"),
        collector(),
        "processors.redaction: is not used",
    ),
    "collector/port": Example(
        collector("port: 8888", "port: '${env:PORT:-4318}'"),
        collector(),
        "port 4318, like receivers.otlp.protocols.http",
    ),
    "collector/secret": Example(
        collector("${env:TOKEN}", "Bearer abc"), collector(), "headers.authorization: contains a secret in plain text"
    ),
    "collector/memory-limiter": Example(
        collector("[memory_limiter, redaction]", "[redaction, memory_limiter]"), collector(), "starts with redaction"
    ),
    "collector/metrics-twice": Example(
        collector("exporters:\n", "exporters:\n  otlp_http/b: {sending_queue: {storage: file_storage}}\n").replace(
            "[memory_limiter], exporters: [otlp_http]", "[memory_limiter], exporters: [otlp_http, otlp_http/b]"
        ),
        collector(),
        "sends metrics with otlp_http/b, and otlp_http does too",
    ),
    "collector/queue": Example(
        collector("{storage: file_storage}", "{enabled: true}"), collector(), "keeps its queue in memory"
    ),
    "collector/open": Example(collector("127.0.0.1:4318", "0.0.0.0:4318"), collector(), "listens on 0.0.0.0:4318"),
    "collector/dollar": Example(collector("a$$1", "a$1"), collector(), "blocked_values.1: has a single $"),
}
