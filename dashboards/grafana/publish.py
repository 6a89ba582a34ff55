"""Publishes the dashboards to Grafana: checks everything first, then sends one dashboard after the other."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from alerts import web_api
from dashboards.grafana.additional import own_dashboards
from dashboards.grafana.client import Grafana, PublishError, Session
from dashboards.grafana.plan import Publication, planned
from dashboards.pages import every_dashboard
from instrumentation.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import httpx

    from dashboards.grafana.plan import Change, Plan
    from instrumentation.settings import Settings

    Echo = Callable[[str], object]

_URL = Grafana.variable("URL")
_UID = r"[a-zA-Z0-9_-]{1,40}"  # Grafana's own rule


@dataclass(frozen=True, kw_only=True)
class Mode(web_api.Mode):
    """How to publish; ``prune`` only deletes dashboards of the same owner.

    Attributes:
        take_over: Replace dashboards of other owners, and those that Sidelight did not publish.
    """

    take_over: bool = False


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The result of publishing.

    Attributes:
        differences: The number of dashboards that differed from those in Grafana.
        pages: The address of Grafana's pages; empty if no dashboard in Grafana shows it.
    """

    differences: int
    pages: str


def publish(publication: Publication, grafana: Grafana, echo: Echo, mode: Mode | None = None) -> Outcome:
    """Check everything that can be checked, then create the folder if necessary and save new and changed dashboards.

    New dashboards come first. If Grafana refuses one of them, those created before it are deleted again, so that nothing is
    half published.

    Args:
        publication: What to publish.
        grafana: The Grafana server.
        echo: Prints one progress line per dashboard.
        mode: How to publish; by default, dashboards are sent and those of other owners are not changed.

    Raises:
        PublishError: ``grafana_url_invalid``, ``grafana_token_invalid``, ``grafana_user_invalid``, ``dashboard_invalid`` or
            ``owner_missing`` before the first request; the errors of ``planned`` before anything is sent; later, the errors
            of ``Session``, with the names of the dashboards already published.
    """
    mode = mode or Mode()
    grafana.check()
    for name, dashboard in publication.dashboards.items():
        _check_dashboard(name, dashboard)
    _check_uids(publication)
    if mode.prune and not publication.owner:
        problem = "--prune needs an owner whose dashboards may be deleted; set dashboards.owner or service.name."
        raise PublishError(problem, code="owner_missing")
    with Session(grafana) as session:
        run = _Run(session=session, publication=publication, mode=mode, echo=echo)
        try:
            plan = planned(session, publication, prune=mode.prune, take_over=mode.take_over)
            run.send(plan) if mode.sends else run.tell(plan)
        except PublishError as error:
            raise _with_published(error, run.published) from error.__cause__
    addresses = [*run.addresses, *(change.stored.address for change in plan.changes if change.stored)]
    pages = addresses[0].rpartition("/d/")[0] if addresses else ""
    return Outcome(differences=plan.differences, pages=pages)


@dataclass(kw_only=True)
class _Run:
    """A publication in progress."""

    session: Session
    publication: Publication
    mode: Mode
    echo: Echo
    published: list[str] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)
    folder_is_new: bool = False

    def tell(self, plan: Plan) -> None:
        if plan.folder is None:
            self.echo(f"would create the folder {self.publication.folder!r}")
        for change in plan.changes:
            if change.stored is None:
                self.echo(f"would create {change.name} (uid {change.dashboard['uid']})")
            elif change.is_needed:
                self._tell_diff(change)
                self.echo(f"would replace {change.name}: {change.stored.address}")
            else:
                self.echo(f"unchanged {change.name}: {change.stored.address}")
        for hit in plan.leftovers:
            self.echo(f"would delete {hit.title!r}: {hit.address} (uid {hit.uid})")

    def send(self, plan: Plan) -> None:
        needed = [change for change in plan.changes if change.is_needed]
        uid = plan.folder or (self._create_folder() if needed else "")
        try:
            for change in needed:
                if change.stored is None:
                    self._save(change, uid)
        except PublishError:
            self._delete_again(plan)
            raise
        for change in plan.changes:
            if change.stored and change.is_needed:
                self._tell_diff(change)
                self._save(change, uid)
            elif change.stored:
                self.echo(f"unchanged {change.name}: {change.stored.address}")
        for hit in plan.leftovers:
            self.session.delete(hit.uid)
            self.echo(f"deleted {hit.title!r}: {hit.address} (uid {hit.uid})")

    def _tell_diff(self, change: Change) -> None:
        if self.mode.diff:
            self.echo(change.diff)

    def _create_folder(self) -> str:
        uid = self.session.create_folder(self.publication.folder)
        self.folder_is_new = True
        self.echo(f"created the folder {self.publication.folder!r}")
        return uid

    def _save(self, change: Change, folder: str) -> None:
        wait = self.echo if self.folder_is_new and not self.published else None
        message = self.publication.message
        saved = self.session.save(change.dashboard, change.stored, folder=folder, message=message, wait=wait)
        self.published.append(change.name)
        self.addresses.append(saved.address)
        self.echo(f"published {change.name}: {saved.address} (uid {saved.uid}, version {saved.version})")

    def _delete_again(self, plan: Plan) -> None:
        for change in plan.changes:
            if change.name in self.published:
                with suppress(PublishError):  # the original error is more useful
                    self.session.delete(str(change.dashboard["uid"]))
                    self.published.remove(change.name)
                    self.echo(f"deleted {change.name} again, because Grafana refused another one")


