"""Declarations of signals: what is allowed, and every fault in one run with its file and line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from instrumentation.catalog import Kind
from instrumentation.errors import SettingsError
from instrumentation.settings import load_settings, parse_settings
from instrumentation.settings.signals import MOST_SERIES

if TYPE_CHECKING:
    from pathlib import Path

ORDERS = {"name": "orders_placed", "kind": "counter"}


def faults(*signals: dict[str, Any], **sections: Any) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        parse_settings({"signals": list(signals), **sections})
    return [str(fault) for fault in caught.value.faults]


def test_each_kind_makes_its_rows_of_the_catalog() -> None:
    settings = parse_settings(
        {
            "signals": [
                {**ORDERS, "help": "Orders.", "labels": {"channel": ["web", "app"], "tenant": {"limit": 7}}},
                {"name": "pool_bytes", "kind": "gauge", "combine": "max"},
                {"name": "quote_seconds", "kind": "histogram", "buckets": [0.3, 7]},
                {"name": "nightly_import", "kind": "job", "every": "1d"},
            ]
        }
    )
    rows = {metric.name: metric for signal in settings.signals for metric in signal.metrics}
    assert list(rows) == [
        "orders_placed_total",
        "pool_bytes",
        "quote_seconds",
        "nightly_import_runs_total",
        "nightly_import_duration_seconds",
        "nightly_import_last_start_timestamp_seconds",
        "nightly_import_last_success_timestamp_seconds",
    ]
    orders, pool, quotes = (rows[name] for name in ("orders_placed_total", "pool_bytes", "quote_seconds"))
    assert (orders.labels, orders.folded, orders.help) == (("channel", "tenant"), ("tenant",), "Orders.")
    assert (pool.combine, pool.unit, pool.help) == ("max", "bytes", "Pool bytes.")
    assert (quotes.kind, quotes.buckets) == (Kind.HISTOGRAM, (0.3, 7))
    assert rows["nightly_import_last_success_timestamp_seconds"].outlives_worker


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"name": "orders_total"}, 'signals.0.name: got "orders_total"; give "orders", because'),
        ({"name": "Orders"}, 'signals.0.name: got "Orders"; give lowercase letters, digits and _'),
        (
            {"name": "container_orders"},
            'signals.0.name: got "container_orders"; give a name that starts with a word of',
        ),
        ({"name": "kube_orders"}, 'signals.0.name: got "kube_orders"; give a name'),
        ({"name": "up"}, 'signals.0.name: got "up"; give a name'),
        ({"name": "retries"}, 'signals.0.name: got "retries", and Sidelight has retries_total; give another name'),
        ({"kind": "countr"}, 'signals.0.kind: got "countr"; give counter, gauge, histogram or job'),
        (
            {"cron": "0 6 * * *"},
            "signals.0.cron: got a key that a counter does not have; leave it out, or declare a job",
        ),
        (
            {"kind": "job", "cron": "0 6 * * *", "every": "1d"},
            "signals.0.cron: got cron and every; give one of them",
        ),
        (
            {"kind": "job", "cron": "61 6 * * *"},
            (
                'signals.0.cron: got "61 6 * * *" (Bad minute); give minute, hour, day of the month, month and day of the week, '
                'such as "30 2 * * MON-FRI"'
            ),
        ),
        (
            {"kind": "job", "cron": "0 6 * * *", "time_zone": "Europe/Atlantis"},
            (
                'signals.0.cron: got "0 6 * * *" (the time zone database has no Europe/Atlantis); give minute, hour, day of the '
                'month, month and day of the week, such as "30 2 * * MON-FRI"'
            ),
        ),
        (
            {"kind": "job", "time_zone": "Europe/Berlin"},
            "signals.0.time_zone: got a time zone without cron; leave it out, or give cron",
        ),
        ({"every": "1d"}, "signals.0.every: got a key that a counter does not have; leave it out, or declare a job"),
        ({"combine": "sum"}, "signals.0.combine: got a key that a counter does not have"),
        ({"labels": {"instance": ["a"]}}, 'signals.0.labels.instance: got the label "instance"; give another name'),
        ({"labels": {"a-b": ["a"]}}, "signals.0.labels.a-b: got"),
        ({"labels": {"channel": "web"}}, 'signals.0.labels.channel: got "web"; give a list of 1 to 100 texts'),
        ({"labels": {"channel": [1, 2]}}, "signals.0.labels.channel: got [1, 2]; give a list of 1 to 100 texts"),
        ({"labels": {"channel": ["_OTHER"]}}, "signals.0.labels.channel: got"),
        ({"labels": {"channel": ["web", "web"]}}, "signals.0.labels.channel: got"),
        ({"labels": {"channel": {"limit": 1001}}}, "signals.0.labels.channel: got"),
        ({"labels": {"channel": {"limit": True}}}, "signals.0.labels.channel: got"),
        ({"emitted_by": "us"}, 'signals.0.emitted_by: got "us"; give sidelight or other'),
        ({"labls": {}}, "signals.0.labls: is not a key of Sidelight (did you mean labels?)"),
    ],
)
def test_a_wrong_key_is_named_with_what_it_may_hold(changed: dict[str, Any], sentence: str) -> None:
    [found] = faults({**ORDERS, **changed})
    assert found.startswith(f"settings: {sentence}")


def test_a_gauge_says_how_workers_combine_and_a_histogram_has_edges() -> None:
    combine = "give sum, max or min: how the values of several workers and instances become one"
    assert faults({"name": "pool", "kind": "gauge"}, {"name": "items", "kind": "histogram"}) == [
        f"settings: signals.0.combine: got nothing; {combine}.",
        "settings: signals.1.buckets: got nothing; give upper bucket edges, or a name that ends with _seconds or _bytes.",
    ]


def test_values_make_a_bounded_number_of_series() -> None:
    many = {name: [str(number) for number in range(30)] for name in ("a", "b")}
    assert MOST_SERIES < 30 * 30
    assert faults({**ORDERS, "labels": many})[0].startswith(
        "settings: signals.0.labels: got values that make 900 series"
    )


def test_names_of_other_exporters_are_allowed_for_what_they_emit() -> None:
    signals = [{"name": "kube_job_failed", "kind": "counter", "emitted_by": "other"}]
    assert parse_settings({"signals": signals}).signals[0].metrics[0].name == "kube_job_failed_total"


def test_signals_that_make_the_same_series_are_refused() -> None:
    assert faults(
        {"name": "import", "kind": "job"}, {"name": "import_runs", "kind": "counter"}, ORDERS, ORDERS
    ) == [
        'settings: signals.1.name: got "import_runs", and import has import_runs_total too; give each signal another name.',
        'settings: signals.3.name: got "orders_placed", declared twice; give each signal another name.',
    ]  # fmt: skip


def test_labels_of_targets_are_refused() -> None:
    signal = {**ORDERS, "labels": {"region": ["eu"]}}
    assert parse_settings({"signals": [signal]})
    [found] = faults(signal, alerting={"group_by": ["job", "region"]})
    assert found.startswith('settings: signals.0.labels.region: got the label "region"; give another name')


def test_all_faults_of_all_files_are_named_with_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "sidelight.yaml").write_text(
        "include: [checkout.yaml, absent.yaml, other.yaml]\nsignals:\n- name: pool\n  kind: gauge\n  every: 1d\n"
    )
    (tmp_path / "checkout.yaml").write_text(
        "signals:\n- {name: good, kind: counter}\n- name: orders\n  kind: counter\n  labels:\n    pod: [a]\n"
    )
    (tmp_path / "other.yaml").write_text("thresholds: {}\n")
    with pytest.raises(SettingsError) as caught:
        load_settings(tmp_path / "sidelight.yaml", environ={})
    assert [str(fault).replace(f"{tmp_path}/", "").partition(";")[0] for fault in caught.value.faults] == [
        "absent.yaml: cannot be read (No such file or directory)",
        'other.yaml: got the key "thresholds"',
        "sidelight.yaml:5: signals.0.every: got a key that a gauge does not have",
        "sidelight.yaml:3: signals.0.combine: got nothing",
        'checkout.yaml:6: signals.1.labels.pod: got the label "pod"',
    ]


def test_a_clash_between_two_files_names_the_second(tmp_path: Path) -> None:
    (tmp_path / "sidelight.yaml").write_text("include: [a.yaml, b.yaml]\n")
    for name in ("a", "b"):
        (tmp_path / f"{name}.yaml").write_text("signals:\n- {name: orders, kind: counter}\n")
    with pytest.raises(SettingsError, match=r"b\.yaml:2: signals\.0\.name: got \"orders\", declared twice"):
        load_settings(tmp_path / "sidelight.yaml", environ={})


def test_included_signals_count_like_those_of_the_settings_file(tmp_path: Path) -> None:
    (tmp_path / "teams").mkdir()
    (tmp_path / "sidelight.yaml").write_text("include: [teams/a.yaml]\nsignals: [{name: first, kind: counter}]\n")
    (tmp_path / "teams/a.yaml").write_text("signals:\n- {name: second, kind: counter}\n")
    settings = load_settings(tmp_path / "sidelight.yaml", environ={})
    assert [signal.name for signal in settings.signals] == ["first", "second"]


def test_settings_in_memory_include_no_files() -> None:
    [found] = faults(include=["a.yaml"])
    assert found == (
        'settings: include: got ("a.yaml",); give the signals themselves; only a settings file can include others.'
    )
