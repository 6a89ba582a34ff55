"""Services in other languages: pages as OpenTelemetry's own SDKs wrote them, and the alerts that they raise."""

from __future__ import annotations

import re
import subprocess
import threading
import time
from contextlib import suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import yaml
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from alerts import ALERTS, generated
from instrumentation import ExternalServiceError, instrument, workflow
from instrumentation.settings import Settings
from instrumentation.store import LocalStore
from sidelight.toolchain import processes, tool
from tests.support.prometheus import asked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = Path(__file__).parent
REFERENCE = (HERE.parents[2] / "docs" / "reference" / "other-languages.md").read_text()
WAYS = {
    "Go, scraped": "go",
    "Go, OTLP": "go-otlp",
    "Java agent, scraped": "java",
    "Node, scraped": "node",
    "Node, OTLP": "node-otlp",
}
STEP = 15  # seconds between two scrapes
SCRAPES = 40 * 60 // STEP  # with the same requests before each
AFTER = 12 * 60 // STEP
BOTH = {"critical", "warning"}
DEADLINE = 60.0  # seconds; the machine may be busy

Labels = tuple[tuple[str, str], ...]
Series = list[dict[str, str]]


def page(name: str) -> str:
    return (HERE / "sdks" / f"{name}.txt").read_text()


def samples(text: str) -> dict[tuple[str, Labels], float]:
    all_ = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
    return {(one.name, tuple(pair for pair in one.labels.items() if pair[0] != "job")): one.value for one in all_}


def steadily(before: str, after: float, more: float) -> str:
    """The same requests before each scrape, until the page is gone."""
    return f"{before} {after}{more:+}x{SCRAPES - 1} stale"


def at_once(before: str, after: float, _: float) -> str:
    """The requests before one scrape, and none before the others."""
    return f"{f'{before} ' * 10} {after}x{SCRAPES}"


def grown(
    before: str,
    after: str,
    job: str,
    *,
    shape: Callable[[str, float, float], str] = steadily,
    wanted: Callable[[dict[str, str]], bool] = lambda _: True,
) -> Series:
    """A page before some requests, and what they make of it. A series that the page has not yet begins later."""
    first = samples(before)
    rows = (
        (series, dict(labels), first.get((series, labels)), value) for (series, labels), value in samples(after).items()
    )
    return [
        one(series, job, shape("_" if was is None else f"{was}", value, value - (was or 0)), **labels)
        for series, labels, was, value in rows
        if wanted(labels)
    ]


def one(series: str, job: str, values: str, **labels: str) -> dict[str, str]:
    pairs = {"instance": "a", **labels, "job": job}.items()
    quoted = (
        f'{name}="{value}"' for name, value in ((n, v.replace("\\", "\\\\").replace('"', '\\"')) for n, v in pairs)
    )
    return {"series": f"{series}{{{', '.join(quoted)}}}", "values": values}


def stories(name: str) -> Series:
    """The services *down*, *gone*, *deployed*, *comes and goes* and *slow to scrape*, as far as Prometheus writes series of its own for them."""
    scraped = not name.endswith("-otlp")
    before, after = page(f"{name}-before"), page(f"{name}-after")
    (version,) = (value for _, labels in samples(after) for label, value in labels if label == "service_version")
    rows = grown(before, after, "shop")
    half = SCRAPES // 2
    for instance, own, values in (("a", version, f"1x{half} stale"), ("b", "9.9.9", f"_x{half} 1x{half}")):
        rows.append(one("target_info", "deployed", values, instance=instance, service_version=own))
    if scraped:
        rows += grown(before, after, "down")
        rows += [one("up", "shop", f"1x{SCRAPES} stale"), one("up", "down", f"1x{SCRAPES} 0x{AFTER}")]
        rows.append(one("scrape_duration_seconds", "shop", f"3x{SCRAPES}"))
        rows.append(one("target_info", "comes and goes", f"1x{SCRAPES}", service_version=version))
        rows.append(one("up", "comes and goes", f"{'1x9 0x1 ' * 3} 1x{SCRAPES}"))
    return rows


