"""Alerts have the color of what their severity means, whatever the settings call it, in a real Chromium."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sidelight.view.snapshot import page
from tests.support.pictures.browser import browse

if TYPE_CHECKING:
    from pathlib import Path

WORDS = {"page": "critical", "ticket": "warning", "event": "info", "heartbeat": "none"}
RED, YELLOW = "--bad", "--warn"
COLORS = """
const page = await open(`file://${given}#/alerts`);
await page.waitForSelector('.alert');
const found = await page.evaluate((names) => {
  const probe = document.body.appendChild(document.createElement('i'));
  const named = Object.fromEntries(names.map((name) => { probe.style.color = `var(${name})`; return [getComputedStyle(probe).color, name]; }));
  const color = (element, property) => named[getComputedStyle(element)[property]] ?? '';
  return [...document.querySelectorAll('.alert')].map((each) => [
    each.dataset.alert, color(each, 'borderLeftColor'), ...[...each.querySelectorAll('h3 .badge')].slice(-1).map((badge) => [badge.textContent, color(badge, 'color')]),
  ]);
}, ['--bad', '--warn']);
await page.locator('header nav a', { hasText: 'Services' }).click();
await page.waitForSelector('[data-job=shop] .badge');
return { alerts: found, services: await page.locator('[data-job=shop] td:last-child .badge').evaluateAll((all) => all.map((each) => each.className)) };
"""


def alert(severity: str) -> dict[str, Any]:
    instance = {"labels": {}, "annotations": {}, "state": "firing", "activeAt": "2026-03-05T12:00:00Z", "value": "1"}
    return {
        "name": f"Of{severity}", "state": "firing", "severity": severity, "group": "g", "expression": "up", "annotations": {},
        "error": "", "instances": [instance], "left_out": 0,
    }  # fmt: skip


def test_alerts_have_the_color_of_what_their_severity_means(tmp_path: Path) -> None:
    service = {
        "identity": {"job": "shop"},
        "observed": True,
        "versions": {},
        "up": 1,
        "targets": 1,
        "alerts": {"page": 2},
    }
    boards = [{"uid": "test", "title": "Test", "description": ""}]
    answers = {
        "dashboards": {"dashboards": boards, "prometheus": "x", "version": "1", "severities": WORDS},
        "alerts": [alert(severity) for severity in ("page", "ticket", "event", "critical")],
        "services": [service],
    }
    file = tmp_path / "page.html"
    file.write_text(page({"taken": 1_764_000_000_000, "answers": answers}))
    found = browse(tmp_path, COLORS, str(file))
    assert found["alerts"] == [
        ["Ofpage", RED, ["page", RED]],
        ["Ofticket", YELLOW, ["ticket", YELLOW]],
        ["Ofevent", "", ["event", ""]],
        ["Ofcritical", RED, ["critical", RED]],  # of other rules than Sidelight's
    ]
    assert found["services"] == ["badge severity-critical"]
