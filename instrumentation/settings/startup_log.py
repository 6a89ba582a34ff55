"""Logs once in each process where its settings come from, and which environment variables have no effect."""

from __future__ import annotations

import logging
import os
from functools import cache
from typing import TYPE_CHECKING

from instrumentation.settings.loading import DEFAULT_FILE
from instrumentation.settings.opentelemetry import problems, unsupported
from instrumentation.settings.service import UNNAMED

if TYPE_CHECKING:
    from instrumentation.settings.model import Settings

_log = logging.getLogger("instrumentation")


def log_settings(settings: Settings, source: str) -> None:
    """Log once where the settings come from, that the service has no name, and variables that have no effect.

    Args:
        settings: The settings that apply.
        source: What `settings_source` returns; empty if the caller passed the settings.
    """
    if source:
        _log_source(source)
    if settings.service.name == UNNAMED:
        _warn_unnamed()
    _log_variables(tuple(problems(settings.tracing, os.environ)), tuple(unsupported(os.environ)))


@cache
def _log_source(source: str) -> None:
    _log.info("settings: %s", source)


@cache
def _warn_unnamed() -> None:
    _log.warning(
        "the service has no name and appears as %s in logs, traces and target_info; set service.name in %s, or OTEL_SERVICE_NAME",
        UNNAMED,
        DEFAULT_FILE,
    )


@cache
def _log_variables(problems: tuple[str, ...], unsupported: tuple[str, ...]) -> None:
    for problem in problems:
        _log.warning("%s", problem)
    if unsupported:
        _log.info("environment variables that are not supported and have no effect: %s", "; ".join(unsupported))
