"""Every expression of every panel returns data from a real Prometheus that scrapes a page with every catalog row."""

from __future__ import annotations

import threading
import time
from hashlib import blake2b
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import yaml

from alerts import RecordingRule, groups
from alerts.recording.users import daily_active_users
from dashboards import DASHBOARDS, panels_of
from instrumentation import catalog
from instrumentation.settings import parse_settings
from sidelight.toolchain import processes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SETTINGS = parse_settings(
    {"budget": {"daily_usd": 7.0}, "alerting": {"evaluation_interval": "1s"}}
)  # with it there is every panel
SCRAPE = 0.25  # seconds
NEEDED = 2.0  # seconds until every window below holds several scrapes
WINDOWS = {"$__rate_interval": "4s", "$__range": "60s", "$__interval": "4s"}
VARIABLES = {"$job": "shop", "$instance": ".+", "$cluster": ".*", "$namespace": ".*", "$environment": ".*"}
VALUES = {
    "http_route": "/orders/{id}",
    "http_response_status_code": "503",
    "error_type": "503",
    "outcome": "success",
    "service_version": "1.7.3",
    "db_client_connection_state": "used",
}
EDGES = ("0.5", "1.0", "+Inf")
USERS = 7000


def _registers() -> dict[int, int]:
    """HyperLogLog registers that have seen so many users: register to the largest rank."""
    ranks: dict[int, int] = {}
    for user in range(USERS):
        digest = int.from_bytes(blake2b(str(user).encode(), digest_size=8).digest())
        register, rest = digest % 1024, digest >> 10
        ranks[register] = max(ranks.get(register, 0), 55 - rest.bit_length())
    return ranks


REGISTERS = _registers()


def _page(seconds: float) -> str:
    """Every catalog row as text, its counters grown since the start."""
    lines = [line for metric in catalog.METRICS for line in _lines(metric, 1 + int(seconds * 40))]
    return "\n".join(lines) + "\n"


def _lines(metric: catalog.Metric, grown: int) -> Iterator[str]:
    yield f"# TYPE {metric.name} {metric.kind}"
    if metric is catalog.ACTIVE_USER_REGISTER:
        yield from (f'{metric.name}{{register="{register}"}} {rank}' for register, rank in REGISTERS.items())
        return
    labels = [f'{label}="{VALUES.get(label, label)}"' for label in metric.labels]
    value = 3 if metric.kind is catalog.Kind.GAUGE else grown
    if metric.kind is not catalog.Kind.HISTOGRAM:
        yield f"{metric.name}{{{','.join(labels)}}} {value}"
        return
    for edge, share in zip(EDGES, (0.5, 0.75, 1), strict=True):
        le = 'le="' + edge + '"'
        yield f"{metric.name}_bucket{{{','.join([*labels, le])}}} {int(grown * share)}"
    yield f"{metric.name}_sum{{{','.join(labels)}}} {grown}"
    yield f"{metric.name}_count{{{','.join(labels)}}} {grown}"


class _Handler(BaseHTTPRequestHandler):
    start = time.monotonic()
    is_deployed = threading.Event()

    def do_GET(self) -> None:
        page = _page(time.monotonic() - self.start).encode()
        if not self.is_deployed.is_set():
            page = page.replace(VALUES["service_version"].encode(), b"1.7.2")
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_: object) -> None:
        """Silence: the test's output is for the test."""


