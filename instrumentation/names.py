"""The names that a caller gives to what becomes a label."""

from __future__ import annotations

from instrumentation.errors import InstrumentationError

LONGEST = 100


def checked_name(of: str, name: object) -> str:
    """A name as it was given, if it may stand on a page.

    Args:
        of: What is named, such as ``workflow``.
        name: 1 to 100 characters, all printable.

    Raises:
        InstrumentationError: ``workflow_name_invalid``, with what is named in the place of ``workflow``.

    >>> checked_name("queue", "emails")
    'emails'
    """
    if isinstance(name, str) and 1 <= len(name) <= LONGEST and name.isprintable():
        return name
    raise InstrumentationError(
        f"{of} name: got {name!r:.60}; give a text of 1 to {LONGEST} printable characters.", code=f"{of}_name_invalid"
    )
