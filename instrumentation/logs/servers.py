"""The loggers of servers and of SQLAlchemy: what they say becomes our lines, and access lines give way to ours."""

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
    """Take the logger of a server over.

    Its access lines end, since ours are there, and since they hold the path and the query as they were sent.

    Args:
        logger: One of ``SERVERS`` or ``ACCESS``.
        undo: Takes what gives it back.
        insists: Whether every handler that prints is taken off. Otherwise only those that servers come with: one that
            an operator has configured, as by ``--log-config``, stays.
    """
    without(prints if insists else _is_own, logger, undo)
    # An access logger that no handler hears makes uvicorn skip its access lines altogether.
    _set(logger, "propagate", logger.name in SERVERS, undo)


def adopt_echo(undo: ExitStack) -> None:
    """Take over what SQLAlchemy prints with ``echo=True``, by a handler of its own, beside what it logs.

    It has to be done again once it has made more engines; those made after SQLAlchemy was seen here have no such handler.
    """
    module = sys.modules.get("sqlalchemy.log")
    if hasattr(module, "_add_default_handler"):
        _set(module, "_add_default_handler", _add_nothing, undo)
    for name, logger in tuple(logging.root.manager.loggerDict.items()):
        if name.startswith(ECHO) and isinstance(logger, logging.Logger):
            without(_is_echo, logger, undo)


def without(takes: Callable[[logging.Handler], bool], logger: logging.Logger, undo: ExitStack) -> None:
    """Take some of the handlers off a logger."""
    kept = [handler for handler in logger.handlers if not takes(handler)]
    if len(kept) < len(logger.handlers):
        # A new list: gunicorn's worker gives the loggers of uvicorn the very list of its own.
        _set(logger, "handlers", kept, undo)


def prints(handler: logging.Handler) -> bool:
    """Whether a handler writes to the terminal: to stdout or stderr, by itself or through a console of Rich."""
    stream = getattr(handler, "stream", None) or getattr(getattr(handler, "console", None), "file", None)
    return any(stream is one for one in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__) if one is not None)


def _is_own(handler: logging.Handler) -> bool:
    """Whether a handler that prints is one that a server comes with."""
    return prints(handler) and getattr(handler.formatter, "_fmt", None) in _OWN_FORMATS


def _is_echo(handler: logging.Handler) -> bool:
    return prints(handler) and getattr(handler.formatter, "_fmt", None) == _ECHO_FORMAT


def _add_nothing(logger: logging.Logger) -> None:
    del logger


def _set(owner: object, name: str, value: object, undo: ExitStack) -> None:
    """Set an attribute, to be set back unless somebody else has set it meanwhile."""
    before = getattr(owner, name)
    if before == value:
        return
    setattr(owner, name, value)

    def set_back() -> None:
        if getattr(owner, name) is value:
            setattr(owner, name, before)

    undo.callback(set_back)
