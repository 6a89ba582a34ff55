"""Turns Sidelight off: ``OTEL_SDK_DISABLED=true``, or ``enabled: false`` in the settings."""

from __future__ import annotations

import logging
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLE = "OTEL_SDK_DISABLED"

_log = logging.getLogger("instrumentation")


def is_disabled(environ: Mapping[str, str]) -> bool:
    """Whether the environment turns Sidelight off; only the value ``true`` does (OpenTelemetry specification).

    >>> is_disabled({"OTEL_SDK_DISABLED": "True"}), is_disabled({"OTEL_SDK_DISABLED": "1"})
    (True, False)
    """
    return environ.get(VARIABLE, "").strip().lower() == "true"


@cache
def log_off(why: str) -> None:
    """Log once per process that Sidelight is off."""
    _log.warning(
        "Sidelight is off (%s): it measures, logs and traces nothing and answers no pages; "
        "AppError and audit() still work",
        why,
    )
