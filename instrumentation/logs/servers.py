"""The loggers of the servers: what they say becomes our lines, and their access lines give way to ours."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable
    from contextlib import ExitStack

SERVERS = ("uvicorn", "uvicorn.error", "uvicorn.asgi", "gunicorn.error", "hypercorn.error", "_granian")
ACCESS = ("uvicorn.access", "gunicorn.access", "hypercorn.access", "granian.access")

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


def _set(logger: logging.Logger, name: str, value: object, undo: ExitStack) -> None:
    """Set an attribute, to be set back unless somebody else has set it meanwhile."""
    before = getattr(logger, name)
    if before == value:
        return
    setattr(logger, name, value)

    def set_back() -> None:
        if getattr(logger, name) is value:
            setattr(logger, name, before)

    undo.callback(set_back)
