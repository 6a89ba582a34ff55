"""The loggers of the servers: what they say goes through ours, and their access lines give way to ours."""

from __future__ import annotations

import logging
import sys

SERVERS = ("uvicorn", "uvicorn.error", "uvicorn.asgi", "gunicorn.error", "hypercorn.error", "_granian")
ACCESS = ("uvicorn.access", "gunicorn.access", "hypercorn.access", "granian.access")


def adopt() -> None:
    """Take the servers' loggers over. It has to be done again once a worker has begun: some set theirs up late.

    Their access lines end, since ours are there, and since theirs hold the path and the query as they were sent. What an
    operator sent elsewhere, such as to a file, goes on there.
    """
    for name in SERVERS:
        _without_streams(logging.getLogger(name)).propagate = True
    for name in ACCESS:
        # A logger that no handler hears makes uvicorn skip its access lines altogether.
        _without_streams(logging.getLogger(name)).propagate = False


def forget_streams() -> None:
    """Take off the root logger what prints to the terminal, and an earlier handler of ours."""
    _without_streams(logging.root)


def _without_streams(logger: logging.Logger) -> logging.Logger:
    # A new list: gunicorn's worker gives the loggers of uvicorn the very list of its own.
    logger.handlers = [handler for handler in logger.handlers if not _prints(handler)]
    return logger


def _prints(handler: logging.Handler) -> bool:
    streams = (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)
    return isinstance(handler, logging.StreamHandler) and any(handler.stream is stream for stream in streams)
