"""Section ``dashboards``: Grafana."""

import re
from typing import Annotated, Any, NamedTuple, Self

from pydantic import AfterValidator, Field, PlainValidator, model_validator

from instrumentation.settings.duration import Duration
from instrumentation.settings.faults import Allowed, fault
from instrumentation.settings.types import FilePath, LabelName, PrometheusDuration, Section, Text, WebAddress

LONGEST_OWNER = 40  # characters; Grafana's tags have 50, and ours begins with "sidelight:"

_TITLE = "give a title of 1 to 19 letters, digits, blanks and -, other than Fleet, Operations and Business"
_PANEL = "give the name of a signal, or {quote_seconds: {by: region}}"


class TeamPanel(NamedTuple):
    """A panel on a team's page.

    Attributes:
        signal: The name of the signal that it shows.
        by: The labels that distinguish its lines; None for all labels.
    """

    signal: str
    by: tuple[str, ...] | None


def _title(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 -]{0,18}", value) or value.lower() in {
        "fleet",
        "operations",
        "business",
    }:
        raise fault(_TITLE)
    return value


def _panel(given: Any) -> TeamPanel:
    if isinstance(given, str) and given:
        return TeamPanel(given, None)
    if isinstance(given, dict) and len(given) == 1:
        [(name, options)] = given.items()
        by = options.get("by") if isinstance(options, dict) and options.keys() == {"by"} else None
        labels = [by] if isinstance(by, str) else by
        if isinstance(name, str) and isinstance(labels, list) and all(isinstance(label, str) for label in labels):
            return TeamPanel(name, tuple(labels))
    raise fault(_PANEL)


OwnerName = Annotated[
    str,
    Field(min_length=1, max_length=LONGEST_OWNER),
    Allowed(text="give a name of 1 to 40 characters, such as payments-team"),
]


class TeamPage(Section):
    """A dashboard of the team's own signals."""

    title: Annotated[Text, AfterValidator(_title), Allowed(text=_TITLE)]
    panels: Annotated[
        tuple[Annotated[Any, PlainValidator(_panel), Allowed(text=_PANEL)], ...],
        Field(strict=False, min_length=1),
        Allowed(text="give a list of signals, such as [orders_placed]"),
    ]

    @property
    def slug(self) -> str:
        """The page's name in file names and URLs."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")


LINK_PATTERN = "give an http:// or https:// address without spaces, in which {job}, {from} and {to} may stand"


def _link_pattern(value: str) -> str:
    named = set(re.findall(r"\{(\w*)\}", value))
    if not re.fullmatch(r"https?://[^\s/@]+(/\S*)?", value) or not named <= {"job", "from", "to"}:
        raise fault(LINK_PATTERN)
    return value


LinkPattern = Annotated[Text, AfterValidator(_link_pattern), Allowed(text=LINK_PATTERN)]


class Dashboards(Section):
    """The folder, the owner, additional dashboards, and links to Grafana, logs and traces."""

    owner: OwnerName | None = None  # part of uid, title, folder and tag; by default service.name, if that is set
    folder: Text = "Sidelight"  # title, path of titles, or uid; the default gets the owner in front
    own: Annotated[tuple[FilePath, ...], Field(strict=False), Allowed(text="give paths of files or folders")] = ()
    pages: Annotated[tuple[TeamPage, ...], Field(strict=False), Allowed(text="give a list of pages")] = ()
    base_url: WebAddress | None = None  # the address of Grafana; without it alerts have no link to a dashboard
    refresh: PrometheusDuration = Duration("30s")
    loki: Text | None = None  # the uid of the Loki data source in which panels open the logs of a service
    loki_label: LabelName = "service_name"  # its label that has the same values as job
    logs_url: LinkPattern | None = None  # where else the logs are
    tempo: Text | None = None  # the uid of the Tempo data source in which panels open the traces of a service
    traces_url: LinkPattern | None = None  # where else the traces are

    @model_validator(mode="after")
    def _one_place_each(self) -> Self:
        for source, pattern in (("loki", "logs_url"), ("tempo", "traces_url")):
            if getattr(self, source) and getattr(self, pattern):
                raise fault(f"give either {source} or {pattern}", key=pattern)
        return self
