"""Audit entries as given by callers, and their validation."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple, TypeAlias
from uuid import UUID

from instrumentation.auditing.chain import LONGEST_LINE, OURS, SEAL_LENGTH, as_json
from instrumentation.correlation import correlation_id
from instrumentation.errors import InstrumentationError
from instrumentation.names import checked_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from instrumentation.auditing.masking import Masked

Actor: TypeAlias = str | int | UUID

_LARGEST = LONGEST_LINE - SEAL_LENGTH - len('{"seq":999999999999999999,')


def timestamp(seconds: float) -> str:
    """Seconds since 1970 as UTC.

    >>> timestamp(1_700_000_000.25)
    '2023-11-14T22:13:20.250000Z'
    """
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


class Given(NamedTuple):
    """The arguments of a call.

    Attributes:
        event: What happened; one of few different values.
        actor: Who did it; written unchanged.
        outcome: How it ended.
        fields: Further JSON values.
    """

    event: str
    actor: Actor
    outcome: str
    fields: Mapping[str, object]


def entry(given: Given, *, seconds: float, service: str, masked: Callable[[Mapping[str, object]], Masked]) -> bytes:
    """The members of the line to write.

    Args:
        given: The arguments of the call.
        seconds: The time in seconds since 1970.
        service: The name of the service.
        masked: Returns the fields without secrets, and a list of what it masked.

    Raises:
        InstrumentationError: ``audit_event_name_invalid``, ``audit_outcome_name_invalid``, ``audit_actor_invalid``,
            ``audit_fields_invalid``, ``audit_entry_too_large``.
    """
    event, actor, outcome, fields = given
    if checked_name("audit_event", event).startswith(OURS):
        raise InstrumentationError(
            f"audit_event name: got {event!r}; names that start with {OURS} are reserved.",
            code="audit_event_name_invalid",
        )
    members: dict[str, object] = {
        "time": timestamp(seconds),
        "event": event,
        "actor": _actor(event, actor),
        "outcome": checked_name("audit_outcome", outcome),
        "service": service,
    }
    if current := correlation_id():
        members["correlation_id"] = current
    if fields:
        _encoded(event, fields)  # before masking, which would turn any object into a string
        members["fields"], values = masked(fields)
        if values:
            members["masked"] = values
    return _encoded(event, members)


def _actor(event: str, actor: object) -> str:
    if isinstance(actor, str | int | UUID) and not isinstance(actor, bool):
        return str(actor)
    raise InstrumentationError(
        f"audit({event!r}): actor got {type(actor).__name__}; give an id as a string, an integer or a UUID, or a word "
        'such as "system".',
        code="audit_actor_invalid",
    )


def _encoded(event: str, members: Mapping[str, object]) -> bytes:
    try:
        text = as_json(**members)
    except (TypeError, ValueError, RecursionError) as error:
        raise InstrumentationError(
            f"audit({event!r}): {error!s:.100}; give fields of strings, finite numbers, booleans, None, lists and mappings.",
            code="audit_fields_invalid",
        ) from None
    if len(text) > _LARGEST:
        raise InstrumentationError(
            f"audit({event!r}): got an entry of {len(text)} bytes; give one of at most {_LARGEST}.",
            code="audit_entry_too_large",
        )
    return text
