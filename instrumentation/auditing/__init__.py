"""The audit trail: a tamper-evident file that records who did what."""

from __future__ import annotations

from functools import cache

from instrumentation.auditing.auditor import AuditError, Auditor, auditor_of
from instrumentation.auditing.entry import Actor, Given
from instrumentation.store import default_store

__all__ = ["AuditError", "Auditor", "audit", "audit_async", "auditor_of", "flush"]


def audit(event: str, *, actor: Actor, outcome: str, **fields: object) -> None:
    """Write an entry to the audit trail, and return once it is in the file.

    With ``audit.fsync: always``, it waits for the disk; use ``audit_async`` on an event loop in that case.

    >>> audit("user.login", actor="7f3c", outcome="success", method="password")

    Args:
        event: What happened; use few different values, because it becomes a label.
        actor: Who did it, or tried to; written unchanged.
        outcome: How it ended, such as ``success``, ``failure`` or ``denied``.
        fields: Further JSON values; secrets are masked.

    Raises:
        InstrumentationError: ``audit_event_name_invalid``, ``audit_outcome_name_invalid``, ``audit_actor_invalid``,
            ``audit_fields_invalid``, ``audit_entry_too_large``.
        AuditError: ``audit_not_written``, only with ``audit.on_failure: raise``.
    """
    _default_auditor().write(Given(event, actor, outcome, fields))


async def audit_async(event: str, *, actor: Actor, outcome: str, **fields: object) -> None:
    """Write an entry like ``audit``, without blocking the event loop.

    The entry is written even if the task is cancelled.
    """
    await _default_auditor().write_async(Given(event, actor, outcome, fields))


def flush(seconds: float | None = None) -> bool:
    """Wait until all entries are written and on disk; see ``Auditor.flush``."""
    return _default_auditor().flush(seconds)


@cache
def _default_auditor() -> Auditor:
    return auditor_of(default_store())
