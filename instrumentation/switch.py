"""The switch: whether Sidelight is off, by ``OTEL_SDK_DISABLED=true`` or by ``enabled: false``."""

from __future__ import annotations

import logging
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLE = "OTEL_SDK_DISABLED"

_log = logging.getLogger("instrumentation")


def is_disabled(environ: Mapping[str, str]) -> bool:
    """Whether the environment turns everything off; what is not ``true`` does not (OpenTelemetry specification).

    >>> is_disabled({"OTEL_SDK_DISABLED": "True"}), is_disabled({"OTEL_SDK_DISABLED": "1"})
    (True, False)
    """
    return environ.get(VARIABLE, "").strip().lower() == "true"


@cache
def say_off(why: str) -> None:
    """Say once in a process that it is off."""
    _log.warning(
        "Sidelight is off (%s): it measures, logs and traces nothing and answers no page; "
        "AppError is answered and audit() writes as before",
        why,
    )
