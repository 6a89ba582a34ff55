"""Logs a message once, so that a fault that repeats with every request or scrape does not fill the log."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable

_log = logging.getLogger("instrumentation")
_MOST = 1000  # messages that one object remembers; nothing in a service can make it log, or remember, more


class LogOnce:
    """Logs each message once, until ``clear()`` is called."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._logged: set[Hashable] = set()

    def __call__(
        self,
        message: str,
        *args: object,
        about: Hashable = None,
        level: int = logging.WARNING,
        error: BaseException | None = None,
    ) -> None:
        """Log a message, unless it has been logged.

        Args:
            message: The message, with places for the arguments.
            args: The arguments.
            about: What the message is about, if messages with other arguments or texts count as the same.
            level: The level.
            error: Its traceback is logged too.
        """
        key = (message, *map(str, args)) if about is None else about
        if key not in self._logged and len(self._logged) < self._most:
            self._logged.add(key)
            _log.log(level, message, *args, exc_info=error, stacklevel=2)

    def clear(self) -> None:
        """Log messages again, because what they reported is over."""
        self._logged.clear()


_about_calls = LogOnce()


def warn_once(sentence: str) -> None:
    """Log a warning about the call of a public function, once for each line of code that calls it.

    Args:
        sentence: What was given, and what is allowed. It must not contain the value if that can be secret.
    """
    caller = sys._getframe(2)  # noqa: SLF001 - the code that called the public function
    place = caller.f_code.co_filename, caller.f_lineno
    _about_calls("%s:%d: %s It is ignored, and logged once.", *place, sentence, about=place)
