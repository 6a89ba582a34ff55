"""Which level applies to a service, and which thresholds must be bucket edges."""

from __future__ import annotations

from alerts import ALERTS
from alerts.thresholds import Level
from instrumentation.settings import Settings


def test_a_level_applies_to_what_it_matches_unless_an_earlier_override_does() -> None:
    later = Level(severity="critical", threshold=0.2, match={"namespace": "batch"}, before=({"job": "search"},))
    assert later.applies_to({"job": "import", "namespace": "batch"})
    assert not later.applies_to({"job": "search", "namespace": "batch"})
    assert not later.applies_to({"job": "import", "namespace": "shop"})


def test_only_latency_thresholds_must_be_bucket_edges() -> None:
    rules = [rule for alert in ALERTS for rule in alert.rules(Settings())]
    on_edge = {rule.alert for rule in rules for parameter in rule.parameters.values() if parameter.on_edge}
    assert on_edge == {"HighLatencyP95"}
