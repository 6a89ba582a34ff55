"""Section ``slo``: service level objectives."""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from instrumentation.settings.duration import Duration
from instrumentation.settings.faults import Allowed, fault
from instrumentation.settings.types import (
    LatencySeconds,
    Match,
    PrometheusDuration,
    Ratio,
    Section,
    check_each_match_once,
)

SLO_PERIOD = "give a duration from 7d to 90d, such as 30d, since the longest window of the alert is 3d"


def _slo_period(value: Duration) -> Duration:
    if not Duration("7d").seconds <= value.seconds <= Duration("90d").seconds:
        raise fault(SLO_PERIOD)
    return value


class LatencyObjective(Section):
    """The share of requests that must be answered within a number of seconds."""

    ratio: Ratio = 0.99
    seconds: LatencySeconds = 0.5  # becomes a bucket edge


class Objectives(Section):
    """What a service promises its users."""

    availability: Ratio = 0.999  # the share of requests that must succeed
    latency: LatencyObjective = LatencyObjective.model_construct()


class LatencyObjectiveOverride(Section):
    """Another latency objective; what is left out is as for all services."""

    ratio: Ratio | None = None
    seconds: LatencySeconds | None = None


class ObjectivesOverride(Section):
    """Objectives for services whose labels equal those of ``match``; the first override that matches applies."""

    match: Match
    availability: Ratio | None = None
    latency: LatencyObjectiveOverride = LatencyObjectiveOverride.model_construct()


class Slo(Objectives):
    """Service level objectives. The requests that may miss them within the period are the error budget."""

    period: Annotated[PrometheusDuration, AfterValidator(_slo_period), Allowed(text=SLO_PERIOD)] = Duration("30d")
    overrides: Annotated[
        tuple[ObjectivesOverride, ...], Field(strict=False), Allowed(text="give a list of overrides")
    ] = ()

    def of(self, override: ObjectivesOverride) -> Objectives:
        """The objectives of the services that an override matches."""
        own = override.latency.model_dump(exclude_none=True)
        return Objectives(
            availability=override.availability or self.availability, latency=self.latency.model_copy(update=own)
        )

    @property
    def latencies(self) -> frozenset[float]:
        """The seconds of every latency objective, including those of overrides."""
        return frozenset({self.latency.seconds, *(self.of(override).latency.seconds for override in self.overrides)})

    @model_validator(mode="after")
    def _each_match_once(self) -> Self:
        check_each_match_once([override.match for override in self.overrides])
        return self
