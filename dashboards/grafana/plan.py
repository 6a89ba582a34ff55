"""Finds out what publishing would change, and what prevents it, before anything is sent to Grafana."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from difflib import unified_diff
from typing import TYPE_CHECKING, Any

from dashboards.grafana.client import PublishError, given
from dashboards.grafana.folder import existing_folder
from dashboards.ownership import marked, marks, owner_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from dashboards.grafana.client import Hit, Session, Stored

_TITLES_ARE_FREE_FROM = (11, 3)  # Grafana's release notes: names are no longer unique


@dataclass(frozen=True, kw_only=True)
class Change:
    """A dashboard to publish, and the dashboard with its uid in Grafana.

    Attributes:
        name: Its name in messages.
        dashboard: The new Grafana JSON.
        stored: The dashboard in Grafana; None if it has to be created.
        folder: The uid of its folder; None if the folder has to be created.
    """

    name: str
    dashboard: Mapping[str, object]
    stored: Stored | None
    folder: str | None

    @property
    def is_needed(self) -> bool:
        """Whether it differs from the dashboard in Grafana."""
        return self.stored is None or self.before != self.after

    @property
    def diff(self) -> str:
        """The difference from the dashboard in Grafana, as a unified diff of JSON."""
        texts = [json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False) for data in (self.before, self.after)]
        was, shall_be = (text.splitlines() for text in texts)
        return "\n".join(unified_diff(was, shall_be, f"{self.name} in Grafana", self.name, lineterm=""))

    @property
    def before(self) -> dict[str, Any]:
        """The dashboard and its folder in Grafana."""
        return {**given(self.stored.data), "folderUid": self.stored.folder} if self.stored else {}

    @property
    def after(self) -> dict[str, Any]:
        """The dashboard and its folder after publishing."""
        return {**given(self.dashboard), "folderUid": self.folder}


@dataclass(frozen=True, kw_only=True)
class Publication:
    """What to publish.

    Attributes:
        dashboards: Name to Grafana JSON.
        folder: Their folder's title, path of titles or uid.
        owner: Their owner; empty for none.
        message: The message in each dashboard's version history.
    """

    dashboards: Mapping[str, Mapping[str, object]]
    folder: str
    owner: str = ""
    message: str = ""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What publishing would change.

    Attributes:
        folder: The uid of the folder; None if it has to be created.
        changes: One per dashboard.
        leftovers: Other dashboards of the same owner to delete.
    """

    folder: str | None
    changes: tuple[Change, ...]
    leftovers: tuple[Hit, ...]

    @property
    def differences(self) -> int:
        """The number of dashboards that differ from those in Grafana."""
        return sum(change.is_needed for change in self.changes) + len(self.leftovers)


def planned(session: Session, publication: Publication, *, prune: bool = False, take_over: bool = False) -> Plan:
    """Find out what a publication would change.

    Args:
        session: A session with Grafana.
        publication: What to publish.
        prune: Whether other dashboards of the same owner are deleted.
        take_over: Whether dashboards of other owners may be replaced.

    Raises:
        PublishError: The errors of ``existing_folder`` and ``Session``; and one line for each dashboard that Grafana would
            refuse or that belongs to another owner, with the code ``dashboard_provisioned``, ``grafana_token_refused``,
            ``dashboard_held``, ``title_taken`` or ``grafana_quota_reached`` of the first.
    """
    folders = session.folders()
    existing = existing_folder(publication.folder, folders)
    uid = existing.uid if existing else None
    changes = tuple(
        Change(
            name=name,
            dashboard=marked(dashboard, publication.owner),
            stored=session.dashboard(str(dashboard["uid"])),
            folder=uid,
        )
        for name, dashboard in publication.dashboards.items()
    )
    problems = [
        *_unsaveable(changes),
        *(() if take_over else _held_by_others(changes, publication.owner)),
        *_same_titles(changes, session.dashboards(uid) if uid else ()),
        *_titles_of_folders(session, changes, folders),
        *_over_quota(session, changes),
    ]
    if problems:
        message = "\n".join(problem.message for problem in problems)
        raise PublishError(message, code=problems[0].code, details=problems[0].details)
    leftovers = _leftovers(session, changes, publication.owner) if prune else ()
    return Plan(folder=uid, changes=changes, leftovers=tuple(leftovers))


