"""What is compiled, where ``sidelight[speedups]`` is installed: the request path, and the text of histograms."""

from __future__ import annotations

import logging
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

REVISION = 3
"""What this package and the compiled module expect of each other; the same number stands in ``speedups``."""

_log = logging.getLogger("instrumentation")


@cache
def module() -> ModuleType | None:
    """The compiled module; None where it is not installed, or does not fit."""
    try:
        import _sidelight_speedups as found  # noqa: PLC0415 - it may not be there
    except ModuleNotFoundError:
        return None
    except ImportError as error:
        why = f"cannot be loaded ({error})"
    else:
        if found.REVISION == REVISION:
            return found
        why = f"has revision {found.REVISION} where {REVISION} is needed"
    _log.warning("sidelight-speedups %s; requests are counted without it. Install sidelight[speedups] anew.", why)
    return None
