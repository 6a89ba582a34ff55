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
_OLD_VARIABLE = VARIABLE.lower()  # prometheus_client still supports it


class WorkerFiles:
    """The prometheus_client metrics that all workers have written into files, as a ``prometheus_client`` collector.

    Args:
        folder: The folder with the files.
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
        """Whether the files contain the metrics of a collector in this worker's registry."""
        return isinstance(collector, Counter | Gauge | Histogram | Summary | MultiProcessCollector)

    def _forget_the_dead(self) -> None:
        """Remove the live gauges of dead processes like ``mark_process_dead``, which nobody calls with uvicorn."""
        for file in self._folder.glob("gauge_live*_*.db"):
            pid = file.stem.rpartition("_")[2]
            if pid.isdigit() and not _runs(int(pid)):
                with suppress(OSError):  # another worker was faster, or this one has no permission
                    file.unlink()


def worker_files(environ: Mapping[str, str]) -> WorkerFiles | None:
    """The files, if the environment turns the mode on; otherwise None.

    Raises:
        SettingsError: The folder does not exist, or prometheus_client was imported before the variable was set.
    """
    name = VARIABLE if VARIABLE in environ else _OLD_VARIABLE
    folder = environ.get(name)
    if folder is None:
        return None
    if not folder or not Path(folder).is_dir():
        allowed = "create an empty folder before the service starts, or remove the variable"
        raise _fault(name, f"{folder or 'an empty string'} is not a directory", allowed)
    if not values.ValueClass._multiprocess:  # noqa: SLF001 - prometheus_client has no public method for this
        raise _fault(name, "was set after prometheus_client was imported", "set it before the process starts")
    return WorkerFiles(Path(folder))


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # another user's process, or not a pid
        pass
    return True


def _fault(name: str, problem: str, allowed: str) -> SettingsError:
    return SettingsError([Fault(source=name, path="", problem=problem, allowed=allowed)])
