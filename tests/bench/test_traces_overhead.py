"""A request that is not sampled costs next to nothing, and a sampled one at most half of OpenTelemetry's instrumentation, in one run."""

from __future__ import annotations

import pytest

from benchmarks.cases import TRACES
from benchmarks.effort import Effort
from benchmarks.request_path import measure
from benchmarks.variants import BARE, WITH_TRACES

EFFORT = Effort(generations=1, rounds=8, repeats=1)


@pytest.mark.timeout(180)
def test_traces_cost_at_most_half_of_opentelemetry_s_instrumentation() -> None:
    found = measure(TRACES, [variant for variant in WITH_TRACES if variant is not BARE], EFFORT)
    metrics = found["sidelight"]
    unsampled, sampled = found["sidelight_sampled_out"].over(metrics), found["sidelight_sampled"].over(metrics)
    assert unsampled.median <= found["contrib_sampled_out"].cost.median / 5, (
        unsampled,
        found["contrib_sampled_out"].cost,
    )
    assert sampled.median <= found["contrib_sampled"].cost.median / 2, (sampled, found["contrib_sampled"].cost)
