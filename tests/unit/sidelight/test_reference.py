"""The reference page of environment variables has all variables that the code reads."""

from __future__ import annotations

import re
from pathlib import Path

from instrumentation.settings import Settings
from sidelight.reference.pages import OWN_VARIABLES, reference_pages

ROOT = Path(__file__).parents[3]


def test_the_page_has_exactly_the_variables_that_the_code_reads() -> None:
    texts = (
        file.read_text("utf-8")
        for package in ("instrumentation", "alerts", "dashboards", "collector", "sidelight")
        for file in (ROOT / package).rglob("*.py")
        if file.name != "reference.py"
    )
    named = {name for text in texts for name in re.findall(r"""["']((?:SIDELIGHT|GRAFANA)_[A-Z_]*)["']""", text)}
    assert named | {"PROMETHEUS_MULTIPROC_DIR"} == OWN_VARIABLES.keys()


def test_the_page_describes_each_variable() -> None:
    page = reference_pages(Settings())["reference/environment-variables.md"]
    supported, unsupported = page.split("## OpenTelemetry's, not supported")
    assert (
        "| `OTEL_EXPORTER_OTLP_ENDPOINT` | `tracing.endpoint`; `/v1/traces` is added for http/protobuf |" in supported
    )
    assert "| `OTEL_LOG_LEVEL` | set `logging.level` |" in unsupported
    assert "`OTEL_*`" not in page
