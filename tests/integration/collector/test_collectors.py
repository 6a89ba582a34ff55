"""The generated configurations run on the real collector: spans arrive once, masked, and what was accepted survives a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

import collector
from collector.manifest import PROGRAM, VERSION
from instrumentation.redaction import Redactor
from instrumentation.settings import parse_settings
from sidelight import processes
from sidelight.demo.spans import receiving
from sidelight.tools import RELEASES, tool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sidelight.processes import Process

SECONDS = 60.0
LOOPBACK = "127.0.0.1"
PLACES = ("sidecar", "gateway")
# Each is a secret that says what it is; none is a real one.
SECRETS = {
    "password": "hunter2-7c1f",
    "db.password": "hunter2-7c2f",
    "x-api-key": "7c3f-hunter2",
    "session_token": "7c4f-hunter2",
    "note": "mail to joe.7c5f@example.com",
    "url": "https://shop:hunter2-7c6f@db.example/orders",
    "header": "Bearer hunter2.7c7f.abcdef",
    "aws": "AKIA" + "7C8F" * 4,
    "github": "ghp_" + "7c9f" * 9,
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI3Y2FmIn0.c2lnbmF0dXJlLTdjYWY",
}  # fmt: skip
HARMLESS = {"http.route": "/orders/{order}", "shop.region": "north", "trace": "7c" * 16}


@contextmanager
def running(place: str, folder: Path, sends_to: str, *, queue: str = "queue") -> Iterator[tuple[Process, str]]:
    """A collector by its generated file; gives it and the address where it takes OTLP over HTTP."""
    folder.mkdir(exist_ok=True)
    settings = parse_settings(
        {"collector": {"gateway_endpoint": sends_to, "traces_endpoint": sends_to, "kept_ratio": 1.0}}
    )
    config = folder / f"{place}.yaml"
    config.write_text(collector.generated(settings)[f"{place}.yaml"])
    http, grpc, health, metrics = (processes.free_port() for _ in range(4))
    env = {
        "SIDELIGHT_OTLP_HTTP_PORT": str(http),
        "SIDELIGHT_OTLP_GRPC_PORT": str(grpc),
        "SIDELIGHT_HEALTH_PORT": str(health),
        "SIDELIGHT_METRICS_PORT": str(metrics),
        "SIDELIGHT_QUEUE_DIR": str(folder / queue),
        "SIDELIGHT_RETRY_INTERVAL": "200ms",
        "SIDELIGHT_DECISION_WAIT": "500ms",
    }
    with processes.start(
        (tool("otelcol"), "--config", str(config)),
        log=folder / f"{place}.log",
        ready=f"http://{LOOPBACK}:{health}",
        url=f"http://{LOOPBACK}:{metrics}/metrics",
        env=env,
    ) as process:
        yield process, f"http://{LOOPBACK}:{http}"


def send(url: str, number: int = 1, attributes: dict[str, str] | None = None, *, seed: int = 7) -> None:
    """Spans of one trace each, as any language sends them; they are accepted, or this fails."""
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
    httpx.post(
        f"{url}/v1/traces",
        content=request.SerializeToString(),
        headers={"content-type": "application/x-protobuf"},
        timeout=SECONDS,
        trust_env=False,
    ).raise_for_status()


def until(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + SECONDS
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


def test_the_program_that_is_built_is_the_one_that_is_generated_for() -> None:
    (release,) = (release for release in RELEASES if release.name == "collector")
    assert (release.version, release.programs[0].files) == (VERSION, (PROGRAM,))
    said = subprocess.run([tool("otelcol"), "--version"], capture_output=True, text=True, check=True, timeout=60).stdout
    assert VERSION in said


@pytest.mark.parametrize("place", PLACES)
def test_the_collector_finds_nothing_wrong_with_what_is_generated_and_would_find_something(
    place: str, tmp_path: Path
) -> None:
    def validated(text: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "config.yaml").write_text(text)
        argv = [tool("otelcol"), "validate", "--config", str(tmp_path / "config.yaml")]
        return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)

    text = collector.generated(parse_settings({}))[f"{place}.yaml"]
    sound, broken = validated(text), validated(text.replace("memory_limiter", "memory_limitr", 1))
    assert (sound.returncode, sound.stderr) == (0, "")
    assert broken.returncode != 0


def test_a_span_goes_through_sidecar_and_gateway_once_and_as_it_was(tmp_path: Path) -> None:
    with (
        receiving() as spans,
        running("gateway", tmp_path / "gateway", spans.url) as (_, gateway),
        running("sidecar", tmp_path / "sidecar", gateway) as (_, sidecar),
    ):
        send(sidecar, 3, HARMLESS)
        until(lambda: len(list(spans)) >= 3)
        send(sidecar, 1, seed=9)
        until(lambda: len(list(spans)) >= 4)  # whatever came twice would be there by now
        found = list(spans)
    assert sorted(span.name for span in found) == ["span 0", "span 0", "span 1", "span 2"]
    assert [span.attributes for span in found if span.attributes] == [HARMLESS] * 3


def test_what_python_masks_the_sidecar_masks_too(tmp_path: Path) -> None:
    masked = Redactor().value(dict(SECRETS))
    with receiving() as spans, running("sidecar", tmp_path, spans.url) as (_, sidecar):
        send(sidecar, 1, SECRETS)
        (span,) = until(lambda: list(spans))
    assert set(span.attributes) == set(SECRETS)
    for key, secret in SECRETS.items():
        assert masked[key] != secret, key
        assert span.attributes[key] != secret, key
        for part in ("hunter2", "7c5f", "7C8F", "7c9f", "c2lnbmF0dXJl"):
            assert part not in span.attributes[key], (key, span.attributes[key])


def test_what_was_accepted_while_nobody_took_it_survives_kill_9_and_arrives(tmp_path: Path) -> None:
    port = processes.free_port()
    nobody = f"http://{LOOPBACK}:{port}"
    with running("sidecar", tmp_path, nobody) as (process, sidecar):
        for turn in range(20):
            send(sidecar, 10, seed=turn + 1)
        queued = "otelcol_exporter_queue_size{"
        until(lambda: queued in httpx.get(process.url, timeout=SECONDS, trust_env=False).text)
        os.kill(process.pid, signal.SIGKILL)
        process.wait(SECONDS)
    with receiving(port) as spans, running("sidecar", tmp_path, nobody):
        until(lambda: len({(span.trace_id, span.span_id) for span in spans}) == 200)
