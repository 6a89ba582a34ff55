"""The reference pages are current, and that of environment variables has all variables that the code reads."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from alerts.ruler import Ruler
from dashboards.grafana.client import Grafana
from instrumentation.settings import load_settings
from reference.pages import OWN_VARIABLES, reference_pages

if TYPE_CHECKING:
    from alerts.web_api import Server

ROOT = Path(__file__).parents[3]
MADE = reference_pages(load_settings(ROOT / "sidelight.yaml", {}))


@pytest.mark.parametrize("path", MADE)
def test_a_page_in_the_repository_is_current(path: str) -> None:
    assert (ROOT / "docs" / path).read_text() == MADE[path], f"docs/{path} is stale: run `make build`"


def test_the_page_has_exactly_the_variables_that_the_code_reads() -> None:
    texts = [
        file.read_text("utf-8")
        for package in ("instrumentation", "alerts", "dashboards", "collector", "sidelight")
        for file in (ROOT / package).rglob("*.py")
    ]
    named = {name for text in texts for name in re.findall(r"""["']((?:SIDELIGHT|GRAFANA)_[A-Z_]*)["']""", text)}
    kinds: dict[str, list[type[Server]]] = {
        "cls": [Grafana, Ruler],
        "self": [Grafana, Ruler],
        "Grafana": [Grafana],
        "Ruler": [Ruler],
    }
    for text in texts:
        for owner, name in re.findall(r"""\b(cls|self|Grafana|Ruler)\.(?:variable|_secret)\("([A-Z]+)\"""", text):
            named |= {kind.variable(name) for kind in kinds[owner]}
    files = {
        name for name in OWN_VARIABLES if name.endswith("_FILE")
    }  # `find_secret()` reads these beside the variable
    assert files <= {f"{name}_FILE" for name in named}
    assert named | files | {"PROMETHEUS_MULTIPROC_DIR"} == OWN_VARIABLES.keys()


def test_the_page_describes_each_variable() -> None:
    page = MADE["reference/environment-variables.md"]
    supported, unsupported = page.split("## OpenTelemetry's, not supported")
    assert (
        "| `OTEL_EXPORTER_OTLP_ENDPOINT` | `tracing.endpoint`; `/v1/traces` is added for http/protobuf |" in supported
    )
    assert "| `OTEL_LOG_LEVEL` | set `logging.level` |" in unsupported
    assert "`OTEL_*`" not in page
