"""Validates names that become label values."""

from __future__ import annotations

from instrumentation.errors import InstrumentationError

LONGEST = 100


def checked_name(of: str, name: object) -> str:
    """The name, if it is valid.

    Args:
        of: The kind of name, such as ``workflow``.
        name: 1 to 100 printable characters.

    Raises:
        InstrumentationError: ``workflow_name_invalid``, with the kind instead of ``workflow``.

    >>> checked_name("queue", "emails")
    'emails'
    """
    if isinstance(name, str) and 1 <= len(name) <= LONGEST and name.isprintable():
        return name
    raise InstrumentationError(
        f"{of} name: got {name!r:.60}; give a string of 1 to {LONGEST} printable characters.", code=f"{of}_name_invalid"
    )
