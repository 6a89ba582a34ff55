"""Notifications in the section ``alerting``: receivers, teams and mute times."""

from typing import Annotated, Literal, Self, TypeVar

from pydantic import Discriminator, Field, Tag, model_validator

from instrumentation.settings.duration import Duration
from instrumentation.settings.faults import Allowed, fault, shown
from instrumentation.settings.types import (
    Address,
    FilePath,
    HostAndPort,
    Location,
    Match,
    ObjectName,
    PrometheusDuration,
    Section,
    Text,
    TimeOfDay,
    WebAddress,
    Weekday,
)


class Notification(Section):
    """When Alertmanager sends."""

    group_wait: PrometheusDuration = Duration("30s")
    group_interval: PrometheusDuration = Duration("5m")
    repeat_interval: PrometheusDuration = Duration("4h")
    watchdog_interval: PrometheusDuration = Duration("1m")


class Webhook(Section):
    """Alertmanager posts its JSON to an address; one that holds a secret belongs in a file (Alertmanager >= 0.26)."""

    url: WebAddress | None = None
    url_file: FilePath | None = None

    @model_validator(mode="after")
    def _one_address(self) -> Self:
        if (self.url is None) == (self.url_file is None):
            raise fault("give either url or url_file")
        return self


class Slack(Section):
    """A Slack channel; the webhook's address is a secret and is read from a file."""

    api_url_file: FilePath
    channel: Text


class PagerDuty(Section):
    """A PagerDuty service; the routing key is a secret and is read from a file."""

    routing_key_file: FilePath


class Email(Section):
    """An address, and the server that takes the mail; its password is read from a file (Alertmanager >= 0.25)."""

    to: Address
    from_: Annotated[Address, Field(alias="from")]
    smarthost: HostAndPort
    auth_username: Text | None = None
    auth_password_file: FilePath | None = None
    require_tls: Annotated[bool, Allowed(text="give true or false")] = True

    @model_validator(mode="after")
    def _both_or_none(self) -> Self:
        if (self.auth_username is None) != (self.auth_password_file is None):
            raise fault("give auth_username and auth_password_file, or neither")
        return self


class Opsgenie(Section):
    """An Opsgenie team's integration; its key is a secret and is read from a file."""

    api_key_file: FilePath
    api_url: WebAddress | None = None  # of the European instance, https://api.eu.opsgenie.com/


class MSTeams(Section):
    """A workflow of Microsoft Teams; its address is a secret and is read from a file (Alertmanager >= 0.28)."""

    webhook_url_file: FilePath


class Discord(Section):
    """A channel of Discord; the webhook's address is a secret and is read from a file (Alertmanager >= 0.28)."""

    webhook_url_file: FilePath


class Telegram(Section):
    """A chat of Telegram; the bot's token is a secret and is read from a file (Alertmanager >= 0.26)."""

    bot_token_file: FilePath
    chat_id: Annotated[int, Allowed(text="give the chat's number; that of a group is negative")]


_Target = TypeVar("_Target", bound=Section)
# The path in a fault does not contain tags in brackets.
_OneOrSeveral = Annotated[
    Annotated[_Target, Tag("[one]")] | Annotated[tuple[_Target, ...], Field(strict=False), Tag("[several]")],
    Discriminator(lambda given: "[several]" if isinstance(given, list | tuple) else "[one]"),
]


class Receiver(Section):
    """Where alerts of one severity are sent. Without any target, Alertmanager shows them and sends nothing."""

    webhook: _OneOrSeveral[Webhook] | None = None
    slack: _OneOrSeveral[Slack] | None = None
    pagerduty: _OneOrSeveral[PagerDuty] | None = None
    email: _OneOrSeveral[Email] | None = None
    opsgenie: _OneOrSeveral[Opsgenie] | None = None
    msteamsv2: _OneOrSeveral[MSTeams] | None = None
    discord: _OneOrSeveral[Discord] | None = None
    telegram: _OneOrSeveral[Telegram] | None = None

    @property
    def targets(self) -> dict[str, tuple[Section, ...]]:
        """The targets of every kind that has any."""
        return {kind: given if isinstance(given, tuple) else (given,) for kind, given in self if given}


class Receivers(Section):
    """The receiver for each severity. Without one, alerts go to ``default``; Watchdog is then sent nowhere."""

    default: Receiver = Receiver.model_construct()
    critical: Receiver | None = None
    warning: Receiver | None = None
    info: Receiver | None = None
    watchdog: Receiver | None = None


class TeamReceivers(Section):
    """A team's receiver for each severity. Without one, alerts go to the team's default, otherwise to the receivers for all."""

    default: Receiver | None = None
    critical: Receiver | None = None
    warning: Receiver | None = None
    info: Receiver | None = None


class Team(Section):
    """Alerts that go to a team rather than to all: those where every label of ``match`` has the value given."""

    name: ObjectName
    match: Match
    receivers: TeamReceivers = TeamReceivers.model_construct()


class MuteTime(Section):
    """When alerts of some severities are not sent; critical ones always are."""

    name: ObjectName
    severities: Annotated[
        tuple[Literal["warning", "info"], ...],
        Field(strict=False, min_length=1),
        Allowed(text="give warning, info or both, such as [warning]; what is critical is always sent"),
    ] = ("warning", "info")
    start: Annotated[TimeOfDay, Field(alias="from")] = "00:00"
    end: Annotated[TimeOfDay, Field(alias="to")] = "24:00"  # before the start: it continues past midnight
    weekdays: Annotated[
        tuple[Weekday, ...], Field(strict=False), Allowed(text="give a list of weekdays, such as [saturday, sunday]")
    ] = ()  # each is judged at its own time: none means every day
    location: Location = "UTC"

    @model_validator(mode="after")
    def _some_time(self) -> Self:
        if self.start in (self.end, "24:00"):
            raise fault(
                "give different times, and 24:00 only as the end",
                key="from",
                problem=f"got {shown(self.start)} with to {shown(self.end)}",
            )
        return self
