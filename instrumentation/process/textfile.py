"""Numbers of short processes as a file for node_exporter's textfile collector.

The processes of a service count in a folder beside the file, as the workers of a server do. So the file has the numbers of
all runs since the folder was made: counters only grow, and those of a run that was killed are there with the next run.
"""

from __future__ import annotations

import logging
import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from prometheus_client.exposition import generate_latest
from prometheus_client.samples import Sample

from instrumentation import catalog
from instrumentation.catalog import Kind
from instrumentation.errors import Fault, SettingsError
from instrumentation.exposition.formats import StoreCollector

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.metrics_core import Metric as Family

    from instrumentation.settings import Settings
    from instrumentation.store.process_store import ProcessStore

_log = logging.getLogger("instrumentation")

# node_exporter has metrics of these names for itself, and a file must not repeat them.
_OF_THE_EXPORTER = ("process_", "python_", "promhttp_", "go_")


# What a process used while it ran says nothing about now.
_OF_A_MOMENT = {
    metric.name
    for metric in catalog.METRICS
    if metric.kind is Kind.GAUGE and not metric.outlives_worker and metric is not catalog.TARGET_INFO
}


def folder_of_runs(settings: Settings) -> Path:
    """The folder in which the processes of a service count; node_exporter reads only files that end with ``.prom``.

    Raises:
        SettingsError: This process may not write there.
    """
    folder = Path(settings.process.textfile or "")
    if not os.access(folder, os.W_OK | os.X_OK):
        problem = f"{folder} is not a folder that this process may write to"
        allowed = "create it, and let the user of the process write to it"
        raise SettingsError([Fault(source="settings", path="process.textfile", problem=problem, allowed=allowed)])
    return folder / f".{_file_name(settings)}"


class Textfile:
    """Writes the file when the process starts and when it ends.

    Args:
        settings: The folder, and the service after which the file is named.
        store: The numbers.
    """

    def __init__(self, settings: Settings, store: ProcessStore) -> None:
        self._path = Path(settings.process.textfile or "") / f"{_file_name(settings)}.prom"
        self._job = settings.service.name
        self._store = store

    def begin(self) -> None:
        """Write the file, so that the start of a run that never ends can be seen."""
        self._write()

    def end(self) -> None:
        """Write the file for the last time."""
        self._write()

    def _write(self) -> None:
        text = generate_latest(_Labelled(self._store, self._job))
        number, name = tempfile.mkstemp(prefix=f".{self._path.name}.", dir=self._path.parent)
        try:
            with os.fdopen(number, "wb") as stream:
                stream.write(text)
                os.fchmod(stream.fileno(), 0o644)  # node_exporter is another user
            os.replace(name, self._path)  # noqa: PTH105 - a reader sees the whole file or the one before
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise


class _Labelled(NamedTuple):
    """The metrics of a store with the label ``job``, as a ``prometheus_client`` registry is read."""

    store: ProcessStore
    job: str

    def collect(self) -> Iterator[Family]:
        for family in StoreCollector(self.store).collect():
            if not family.name.startswith(_OF_THE_EXPORTER) and family.name not in _OF_A_MOMENT:
                family.samples = [
                    Sample(sample.name, {**sample.labels, "job": self.job}, sample.value) for sample in family.samples
                ]
                yield family


def _file_name(settings: Settings) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "_", settings.service.name)
