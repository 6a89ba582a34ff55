"""The owner of a dashboard in Grafana: one tag means that Sidelight published it, a second one names the owner."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

TAG = "sidelight"
_OWNER = f"{TAG}:"


def marks(owner: str) -> tuple[str, ...]:
    """The tags of all dashboards published for this owner.

    >>> marks("payments"), marks("")
    (('sidelight', 'sidelight:payments'), ('sidelight',))
    """
    return (TAG, f"{_OWNER}{owner}") if owner else (TAG,)


def marked(dashboard: Mapping[str, object], owner: str) -> dict[str, object]:
    """The dashboard with the owner's tags added; tags of other owners, which an export may contain, are removed.

    >>> marked({"tags": ["sidelight:search", "queues"]}, "payments")["tags"]
    ['queues', 'sidelight', 'sidelight:payments']
    """
    tags = dashboard.get("tags")
    kept = [tag for tag in tags if not str(tag).startswith(_OWNER)] if isinstance(tags, list) else []
    return {**dashboard, "tags": [*kept, *(mark for mark in marks(owner) if mark not in kept)]}


def owner_of(tags: Sequence[str]) -> str | None:
    """The owner of a dashboard with these tags; None if Sidelight did not publish it.

    >>> owner_of(["sidelight", "sidelight:payments"]), owner_of(["sidelight"]), owner_of(["queues"])
    ('payments', '', None)
    """
    return next(iter(_owners(tags)), "") if TAG in tags else None


def _owners(tags: Iterable[str]) -> Iterable[str]:
    return (tag.removeprefix(_OWNER) for tag in tags if tag.startswith(_OWNER))
