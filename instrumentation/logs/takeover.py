"""Decides who writes a process's records: Sidelight, or a service that configures logging itself, at any time."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import structlog
from structlog import configure as _configure

from instrumentation.logs.calls import is_for_debugging
from instrumentation.logs.servers import ACCESS, ECHO, SERVERS, adopt, adopt_echo, prints, without

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from instrumentation.logs.handler import Lines

_log = logging.getLogger("instrumentation")
_OURS = "instrumentation"
_EXPORTERS = frozenset(("opentelemetry", "sentry_sdk"))
"""Packages whose root handlers export records and print nothing; they do not count as logging configuration."""

_SERVICE_WRITES = (
    "sidelight writes neither log lines nor access lines, because the service configures logging itself; call "
    "instrumentation.configure_logging() to get them, or set logging.enabled: false to keep it so"
)
_NOT_ADDED = (
    "%s was not added to the root logger, because configure_logging() was called and every record would be printed twice; "
    "remove that call to let the service print its records itself"
)


class _Unseen(list[logging.Handler]):
    """Handlers that receive records, although ``hasHandlers()`` returns what it would without them."""

    def __bool__(self) -> bool:
        return False


class _Level(int):
    """A level set by Sidelight, to distinguish it from an equal one that the service sets."""


class RootParent(logging.Logger):
    """The parent of the root logger: its handler receives every record that reaches the root logger.

    A handler on the root logger itself would make ``basicConfig()`` do nothing.

    Args:
        lines: The handler.
        insists: Whether it keeps writing if the service configures logging itself.

    Attributes:
        lines: The handler.
        insists: As given.
        undo: What gives everything back.
    """

    def __init__(self, lines: Lines, *, insists: bool) -> None:
        super().__init__("sidelight")
        self.lines = lines
        self.insists = insists
        self._processors: list[structlog.typing.Processor] = [
            structlog.stdlib.filter_by_level,
            structlog.processors.StackInfoRenderer(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ]
        self._servers = [logging.getLogger(name) for name in (*SERVERS, *ACCESS)]
        self.undo = ExitStack()
        self._has_begun = False
        lines.addFilter(self._writes)
        self.handlers = _Unseen((lines,))

    def take(self, level: str, levels: Mapping[str, str]) -> None:
        """Start to write records.

        Args:
            level: Of the root logger; one that the service has set stays, unless this insists.
            levels: Of single loggers.
        """
        root: Any = logging.root
        root.parent = self
        root.addHandler = self._add_handler
        self.undo.callback(partial(delattr, root, "addHandler"))
        self.undo.callback(partial(setattr, root, "parent", None))
        if self.insists or root.level == logging.WARNING:
            self._set_level(root, level)
        for name, quieter in levels.items():
            self._set_level(logging.getLogger(name), quieter)
        self._configure_structlog()
        for logger in self._servers:
            logger.addFilter(self._adopt)
            self.undo.callback(logger.removeFilter, self._adopt)
        self._adopt()
        adopt_echo(self.undo)

    def begin(self) -> None:
        """The process starts to serve: the service and its server have configured what they wanted to."""
        self._has_begun = True
        self.lines.writer.open()
        _configure(cache_logger_on_first_use=True)
        self._adopt()
        adopt_echo(self.undo)

    def _adopt(self, _: logging.LogRecord | None = None) -> bool:
        """Take over the servers' loggers; also a filter of these, since some are configured after the app has started."""
        if self.insists:
            without(prints, logging.root, self.undo)
        for logger in self._servers:
            adopt(logger, self.undo, insists=self.insists)
        return True

    def leave(self) -> None:
        """Write what is buffered, and restore everything that nobody else has changed since."""
        self.undo.close()
        self.lines.writer.close()

    def gives_way(self) -> bool:
        """Whether the service has configured logging itself; if so, Sidelight stops to write."""
        if self.insists or not is_set_up(self._processors):
            return False
        self.leave()
        if self._has_begun:
            say_who_writes()
        return True

    def _add_handler(self, handler: logging.Handler) -> None:
        """Replaces ``logging.root.addHandler``, so that the service's configuration finds everything as it was."""
        if self.insists and prints(handler):
            _log.warning(_NOT_ADDED, handler)
        elif not self.insists and _is_setup(handler):
            self._leave_to(_add_handler, handler)
        else:
            _add_handler(handler)

    def _leave_to(self, setup: Callable[..., None], /, *args: Any, **kwargs: Any) -> None:
        """Restore everything, then let the service configure logging."""
        self.leave()
        setup(*args, **kwargs)
        if self._has_begun:
            say_who_writes()

    def _writes(self, record: logging.LogRecord) -> bool:
        """Whether a record becomes a line: not if another handler has printed it already."""
        is_printed = _is_printed(record)
        if not self.gives_way():
            if is_printed and record.name.startswith(ECHO):
                adopt_echo(self.undo)  # it was loaded since
            return not (is_for_debugging(record) or is_printed)
        last = logging.lastResort  # Python did not use it, because it found this handler
        if last is not None and not logging.root.handlers and record.levelno >= last.level:
            last.handle(record)
        return False

    def _set_level(self, logger: logging.Logger, level: str) -> None:
        before, ours = logger.level, _Level(logging.getLevelNamesMapping()[level.upper()])
        logger.setLevel(ours)

        def set_back() -> None:
            if logger.level is ours:
                logger.setLevel(before)

        self.undo.callback(set_back)

    def _configure_structlog(self) -> None:
        if not self.insists:
            for name in ("configure", "configure_once"):
                before = getattr(structlog, name)
                setattr(structlog, name, partial(self._leave_to, before))
                self.undo.callback(partial(setattr, structlog, name, before))
        _configure(
            processors=self._processors,
            wrapper_class=structlog.stdlib.BoundLogger,
            logger_factory=structlog.stdlib.LoggerFactory(),
            # The service may still configure structlog before the process serves.
            cache_logger_on_first_use=self.insists,
        )

        def set_back() -> None:
            if structlog.get_config()["processors"] is self._processors:
                structlog.reset_defaults()

        self.undo.callback(set_back)