def _leftovers(session: Session, changes: Sequence[Change], owner: str) -> Iterator[Hit]:
    ours = {change.dashboard["uid"] for change in changes}
    for hit in session.tagged(marks(owner)):
        if hit.uid not in ours and owner_of(hit.tags) == owner:
            yield hit


def _held_by_others(changes: Sequence[Change], owner: str) -> Iterator[PublishError]:
    for change in changes:
        if change.stored is None:
            continue
        holder = owner_of(change.stored.data.get("tags") or ())
        if holder is None:
            by = "which Sidelight did not publish"
        elif holder and holder != owner:
            by = f"which was published for the owner {holder!r}"
        else:
            continue
        yield _problem(
            change,
            f"its uid is used by {change.stored.address}, {by}; set dashboards.owner to get other uids, or replace that"
            " dashboard with --take-over",
            code="dashboard_held",
        )


def _unsaveable(changes: Sequence[Change]) -> Iterator[PublishError]:
    for change in changes:
        if not (change.stored and change.is_needed):
            continue
        if change.stored.provisioned:
            yield _problem(
                change,
                f"{change.stored.address} is a provisioned dashboard, which Grafana does not allow to be saved; change or"
                " remove it where it is provisioned",
                code="dashboard_provisioned",
            )
        elif not change.stored.may_be_saved:
            yield _problem(
                change,
                f"the credentials may not save {change.stored.address} (canSave is false); give them the role Editor, or"
                " the permission Edit on its folder",
                code="grafana_token_refused",
            )


def _same_titles(changes: Sequence[Change], beside: Sequence[Hit]) -> Iterator[PublishError]:
    ours = {str(change.dashboard["uid"]) for change in changes}
    for change in changes:
        stored = change.stored
        if stored and (stored.folder, stored.data.get("title")) == (change.folder, change.dashboard["title"]):
            continue
        for hit in beside:
            if hit.uid not in ours and _slug(hit.title) == _slug(str(change.dashboard["title"])):
                yield _problem(
                    change,
                    f"its folder contains another dashboard with the title {hit.title!r} (uid {hit.uid}); rename or delete"
                    " that one",
                    code="title_taken",
                )


def _titles_of_folders(session: Session, changes: Sequence[Change], folders: Sequence[Hit]) -> Iterator[PublishError]:
    titles = {_slug(folder.title): folder for folder in folders}
    taken = [(change, titles.get(_slug(str(change.dashboard["title"])))) for change in changes if change.is_needed]
    if not any(folder for _, folder in taken) or (session.version() or (0, 0)) >= _TITLES_ARE_FREE_FROM:
        return
    for change, folder in taken:
        if folder:
            yield _problem(
                change,
                f"a folder has the same title {folder.title!r} (uid {folder.uid}), which Grafana before 11.3 does not allow;"
                " rename the folder",
                code="title_taken",
            )


def _over_quota(session: Session, changes: Sequence[Change]) -> Iterator[PublishError]:
    new = [change.name for change in changes if change.stored is None]
    room = session.room() if new else None
    if room is not None and room < len(new):
        names = ", ".join(new)
        problem = (
            f"Grafana's quota has room for {room} of {len(new)} new dashboards: {names}; delete some, or raise it."
        )
        yield PublishError(problem, code="grafana_quota_reached")


def _problem(change: Change, text: str, *, code: str) -> PublishError:
    return PublishError(f"{change.name}: {text}.", code=code, details={"dashboard": change.name})


def _slug(title: str) -> str:
    """A title as Grafana before 11.3 compares titles."""
    return re.sub(r"[\W_]+", "-", title.casefold()).strip("-")
