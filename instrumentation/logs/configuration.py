"""Sets up the logging of a process, and changes its level while it runs."""

from __future__ import annotations

import atexit
import logging
import os
from collections.abc import Sequence  # noqa: TC003 - for typing.get_type_hints
from functools import partial

from structlog.typing import Processor  # noqa: TC002 - for typing.get_type_hints

from instrumentation import catalog
from instrumentation.errors import InstrumentationError
from instrumentation.logs.handler import LEVELS, Lines
from instrumentation.logs.rendering import Console, Json
from instrumentation.logs.takeover import RootParent, current, enable_ours, is_set_up, say_who_writes
from instrumentation.logs.uncaught import hear
from instrumentation.logs.writer import Writer
from instrumentation.redaction import Redactor
from instrumentation.settings import Settings, load_settings
from instrumentation.store import Store, add, default_store

STDOUT = 1


def configure_logging(
    settings: Settings | None = None,
    *,
    store: Store | None = None,
    processors: Sequence[Processor] = (),
    descriptor: int = STDOUT,
) -> None:
    """Write every log record of the process as a line: those of structlog, of the standard library and of the server.

    ``instrument()`` does this as long as the service does not configure logging itself, that is, adds no handler to the root
    logger and does not configure structlog. This function does it in any case: it removes console handlers from the root
    logger and the servers' loggers, and refuses new ones; all other handlers stay. A second call replaces the first.

    Args:
        settings: The settings; by default those of ``load_settings()``.
        store: Where records are counted; by default the store of the process.
        processors: structlog processors that process every record before secrets are masked.
        descriptor: The file descriptor to write to; by default stdout.

    Raises:
        SettingsError: The settings are invalid; the message names every fault.
    """
    _take(settings or load_settings(), store or default_store(), processors, descriptor, insists=True)


def configure_unless_configured(settings: Settings, store: Store) -> None:
    """Write the log records until the service configures logging itself."""
    if current() is None and not is_set_up():
        _take(settings, store, (), STDOUT, insists=False)


def begin() -> None:
    """Take over the server's loggers when a process starts to serve, or log that the service writes its own records."""
    enable_ours()
    parent = current()
    if parent is None or parent.gives_way():
        say_who_writes()
    else:
        parent.begin()


def end() -> None:
    """Write what is buffered when the app has shut down. From then on, each line is written immediately."""
    parent = current()
    if parent is not None:
        parent.lines.writer.close()


def configured() -> Lines | None:
    """The handler in use; None if the service writes its own records."""
    parent = current()
    return None if parent is None else parent.lines


def leave() -> None:
    """Write what is buffered, and restore what was taken over."""
    parent = current()
    if parent is not None:
        parent.leave()


def _take(
    settings: Settings,
    store: Store,
    processors: Sequence[Processor],
    descriptor: int,
    *,
    insists: bool,
) -> None:
    lost = partial(add, store, catalog.LOG_LINES_LOST, ())
    lost(0.0)  # the series starts at 0, so that rate() sees the first loss
    for level in LEVELS:
        add(store, catalog.LOG_EVENTS, (level,), 0.0)
    console = settings.logging.format == "console" or (settings.logging.format == "auto" and os.isatty(descriptor))
    render = Console(colors=os.isatty(descriptor)) if console else Json(settings.service)
    secrets = settings.logging.redaction
    redactor = Redactor(keys=secrets.keys, allow=secrets.allow, patterns=secrets.patterns, queries=True)
    leave()
    lines = Lines(render, redactor, Writer(descriptor, lost), store, processors)
    parent = RootParent(lines, insists=insists)
    parent.take(settings.logging.level, settings.logging.levels)
    hear(parent.undo, configured)
    atexit.unregister(end)
    atexit.register(end)  # logging.shutdown() no longer knows the handler after dictConfig()


def set_level(level: str, logger: str = "") -> None:
    """Change the log level of this process; it takes effect at once.

    Args:
        level: ``debug``, ``info``, ``warning``, ``error`` or ``critical``.
        logger: The logger whose level changes, such as ``shop.orders``, together with the loggers below it; by default all.

    Raises:
        InstrumentationError: ``log_level_invalid``.
    """
    if level not in LEVELS:
        raise InstrumentationError(
            f"set_level: got {level!r:.60}; give one of {', '.join(LEVELS)}.", code="log_level_invalid"
        )
    logging.getLogger(logger).setLevel(level.upper())
