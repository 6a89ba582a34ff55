"""Alertmanager's configuration follows the settings."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from alerts import groups
from alerts.alertmanager.configuration import alertmanager_config
from alerts.alertmanager.messages import message, to_template_file
from instrumentation.errors import InstrumentationError
from instrumentation.settings import Receiver, Settings, parse_settings


def configured(settings: Settings) -> dict[str, Any]:
    return alertmanager_config(settings, groups(settings))


def receivers(settings: Settings) -> dict[str, Any]:
    config = configured(settings)
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
    (pagerduty,) = made["critical"]["pagerduty_configs"]
    assert pagerduty["routing_key_file"] == "/run/secrets/pagerduty"
    assert pagerduty["send_resolved"] is True


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
    config = configured(parse_settings({"alerting": {"notification": {"watchdog_interval": "3m"}}}))
    (route,) = (route for route in config["route"]["routes"] if route["receiver"] == "watchdog")
    assert route["repeat_interval"] == route["group_interval"] == "3m"


def test_messages_are_grouped_by_the_labels_of_group_by() -> None:
    config = configured(parse_settings({"alerting": {"group_by": ["job", "cluster"]}}))
    assert config["route"]["group_by"] == ["alertname", "job", "cluster"]
    assert configured(Settings())["route"]["group_by"] == ["alertname", "cluster", "namespace", "environment", "job"]


def test_a_team_hears_what_is_its_own_and_the_rest_as_all_do() -> None:
    a, b, c = ({"webhook": {"url": f"http://hooks.example/{name}"}} for name in "abc")
    teams = [
        {"name": "payments", "match": {"job": "checkout"}, "receivers": {"critical": c}},
        {"name": "search", "match": {"job": "search"}, "receivers": {"default": c, "info": {}}},
    ]
    made = receivers(parse_settings({"alerting": {"receivers": {"default": a, "critical": b}, "teams": teams}}))
    heard = {
        name: [one["url"][-1] for one in receiver.get("webhook_configs", [])]
        for name, receiver in made.items()
        if "-" in name
    }
    assert heard == {
        "payments-default": ["a"],
        "payments-info": ["a"],
        "payments-critical": ["c"],
        "payments-warning": ["a"],
        "search-default": ["c"],
        "search-info": [],
        "search-critical": ["c"],
        "search-warning": ["c"],
    }


@pytest.mark.parametrize(
    "alerting",
    [
        {"group_by": ["job", "team"]},
        {"labels": {"team": "payments"}},
        {"external_labels": ["team"]},
    ],
    ids=["of the targets", "of all alerts", "from Prometheus"],
)
def test_a_team_may_match_a_label_that_alerts_have(alerting: dict[str, Any]) -> None:
    team = {"name": "payments", "match": {"team": "payments", "severity": "critical"}}
    (route,) = (
        route
        for route in configured(parse_settings({"alerting": {**alerting, "teams": [team]}}))["route"]["routes"]
        if route["receiver"] == "payments-default"
    )
    assert route["matchers"] == ['team="payments"', 'severity="critical"']


def test_a_team_that_matches_a_label_of_no_alert_is_refused() -> None:
    teams = [{"name": "search", "match": {"job": "search"}}, {"name": "payments", "match": {"team": "payments"}}]
    with pytest.raises(
        InstrumentationError, match=r"alerting\.teams\.1\.match: got the label 'team', which no alert has"
    ):
        configured(parse_settings({"alerting": {"teams": teams}}))


def test_routes_and_inhibition_follow_the_names_of_severities() -> None:
    names = {"critical": "page", "warning": "ticket", "info": "event"}
    config = configured(parse_settings({"alerting": {"severities": names}}))
    routes = {route["receiver"]: route["matchers"] for route in config["route"]["routes"]}
    assert {name: routes[name] for name in names} == {name: [f'severity="{value}"'] for name, value in names.items()}
    matchers = {text for rule in config["inhibit_rules"] for key in rule if "match" in key for text in rule[key]}
    assert {text for text in matchers if text.startswith("severity")} == {'severity="page"', 'severity="ticket"'}


def test_a_mute_time_past_midnight_is_two() -> None:
    nights = {"name": "nights", "from": "22:00", "to": "06:30", "weekdays": ["friday"], "location": "Europe/Berlin"}
    config = configured(parse_settings({"alerting": {"mute_times": [nights]}}))
    assert config["time_intervals"] == [
        {
            "name": "nights",
            "time_intervals": [
                {
                    "times": [
                        {"start_time": "22:00", "end_time": "24:00"},
                        {"start_time": "00:00", "end_time": "06:30"},
                    ],
                    "weekdays": ["friday"],
                    "location": "Europe/Berlin",
                }
            ],
        }
    ]
    muted = {route["receiver"]: route.get("mute_time_intervals") for route in config["route"]["routes"]}
    assert muted == {"watchdog": None, "info": ["nights"], "critical": None, "warning": ["nights"]}


def test_every_template_that_a_receiver_uses_is_defined() -> None:
    defined = set(re.findall(r'define "([\w.]+)"', to_template_file(Settings())))
    used = {
        name
        for kind in Receiver.model_fields
        for name in re.findall(r'template "([\w.]+)"', json.dumps(message(kind)).replace('\\"', '"'))
    }
    assert used == defined


def test_a_receiver_may_have_several_targets_of_a_kind_and_none() -> None:
    hooks = [{"url": "http://hooks.example/a"}, {"url": "http://hooks.example/b"}]
    default = {"webhook": hooks, "slack": [], "msteamsv2": {"webhook_url_file": "/run/secrets/teams"}}
    made = receivers(parse_settings({"alerting": {"receivers": {"default": default}}}))["default"]
    assert [one["url"] for one in made["webhook_configs"]] == ["http://hooks.example/a", "http://hooks.example/b"]
    assert "slack_configs" not in made
    (teams,) = made["msteamsv2_configs"]
    assert teams == {
        "webhook_url_file": "/run/secrets/teams",
        "title": '{{ template "sidelight.title" . }}',
        "text": '{{ template "sidelight.text" . }}',
        "send_resolved": True,
    }


def test_discord_and_telegram_get_title_and_text() -> None:
    default = {
        "discord": {"webhook_url_file": "/run/secrets/discord"},
        "telegram": [{"bot_token_file": "/run/secrets/bot", "chat_id": -1001234567890}],
    }
    made = receivers(parse_settings({"alerting": {"receivers": {"default": default}}}))["default"]
    title, text = '{{ template "sidelight.title" . }}', '{{ template "sidelight.text" . }}'
    assert made["discord_configs"] == [
        {"webhook_url_file": "/run/secrets/discord", "title": title, "message": text, "send_resolved": True}
    ]
    assert made["telegram_configs"] == [
        {
            "bot_token_file": "/run/secrets/bot",
            "chat_id": -1001234567890,
            "message": f"{title}\n{text}",
            "send_resolved": True,
        }
    ]
