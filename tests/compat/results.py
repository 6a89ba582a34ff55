"""The file with the results of ``make compat``, from which ``make build`` makes docs/reference/compatibility.md."""

from __future__ import annotations

import json
import platform
import threading
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tests.compat.environments import ROOT
from tests.compat.suites import LAYERS, PLAIN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.compat.applications import Application, Shown
    from tests.compat.suites import Difference, Outcomes, Suite

PATH = ROOT / "requirements" / "compat.json"
_writing = threading.Lock()


def record(section: str, name: str, row: Mapping[str, Any]) -> None:
    """Replace one row of a section; the others stay as they are.

    Args:
        section: ``suites`` or ``applications``.
        name: The name of the row.
        row: What the page says of it.
    """
    facts = {"date": datetime.now(UTC).date().isoformat(), "python": platform.python_version()}
    with _writing:
        table = json.loads(PATH.read_text("utf-8")) if PATH.exists() else {}
        table.setdefault(section, {})[name] = {**row, **facts}
        PATH.write_text(json.dumps(table, indent=2, sort_keys=True) + "\n", "utf-8")


def row_of(suite: Suite, runs: Mapping[str, Outcomes], found: list[Difference]) -> dict[str, Any]:
    """What the page says of a suite."""
    by_reason: dict[str, list[str]] = {}
    for each in found:
        by_reason.setdefault(each.reason, []).append(each.test)
    return {
        "version": suite.version,
        "runs": {layer: runs[layer].counts() for layer in (PLAIN, *LAYERS) if layer in runs},
        "differences": by_reason,
    }


def row_of_application(application: Application, shown: Shown) -> dict[str, Any]:
    """What the page says of an application."""
    statuses: Counter[str] = Counter()
    for (_, status), count in shown.counted.items():
        statuses[status] += count
    return {
        "version": application.version,
        "interface": application.interface,
        "statuses": dict(sorted(statuses.items())),
        "routes": list(shown.routes),
        "concrete": len(shown.concrete),
        "is_right": shown.is_right,
    }
