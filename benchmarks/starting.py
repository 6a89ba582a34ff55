"""From a service that has imported FastAPI to its first answer: CPU time and memory, in fresh processes that take turns."""

from __future__ import annotations

import statistics
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.variants import BARE
from tests.support.errors import MeasurementError
from tests.support.tables import Column, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.effort import Effort
    from benchmarks.variants import Variant
    from tests.support.tables import Row

PROGRAM = """
import asyncio, os, sys, time
from benchmarks.asgi import call
from benchmarks.cases import CASES
from benchmarks.variants import Variant
case = CASES[0]

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

held, began = resident(), time.process_time()
app = Variant(name=sys.argv[1], title="").install(case.build).app
asyncio.run(call(app, case.path))
print((time.process_time() - began) * 1000, (resident() - held) / 1e6, flush=True)
"""
SECONDS = 120
COLUMNS = (
    Column(key="variant", title="variant"),
    Column(key="low", title="fastest ms", digits=1),
    Column(key="median", title="median ms", digits=1),
    Column(key="added", title="ms over the bare app", digits=1),
    Column(key="megabytes", title="MB over the bare app", digits=1),
)


class Start(NamedTuple):
    """One start.

    Attributes:
        milliseconds: CPU time.
        megabytes: Memory.
    """

    milliseconds: float
    megabytes: float


def table(variants: Sequence[Variant], effort: Effort) -> Table:
    """Start every variant in turn, repeatedly; the first is the bare app."""
    starts: dict[Variant, list[Start]] = {variant: [] for variant in (BARE, *variants)}
    for _ in range(effort.repeats):
        for variant, found in starts.items():
            found.append(_start(variant))
    bare = starts[BARE]
    return Table(
        name="start",
        title="From the import of fastapi to the first answer",
        note="Building the app and its first request are included; the medians of differences within a turn are over the bare app.",
        columns=COLUMNS,
        rows=tuple(_row(variant, found, bare) for variant, found in starts.items()),
    )


def _row(variant: Variant, found: list[Start], bare: list[Start]) -> Row:
    taken = [start.milliseconds for start in found]
    both = list(zip(found, bare, strict=True))
    return {
        "variant": variant.title,
        "low": min(taken),
        "median": statistics.median(taken),
        "added": statistics.median(one.milliseconds - other.milliseconds for one, other in both),
        "megabytes": statistics.median(one.megabytes - other.megabytes for one, other in both),
    }


def _start(variant: Variant) -> Start:
    argv = [sys.executable, "-c", PROGRAM, variant.name]
    try:
        ended = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=SECONDS)  # noqa: S603 - ours
    except subprocess.CalledProcessError as error:
        raise MeasurementError(f"start of {variant.title}: {error.stderr}", code="variant_failed") from error
    milliseconds, megabytes = ended.stdout.split()
    return Start(float(milliseconds), float(megabytes))
