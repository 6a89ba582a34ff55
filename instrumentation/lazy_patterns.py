"""Regular expressions that are compiled when they are first used, so that importing them takes no time."""

from __future__ import annotations

import re
from typing import Any, cast


class _LazyPattern:
    """Compiles an expression with the first access to one of its methods, and then keeps that method.

    Args:
        regex: The expression.
        flags: As for ``re.compile``.
    """

    def __init__(self, regex: str, flags: int) -> None:
        self._regex = regex
        self._flags = flags
        self._compiled: re.Pattern[str] | None = None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if self._compiled is None:  # two threads may both compile it, with the same result
            self._compiled = re.compile(self._regex, self._flags)
        found = getattr(self._compiled, name)
        setattr(self, name, found)
        return found


def lazy_pattern(regex: str, flags: int = 0) -> re.Pattern[str]:
    """What ``re.compile`` returns, except that it is compiled later; an error in the expression is raised then.

    >>> lazy_pattern("[a-z]+").match("kettle 7").group()
    'kettle'
    """
    return cast("re.Pattern[str]", _LazyPattern(regex, flags))
