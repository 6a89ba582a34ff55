"""The reference page of variables has every one that the code reads."""

from __future__ import annotations

import re
from pathlib import Path

from instrumentation.settings import Settings
from sidelight.reference.pages import OWN_VARIABLES, reference_pages

ROOT = Path(__file__).parents[3]


def test_every_variable_of_ours_that_the_code_names_is_on_the_page_and_no_other() -> None:
    texts = (
        file.read_text("utf-8")
        for package in ("instrumentation", "alerts", "dashboards", "collector", "sidelight")
        for file in (ROOT / package).rglob("*.py")
        if file.name != "reference.py"
    )
    named = {name for text in texts for name in re.findall(r"""["']((?:SIDELIGHT|GRAFANA)_[A-Z_]*)["']""", text)}
    assert named | {"PROMETHEUS_MULTIPROC_DIR"} == OWN_VARIABLES.keys()


def test_the_page_says_of_each_variable_what_it_does_or_what_to_do_instead() -> None:
    page = reference_pages(Settings())["reference/environment-variables.md"]
    heeded, unheeded = page.split("## OpenTelemetry's, not heeded")
    assert "| `OTEL_EXPORTER_OTLP_ENDPOINT` | `tracing.endpoint`; `/v1/traces` is added for http/protobuf |" in heeded
    assert "| `OTEL_LOG_LEVEL` | set `logging.level` |" in unheeded
    assert "`OTEL_*`" not in page
