"""What tests of task queues share: Redis, the examples of the documentation, and the page of a worker."""

from __future__ import annotations

import re
import socket
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import httpx
from prometheus_client.parser import text_string_to_metric_families

from sidelight.toolchain import processes, tool
from sidelight.toolchain.processes import LOOPBACK
from tests.support.errors import MeasurementError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECONDS = 60.0
_DOCUMENTATION = Path(__file__).parents[2] / "docs" / "how-to" / "observe-task-queues.md"


class Page(NamedTuple):
    """The metrics page of a worker.

    Attributes:
        url: Its address.
        log: The log of the worker.
    """

    url: str
    log: Path

    def samples(self, name: str) -> dict[tuple[str, ...], float]:
        """The samples of a name, by the values of their labels in the order of the labels' names."""
        text = httpx.get(self.url, timeout=SECONDS, trust_env=False).text
        return {
            tuple(value for _, value in sorted(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name
        }


def example(library: str) -> str:
    """The Python block of a library in the documentation."""
    found = re.search(rf"^```python {library.lower()}\n(.*?)^```", _DOCUMENTATION.read_text(), re.DOTALL | re.MULTILINE)
    if found is None:
        raise MeasurementError(f"{_DOCUMENTATION} has no example of {library}", code="example_missing")
    return found[1]


@contextmanager
def redis(folder: Path) -> Iterator[str]:
    """Run Redis until the context ends; yields its address."""
    port = processes.free_port()
    argv = (tool("redis-server"), "--bind", LOOPBACK, "--port", str(port), "--dir", str(folder), "--save", "")
    with processes.start(argv, log=folder / "redis.log", ready=lambda: _listens(port)):
        yield f"redis://{LOOPBACK}:{port}/0"


def _listens(port: int) -> bool:
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex((LOOPBACK, port)) == 0


def until(condition: Callable[[], bool]) -> None:
    """Wait until a condition is true."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise MeasurementError(f"the condition did not become true within {SECONDS:g} s", code="condition_not_met")
        time.sleep(0.05)
