"""The measurements by their name for ``--case``."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from benchmarks import audit, importing, memory, merging, redaction, rendering, request_path, starting
from benchmarks.cases import CASES, LOGS, TRACES
from benchmarks.variants import STARTED, VARIANTS, WITH_LOGS, WITH_TRACES

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.effort import Effort
    from tests.support.tables import Table

SECTIONS: dict[str, Callable[[Effort], Table]] = {
    **{case.name: partial(request_path.table, case, VARIANTS) for case in CASES},
    LOGS.name: partial(request_path.table, LOGS, WITH_LOGS),
    TRACES.name: partial(request_path.table, TRACES, WITH_TRACES),
    "redaction": redaction.table,
    "audit": audit.table,
    "rendering": partial(rendering.table, VARIANTS),
    "merge": merging.table,
    "memory": lambda _: memory.table(VARIANTS),
    "import": partial(importing.table, VARIANTS),
    "start": partial(starting.table, STARTED),
}
IN_QUICK = ("response", "nested")
"""The measurements of ``--quick``."""
