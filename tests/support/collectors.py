"""Runs collectors with their generated files, and sends spans to them."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

import collector
from instrumentation.settings import parse_settings
from sidelight.toolchain import processes, tool
from sidelight.toolchain.processes import LOOPBACK
from tests.support.errors import MeasurementError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from sidelight.toolchain.processes import Process

SECONDS = 60.0


class Collector(NamedTuple):
    """A running collector.

    Attributes:
        process: The process; its URL is the address of its own metrics.
        http: The address for OTLP over HTTP.
        grpc_port: The port for OTLP over gRPC.
    """

    process: Process
    http: str
    grpc_port: int

    def metrics(self) -> dict[str, float]:
        """The collector's own metrics: the sum over all series, by metric name."""
        found: dict[str, float] = {}
        for line in httpx.get(self.process.url, timeout=SECONDS, trust_env=False).text.splitlines():
            if not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                found[name.partition("{")[0]] = found.get(name.partition("{")[0], 0.0) + float(value)
        return found


@contextmanager
def running(  # noqa: PLR0913  # as processes.start
    place: str,
    folder: Path,
    sends_to: str,
    *,
    settings: Mapping[str, Any] | None = None,
    env: Mapping[str, str] | None = None,
    before: Sequence[str] = (),
    program: Path | None = None,
) -> Iterator[Collector]:
    """Run a collector with its generated file until the context ends.

    Args:
        place: ``sidecar``, ``gateway`` or ``balancer``.
        folder: The folder for its file, log and queue.
        sends_to: The address to which it sends the traces.
        settings: The settings, without those addresses.
        env: Additional environment variables.
        before: A command that starts it, such as one that sets limits.
        program: The program; by default the one installed by ``make tools``.
    """
    folder.mkdir(exist_ok=True)
    ends = {"gateway_endpoint": sends_to, "traces_endpoint": sends_to, "kept_ratio": 1.0}
    document = {**(settings or {}), "collector": {**ends, **(settings or {}).get("collector", {})}}
    made = collector.generated(parse_settings(document))
    config = folder / f"{place}.yaml"
    config.write_text(made[f"{place}.yaml"])
    http, grpc, health, metrics = (processes.free_port() for _ in range(4))
    own = {
        "SIDELIGHT_OTLP_HTTP_PORT": str(http),
        "SIDELIGHT_OTLP_GRPC_PORT": str(grpc),
        "SIDELIGHT_HEALTH_PORT": str(health),
        "SIDELIGHT_METRICS_PORT": str(metrics),
        "SIDELIGHT_QUEUE_DIR": str(folder / "queue"),
        "SIDELIGHT_RETRY_INTERVAL": "200ms",
        "SIDELIGHT_DECISION_WAIT": "500ms",
        **(env or {}),
    }
    with processes.start(
        (*before, str(program or tool("otelcol")), "--config", str(config)),
        log=folder / f"{place}.log",
        ready=f"http://{LOOPBACK}:{health}",
        url=f"http://{LOOPBACK}:{metrics}/metrics",
        env=own,
    ) as process:
        yield Collector(process=process, http=f"http://{LOOPBACK}:{http}", grpc_port=grpc)


def send(url: str, number: int = 1, attributes: Mapping[str, str] | None = None, *, seed: int = 7) -> bool:
    """Send spans, each of its own trace, over OTLP; return whether they were accepted."""
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    now = time.time_ns()
    for index in range(number):
        span = scope.spans.add(
            trace_id=(seed << 64 | index + 1).to_bytes(16),
            span_id=(index + 1).to_bytes(8),
            name=f"span {index}",
            start_time_unix_nano=now,
            end_time_unix_nano=now + 1_000_000,
        )
        for key, value in (attributes or {}).items():
            span.attributes.add(key=key).value.string_value = value
    answer = httpx.post(
        f"{url}/v1/traces",
        content=request.SerializeToString(),
        headers={"content-type": "application/x-protobuf"},
        timeout=SECONDS,
        trust_env=False,
    )
    return answer.is_success


def until(condition: Callable[[], Any], seconds: float = SECONDS) -> Any:
    """Wait until a condition is true, and return its value."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise MeasurementError(f"the condition did not become true within {seconds:g} s", code="condition_not_met")
        time.sleep(0.02)
    return found
