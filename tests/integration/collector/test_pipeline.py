"""A real service, its sidecar, a gateway, Prometheus 3 and a place for traces: everything arrives once, named right and masked."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from benchmarks.faults.collectors import SECONDS, running, send, until
from sidelight import processes
from sidelight.demo.spans import Spans, receiving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidelight.processes import Process

ROOT = Path(__file__).parents[3]
SECRET = "hunter2-7c1f"  # noqa: S105 - no real one
MODES = {
    "otlp": ("--web.enable-otlp-receiver", "/api/v1/otlp"),
    "remote_write": ("--web.enable-remote-write-receiver", "/api/v1/write"),
}
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


def asked(prometheus: Process, expression: str) -> list[dict[str, Any]]:
    answer = httpx.get(f"{prometheus.url}/api/v1/query", params={"query": expression}, timeout=SECONDS, trust_env=False)
    result: list[dict[str, Any]] = answer.raise_for_status().json()["data"]["result"]
    return result


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

        counted = 'http_server_request_duration_seconds_count{http_route="/catalog/items/{sku}",http_response_status_code="200"}'
        (series,) = until(lambda: [one for one in asked(prometheus, counted) if float(one["value"][1]) == 7])
        assert (series["metric"]["job"], series["metric"]["instance"]) == ("shop", "shop-7c1f")
        (info,) = asked(prometheus, 'target_info{job="shop"}')
        assert info["metric"]["service_version"] == "7.3.0"
        assert info["metric"]["instance"] == "shop-7c1f"
        assert float(asked(prometheus, 'up{job="shop"}')[0]["value"][1]) == 1
        names = {one["metric"]["__name__"] for one in asked(prometheus, '{job="shop"}')}
        own = set(
            re.findall(r"^([a-z_]+)(?:\{| )", httpx.get(f"{service.url}/metrics", trust_env=False).text, re.MULTILINE)
        )
        assert {name for name in own if not name.endswith("_created")} - names == set()
        everywhere = " ".join(str(span) for span in spans) + json.dumps(asked(prometheus, '{job=~".+"}'))
    assert SECRET not in everywhere
    for file in tmp_path.rglob("*.log"):
        assert SECRET not in file.read_text(errors="replace"), file