@pytest.fixture(scope="module")
def target() -> Iterator[str]:
    _Handler.is_deployed.clear()  # pytest-xdist may leave this module and return to it
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def prometheus(target: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("prometheus")
    config = _configured(folder, target)
    with processes.prometheus(config, folder / "data") as process, httpx.Client(base_url=process.url) as client:
        _wait_for_data(client)
        yield client


def _configured(folder: Path, target: str) -> Path:
    every = f"{int(SCRAPE * 1000)}ms"
    firing = [
        {"alert": "DeploymentCompleted", "labels": {"severity": "info", "kind": "event", "service_version": "1.7.3"}},
        {"alert": "HighErrorRate", "labels": {"severity": "critical"}},
    ]
    # Not up itself: on a loaded machine a single scrape fails, and the alerts would be gone.
    rules = [{**rule, "expr": 'max_over_time(up{job="shop"}[1m]) == 1'} for rule in firing]
    recorded = [
        rule.document() for group in groups(SETTINGS) for rule in group.rules if isinstance(rule, RecordingRule)
    ]
    both = [{"name": name, "interval": every, "rules": each} for name, each in (("a", rules), ("b", recorded))]
    (folder / "rules.yml").write_text(yaml.safe_dump({"groups": both}))
    scrape = {"job_name": "shop", "scrape_interval": every, "scrape_timeout": every}
    config = {
        "rule_files": [str(folder / "rules.yml")],
        "scrape_configs": [{**scrape, "static_configs": [{"targets": [target]}]}],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    return folder / "prometheus.yml"


def _wait_for_data(client: httpx.Client) -> None:
    # On a loaded machine scrapes fail for seconds: the deployment comes once Prometheus knows the version before it.
    _wait_for(client, 'target_info{service_version="1.7.2"}')
    _Handler.is_deployed.set()
    for wanted in (
        "count_over_time(up[20s]) > 8",
        'count(ALERTS{alertstate="firing"}) == 2',
        daily_active_users(SETTINGS),
        "job:target_info:time_replaced",
    ):
        _wait_for(client, wanted)


def _wait_for(client: httpx.Client, wanted: str) -> None:
    deadline = time.monotonic() + 120
    while not _result(client, wanted):
        assert time.monotonic() < deadline, f"Prometheus has no result for {wanted}"
        time.sleep(SCRAPE)


def _result(client: httpx.Client, expression: str) -> list[Any]:
    answer = client.get("/api/v1/query", params={"query": expression}).json()
    assert answer["status"] == "success", answer
    found: list[Any] = answer["data"]["result"]
    return found


def _filled(expression: str) -> str:
    for variable, value in {**WINDOWS, **VARIABLES}.items():
        expression = expression.replace(variable, value)
    return expression


def _expressions() -> Iterator[tuple[str, str]]:
    for page, build in DASHBOARDS.items():
        dashboard: Any = build(SETTINGS)
        for panel in panels_of(dashboard):
            yield from ((f"{page}/{panel['title']}", target["expr"]) for target in panel["targets"])
        for annotation in dashboard["annotations"]["list"][1:]:
            yield f"{page}/{annotation['name']}", annotation["target"]["expr"]


CASES = list(_expressions())


@pytest.mark.parametrize(("title", "expression"), CASES, ids=[f"{n} {title}" for n, (title, _) in enumerate(CASES)])
def test_every_expression_gives_numbers(prometheus: httpx.Client, title: str, expression: str) -> None:
    values = [float(series["value"][1]) for series in _result(prometheus, _filled(expression))]
    assert values, title
    assert all(value == value and abs(value) != float("inf") for value in values), title  # noqa: PLR0124 - NaN


def test_no_line_of_a_table_has_the_name_of_its_metric(prometheus: httpx.Client) -> None:
    """Grafana makes a column of it, and merges no lines that differ in one."""
    boards: list[Any] = [build(SETTINGS) for build in DASHBOARDS.values()]
    panels = [panel for board in boards for panel in panels_of(board) if panel["type"] == "table"]
    tables = [target["expr"] for panel in panels for target in panel["targets"]]
    assert len(tables) >= 9
    for expression in tables:
        lines = _result(prometheus, _filled(expression))
        assert lines, expression
        assert [line["metric"] for line in lines if "__name__" in line["metric"]] == [], expression


def _of(panel: str) -> str:
    return next(expression for title, expression in CASES if title == panel)


def test_a_service_without_errors_has_an_error_ratio_of_zero_and_an_idle_one_none(prometheus: httpx.Client) -> None:
    ratio = _of("operations/Error ratio")
    without_errors = _filled(ratio).replace('error_type!=""', 'error_type="none"')
    idle = _filled(ratio).replace("rate(", "0 * rate(")
    assert [series["value"][1] for series in _result(prometheus, without_errors)] == ["0"]
    assert _result(prometheus, idle) == []


def test_percentiles_of_an_idle_service_are_absent_and_not_nan(prometheus: httpx.Client) -> None:
    latency = _of("operations/Latency")
    assert _result(prometheus, _filled(latency).replace("rate(", "0 * rate(")) == []


@pytest.mark.parametrize("panel", ["operations/Active users", "business/Daily active users"])
def test_users_are_counted_to_a_few_percent(prometheus: httpx.Client, panel: str) -> None:
    (series,) = _result(prometheus, _filled(_of(panel)))
    assert float(series["value"][1]) == pytest.approx(USERS, rel=0.1)
