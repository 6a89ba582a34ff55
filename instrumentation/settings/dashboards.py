"""Section ``dashboards``: Grafana."""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from instrumentation.settings.duration import Duration
from instrumentation.settings.faults import Allowed, fault
from instrumentation.settings.types import FilePath, LabelName, PrometheusDuration, Section, Text, WebAddress

LONGEST_OWNER = 40  # characters; Grafana's tags have 50, and ours begins with "sidelight:"

OwnerName = Annotated[
    str,
    Field(min_length=1, max_length=LONGEST_OWNER),
    Allowed(text="give a name of 1 to 40 characters, such as payments-team"),
]


LINK_PATTERN = "give an http:// or https:// address without spaces, in which {job}, {from} and {to} may stand"


def _link_pattern(value: str) -> str:
    named = set(re.findall(r"\{(\w*)\}", value))
    if not re.fullmatch(r"https?://[^\s/@]+(/\S*)?", value) or not named <= {"job", "from", "to"}:
        raise fault(LINK_PATTERN)
    return value


LinkPattern = Annotated[Text, AfterValidator(_link_pattern), Allowed(text=LINK_PATTERN)]


class Dashboards(Section):
    """Where the dashboards live, and whose they are."""

    owner: OwnerName | None = None  # in uid, title, folder and tag; by default service.name, if that is set
    folder: Text = "Sidelight"  # its title, path of titles or uid; if it is left out, the owner is put before it
    own: Annotated[tuple[FilePath, ...], Field(strict=False), Allowed(text="give paths of files or folders")] = ()
    base_url: WebAddress = "https://grafana.example"
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
