"""Whose a dashboard in Grafana is: one tag says that Sidelight published it, a second one for whom."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

TAG = "sidelight"
_OWNER = f"{TAG}:"


def marks(owner: str) -> tuple[str, ...]:
    """The tags of every dashboard that is published for this owner.

    >>> marks("payments"), marks("")
    (('sidelight', 'sidelight:payments'), ('sidelight',))
    """
    return (TAG, f"{_OWNER}{owner}") if owner else (TAG,)


def marked(dashboard: Mapping[str, object], owner: str) -> dict[str, object]:
    """The dashboard with its tags and the owner's; marks of other owners, which an export may hold, are left out.

    >>> marked({"tags": ["sidelight:search", "queues"]}, "payments")["tags"]
    ['queues', 'sidelight', 'sidelight:payments']
    """
    tags = dashboard.get("tags")
    kept = [tag for tag in tags if not str(tag).startswith(_OWNER)] if isinstance(tags, list) else []
    return {**dashboard, "tags": [*kept, *(mark for mark in marks(owner) if mark not in kept)]}


def owner_of(tags: Sequence[str]) -> str | None:
    """For whom Sidelight published a dashboard with these tags; None where it did not publish it.

    >>> owner_of(["sidelight", "sidelight:payments"]), owner_of(["sidelight"]), owner_of(["queues"])
    ('payments', '', None)
    """
    return next(iter(_owners(tags)), "") if TAG in tags else None


def _owners(tags: Iterable[str]) -> Iterable[str]:
    return (tag.removeprefix(_OWNER) for tag in tags if tag.startswith(_OWNER))
