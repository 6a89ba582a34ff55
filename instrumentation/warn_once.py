"""Warnings about calls that cannot be used: logged once for each place in the code, and never raised."""

from __future__ import annotations

import logging
import sys

_log = logging.getLogger("instrumentation")
_warned: set[tuple[str, int]] = set()


def warn_once(sentence: str) -> None:
    """Log a warning about the call of a public function, once for each line of code that calls it.

    Args:
        sentence: What was given, and what is allowed. It must not contain the value if that can be secret.
    """
    caller = sys._getframe(2)  # noqa: SLF001 - the code that called the public function
    place = caller.f_code.co_filename, caller.f_lineno
    if place not in _warned:
        _warned.add(place)
        _log.warning("%s:%d: %s It is ignored, and logged once.", *place, sentence)
