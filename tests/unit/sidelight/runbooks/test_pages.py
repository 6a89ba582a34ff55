"""The runbooks' pages have the numbers of the settings, and their queries ask about the alert's own service."""

from __future__ import annotations

import json
import re
import subprocess
from html import unescape
from pathlib import Path

import pytest

from alerts import ALERTS
from alerts.promql import parse
from instrumentation.settings import parse_settings
from sidelight.runbooks.pages import runbook_pages

ROOT = Path(__file__).parents[4]
SETTINGS = parse_settings(
    {
        "thresholds": {"error_ratio": {"critical": 0.07}},
        "alerting": {"for": {"critical": "7m"}},
        "signals": [
            {
                "name": "orders_placed",
                "kind": "counter",
                "help": "Orders placed.",
                "alerts": [{"alert": "OrdersStopped", "rate": {"below": {"warning": 7}}}],
            }
        ],
    }
)
PAGES = runbook_pages(SETTINGS)


def page(alert: str) -> str:
    return PAGES[f"runbooks/html/{alert}.html"]


def queries(text: str) -> list[str]:
    return [unescape(found) for found in re.findall(r'<code class="language-promql">(.*?)</code>', text, re.DOTALL)]


def filled(query: str, labels: dict[str, str]) -> str:
    script = f"""
    const {{ filled }} = require({json.dumps(str(ROOT / "sidelight/runbooks/fill_runbook.js"))});
    process.stdout.write(filled({json.dumps(query)}, {json.dumps(labels)}, ["cluster", "namespace"]));
    """
    return subprocess.run(["node", "-e", script], capture_output=True, text=True, check=True, timeout=30).stdout


def test_every_alert_has_a_page_and_the_index_links_it() -> None:
    names = {*(alert.name for alert in ALERTS), "OrdersStopped"}
    assert set(PAGES) == {f"runbooks/html/{name}.html" for name in (*names, "index")}
    assert {f'<a href="{name}.html">' for name in names} <= set(re.findall(r'<a href="\w+\.html">', page("index")))


def test_a_setting_is_followed_by_its_number() -> None:
    text = page("HighErrorRate")
    assert "<code>thresholds.error_ratio.critical</code> (0.07)" in text
    assert "<code>alerting.for.critical</code> (7m)" in text
    assert "<code>thresholds.overrides</code> may" in text  # not a number


def test_a_page_links_only_pages_that_exist() -> None:
    linked = {target for text in PAGES.values() for target in re.findall(r'<a href="([^"]+)"', text)}
    inside = {target.partition("#")[0] for target in linked if not target.startswith("http")}
    assert inside <= {path.rpartition("/")[2] for path in PAGES}
    assert "Change a threshold (docs/how-to/change-a-threshold.md)" in page("HighErrorRate")


@pytest.mark.parametrize("alert", ["HighErrorRate", "QueueBacklogGrowing", "DiskFillingUp", "WorkflowFailures"])
def test_queries_ask_about_what_the_alert_is_about(alert: str) -> None:
    labels = {"job": 'a"b', "cluster": "eu", "queue": "mails", "path": "/srv", "workflow": "billing"}
    text = "\n;\n".join(queries(page(alert)))
    ours = filled(text, labels)
    assert ours.count('job="a\\"b", cluster="eu"') == text.count('job="shop"') > 0
    for name, example in (("queue", "emails"), ("path", "/data"), ("workflow", "invoice_import")):
        assert f'{name}="{example}"' not in ours
        assert ours.count(f'{name}="{labels[name]}"') == text.count(f'{name}="{example}"')
    for query in ours.split("\n;\n"):
        parse(query)


@pytest.mark.parametrize("alert", [alert.name for alert in ALERTS])
def test_queries_have_no_other_example_than_those_that_labels_replace(alert: str) -> None:
    examples = {("job", "shop"), ("queue", "emails"), ("path", "/data"), ("workflow", "invoice_import")}
    found = re.findall(r'\b(job|queue|path|workflow)[=!]~?"([^"]*)"', "\n".join(queries(page(alert))))
    assert set(found) <= examples


def test_without_labels_queries_stay_as_they_are() -> None:
    (query, *_) = queries(page("HighErrorRate"))
    assert filled(query, {}) == query
