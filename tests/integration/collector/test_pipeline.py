"""A real service, its sidecar, a gateway, Prometheus 3 and a trace backend: data arrives once, named and masked."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import yaml

from alerts import generated
from instrumentation.settings import parse_settings
from sidelight.demo.spans import Spans, receiving
from sidelight.toolchain import processes, tool
from tests.support.collectors import SECONDS, running, send, until
from tests.support.prometheus import asked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidelight.toolchain.processes import Process

ROOT = Path(__file__).parents[3]
SECRET = "hunter2-7c1f"  # noqa: S105 - no real one
MODES = {
    "otlp": ("--web.enable-otlp-receiver", "/api/v1/otlp"),
    "remote_write": ("--web.enable-remote-write-receiver", "/api/v1/write"),
}
COUNTED = (
    'http_server_request_duration_seconds_count{http_route="/catalog/items/{sku}",http_response_status_code="200"}'
)
# As docs/how-to/run-the-collector.md has it.
PROMETHEUS = {
    "otlp": {"promote_resource_attributes": ["k8s.cluster.name"]},
    "storage": {"tsdb": {"out_of_order_time_window": "30m"}},
}


@contextmanager
def shop(folder: Path, endpoint: str) -> Iterator[Process]:
    """The example service, which sends its traces to an address."""
    (folder / "sidelight.yaml").write_text(json.dumps({"tracing": {"endpoint": endpoint}}))
    env = {
        "SIDELIGHT_CONFIG": str(folder / "sidelight.yaml"),
        "SIDELIGHT_AUDIT_KEY": "7" * 64,
        "OTEL_SERVICE_NAME": "shop",
        "OTEL_RESOURCE_ATTRIBUTES": "service.version=7.3.0",
        "PYTHONPATH": str(ROOT),
    }
    with processes.uvicorn(
        "shop.main:app", log=folder / "shop.log", cwd=ROOT / "examples", ready_path="/health", env=env
    ) as process:
        yield process


@contextmanager
def everything(folder: Path, mode: str) -> Iterator[tuple[Process, Process, Spans, str]]:
    """The shop, Prometheus, the traces' end, and the sidecar's address."""
    flag, path = MODES[mode]
    (folder / "prometheus.yml").write_text(json.dumps(PROMETHEUS))
    otlp = processes.free_port()
    with (
        receiving() as spans,
        processes.prometheus(folder / "prometheus.yml", folder / "data", flags=(flag,)) as prometheus,
        running(
            "gateway",
            folder / "gateway",
            spans.url,
            settings={"collector": {"metrics": mode, "metrics_endpoint": f"{prometheus.url}{path}"}},
        ) as gateway,
        shop(folder, f"http://127.0.0.1:{otlp}") as service,
        running(
            "sidecar",
            folder / "sidecar",
            gateway.http,
            settings={
                "collector": {"metrics": mode, "resource_attributes": {"k8s.cluster.name": "north"}},
                "metrics": {"scrape_interval": "1s"},
            },
            env={
                "SIDELIGHT_SERVICE_PORT": service.url.rpartition(":")[2],
                "SIDELIGHT_OTLP_HTTP_PORT": str(otlp),
                "OTEL_SERVICE_NAME": "shop",
                "POD_NAME": "shop-7c1f",
            },
        ),
    ):
        yield service, prometheus, spans, f"http://127.0.0.1:{otlp}"


def shown(service: Process) -> set[str]:
    """Names on the service's own page, without OpenMetrics' creation times."""
    page = httpx.get(f"{service.url}/metrics", timeout=SECONDS, trust_env=False).text
    return {name for name in re.findall(r"^([a-z_]+)(?:\{| )", page, re.MULTILINE) if not name.endswith("_created")}


def stored(prometheus: Process) -> set[str]:
    return {one["metric"]["__name__"] for one in asked(prometheus, '{job="shop"}')}


@pytest.mark.parametrize("mode", MODES)
def test_metrics_arrive_once_with_job_and_instance_and_a_logs_trace_is_found(mode: str, tmp_path: Path) -> None:
    with everything(tmp_path, mode) as (service, prometheus, spans, sidecar):
        headers = {"x-correlation-id": "order-7", "authorization": f"Bearer {SECRET}"}
        for _ in range(7):
            httpx.get(
                f"{service.url}/catalog/items/dimmer?token={SECRET}", headers=headers, timeout=SECONDS, trust_env=False
            )
        assert send(sidecar, 1, {"password": SECRET, "note": f"Bearer {SECRET}.abcdef"})  # as another language would
        log = [json.loads(line) for line in (tmp_path / "shop.log").read_text().splitlines() if line.startswith("{")]
        (trace_id, *_) = (
            line["trace_id"] for line in log if line.get("correlation_id") == "order-7" and "trace_id" in line
        )
        until(lambda: trace_id in {span.trace_id for span in spans})
        until(lambda: any(span.name == "span 0" for span in spans))
        found = [span for span in spans if span.trace_id == trace_id]
        assert {span.resource["service.name"] for span in found} == {"shop"}
        assert {span.resource["k8s.cluster.name"] for span in found} == {"north"}

        (series,) = until(lambda: [one for one in asked(prometheus, COUNTED) if float(one["value"][1]) == 7])
        assert (series["metric"]["job"], series["metric"]["instance"]) == ("shop", "shop-7c1f")
        (info,) = asked(prometheus, 'target_info{job="shop"}')
        assert info["metric"]["service_version"] == "7.3.0"
        assert info["metric"]["instance"] == "shop-7c1f"
        assert float(asked(prometheus, 'up{job="shop"}')[0]["value"][1]) == 1
        until(lambda: shown(service) - stored(prometheus) == set())
        everywhere = " ".join(str(span) for span in spans) + json.dumps(asked(prometheus, '{job=~".+"}'))
    assert SECRET not in everywhere
    for file in tmp_path.rglob("*.log"):
        assert SECRET not in file.read_text(errors="replace"), file


# --- Past one machine ------------------------------------------------------------------------------------------------


def test_victoriametrics_takes_the_same_metrics_and_its_vmalert_the_same_rules(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(generated(parse_settings({"alerting": {"evaluation_interval": "5s"}}))["rules.yaml"])
    ports = [processes.free_port() for _ in range(2)]
    database, alerts = (f"http://127.0.0.1:{port}" for port in ports)
    stored = (
        tool("victoria-metrics"),
        f"-storageDataPath={tmp_path / 'data'}",
        f"-httpListenAddr=127.0.0.1:{ports[0]}",
    )
    judged = (
        tool("vmalert"),
        f"-rule={rules}",
        f"-httpListenAddr=127.0.0.1:{ports[1]}",
        *(f"-{name}.url={database}" for name in ("datasource", "remoteWrite", "remoteRead")),
        "-notifier.blackhole",
        "-remoteWrite.flushInterval=500ms",
    )
    own = {"collector": {"metrics": "remote_write", "metrics_endpoint": f"{database}/api/v1/write"}}
    with (
        processes.start(stored, log=tmp_path / "database.log", ready=f"{database}/health", url=database) as store,
        running("gateway", tmp_path / "gateway", "http://127.0.0.1:1", settings=own) as gateway,
        shop(tmp_path, "http://127.0.0.1:1") as service,
        running(
            "sidecar",
            tmp_path / "sidecar",
            gateway.http,
            settings={**own, "metrics": {"scrape_interval": "1s"}},
            env={
                "SIDELIGHT_SERVICE_PORT": service.url.rpartition(":")[2],
                "OTEL_SERVICE_NAME": "shop",
                "POD_NAME": "shop-7c1f",
            },
        ),
        processes.start(judged, log=tmp_path / "alerts.log", ready=f"{alerts}/health", url=alerts),
    ):

        def counted() -> list[dict[str, Any]]:
            httpx.get(f"{service.url}/catalog/items/dimmer", timeout=SECONDS, trust_env=False)
            return asked(store, COUNTED)

        (series,) = until(counted)
        assert (series["metric"]["job"], series["metric"]["instance"]) == ("shop", "shop-7c1f")
        recorded = "job:http_server_request_errors_per_requests:ratio_rate5m"
        (ratio,) = until(lambda: counted() and asked(store, recorded))
        assert float(ratio["value"][1]) == 0
        (watchdog,) = until(lambda: asked(store, 'ALERTS{alertname="Watchdog",alertstate="firing"}'))
        assert watchdog["metric"]["severity"] == "none"
        groups = httpx.get(f"{alerts}/api/v1/rules", timeout=SECONDS, trust_env=False).json()["data"]["groups"]
        wrong = [rule["name"] for group in groups for rule in group["rules"] if rule.get("lastError")]
        assert (wrong, len(groups)) == ([], len(yaml.safe_load(rules.read_text())["groups"]))
