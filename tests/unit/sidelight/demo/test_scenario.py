"""The demo is the ordinary stack with shorter times, and its phases expect only alerts that the rules can fire."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from alerts import generated
from instrumentation.settings import Settings, parse_settings
from sidelight.demo.files import prometheus_config, write
from sidelight.demo.load import REQUESTS
from sidelight.demo.scenario import ALIVE, LIMIT, NEW_VERSION, OLD_VERSION, PHASE_LIMIT, PHASES, document
from sidelight.demo.timeline import Key

if TYPE_CHECKING:
    from pathlib import Path

WEBHOOK = "http://127.0.0.1:7/alerts"
DURATION = re.compile(r"(?<!\d)(?:\d+(?:ms|[smhd]))+\b")  # also at the end of a name
SECONDS = re.compile(r"(increaseT / |% 900\) < |econds\) < |>= 0 < )\d+")  # of the window, an evaluation, a start


@pytest.fixture
def settings() -> Settings:
    return parse_settings(document(WEBHOOK, "audit.log", "http://127.0.0.1:8"))


def timeless(text: str) -> str:
    """A rule file without its times."""
    return SECONDS.sub(r"\1N", DURATION.sub("T", text))


def test_the_rules_are_those_of_every_service_but_for_their_times(settings: Settings) -> None:
    demo, usual = (
        generated(settings)["rules.yaml"],
        generated(
            Settings(budget=settings.budget, slo=settings.slo, service=settings.service, signals=settings.signals)
        )["rules.yaml"],
    )
    assert demo != usual
    assert timeless(demo) == timeless(usual)


def test_the_thresholds_are_those_of_every_service(settings: Settings) -> None:
    assert settings.thresholds == Settings().thresholds


def test_alertmanager_routes_and_inhibits_as_for_every_service_and_tells_the_webhook_everything(
    settings: Settings,
) -> None:
    usual_settings = Settings(
        budget=settings.budget, signals=settings.signals
    )  # without a budget there is no alert on cost
    demo, usual = (yaml.safe_load(generated(s)["alertmanager.yaml"]) for s in (settings, usual_settings))
    assert demo["inhibit_rules"] == usual["inhibit_rules"]
    assert demo["route"]["routes"] == usual["route"]["routes"]
    assert demo["route"]["receiver"] == usual["route"]["receiver"]
    assert all(receiver["webhook_configs"][0]["url"] == WEBHOOK for receiver in demo["receivers"])


def test_every_alert_that_a_phase_asks_for_has_a_rule(settings: Settings) -> None:
    groups: list[dict[str, Any]] = yaml.safe_load(generated(settings)["rules.yaml"])["groups"]
    rules = [rule for group in groups for rule in group["rules"] if "alert" in rule]
    known = {Key(rule["alert"], rule["labels"]["severity"]) for rule in rules}
    asked = {key for phase in PHASES for key in (*phase.fires, *phase.resolves)}
    assert asked <= known
    assert {key.alert for key in known - asked} == {
        "ErrorBudgetBurn",
        "ServiceDown",
        "QueueBacklogGrowing",
        "CPUSaturated",
        "MemoryNearLimit",
        "DiskFillingUp",
        "WorkflowFailures",
        "DailyCostOverBudget",
        "ServiceAbsent",
        "SeriesLimitReached",
        "ScrapeSlow",
        "StoreDegraded",
        "HealthCheckFailing",
        "QueueReadFailing",
        "AuditEntriesLost",
        "AuditTrailWentBack",
        "LogLinesLost",
        "CollectorDroppingData",
        "CollectorQueueFilling",
        "CollectorMissing",
        "InstanceRestarting",
        "RequestsHanging",
        "WorkflowKeepsFailing",
        "ConnectionPoolNearLimit",
        "DependencyFailing",
        "RepeatedQueriesGrowing",
        "OrdersStopped",
        "CatalogShrunk",
        "PaymentsDeclined",  # its critical level
        "PricesOutdated",
    }


def test_each_alert_fires_once_and_resolves_once_but_for_the_watchdog() -> None:
    fires = [key for phase in PHASES for key in phase.fires]
    resolves = [key for phase in PHASES for key in phase.resolves]
    assert len(set(fires)) == len(fires) == 7
    assert sorted([ALIVE, *resolves]) == sorted(fires)


def test_each_fault_lies_between_the_thresholds_of_the_severity_it_causes(settings: Settings) -> None:
    ratio, p95 = settings.thresholds.error_ratio, settings.thresholds.latency_p95_seconds
    by_key = {key: phase for phase in PHASES for key in phase.fires}
    assert ratio.warning < by_key[Key("HighErrorRate", "warning")].error_ratio < ratio.critical
    assert ratio.critical < by_key[Key("HighErrorRate", "critical")].error_ratio
    assert p95.warning < by_key[Key("HighLatencyP95", "warning")].latency_seconds < p95.critical
    assert p95.critical < by_key[Key("HighLatencyP95", "critical")].latency_seconds


def test_declined_payments_fire_the_warning_of_the_shops_own_signal(settings: Settings) -> None:
    [signal] = [signal for signal in settings.signals if signal.name == "payment_attempts"]
    levels = signal.alerts[0].levels
    [declined] = [phase.declined_ratio for phase in PHASES if phase.declined_ratio]
    assert levels.warning < declined < levels.critical


def test_alerts_resolve_only_when_the_shop_is_healthy() -> None:
    for phase in PHASES:
        if phase.resolves:
            assert (phase.error_ratio, phase.latency_seconds, phase.declined_ratio) == (0, 0, 0)


def test_the_demo_ends_within_four_minutes() -> None:
    assert PHASE_LIMIT < LIMIT < 240


def test_every_folder_holds_the_settings_and_what_was_generated_from_them(tmp_path: Path, settings: Settings) -> None:
    files = write(tmp_path, WEBHOOK, "http://127.0.0.1:8")
    assert files.settings == parse_settings(document(WEBHOOK, str(tmp_path / "audit.log"), "http://127.0.0.1:8"))
    for name, text in generated(settings).items():
        assert (tmp_path / name).read_text() == text


def test_prometheus_scrapes_and_evaluates_as_often_as_the_settings_say(settings: Settings) -> None:
    config: Any = prometheus_config(settings, "127.0.0.1:7")
    assert config["global"] == {"scrape_interval": "1s", "evaluation_interval": "1s"}
    assert config["alerting"]["alertmanagers"] == [{"static_configs": [{"targets": ["127.0.0.1:7"]}]}]


def test_targets_are_replaced_at_once(tmp_path: Path) -> None:
    files = write(tmp_path, WEBHOOK, "http://127.0.0.1:8")
    files.write_targets(["127.0.0.1:7"])
    files.write_targets(["127.0.0.1:7", "127.0.0.1:13"])
    assert yaml.safe_load((tmp_path / "targets.json").read_text()) == [{"targets": ["127.0.0.1:7", "127.0.0.1:13"]}]
    assert not (tmp_path / "targets.new").exists()


@pytest.mark.parametrize("every", [25, 50])
def test_faults_meet_every_route(every: int) -> None:
    hit = {number % len(REQUESTS) for number in range(0, every * len(REQUESTS), every)}
    assert hit == set(range(len(REQUESTS)))


def test_the_versions_differ() -> None:
    assert OLD_VERSION != NEW_VERSION