def current() -> RootParent | None:
    """What writes the records of this process; None if the service does."""
    parent = logging.root.parent
    if type(parent) is not RootParent or (logging.root.handlers and parent.gives_way()):
        return None
    return parent


def is_set_up(processors: object = None) -> bool:
    """Whether the service configures logging itself: the root logger, or structlog with processors other than these."""
    if any(map(_is_setup, logging.root.handlers)):
        return True
    return structlog.is_configured() and structlog.get_config()["processors"] is not processors


@cache
def say_who_writes() -> None:
    """Log once that the service writes its records itself."""
    _log.warning(_SERVICE_WRITES)


def enable_ours() -> None:
    """Enable Sidelight's own loggers: ``dictConfig()`` disables existing loggers by default."""
    for name, logger in logging.root.manager.loggerDict.items():
        if isinstance(logger, logging.Logger) and name.partition(".")[0] == _OURS:
            logger.disabled = False


def _add_handler(handler: logging.Handler) -> None:
    logging.Logger.addHandler(logging.root, handler)


def _is_setup(handler: logging.Handler) -> bool:
    return type(handler).__module__.partition(".")[0] not in _EXPORTERS


def _is_printed(record: logging.LogRecord) -> bool:
    """Whether a handler on the way to the root logger has printed the record."""
    logger: Any = logging.root.manager.loggerDict.get(record.name)
    while isinstance(logger, logging.Logger) and not isinstance(logger, RootParent):
        for handler in logger.handlers:
            if prints(handler) and record.levelno >= handler.level and _lets_through(handler, record):
                return True
        logger = logger.parent
    return False


def _lets_through(handler: logging.Handler, record: logging.LogRecord) -> bool:
    try:
        return bool(handler.filter(record))
    except Exception:  # noqa: BLE001 - a filter of the service
        return False
