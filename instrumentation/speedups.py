"""Loads the compiled request path and histogram rendering, if ``sidelight[speedups]`` is installed."""

from __future__ import annotations

import logging
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

REVISION = 5
"""The revision of the interface to the compiled module; the same number is in ``speedups``."""

_log = logging.getLogger("instrumentation")


@cache
def module() -> ModuleType | None:
    """The compiled module; None if it is not installed or not compatible."""
    try:
        import _sidelight_speedups as found  # noqa: PLC0415 - it may not be there
    except ModuleNotFoundError:
        return None
    except ImportError as error:
        why = f"cannot be loaded ({error})"
    else:
        if found.REVISION == REVISION:
            return found
        why = f"has revision {found.REVISION}, but {REVISION} is needed"
    _log.warning("sidelight-speedups %s; requests are counted without it. Reinstall sidelight[speedups].", why)
    return None
