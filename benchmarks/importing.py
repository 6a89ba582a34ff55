"""CPU time of imports after FastAPI has been imported, in fresh processes, with the files cached in memory."""

from __future__ import annotations

import statistics
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.support.errors import MeasurementError
from tests.support.tables import Column, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.effort import Effort
    from benchmarks.variants import Variant
    from tests.support.tables import Row

PROGRAM = """
import fastapi, importlib, sys, time
began = time.process_time()
importlib.import_module(sys.argv[1])
print((time.process_time() - began) * 1000)
"""
SECONDS = 60
COLUMNS = (
    Column(key="module", title="module"),
    Column(key="low", title="fastest ms", digits=1),
    Column(key="median", title="median ms", digits=1),
)


def table(variants: Sequence[Variant], effort: Effort) -> Table:
    """Import the modules of every variant in turn, repeatedly."""
    modules = [module for variant in variants for module in variant.modules]
    times: dict[str, list[float]] = {module: [] for module in modules}
    for _ in range(effort.repeats):
        for module, taken in times.items():
            taken.append(_milliseconds(module))
    return Table(
        name="import",
        title="Importing, after fastapi",
        note="`import instrumentation` loads the rest on first use; `instrument` loads `instrumentation.http`.",
        columns=COLUMNS,
        rows=tuple(_row(module, taken) for module, taken in times.items()),
    )


def _row(module: str, taken: list[float]) -> Row:
    return {"module": module, "low": min(taken), "median": statistics.median(taken)}


def _milliseconds(module: str) -> float:
    argv = [sys.executable, "-c", PROGRAM, module]
    try:
        ended = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=SECONDS)  # noqa: S603 - ours
    except subprocess.CalledProcessError as error:
        raise MeasurementError(f"import {module}: {error.stderr}", code="variant_failed") from error
    return float(ended.stdout)
