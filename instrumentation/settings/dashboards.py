"""Section ``dashboards``: Grafana."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from instrumentation.settings.duration import Duration
from instrumentation.settings.faults import Allowed
from instrumentation.settings.types import FilePath, PrometheusDuration, Section, Text, WebAddress

LONGEST_OWNER = 40  # characters; Grafana's tags have 50, and ours begins with "sidelight:"

OwnerName = Annotated[
    str,
    Field(min_length=1, max_length=LONGEST_OWNER),
    Allowed(text="give a name of 1 to 40 characters, such as payments-team"),
]


class Dashboards(Section):
    """Where the dashboards live, and whose they are."""

    owner: OwnerName | None = None  # in uid, title, folder and tag; by default service.name, if that is set
    folder: Text = "Sidelight"  # its title, path of titles or uid; if it is left out, the owner is put before it
    own: Annotated[tuple[FilePath, ...], Field(strict=False), Allowed(text="give paths of files or folders")] = ()
    base_url: WebAddress = "https://grafana.example"
    refresh: PrometheusDuration = Duration("30s")
