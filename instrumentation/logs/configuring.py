"""Takes the logging of a process over, where it is asked for or nobody else has; changes its level while it runs."""

from __future__ import annotations

import logging
import os
from functools import partial
from typing import TYPE_CHECKING

import structlog

from instrumentation import catalog
from instrumentation.errors import InstrumentationError
from instrumentation.logs.handler import LEVELS, Lines
from instrumentation.logs.rendering import Console, Json
from instrumentation.logs.servers import adopt, forget_streams
from instrumentation.logs.writer import Writer
from instrumentation.redaction import Redactor
from instrumentation.settings import load_settings
from instrumentation.store import add, default_store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from instrumentation.settings import Settings
    from instrumentation.store import Store

STDOUT = 1


def configure_logging(
    settings: Settings | None = None,
    *,
    store: Store | None = None,
    processors: Sequence[structlog.typing.Processor] = (),
    descriptor: int = STDOUT,
) -> None:
    """Write every log record of the process as a line: structlog's, the standard library's and the server's.

    ``instrument()`` does it by itself where nobody has set up logging before: neither a handler of the root logger nor
    structlog. This does it in any case; handlers that print to the terminal are taken off, others stay. Doing it again
    replaces what was there.

    Args:
        settings: What ``load_settings()`` gives, by default.
        store: Where records are counted; the process's own store by default.
        processors: structlog processors that every record goes through, before secrets are taken out.
        descriptor: The file descriptor to write to; stdout by default.

    Raises:
        SettingsError: The settings cannot be used; every fault is named.
    """
    settings = settings or load_settings()
    store = store or default_store()
    lost = partial(add, store, catalog.LOG_LINES_LOST, ())
    lost(0.0)  # born at 0, so that the first loss is not lost to rate()
    for level in LEVELS:
        add(store, catalog.LOG_EVENTS, (level,), 0.0)
    console = settings.logging.format == "console" or (settings.logging.format == "auto" and os.isatty(descriptor))
    render = Console(colors=os.isatty(descriptor)) if console else Json(settings.service)
    secrets = settings.logging.redaction
    redactor = Redactor(keys=secrets.keys, allow=secrets.allow, patterns=secrets.patterns)
    leave()
    forget_streams()
    logging.root.addHandler(Lines(render, redactor, Writer(descriptor, lost), store, processors))
    set_level(settings.logging.level)
    for name, quieter in settings.logging.levels.items():
        set_level(quieter, name)
    adopt()
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.processors.StackInfoRenderer(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def configure_unless_configured(settings: Settings, store: Store) -> None:
    """Set up logging for a service that has not done so itself."""
    if settings.logging.enabled and not logging.root.handlers and not structlog.is_configured():
        configure_logging(settings, store=store)


def begin() -> None:
    """In a process that begins to serve: take over what its server has set up since."""
    handler = configured()
    if handler is not None:
        handler.writer.open()
        adopt()


def end() -> None:
    """In a process whose app has shut down: write what waits, and from now on each line at once."""
    handler = configured()
    if handler is not None:
        handler.writer.close()


def configured() -> Lines | None:
    """The handler that is in use; None where the service logs in its own way."""
    for handler in logging.root.handlers:
        if type(handler) is Lines:
            return handler
    return None


def leave() -> None:
    """Write what waits, and take the handler off again."""
    handler = configured()
    if handler is not None:
        logging.root.removeHandler(handler)
        handler.close()


def set_level(level: str, logger: str = "") -> None:
    """Change how much this process logs, at once.

    Args:
        level: ``debug``, ``info``, ``warning``, ``error`` or ``critical``.
        logger: The logger and those below it that it is for, such as ``shop.orders``; all by default.

    Raises:
        InstrumentationError: ``log_level_invalid``.
    """
    if level not in LEVELS:
        raise InstrumentationError(
            f"set_level: got {level!r:.60}; give one of {', '.join(LEVELS)}.", code="log_level_invalid"
        )
    logging.getLogger(logger).setLevel(level.upper())
