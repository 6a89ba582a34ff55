"""sidelight.yaml and the environment become Settings, or every fault becomes a line."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from instrumentation.errors import SettingsError
from instrumentation.settings import Duration, Settings, load_settings, parse_settings

if TYPE_CHECKING:
    from pathlib import Path


def write(folder: Path, text: str | bytes) -> Path:
    file = folder / "sidelight.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def lines(error: pytest.ExceptionInfo[SettingsError], folder: Path) -> list[str]:
    return error.value.message.replace(f"{folder}/", "").splitlines()


def faults_of(folder: Path, text: str | bytes) -> list[str]:
    with pytest.raises(SettingsError) as error:
        load_settings(write(folder, text), {})
    return lines(error, folder)


TEN_BROKEN_FILES = {
    "unknown key": (
        "thresholds: {eror_ratio: {}}",
        (
            "thresholds.eror_ratio: is not a key of Sidelight (did you mean error_ratio?); "
            "give one of error_ratio, latency_p95_seconds, cpu_used_ratio, memory_used_ratio, disk_used_ratio, "
            "disk_full_ratio, queue_depth, queue_oldest_age_seconds, workflow_failure_ratio, "
            "dependency_error_ratio, pool_used_ratio, repeated_queries_growth, overrides."
        ),
    ),
    "wrong type": (
        "metrics: {series_limit: many}",
        'metrics.series_limit: got "many"; give a whole number of at least 1.',
    ),
    "warning above critical": (
        "thresholds: {error_ratio: {warning: 0.2}}",
        (
            "thresholds.error_ratio: got warning 0.2 above critical 0.05; "
            "give a warning at or below critical, since a warning comes first."
        ),
    ),
    "negative": (
        "thresholds: {latency_p95_seconds: {critical: -1}}",
        "thresholds.latency_p95_seconds.critical: got -1; give seconds as a number above 0, such as 1.0.",
    ),
    "string duration": (
        "thresholds: {latency_p95_seconds: {critical: '1s'}}",
        'thresholds.latency_p95_seconds.critical: got "1s"; give seconds as a number above 0, such as 1.0.',
    ),
    "not YAML": (
        "a: [1\nb: }",
        "is not YAML at line 2, column 2 (expected ',' or ']', but got ':'); correct the line.",
    ),
    "a list": (
        "- service",
        "holds a list; give a mapping of sections, such as 'service: {name: shop}'.",
    ),
    "empty": (
        " \n",
        "is empty; give settings, or {} for the defaults, or remove the file.",
    ),
    "huge": (
        "#" * ((1 << 20) + 1),
        "is larger than 1 MiB; give a settings file, which is a few KiB.",
    ),
    "not UTF-8": (
        b"service: {name: \xff}",
        "is not UTF-8 at byte 16; save it as UTF-8.",
    ),
}


@pytest.mark.parametrize(("text", "sentence"), TEN_BROKEN_FILES.values(), ids=TEN_BROKEN_FILES)
def test_a_broken_file_is_one_clear_line(tmp_path: Path, text: str | bytes, sentence: str) -> None:
    assert faults_of(tmp_path, text) == [f"sidelight.yaml: {sentence}"]


def test_every_fault_is_named_in_one_run(tmp_path: Path) -> None:
    faults = faults_of(
        tmp_path, "service: 5\nthresholds: {error_ratio: {warning: 7}}\nalerting: {for: {critical: 3}}\nmetrix: {}"
    )
    assert faults == [
        "sidelight.yaml: service: got 5; give a mapping of keys.",
        "sidelight.yaml: thresholds.error_ratio.warning: got 7; give a ratio between 0 and 1; 7 % are 0.07.",
        (
            "sidelight.yaml: alerting.for.critical: got 3; give a duration such as 30s, 5m or 1h30m; a number has no unit: 3 minutes are 3m, "
            "3 seconds 3s."
        ),
        (
            "sidelight.yaml: metrix: is not a key of Sidelight (did you mean metrics?); give one of "
            f"{', '.join(Settings.model_fields)}."
        ),
    ]


OTHER_FAULTS = {
    "a key given twice": ("service: {name: a}\nservice: {name: b}", "the key 'service' is given twice"),
    "a label that is not grouped by": (
        "thresholds: {overrides: [{match: {team: a}}]}",
        "thresholds.overrides.0.match.team: got a label that alerting.group_by does not keep; give one of cluster, namespace, environment, job.",
    ),
    "a part that only some thresholds of an override have": (
        "thresholds: {overrides: [{match: {queue: a}, queue_depth: {warning: 7}, error_ratio: {warning: 0.02}}]}",
        "thresholds.overrides.0.match.queue: got a label that alerting.group_by does not keep; give one of cluster, namespace, environment, job.",
    ),
    "a part that no threshold of an override has": (
        "thresholds: {overrides: [{match: {path: a}, queue_depth: {warning: 7}}]}",
        "thresholds.overrides.0.match.path: got a label that alerting.group_by does not keep; give one of cluster, namespace, environment, job, queue.",
    ),
    "full below critical": (
        "thresholds: {disk_full_ratio: 0.7}",
        "thresholds.disk_full_ratio: got 0.7 below disk_used_ratio.critical 0.9; give a ratio at or above it",
    ),
    "half an item": ("thresholds: {queue_depth: {warning: 7.5}}", "queue_depth.warning: got 7.5; give a whole number"),
    "a budget of nothing": ("budget: {daily_usd: 0}", "budget.daily_usd: got 0; give US dollars as a number above 0"),
    "no share of a budget": (
        "budget: {spent_ratio: {warning: -1}}",
        "budget.spent_ratio.warning: got -1; give a share of the budget above 0, such as 0.8; 1.0 is all of it.",
    ),
    "a trend shorter than two windows": (
        "alerting: {trend: {disk_window: 7m}}",
        'alerting.trend.disk_window: got "7m" with alerting.window "5m"; give at least twice that, 10m.',
    ),
    "a warning that looks less far ahead": (
        "alerting: {trend: {memory_full_within: {warning: 30m}}}",
        'alerting.trend.memory_full_within: got warning "30m" below critical "1h"; give a warning at or above',
    ),
    "an override below the warning for all": (
        "thresholds: {overrides: [{match: {job: a}, latency_p95_seconds: {critical: 0.2}}]}",
        "thresholds.overrides.0.latency_p95_seconds: got warning 0.5 above critical 0.2, together with",
    ),
    "the same match twice": (
        "thresholds: {overrides: [{match: {job: a}}, {match: {job: a}}]}",
        "thresholds.overrides.1.match: got",
    ),
    "a window that is too short": (
        "alerting: {window: 30s}",
        (
            'alerting.window: got "30s" with metrics.scrape_interval "15s"; give at least four scrape intervals, '
            "that is 60s."
        ),
    ),
    "a grouping without job": ("alerting: {group_by: [team]}", "give each label once and job among them"),
    "a mute time for what is critical": (
        "alerting: {mute_times: [{name: nights, severities: [critical]}]}",
        'alerting.mute_times.0.severities.0: got "critical"; give warning, info or both',
    ),
    "a mute time of no length": (
        "alerting: {mute_times: [{name: a, from: '07:00', to: '07:00'}]}",
        'alerting.mute_times.0.from: got "07:00" with to "07:00"; give different times, and 24:00 only as the end.',
    ),
    "an invalid time of day": (
        "alerting: {mute_times: [{name: a, from: '7:00'}]}",
        'alerting.mute_times.0.from: got "7:00"; give a time of day in quotes, from "00:00" to "24:00".',
    ),
    "an invalid location": (
        "alerting: {mute_times: [{name: a, location: my desk}]}",
        'alerting.mute_times.0.location: got "my desk"; give a place of the time zone database, such as Europe/Berlin',
    ),
    "two teams of one name": (
        "alerting: {teams: [{name: a, match: {job: a}}, {name: a, match: {job: b}}]}",
        "alerting.teams.1.name: got",
    ),
    "a mail server without a port": (
        "alerting: {receivers: {default: {email: {to: a@b.example, from: a@b.example, smarthost: smtp}}}}",
        'alerting.receivers.default.email.smarthost: got "smtp"; give host and port, such as smtp.example.com:587.',
    ),
    "one of several targets": (
        "alerting: {receivers: {default: {email: [{to: a@b.example, from: c, smarthost: 'b:25'}]}}}",
        'alerting.receivers.default.email.0.from: got "c"; give one e-mail address, such as oncall@example.com.',
    ),
    "a channel in place of a target": (
        "alerting: {receivers: {default: {slack: '#shop'}}}",
        'alerting.receivers.default.slack: got "#shop"; give a mapping of keys.',
    ),
    "a mail user without a password": (
        "alerting: {receivers: {default: {email: {to: a@b.c, from: a@b.c, smarthost: 'b:25', auth_username: a}}}}",
        "give auth_username and auth_password_file, or neither",
    ),
    "an objective in percent": (
        "slo: {availability: 99.9}",
        "slo.availability: got 99.9; give a ratio between 0 and 1; 99.9 % are 0.999.",
    ),
    "a period of objectives that the alert's windows do not fit": (
        "slo: {period: 1d}",
        'slo.period: got "1d"; give a duration from 7d to 90d, such as 30d, since the longest window of the alert is 3d.',
    ),
    "objectives of the same match twice": (
        "slo: {overrides: [{match: {job: a}}, {match: {job: a}}]}",
        "slo.overrides.1.match: got",
    ),
    "objectives by a label that is not kept": (
        "slo: {overrides: [{match: {team: a}}]}",
        "slo.overrides.0.match.team: got a label that alerting.group_by does not keep; give one of cluster, namespace, environment, job",
    ),
    "registers that are not a power of 2": (
        "users: {registers: 1000}",
        "users.registers: got 1000; give a power of 2 from 16 to 16384, such as 1024; each of them is a series of each instance.",
    ),
    "more registers than are worth it": ("users: {registers: 32768}", "users.registers: got 32768; give a power of 2"),
    "too few registers": ("users: {registers: 8}", "users.registers: got 8; give a power of 2"),
    "a window of users that a scrape may miss": (
        "users: {window: 20s}",
        (
            'users.window: got "20s" with metrics.scrape_interval "15s"; give at least two scrape intervals, that is 30s, '
            "or a lost scrape loses users."
        ),
    ),
    "a window of users that Prometheus forgets": (
        "users: {window: 10m}",
        'users.window: got "10m"; give a duration of at most 4m, since Prometheus forgets a series after 5m.',
    ),
    "buckets out of order": ("http: {duration_buckets: [2, 1]}", "give increasing seconds, each once"),
    "null for a section": ("thresholds: null", "thresholds: got null; give a mapping of keys."),
    "nesting without end": ("[" * 100_000, "is nested too deeply"),
    "an alias to itself": ("service: &a {name: *a}", "service.name: got {"),
    "a control character": ("service: {name: \x01}", "is not YAML"),
    "a webhook with two addresses": (
        "alerting: {receivers: {info: {webhook: {url: 'http://a', url_file: b}}}}",
        "alerting.receivers.info.webhook: got {",
    ),
    "a webhook without an address": (
        "alerting: {receivers: {info: {webhook: {}}}}",
        "alerting.receivers.info.webhook: got {}; give either url or url_file.",
    ),
    "a required key left out": (
        "alerting: {receivers: {default: {pagerduty: {}}}}",
        "alerting.receivers.default.pagerduty.routing_key_file: got nothing; give the path of a file.",
    ),
}


@pytest.mark.parametrize(("text", "sentence"), OTHER_FAULTS.values(), ids=OTHER_FAULTS)
def test_a_fault_says_where_what_and_what_instead(tmp_path: Path, text: str, sentence: str) -> None:
    assert sentence in "\n".join(faults_of(tmp_path, text))


KEYS = st.sampled_from(
    [
        "service",
        "thresholds",
        "alerting",
        "for",
        "overrides",
        "match",
        "job",
        "error_ratio",
        "critical",
        "receivers",
        "url",
    ]
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("x" * 500),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(max_size=3) | st.integers(), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(data=st.dictionaries(st.sampled_from(list(Settings.model_fields)), ANYTHING, max_size=4))
@settings(max_examples=300, deadline=None)
def test_a_fault_of_any_value_is_one_short_line(data: dict[str, object]) -> None:
    try:
        parse_settings(data)
    except SettingsError as error:
        for found in error.faults:
            assert str(found).isprintable()
            assert len(str(found)) < 800


@given(text=st.text(max_size=40))
@settings(max_examples=300, deadline=None)
def test_every_file_gives_settings_or_faults(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.getbasetemp() / "any.yaml"
    file.write_text(text, encoding="utf-8", errors="surrogateescape")
    with suppress(SettingsError):  # anything else is a traceback at start-up
        load_settings(file, {})


def test_a_password_in_an_address_is_not_repeated(tmp_path: Path) -> None:
    text = "alerting: {receivers: {default: {webhook: {url: 'http://user:hunter2@host/x'}}}}"
    assert "hunter2" not in "\n".join(faults_of(tmp_path, text))


def test_a_file_that_is_named_and_missing_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"cannot be read \(No such file or directory\)"):
        load_settings(tmp_path / "absent.yaml", {})


def test_a_folder_is_not_a_settings_file(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"cannot be read \(Is a directory\)"):
        load_settings(tmp_path, {})


def test_without_a_file_every_default_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_settings(environ={}) == Settings()


def test_comments_alone_are_the_defaults(tmp_path: Path) -> None:
    assert load_settings(write(tmp_path, "# later\n"), {}) == Settings()


def test_the_file_is_found_by_its_variable(tmp_path: Path) -> None:
    file = write(tmp_path, "service: {name: billing}")
    assert load_settings(environ={"SIDELIGHT_CONFIG": str(file)}).service.name == "billing"


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    file = write(tmp_path, "service: {name: a, version: '1'}")
    environ = {
        "OTEL_SERVICE_NAME": "shop",
        "OTEL_RESOURCE_ATTRIBUTES": "service.name=lost,service.version=1%2C2, deployment.environment.name=prod",
    }
    service = load_settings(file, environ).service
    assert (service.name, service.version, service.environment) == ("shop", "1,2", "prod")


@pytest.mark.parametrize("value", ["novalue", "=1", "service.version="])
def test_a_malformed_variable_is_a_fault_of_that_variable(value: str) -> None:
    with pytest.raises(SettingsError, match=r"^OTEL_RESOURCE_ATTRIBUTES: got "):
        load_settings(environ={"OTEL_RESOURCE_ATTRIBUTES": value})


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().service.name = "other"  # type: ignore[misc]


def test_every_latency_threshold_is_a_bucket_edge() -> None:
    settings = parse_settings(
        {
            "thresholds": {
                "latency_p95_seconds": {"warning": 0.33, "critical": 0.8},
                "overrides": [{"match": {"job": "search"}, "latency_p95_seconds": {"critical": 2.2}}],
            }
        }
    )
    assert {0.33, 0.8, 2.2} <= set(settings.duration_edges)


def test_no_threshold_is_the_last_edge_since_a_quantile_never_reads_above_it() -> None:
    settings = parse_settings({"thresholds": {"latency_p95_seconds": {"critical": 30.0}}})
    assert settings.duration_edges[-2:] == (30.0, 60.0)


@pytest.mark.parametrize(("text", "seconds"), [("30s", 30), ("5m", 300), ("1h30m", 5400), ("1d", 86400)])
def test_a_duration_knows_its_seconds(text: str, seconds: int) -> None:
    assert Duration(text).seconds == seconds


@pytest.mark.parametrize("text", ["", "0s", "5", "s", "1.5m", "-1m", "m5"])
def test_an_invalid_duration_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match=r"alerting\.window: got .*; give a duration such as 30s"):
        parse_settings({"alerting": {"window": text}})


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("thresholds: {latency_p95_seconds: {critical: 500}}", "got 500; give seconds below 100; 500 ms are 0.5."),
        ("slo: {latency: {seconds: 300}}", "got 300; give seconds below 100; 300 ms are 0.3."),
        ("thresholds: {error_ratio: {critical: 5}}", "got 5; give a ratio between 0 and 1; 5 % are 0.05."),
        ("slo: {availability: 99.9}", "got 99.9; give a ratio between 0 and 1; 99.9 % are 0.999."),
        (
            "thresholds: {overrides: [{match: {job: a}, error_ratio: {warning: 2.5}}]}",
            "got 2.5; give a ratio between 0 and 1; 2.5 % are 0.025.",
        ),
        ("alerting: {window: 5}", "a number has no unit: 5 minutes are 5m, 5 seconds 5s."),
    ],
)
def test_a_value_in_another_unit_is_refused_with_what_was_probably_meant(text: str, meant: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(meant)):
        parse_settings(yaml.safe_load(text))


def test_a_ratio_just_below_1_and_99_seconds_are_accepted() -> None:
    given = {"thresholds": {"latency_p95_seconds": {"critical": 99.0}, "error_ratio": {"critical": 0.999}}}
    assert parse_settings(given).thresholds.latency_p95_seconds.critical == 99.0


# --- Values that look right -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", ["\N{ARABIC-INDIC DIGIT FIVE}m", "\N{FULLWIDTH DIGIT ONE}5s"])
def test_a_duration_has_the_digits_that_prometheus_reads(given: str) -> None:
    with pytest.raises(SettingsError, match="give a duration such as 30s, 5m or 1h30m"):
        parse_settings({"metrics": {"scrape_interval": given}})


def test_a_match_with_a_template_is_refused() -> None:
    overrides = {"overrides": [{"match": {"job": "{{ $x }}"}, "error_ratio": {"critical": 0.1}}]}
    with pytest.raises(SettingsError) as caught:
        parse_settings({"thresholds": overrides})
    assert str(caught.value) == (
        'settings: thresholds.overrides.0.match.job: got "{{ $x }}"; give the label\'s value itself; '
        "Prometheus fills in no template here."
    )


def test_of_thousands_of_faults_the_message_shows_the_first_fifty() -> None:
    with pytest.raises(SettingsError) as caught:
        parse_settings({f"key_{number}": 1 for number in range(3_000)})
    assert len(caught.value.faults) == 3_000
    assert len(str(caught.value)) < 30_000
    assert str(caught.value).endswith("\n2950 more faults are not shown.")
