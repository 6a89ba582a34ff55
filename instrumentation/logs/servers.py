"""Takes over the loggers of servers and of SQLAlchemy, and switches the servers' access logs off."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack

SERVERS = ("uvicorn", "uvicorn.error", "uvicorn.asgi", "gunicorn.error", "hypercorn.error", "_granian")
ACCESS = ("uvicorn.access", "gunicorn.access", "hypercorn.access", "granian.access")

ECHO = "sqlalchemy."
_ECHO_FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"
_OWN_FORMATS = frozenset(
    (
        "%(levelprefix)s %(message)s",  # uvicorn, and the command line of FastAPI
        '%(levelprefix)s %(client_addr)s - "%(request_line)s" %(status_code)s',
        "%(asctime)s [%(process)d] [%(levelname)s] %(message)s",  # gunicorn and hypercorn
        "[%(levelname)s] %(message)s",  # granian
        "%(message)s",  # access lines of gunicorn, hypercorn and granian
    )
)


def adopt(logger: logging.Logger, undo: ExitStack, *, insists: bool) -> None:
    """Take over the logger of a server.

    Its access log is switched off, because Sidelight writes access lines, and the server's contain path and query string.

    Args:
        logger: One of ``SERVERS`` or ``ACCESS``.
        undo: Receives callbacks that restore the logger.
        insists: Whether to remove every console handler. Otherwise only the handlers that servers ship with are removed, and
            a handler that an operator has configured stays, for example one from ``--log-config``.
    """
    without(prints if insists else _is_own, logger, undo)
    # uvicorn does not even format access lines if their logger has no handler.
    _set(logger, "propagate", logger.name in SERVERS, undo)


def adopt_echo(undo: ExitStack) -> None:
    """Remove the console handlers that SQLAlchemy adds with ``echo=True``, so that its records become lines.

    Engines that are created after this call get no such handler if SQLAlchemy was loaded before. Call it again otherwise.
    """
    module = sys.modules.get("sqlalchemy.log")
    if hasattr(module, "_add_default_handler"):
        _set(module, "_add_default_handler", _add_nothing, undo)
    for name, logger in tuple(logging.root.manager.loggerDict.items()):
        if name.startswith(ECHO) and isinstance(logger, logging.Logger):
            without(_is_echo, logger, undo)


def without(takes: Callable[[logging.Handler], bool], logger: logging.Logger, undo: ExitStack) -> None:
    """Remove some of a logger's handlers."""
    kept = [handler for handler in logger.handlers if not takes(handler)]
    if len(kept) < len(logger.handlers):
        # A new list: gunicorn's worker shares the list of its own logger with uvicorn's loggers.
        _set(logger, "handlers", kept, undo)


def prints(handler: logging.Handler) -> bool:
    """Whether a handler writes to stdout or stderr, directly or through a Rich console."""
    stream = getattr(handler, "stream", None) or getattr(getattr(handler, "console", None), "file", None)
    return any(stream is one for one in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__) if one is not None)


def _is_own(handler: logging.Handler) -> bool:
    """Whether a handler is a console handler that a server ships with."""
    return prints(handler) and getattr(handler.formatter, "_fmt", None) in _OWN_FORMATS


def _is_echo(handler: logging.Handler) -> bool:
    return prints(handler) and getattr(handler.formatter, "_fmt", None) == _ECHO_FORMAT


def _add_nothing(logger: logging.Logger) -> None:
    del logger


def _set(owner: object, name: str, value: object, undo: ExitStack) -> None:
    """Set an attribute, and restore it later unless somebody else has changed it."""
    before = getattr(owner, name)
    if before == value:
        return
    setattr(owner, name, value)

    def set_back() -> None:
        if getattr(owner, name) is value:
            setattr(owner, name, before)

    undo.callback(set_back)