def publish_from_environment(
    settings: Settings,
    environ: Mapping[str, str],
    echo: Echo,
    mode: Mode | None = None,
    transport: httpx.BaseTransport | None = None,
) -> int:
    """Publish every dashboard to the Grafana at GRAFANA_URL, as GRAFANA_TOKEN or as GRAFANA_USER.

    Args:
        settings: The settings of the dashboards, their owner and their folder.
        environ: The environment variables.
        echo: Prints each line of output.
        mode: How to publish; by default, dashboards are sent and those of other owners are not changed.
        transport: The HTTP transport; httpx's own by default.

    Returns:
        The exit code: 1 if differences are a failure and there are any, otherwise 0; also 0 if GRAFANA_URL is not set and
        there is nothing to do.

    Raises:
        PublishError: As ``publish`` and ``own_dashboards``, and ``grafana_url_missing``, ``grafana_token_missing`` and
            ``grafana_credentials_ambiguous``.
    """
    mode = mode or Mode()
    url = environ.get(_URL, "").rstrip("/")
    if not url and mode == Mode():
        echo(f"{_URL} is not set, so nothing is published.")
        return 0
    if not url:
        raise PublishError(f"{_URL} is not set; give the address of a Grafana.", code="grafana_url_missing")
    outcome = publish(publication_of(settings), Grafana.from_environment(url, environ, transport), echo, mode)
    for note in _notes(settings, url, outcome.pages):
        echo(note)
    if mode.check:
        echo(f"differences: {outcome.differences}")
    return 1 if mode.check and outcome.differences else 0


def publication_of(settings: Settings) -> Publication:
    """All dashboards of some settings, with their folder and owner.

    Raises:
        PublishError: ``dashboard_unreadable``.
    """
    return Publication(
        dashboards=every_dashboard(settings) | own_dashboards(settings.dashboards.own),
        folder=_folder(settings),
        owner=settings.owner,
        message=f"Published by Sidelight {__version__}",
    )


def _folder(settings: Settings) -> str:
    is_default = "folder" not in settings.dashboards.model_fields_set
    folder = settings.dashboards.folder
    return f"{settings.owner}: {folder}" if is_default and settings.owner else folder


def _notes(settings: Settings, url: str, pages: str) -> Iterator[str]:
    if not settings.owner:
        yield (
            "note: the dashboards have no owner, so anyone who publishes to this Grafana without an owner replaces them;"
            " set dashboards.owner or service.name."
        )
    if pages and pages != url:
        yield f"note: Grafana's pages are at {pages}; set {_URL} to that address."
    if pages and pages != settings.dashboards.base_url:
        given = settings.dashboards.base_url
        links = f"alerts link to {given}" if given else "alerts have no link to a dashboard"
        yield f"note: {links}; set dashboards.base_url to {pages}, and build the alerts again."


def _check_dashboard(name: str, dashboard: Mapping[str, object]) -> None:
    faults = [key for key in ("uid", "title") if not (isinstance(dashboard.get(key), str) and dashboard[key])]
    if "uid" not in faults and not re.fullmatch(_UID, str(dashboard["uid"])):
        faults.append("uid of at most 40 letters, digits, - and _")
    if not _is_json(dashboard):
        faults.append("form as JSON")
    if faults:
        problem = f"The dashboard {name!r} has no {' and no '.join(faults)}, so nothing is published."
        raise PublishError(problem, code="dashboard_invalid", details={"dashboard": name})


def _check_uids(publication: Publication) -> None:
    names: dict[object, str] = {}
    for name, dashboard in publication.dashboards.items():
        other = names.setdefault(dashboard["uid"], name)
        if other != name:
            problem = f"The dashboards {other!r} and {name!r} have the same uid {dashboard['uid']!r}; give one of them another."
            raise PublishError(problem, code="dashboard_invalid", details={"dashboard": name})


def _is_json(data: object) -> bool:
    try:
        json.dumps(data, allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True


def _with_published(error: PublishError, published: list[str]) -> PublishError:
    told = f"Published before that: {', '.join(published)}." if published else "Nothing was published."
    details = {**error.details, "published": tuple(published)}
    return PublishError(f"{error.message} {told}", code=error.code, details=details)
