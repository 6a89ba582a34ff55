"""Section ``process``: where a process without an HTTP app leaves its numbers, beside a port of its own."""

from __future__ import annotations

from instrumentation.settings.types import Folder, NoOrSomeSeconds, Section, WebAddress


class Process(Section):
    """Where ``instrument_process()`` leaves numbers; a process that ends soon has no page that Prometheus could read."""

    textfile: Folder | None = None  # the folder that node_exporter reads: --collector.textfile.directory
    push_endpoint: WebAddress | None = None  # such as http://localhost:4318, where a collector takes metrics by OTLP
    push_seconds: NoOrSomeSeconds = 60.0  # how long the end of the process waits for a collector that is down
    spool: Folder | None = None  # what no collector took by then is kept here, and the next process sends it
