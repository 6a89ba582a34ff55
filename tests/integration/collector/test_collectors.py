"""The generated configurations on the real collector: spans arrive once and masked; accepted spans survive a kill."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

import collector
from collector.manifest import COMPONENTS, PROGRAM, VERSION
from instrumentation.redaction import Redactor
from instrumentation.settings import parse_settings
from sidelight.demo.spans import receiving
from sidelight.toolchain import RELEASES, processes, tool
from tests.support.collectors import LOOPBACK, SECONDS, running, send, until

if TYPE_CHECKING:
    from pathlib import Path

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


def test_the_program_that_is_built_is_the_one_that_is_generated_for() -> None:
    (release,) = (release for release in RELEASES if release.name == "collector")
    assert (release.version, release.programs[0].files) == (VERSION, (PROGRAM,))
    said = subprocess.run([tool("otelcol"), "--version"], capture_output=True, text=True, check=True, timeout=60).stdout
    assert VERSION in said


def test_the_program_has_every_component_that_a_configuration_may_name() -> None:
    said = subprocess.run(
        [tool("otelcol"), "components"], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    for section, modules in COMPONENTS.items():
        assert {module for module in modules.values() if module not in said} == set(), section


ALL = {"metrics": "otlp", "gateways": "localhost", "resource_attributes": {"k8s.cluster.name": "north"}}
MODES = [
    ("sidecar", {}),
    ("gateway", {}),
    ("sidecar", ALL),
    ("gateway", ALL),
    ("balancer", ALL),
    ("gateway", {"metrics": "remote_write"}),
]


@pytest.mark.parametrize(("place", "settings"), MODES)
def test_the_collector_finds_nothing_wrong_with_what_is_generated_and_would_find_something(
    place: str, settings: dict[str, object], tmp_path: Path
) -> None:
    def validated(text: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "config.yaml").write_text(text)
        argv = [tool("otelcol"), "validate", "--config", str(tmp_path / "config.yaml")]
        return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)

    text = collector.generated(parse_settings({"collector": settings}))[f"{place}.yaml"]
    sound, broken = validated(text), validated(text.replace("memory_limiter", "memory_limitr", 1))
    assert (sound.returncode, sound.stderr) == (0, "")
    assert broken.returncode != 0


def test_a_span_goes_through_sidecar_and_gateway_once_and_as_it_was(tmp_path: Path) -> None:
    with (
        receiving() as spans,
        running("gateway", tmp_path / "gateway", spans.url) as gateway,
        running("sidecar", tmp_path / "sidecar", gateway.http) as sidecar,
    ):
        assert send(sidecar.http, 3, HARMLESS)
        until(lambda: len(list(spans)) >= 3)
        assert send(sidecar.http, 1, seed=9)
        until(lambda: len(list(spans)) >= 4)  # whatever came twice would be there by now
        found = list(spans)
    assert sorted(span.name for span in found) == ["span 0", "span 0", "span 1", "span 2"]
    assert [span.attributes for span in found if span.attributes] == [HARMLESS] * 3


def test_what_python_masks_the_sidecar_masks_too(tmp_path: Path) -> None:
    masked = Redactor().value(dict(SECRETS))
    with receiving() as spans, running("sidecar", tmp_path, spans.url) as sidecar:
        assert send(sidecar.http, 1, SECRETS)
        (span,) = until(lambda: list(spans))
    assert set(span.attributes) == set(SECRETS)
    for key, secret in SECRETS.items():
        assert masked[key] != secret, key
        assert span.attributes[key] != secret, key
        for part in ("hunter2", "7c5f", "7C8F", "7c9f", "c2lnbmF0dXJl"):
            assert part not in span.attributes[key], (key, span.attributes[key])


def test_spans_accepted_during_an_outage_of_the_backend_survive_kill_9_and_arrive(tmp_path: Path) -> None:
    port = processes.free_port()
    nobody = f"http://{LOOPBACK}:{port}"
    with running("sidecar", tmp_path, nobody) as sidecar:
        for turn in range(20):
            assert send(sidecar.http, 10, seed=turn + 1)
        queued = "otelcol_exporter_queue_size"
        until(lambda: queued in sidecar.metrics())
        os.kill(sidecar.process.pid, signal.SIGKILL)
        sidecar.process.wait(SECONDS)
    with receiving(port) as spans, running("sidecar", tmp_path, nobody):
        until(lambda: len({(span.trace_id, span.span_id) for span in spans}) == 200)
