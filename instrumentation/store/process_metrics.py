"""The standard process metrics, read from /proc for any process of this user."""

from __future__ import annotations

import os
import resource
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from instrumentation import catalog

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from instrumentation.catalog import Metric

PROC = Path("/proc")


class Usage(NamedTuple):
    """Resource usage of a process, as defined by Prometheus' client libraries.

    Attributes:
        cpu: User and system CPU time in seconds.
        resident: Resident memory in bytes.
        virtual: Virtual memory in bytes.
        open_fds: Number of open file descriptors.
        max_fds: Limit on open file descriptors.
        started: Start time in seconds since 1970.
    """

    cpu: float
    resident: float
    virtual: float
    open_fds: float
    max_fds: float
    started: float


def usage(pid: int, proc: Path = PROC) -> Usage | None:
    """The usage of a process; None if it cannot be read, as on systems other than Linux."""
    try:
        with open(f"{proc}/{pid}/stat", "rb", buffering=0) as stream:  # noqa: PTH123 - a third of the cost of Path
            fields = stream.read().rpartition(b")")[2].split()  # from the third field of proc(5) on
        fds = len(os.listdir(f"{proc}/{pid}/fd"))  # noqa: PTH208 - as above
        ticks, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
        return Usage(
            cpu=(int(fields[11]) + int(fields[12])) / ticks,
            resident=int(fields[21]) * page,
            virtual=int(fields[20]),
            open_fds=fds,
            max_fds=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
            started=_booted(proc) + int(fields[19]) / ticks,
        )
    except (OSError, IndexError, ValueError):
        return None


def process_values(used: Iterable[Usage]) -> Iterator[tuple[Metric, float]]:
    """The process metrics of several processes together."""
    used = list(used)
    if used:
        yield catalog.PROCESS_CPU, sum(one.cpu for one in used)
        yield catalog.PROCESS_RESIDENT_MEMORY, sum(one.resident for one in used)
        yield catalog.PROCESS_VIRTUAL_MEMORY, sum(one.virtual for one in used)
        yield catalog.PROCESS_OPEN_FDS, sum(one.open_fds for one in used)
        yield catalog.PROCESS_MAX_FDS, sum(one.max_fds for one in used)
        yield catalog.PROCESS_START_TIME, min(one.started for one in used)


@cache
def _booted(proc: Path) -> float:
    """When the machine started, in seconds since 1970."""
    lines = (proc / "stat").read_text().splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith("btime ")))
