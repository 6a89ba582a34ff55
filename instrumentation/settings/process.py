"""Section ``process``: where a process without an HTTP app writes or sends its metrics, instead of serving them."""

from __future__ import annotations

from instrumentation.settings.types import Folder, NoOrSomeSeconds, Section, WebAddress


class Process(Section):
    """Where ``instrument_process()`` writes or sends metrics, because Prometheus cannot scrape a process that ends soon."""

    textfile: Folder | None = None  # the folder that node_exporter reads: --collector.textfile.directory
    push_endpoint: WebAddress | None = None  # a collector that receives OTLP, such as http://localhost:4318
    push_seconds: NoOrSomeSeconds = 60.0  # how long the end of the process waits for a collector that is down
    spool: Folder | None = None  # keeps what could not be sent by then; the next process sends it
