"""Decides which of the two request paths is used: Python or C."""

from __future__ import annotations

import logging
from functools import cache
from typing import TYPE_CHECKING

from instrumentation import speedups
from instrumentation.http import middleware

if TYPE_CHECKING:
    from collections.abc import Callable

    from instrumentation.asgi import ASGIApp

_log = logging.getLogger("instrumentation")


def fastest(*only_python: str) -> Callable[..., ASGIApp]:
    """``measuring``, compiled if that is installed and fits; otherwise that of Python.

    Args:
        only_python: Settings in use for which the compiled layer leaves requests to Python; the log names them once.
    """
    compiled = getattr(speedups.module(), "measuring", None)
    if compiled is not None and only_python:
        _log_once(only_python)
    return compiled or middleware.measuring


@cache
def _log_once(settings: tuple[str, ...]) -> None:
    _log.info("requests are measured in Python, because sidelight-speedups does not support %s", " and ".join(settings))
