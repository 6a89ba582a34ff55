"""prometheus_client's multiprocess mode: the user's own metrics, summed over all workers."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge, Histogram, Summary, values
from prometheus_client.multiprocess import MultiProcessCollector

from instrumentation.errors import Fault, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from prometheus_client.metrics_core import Metric as Family
    from prometheus_client.registry import Collector

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_OLD_VARIABLE = VARIABLE.lower()  # prometheus_client still reads it


class WorkerFiles:
    """What prometheus_client's metrics in every worker have written into files, as a collector.

    Args:
        folder: Where the files are.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._collector = MultiProcessCollector(None, str(folder))  # type: ignore[no-untyped-call]

    def collect(self) -> Iterable[Family]:
        """Every metric."""
        self._forget_the_dead()
        families: Iterable[Family] = self._collector.collect()  # type: ignore[no-untyped-call]
        return families

    def replaces(self, collector: Collector) -> bool:
        """Whether the files have what a collector of this worker's registry would give."""
        return isinstance(collector, Counter | Gauge | Histogram | Summary | MultiProcessCollector)

    def _forget_the_dead(self) -> None:
        """Remove the live gauges of processes that have ended, as ``mark_process_dead`` does; nobody calls it under uvicorn."""
        for file in self._folder.glob("gauge_live*_*.db"):
            pid = file.stem.rpartition("_")[2]
            if pid.isdigit() and not _runs(int(pid)):
                with suppress(OSError):  # another worker was faster, or may not
                    file.unlink()


def worker_files(environ: Mapping[str, str]) -> WorkerFiles | None:
    """The files, where the environment asks for the mode.

    Raises:
        SettingsError: There is no such folder, or prometheus_client was imported before it was asked for.
    """
    name = VARIABLE if VARIABLE in environ else _OLD_VARIABLE
    folder = environ.get(name)
    if folder is None:
        return None
    if not folder or not Path(folder).is_dir():
        allowed = "give one that is there, and empty, before the service starts, or leave the variable out"
        raise _fault(name, f"{folder or 'an empty text'} is no folder", allowed)
    if not values.ValueClass._multiprocess:  # noqa: SLF001 - prometheus_client has no public question for this
        raise _fault(name, "was set after prometheus_client was imported", "set it before the process starts")
    return WorkerFiles(Path(folder))


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # another user's, or no pid at all
        pass
    return True


def _fault(name: str, problem: str, allowed: str) -> SettingsError:
    return SettingsError([Fault(source=name, path="", problem=problem, allowed=allowed)])
