"""Describes the machine on which the numbers were measured."""

from __future__ import annotations

import os
import platform
import time
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

LOOPS = 1_000_000


def facts(distributions: Iterable[str]) -> dict[str, str]:
    """The machine, without identifying information, and the versions of packages."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "CPUs": f"{len(os.sched_getaffinity(0))}, {platform.machine()}",
        "speed": f"an iteration of an empty Python loop takes {loop_nanoseconds():.0f} ns",
        "load at the end": f"{os.getloadavg()[0]:.1f}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        **{name: version(name) for name in sorted(set(distributions))},
    }


def loop_nanoseconds() -> float:
    """The current speed of Python on this machine: the fastest of five runs."""
    return min(_loop() for _ in range(5)) / LOOPS * 1e9


def _loop() -> float:
    began = time.process_time()
    for _ in range(LOOPS):
        pass
    return time.process_time() - began


def section() -> str:
    """The last section of a page, with the machine."""
    rows = "\n".join(f"- {name}: {value}" for name, value in facts(()).items())
    return f"## Measured on\n\n{rows}"
