"""`sidelight signals from` writes a declaration that the settings accept, and names what it leaves out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml
from typer.testing import CliRunner

from instrumentation.errors import SidelightError
from instrumentation.settings import parse_settings
from sidelight.cli import app
from sidelight.signals.first_declaration import signals_from

if TYPE_CHECKING:
    from pathlib import Path

PAGE = """\
# HELP orders_total Orders   placed.
# TYPE orders_total counter
orders_total{channel="web"} 3
orders_total{channel="app"} 7
# HELP pool_size Connections.
# TYPE pool_size gauge
pool_size 3
# HELP quote_seconds Quotes.
# TYPE quote_seconds histogram
quote_seconds_bucket{le="0.3"} 1
quote_seconds_bucket{le="+Inf"} 2
quote_seconds_count 2
quote_seconds_sum 7
# HELP rpc_seconds Calls.
# TYPE rpc_seconds summary
rpc_seconds{quantile="0.5"} 3
rpc_seconds_count 3
rpc_seconds_sum 7
# HELP process_open_fds Open file descriptors.
# TYPE process_open_fds gauge
process_open_fds 7
"""
CODE = """
import prometheus_client as prom
from prometheus_client import Counter
NAME = "unknown"
ORDERS = Counter("orders_total", "Orders.", ["channel"], namespace="shop")
SIZE = prom.Gauge(name="pool_size", documentation="Connections.")
QUOTES = prom.Histogram("quote_seconds", "Quotes.", buckets=(0.3, 7))
OTHER = Counter(NAME, "Not known.")
"""


def declared(text: str) -> dict[str, Any]:
    data = yaml.safe_load(text)
    parse_settings(data)
    return {signal["name"]: signal for signal in data["signals"]}


def test_a_page_becomes_signals_with_the_values_that_it_shows(tmp_path: Path) -> None:
    (tmp_path / "page").write_text(PAGE)
    text = signals_from(str(tmp_path / "page"))
    assert declared(text) == {
        "orders": {
            "name": "orders",
            "kind": "counter",
            "help": "Orders placed.",
            "labels": {"channel": ["web", "app"]},
        },
        "pool_size": {"name": "pool_size", "kind": "gauge", "help": "Connections.", "combine": "sum"},
        "quote_seconds": {"name": "quote_seconds", "kind": "histogram", "help": "Quotes.", "buckets": [0.3]},
    }
    assert "# Not declared: rpc_seconds: it is of the type summary; count it with a histogram, or keep it" in text
    assert '# Not declared: process_open_fds: got "process_open_fds"; give a name' in text


def test_a_label_with_many_values_has_a_limit(tmp_path: Path) -> None:
    samples = "".join(f'visits_total{{tenant="{number}"}} 1\n' for number in range(11))
    (tmp_path / "page").write_text(f"# TYPE visits_total counter\n{samples}")
    assert declared(signals_from(str(tmp_path / "page")))["visits"]["labels"] == {"tenant": {"limit": 50}}


def test_code_becomes_signals_with_its_labels(tmp_path: Path) -> None:
    (tmp_path / "metrics.py").write_text(CODE)
    found = declared(signals_from(str(tmp_path)))
    assert list(found) == ["shop_orders", "pool_size", "quote_seconds"]
    assert found["shop_orders"]["labels"] == {"channel": {"limit": 50}}
    assert found["quote_seconds"]["buckets"] == [0.3, 7.0]


@pytest.mark.parametrize("text", ["", "# nothing\n"])
def test_a_source_without_metrics_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "page").write_text(text)
    with pytest.raises(SidelightError, match="page: has no metrics; give a metrics page, or Python code"):
        signals_from(str(tmp_path / "page"))


def test_a_source_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(SidelightError, match=r"absent: cannot be read \(.*No such file"):
        signals_from(str(tmp_path / "absent"))
    (tmp_path / "wrong.py").write_text("def")
    with pytest.raises(SidelightError, match=r"wrong\.py: cannot be read \(invalid syntax"):
        signals_from(str(tmp_path / "wrong.py"))


def test_the_command_prints_the_declaration(tmp_path: Path) -> None:
    (tmp_path / "page").write_text(PAGE)
    ended = CliRunner().invoke(app, ["signals", "from", str(tmp_path / "page")])
    assert ended.exit_code == 0
    assert list(declared(ended.stdout)) == ["orders", "pool_size", "quote_seconds"]
