"""Decides by its id whether a trace is sampled, so that most requests need no sampler and no attributes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from opentelemetry.sdk.trace.sampling import Decision, ParentBased, StaticSampler, TraceIdRatioBased

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.sampling import Sampler

_ALL = TraceIdRatioBased.TRACE_ID_LIMIT + 1
_STATIC = {Decision.DROP: 0, Decision.RECORD_AND_SAMPLE: _ALL}


class Bounds(NamedTuple):
    """A trace is sampled if the low 64 bits of its id are below a bound, which depends on its caller.

    Attributes:
        root: Without a caller.
        sampled: If the caller has sampled it.
        unsampled: If the caller has not.
    """

    root: int
    sampled: int
    unsampled: int

    @property
    def draws(self) -> bool:
        """Whether the id of a new trace decides."""
        return 0 < self.root < _ALL


def is_below(trace_id: int, bound: int) -> bool:
    """Whether a trace is sampled.

    >>> is_below(7 << 64, 1), is_below(7, 7)
    (True, False)
    """
    return trace_id & TraceIdRatioBased.TRACE_ID_LIMIT < bound


def bounds_of(sampler: Sampler) -> Bounds | None:
    """The bounds of OpenTelemetry's own samplers; None for any other, which may decide by name and attributes."""
    parts = vars(sampler)  # the samplers have no public names for their parts
    if type(sampler).should_sample is not ParentBased.should_sample:
        bound = _bound(sampler)
        return None if bound is None else Bounds(bound, bound, bound)
    root, sampled, unsampled = (
        _bound(parts.get(name)) for name in ("_root", "_remote_parent_sampled", "_remote_parent_not_sampled")
    )
    if root is None or sampled is None or unsampled is None:
        return None
    return Bounds(root, sampled, unsampled)


def _bound(sampler: Any) -> int | None:
    decides = getattr(type(sampler), "should_sample", None)
    if decides is StaticSampler.should_sample:
        return _STATIC.get(vars(sampler).get("_decision"))  # None for what is recorded and not sent
    if decides is TraceIdRatioBased.should_sample:
        bound: int = sampler.bound
        return bound
    return None
