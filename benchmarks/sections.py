"""What can be measured, by the name that ``--case`` takes."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from benchmarks import importing, memory, merging, rendering, request_path
from benchmarks.cases import CASES
from benchmarks.variants import VARIANTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.effort import Effort
    from benchmarks.tables import Table

SECTIONS: dict[str, Callable[[Effort], Table]] = {
    **{case.name: partial(request_path.table, case, VARIANTS) for case in CASES},
    "rendering": partial(rendering.table, VARIANTS),
    "merge": merging.table,
    "memory": lambda _: memory.table(VARIANTS),
    "import": partial(importing.table, VARIANTS),
}
IN_QUICK = ("response", "nested")
"""What ``--quick`` measures."""
