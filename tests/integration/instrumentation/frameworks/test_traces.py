"""ASGI and WSGI services without FastAPI send a span for each request, named by its route template."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import httpx
import pytest

from sidelight.demo.spans import receiving
from tests.integration.instrumentation.frameworks.environments import CONSTRAINTS, Service, services, serving

if TYPE_CHECKING:
    from pathlib import Path

SECONDS = 30.0
TRACE = "0af7651916cd43dd8448eb211c80319c"


def with_opentelemetry(framework: str) -> Service:
    service = next(each for each in reversed(services()) if each.framework == framework)
    pins = (line.split("==") for line in CONSTRAINTS.read_text().splitlines() if line.startswith("opentelemetry-"))
    wanted = {name: version for name, version in pins if "grpc" not in name}
    return Service(**{**vars(service), "versions": {**service.versions, **wanted}})


@pytest.mark.parametrize("framework", ["Flask", "Litestar"])
def test_a_request_is_a_span_of_its_caller_s_trace_by_the_name_of_its_route(framework: str, tmp_path: Path) -> None:
    service = with_opentelemetry(framework)
    with receiving() as spans:
        (tmp_path / "sidelight.yaml").write_text(json.dumps({"tracing": {"endpoint": spans.url}}))
        with serving(service, tmp_path) as process:
            caller = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
            for path in (service.item[0], "/broken"):
                httpx.get(process.url + path, headers=caller, timeout=10, trust_env=False)
            deadline = time.monotonic() + SECONDS
            while len(found := [span for span in spans if span.trace_id == TRACE]) < 2:
                assert time.monotonic() < deadline, spans.spans
                time.sleep(0.05)
    assert {span.name for span in found} == {f"GET {service.item[1]}", "GET /broken"}
