"""Alertmanager's configuration follows the settings."""

from __future__ import annotations

from typing import Any

from alerts.alertmanager import alertmanager_config
from instrumentation.settings import Settings, parse_settings


def receivers(settings: Settings) -> dict[str, Any]:
    config: Any = alertmanager_config(settings)
    return {receiver["name"]: receiver for receiver in config["receivers"]}


def test_without_receivers_every_route_has_a_silent_one() -> None:
    assert receivers(Settings()) == {
        name: {"name": name} for name in ("default", "watchdog", "info", "critical", "warning")
    }


def test_what_has_no_receiver_of_its_own_goes_to_the_default() -> None:
    made = receivers(
        parse_settings(
            {
                "alerting": {
                    "receivers": {
                        "default": {"webhook": {"url": "http://hooks.example/a"}},
                        "critical": {"pagerduty": {"routing_key_file": "/run/secrets/pagerduty"}},
                    }
                }
            }
        )
    )
    assert made["warning"]["webhook_configs"] == [{"url": "http://hooks.example/a", "send_resolved": True}]
    assert made["critical"] == {
        "name": "critical",
        "pagerduty_configs": [{"routing_key_file": "/run/secrets/pagerduty", "send_resolved": True}],
    }


def test_an_event_is_not_announced_again_when_it_is_over() -> None:
    made = receivers(
        parse_settings({"alerting": {"receivers": {"info": {"webhook": {"url": "http://hooks.example/b"}}}}})
    )
    assert made["info"]["webhook_configs"][0]["send_resolved"] is False


def test_the_watchdog_goes_to_nobody_unless_it_is_sent_somewhere() -> None:
    default = {"webhook": {"url": "http://hooks.example/a"}}
    assert receivers(parse_settings({"alerting": {"receivers": {"default": default}}}))["watchdog"] == {
        "name": "watchdog"
    }


def test_the_watchdog_is_sent_steadily() -> None:
    config: Any = alertmanager_config(parse_settings({"alerting": {"notification": {"watchdog_interval": "3m"}}}))
    (route,) = (route for route in config["route"]["routes"] if route["receiver"] == "watchdog")
    assert route["repeat_interval"] == route["group_interval"] == "3m"


def test_grouping_and_inhibition_keep_the_labels_of_group_by() -> None:
    config: Any = alertmanager_config(parse_settings({"alerting": {"group_by": ["job", "cluster"]}}))
    assert config["route"]["group_by"] == ["alertname", "job", "cluster"]
    assert [rule["equal"] for rule in config["inhibit_rules"]] == [["alertname", "job", "cluster"], ["job", "cluster"]]
