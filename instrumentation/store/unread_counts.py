"""Notices a process that counts what nobody can read, and logs this once."""

from __future__ import annotations

import atexit
import logging
import os
import threading
from multiprocessing import util
from typing import TYPE_CHECKING

from instrumentation import catalog

if TYPE_CHECKING:
    from collections.abc import Callable

    from instrumentation.catalog import Metric

SECONDS = 60.0
"""Seconds after the first count in which the process may still say how it is read."""

_log = logging.getLogger("instrumentation")

_OF_WORKFLOWS = {
    catalog.WORKFLOWS_CREATED.name,
    catalog.WORKFLOW_EXECUTIONS.name,
    catalog.WORKFLOW_DURATION.name,
    catalog.WORKFLOW_COST.name,
}
# What Sidelight counts on its own, such as log lines, need not be read by anybody.
_BY_THE_WAY = {metric.name for metric in catalog.METRICS} - _OF_WORKFLOWS


class UnreadCounts:
    """Waits for the first count of a workflow or of a team's own signal.

    Args:
        is_read: Whether somebody can read the counts by now.
        seconds: Seconds after the first count until it is called; it is called at the end of the process too.

    Attributes:
        timer: Waits for that time.
    """

    def __init__(self, is_read: Callable[[], bool], seconds: float = SECONDS) -> None:
        self._is_read = is_read
        self._seconds = seconds
        self._has_told = False
        self.timer: threading.Timer | None = None

    def counts(self, metric: Metric) -> bool:
        """Whether this count is one to wait for; the process is then watched, and counts need no longer be shown."""
        if metric.name in _BY_THE_WAY:
            return False
        if not self._is_read():
            self._watch(metric)
        return True

    def _watch(self, metric: Metric) -> None:
        pid = os.getpid()

        def tell() -> None:
            if os.getpid() == pid and not self._has_told and not self._is_read():
                self._has_told = True
                _log.warning(
                    "this process (%d) counts %s, and nobody can read it; call instrumentation.instrument_process() when it starts",
                    pid,
                    metric.name,
                )

        self.timer = threading.Timer(self._seconds, tell)
        self.timer.daemon = True
        try:
            self.timer.start()
        except RuntimeError:  # no more threads
            tell()
        atexit.register(tell)
        util.Finalize(None, tell, exitpriority=0)  # for children of multiprocessing, which end without atexit
