"""Takes over the root logger, and gives it back once the service configures logging itself."""

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
"""Packages whose handlers on the root logger only export records; such a handler does not count as logging configuration."""

_SERVICE_WRITES = (
    "sidelight writes neither log lines nor access lines, because the service configures logging itself; call "
    "instrumentation.configure_logging() to get them, or set logging.enabled: false to turn this warning off"
)
_NOT_ADDED = (
    "%s was not added to the root logger, because configure_logging() was called and every record would be printed twice; "
    "remove that call to let the service print its records itself"
)


class _Unseen(list[logging.Handler]):
    """Handlers that receive records but that ``hasHandlers()`` does not see."""

    def __bool__(self) -> bool:
        return False


class _Level(int):
    """A level that Sidelight has set. An equal level that the service sets is a different object."""


class RootParent(logging.Logger):
    """A parent for the root logger: its handler receives every record that reaches the root logger.

    With a handler on the root logger itself, ``basicConfig()`` would do nothing.

    Args:
        lines: The handler.
        insists: Whether it keeps writing after the service has configured logging itself.

    Attributes:
        lines: The handler.
        insists: As given.
        undo: Callbacks that restore everything.
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
            level: The level for the root logger; a level that the service has set stays, unless this insists.
            levels: The levels of single loggers.
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
        """Open the writer when the process starts to serve, and find loggers that the server has configured since."""
        self._has_begun = True
        self.lines.writer.open()
        _configure(cache_logger_on_first_use=True)
        self._adopt()
        adopt_echo(self.undo)

    def _adopt(self, _: logging.LogRecord | None = None) -> bool:
        """Take over the servers' loggers. It is a filter of them too, because some are configured after the app has started."""
        if self.insists:
            without(prints, logging.root, self.undo)
        for logger in self._servers:
            adopt(logger, self.undo, insists=self.insists)
        return True

    def leave(self) -> None:
        """Write what is buffered, and restore everything that nobody else has changed in the meantime."""
        self.undo.close()
        self.lines.writer.close()

    def gives_way(self) -> bool:
        """Stop writing if the service has configured logging itself; returns whether it has."""
        if self.insists or not is_set_up(self._processors):
            return False
        self.leave()
        if self._has_begun:
            say_who_writes()
        return True

    def _add_handler(self, handler: logging.Handler) -> None:
        """Replaces ``logging.root.addHandler``: restores everything before the service's configuration is applied."""
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
        """Whether a record becomes a line; a record that another handler has printed does not."""
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
    """The parent of the root logger; None if the service writes its own records."""
    parent = logging.root.parent
    if type(parent) is not RootParent or (logging.root.handlers and parent.gives_way()):
        return None
    return parent


def is_set_up(processors: object = None) -> bool:
    """Whether the service has configured the root logger, or structlog with processors other than these."""
    if any(map(_is_setup, logging.root.handlers)):
        return True
    return structlog.is_configured() and structlog.get_config()["processors"] is not processors


@cache
def say_who_writes() -> None:
    """Log once that the service writes its own records."""
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