def fired(folder: Path, series: Series) -> dict[str, set[str]]:
    """Alert to the severities with which it fired at any time, for any service."""
    end = (SCRAPES + AFTER) * STEP
    ever = f'count by (alertname, severity) (count_over_time(ALERTS{{alertstate="firing"}}[{end}s]))'
    test: dict[str, Any] = {
        "interval": f"{STEP}s",
        "input_series": series,
        "promql_expr_test": [{"expr": ever, "eval_time": f"{end}s", "exp_samples": []}],
    }
    (folder / "rules.yaml").write_text(generated(Settings())["rules.yaml"])
    document = {"rule_files": ["rules.yaml"], "evaluation_interval": "30s", "tests": [test]}
    (folder / "test.yaml").write_text(yaml.safe_dump(document, width=10**9))
    command = [str(tool("promtool")), "test", "rules", "test.yaml"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    output = done.stdout + done.stderr
    assert "got:" in output, output  # nothing is expected, so the output lists what fires; Watchdog always does
    found: dict[str, set[str]] = {}
    for alert, severity in re.findall(r'\{alertname="(\w+)", severity="(\w+)"\}', output):
        found.setdefault(alert, set()).add(severity)
    return found


def promised(way: str) -> dict[str, bool]:
    """What the reference says of each alert."""
    header, _, *rows = (
        [cell.strip() for cell in row.split("|")[1:-1]] for row in REFERENCE.splitlines() if row.startswith("|")
    )
    column = header.index(way)
    named = [(re.search(r"\[(\w+)\]", row[0]), row) for row in rows if len(row) == len(header)]
    return {name[1]: row[column].startswith("yes") for name, row in named if name}


@pytest.mark.parametrize("way", WAYS)
def test_the_reference_says_which_alerts_a_page_raises(way: str, tmp_path: Path) -> None:
    found = fired(tmp_path, stories(WAYS[way]))
    said = promised(way)
    ours = {alert.name for alert in ALERTS if alert.group not in {"collector", "meta"}}
    assert said.keys() == ours
    assert {alert: alert in found for alert in ours} == said


@pytest.mark.parametrize("name", ["go", "go-otlp", "java", "node-otlp"])
def test_errors_and_slow_requests_raise_both_severities_and_one_page_each(name: str, tmp_path: Path) -> None:
    found = fired(tmp_path, grown(page(f"{name}-before"), page(f"{name}-after"), "shop"))
    assert {alert: found.get(alert) for alert in ("HighErrorRate", "HighLatencyP95", "ErrorBudgetBurn")} == {
        "HighErrorRate": BOTH,
        "HighLatencyP95": BOTH,
        "ErrorBudgetBurn": {"warning"},
    }  # one incident is one page


@pytest.mark.parametrize("name", ["go", "go-otlp", "java"])
def test_a_page_of_good_requests_raises_nothing(name: str, tmp_path: Path) -> None:
    def is_good(labels: dict[str, str]) -> bool:
        return labels.get("http_response_status_code", "200") == "200" and labels.get("http_route") != "/slow"

    found = fired(tmp_path, grown(page(f"{name}-before"), page(f"{name}-after"), "shop", wanted=is_good))
    assert found.keys() == {"Watchdog", "ServiceAbsent"}  # the page ends


@pytest.mark.anyio
async def test_the_first_failures_of_our_own_services_are_seen(tmp_path: Path) -> None:
    """None of these series exists before the first failure."""
    app, store = FastAPI(), LocalStore()

    @app.get("/pay")
    async def pay() -> None:
        raise ExternalServiceError("the bank does not answer")

    @app.get("/import")
    async def run() -> None:
        with suppress(ValueError), workflow("import", store=store):
            raise ValueError

    instrument(app, store=store, registry=CollectorRegistry())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop.example") as client:
        before = (await client.get("/metrics")).text
        for _ in range(7):
            await client.get("/pay")
            await client.get("/import")
        after = (await client.get("/metrics")).text
    assert 'status_code="503"' not in before
    assert "workflow_executions_total{" not in before
    assert 'status_code="503"' in after
    found = fired(tmp_path, grown(before, after, "shop", shape=at_once))
    assert {alert: found.get(alert) for alert in ("HighErrorRate", "WorkflowFailures")} == {
        "HighErrorRate": {"critical"},
        "WorkflowFailures": BOTH,
    }


class Pages(SimpleHTTPRequestHandler):
    """Shows the recorded pages as a service would."""

    def guess_type(self, _: object) -> str:
        return "text/plain; version=0.0.4"

    def log_message(self, *_: object) -> None:
        """Silence: the test's output is for the test."""


@pytest.fixture
def served() -> Iterator[str]:
    """Host and port of a server that shows the pages."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Pages, directory=HERE / "sdks"))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_configuration_for_node_gives_its_series_the_names_that_rules_read(served: str, tmp_path: Path) -> None:
    (block,) = re.findall(r"```yaml\n(scrape_configs:.*?)```", REFERENCE, re.DOTALL)
    config = yaml.safe_load(block)
    config["scrape_configs"][0] |= {
        "static_configs": [{"targets": [served]}],
        "metrics_path": "/node-after.txt",
        "scrape_interval": "1s",
    }
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
    with processes.prometheus(tmp_path / "prometheus.yml", tmp_path / "data") as prometheus:
        names = until(
            lambda: {row["metric"]["__name__"] for row in asked(prometheus, '{__name__=~"http_.*",job="shop"}')}
        )
    assert names == {f"http_server_request_duration_seconds_{part}" for part in ("bucket", "count", "sum")}


def until(look: Callable[[], set[str]]) -> set[str]:
    """What is there, once something is."""
    deadline = time.monotonic() + DEADLINE
    while not (found := look()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return found
