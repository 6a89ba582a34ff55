"""Configures logging to write into a file, and restores it after the test."""

from __future__ import annotations

import json
import logging
import os
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from instrumentation import catalog
from instrumentation.logs import configure_logging
from instrumentation.logs.configuration import configured, leave
from instrumentation.settings import parse_settings
from instrumentation.store import LocalStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from instrumentation.catalog import Metric

NAMES = ("", "uvicorn", "uvicorn.error", "uvicorn.access", "gunicorn.error", "httpx", "shop", "instrumentation.access")


class Log:
    """What was logged.

    Attributes:
        store: Where it was counted.
    """

    def __init__(self, file: Path) -> None:
        self.store = LocalStore()
        self._file = file
        self._descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def configure(self, *, processors: tuple[Any, ...] = (), **keys: Any) -> None:
        settings = parse_settings({"service": {"name": "shop", "version": "7.3.0"}, "logging": keys})
        configure_logging(settings, store=self.store, processors=processors, descriptor=self._descriptor)

    @property
    def text(self) -> str:
        handler = configured()
        assert handler is None or handler.writer.flush()
        return self._file.read_text("utf-8")

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.split("\n")[:-1]]

    @property
    def last(self) -> dict[str, Any]:
        return self.lines[-1]

    def counted(self, metric: Metric = catalog.LOG_EVENTS) -> dict[tuple[str, ...], float]:
        return {row.labels: row.slots[0] for row in self.store.series() if row.metric is metric if row.slots[0]}


@pytest.fixture(autouse=True)
def given_back() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in NAMES]
    before = [(each, each.level, list(each.handlers), each.propagate) for each in loggers]
    yield
    leave()
    for each, level, handlers, propagate in before:
        each.setLevel(level)
        each.handlers, each.propagate = handlers, propagate
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_call() -> Iterator[None]:
    """Without pytest's own handlers, which make the logging look set up, and fail where a record cannot be printed."""
    logging.root.handlers = []
    return (yield)


@pytest.fixture
def log(tmp_path: Path) -> Log:
    found = Log(tmp_path / "log")
    found.configure()
    return found
