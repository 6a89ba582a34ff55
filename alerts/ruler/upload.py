"""Uploads rule groups: reads what is there first, sends only what differs, and undoes an upload that is refused."""

from __future__ import annotations

from dataclasses import dataclass, replace
from difflib import unified_diff
from typing import TYPE_CHECKING, Any

from alerts import groups, web_api
from alerts.model import to_yaml
from alerts.promql.durations import seconds_of
from alerts.ruler.client import Ruler, RulerError, Session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import httpx

    from alerts.model import RuleGroup
    from alerts.ruler.client import Group
    from alerts.web_api import WebApiError
    from instrumentation.settings import Settings

    Echo = Callable[[str], object]

_DURATIONS = ("interval", "for", "keep_firing_for")


@dataclass(frozen=True, kw_only=True)
class Mode(web_api.Mode):
    """How to upload.

    Attributes:
        namespace: The namespace of the groups, which nobody else should use; by default ``sidelight`` and the owner, if any.
    """

    namespace: str = ""


@dataclass(frozen=True, kw_only=True)
class Change:
    """A group before and after the upload; None if it does not exist."""

    name: str
    before: Group | None
    after: Group | None

    @property
    def verb(self) -> str:
        """What happens to the group."""
        if self.before is None:
            return "create"
        return "delete" if self.after is None else "replace"

    @property
    def is_needed(self) -> bool:
        """Whether the group in the ruler differs."""
        return bool(_comparable(self.before) != _comparable(self.after))

    @property
    def diff(self) -> str:
        """The difference as a unified diff of YAML."""
        was, shall_be = (
            to_yaml(_comparable(group)).splitlines()[1:] if group else [] for group in (self.before, self.after)
        )
        return "\n".join(unified_diff(was, shall_be, f"{self.name} in the ruler", self.name, lineterm=""))


def _comparable(value: Any) -> Any:
    """The parts of a group that say something: a ruler leaves out empty ones and writes durations in its own way."""
    if isinstance(value, dict):
        kept = {key: _comparable(item) for key, item in value.items()}
        return {key: _seconds(item) if key in _DURATIONS else item for key, item in kept.items() if item or item == 0}
    if isinstance(value, list):
        return [_comparable(item) for item in value]
    return value.strip() if isinstance(value, str) else value


def _seconds(text: Any) -> Any:
    """A duration in seconds, because ``7d`` and ``1w`` are the same; what is not a duration stays as it is."""
    seconds = seconds_of(str(text))
    return text if seconds is None else f"{seconds:g}s"


def upload(made: Iterable[RuleGroup], ruler: Ruler, namespace: str, echo: Echo, mode: Mode | None = None) -> int:
    """Bring the groups of a namespace to what was generated.

    Groups that are equal are not sent. If the ruler refuses a group, those sent before it become again what they were.

    Args:
        made: The generated groups.
        ruler: The ruler.
        namespace: The namespace of the groups.
        echo: Prints a line for each group.
        mode: How to upload.

    Returns:
        The number of groups that differed, without those that only ``prune`` would delete.

    Raises:
        WebApiError: ``ruler_url_invalid``, ``ruler_token_invalid`` or ``ruler_user_invalid`` before the first request; later the
            errors of ``Session``.
    """
    mode = mode or Mode()
    ruler.check()
    session = Session(ruler, namespace)
    try:
        stored = session.groups()
        changes = list(_changes(stored, [group.document() for group in made], prune=mode.prune))
        for name in sorted(set(stored) - {change.name for change in changes}):
            echo(f"note: {name} is no longer generated; --prune deletes it")
        needed = [change for change in changes if change.is_needed]
        for change in changes:
            if not change.is_needed:
                echo(f"unchanged {change.name}")
        _send(session, needed, echo, mode)
        return len(needed)
    finally:
        session.close()


def _changes(stored: Mapping[str, Group], made: Sequence[Group], *, prune: bool) -> Iterator[Change]:
    for group in made:
        yield Change(name=group["name"], before=stored.get(group["name"]), after=group)
    names = {group["name"] for group in made}
    for name in sorted(set(stored) - names) if prune else ():
        yield Change(name=name, before=stored[name], after=None)


def _send(session: Session, changes: Sequence[Change], echo: Echo, mode: Mode) -> None:
    done: list[Change] = []
    for change in changes:
        if mode.diff:
            echo(change.diff)
        if not mode.sends:
            echo(f"would {change.verb} {change.name}")
            continue
        try:
            _apply(session, change)
        except RulerError as error:
            raise _with_undone(error, _undone(session, done)) from error.__cause__
        done.append(change)
        echo(f"{change.verb}d {change.name}")


def _apply(session: Session, change: Change) -> None:
    if change.after is None:
        session.delete(change.name)
    else:
        session.save(change.after)


def _undone(session: Session, done: Sequence[Change]) -> list[str]:
    """Bring the groups back to what they were; returns those that could not be."""
    failed: list[str] = []
    for change in done:
        try:
            _apply(session, replace(change, before=change.after, after=change.before))
        except RulerError:
            failed.append(change.name)
    return failed


def _with_undone(error: RulerError, failed: Sequence[str]) -> WebApiError:
    told = (
        f"These groups were uploaded before and could not be put back: {', '.join(failed)}."
        if failed
        else "The other groups are as they were."
    )
    return type(error)(
        f"{error.message} {told}", code=error.code, details={**error.details, "not_undone": list(failed)}
    )


def upload_from_environment(
    settings: Settings,
    environ: Mapping[str, str],
    echo: Echo,
    mode: Mode | None = None,
    transport: httpx.BaseTransport | None = None,
) -> int:
    """Upload the rules of some settings to the ruler at RULER_URL.

    Args:
        settings: The settings.
        environ: The environment variables.
        echo: Prints each line of output.
        mode: How to upload.
        transport: The HTTP transport; httpx's own by default.

    Returns:
        The exit code: 1 if differences are a failure and there are any, otherwise 0.

    Raises:
        WebApiError: As ``upload``, and ``ruler_url_missing``, ``ruler_token_missing`` and ``ruler_credentials_ambiguous``.
    """
    mode = mode or Mode()
    url = environ.get(Ruler.variable("URL"), "").rstrip("/")
    if not url:
        problem = f"{Ruler.variable('URL')} is not set; give the address of a ruler, such as {Ruler.EXAMPLE}."
        raise RulerError(problem, code="ruler_url_missing")
    ruler = replace(Ruler.from_environment(url, environ, transport), tenant=environ.get(Ruler.variable("TENANT"), ""))
    namespace = mode.namespace or "-".join(filter(None, ("sidelight", settings.owner)))
    differences = upload(groups(settings), ruler, namespace, echo, mode)
    echo(f"differences: {differences} (namespace {namespace})")
    return 1 if mode.check and differences else 0
