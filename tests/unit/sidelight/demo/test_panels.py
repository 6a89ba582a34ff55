"""The demo queries every panel, waits for slow ones, and lists those without data."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from instrumentation.settings import parse_settings
from sidelight.demo import panels
from sidelight.demo.scenario import document

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

SETTINGS = parse_settings(document("http://127.0.0.1:7/alerts", "audit.log", "http://127.0.0.1:7"))


class Watch:
    """Shows all panels whose queries do not contain certain words."""

    def __init__(self, *missing: str) -> None:
        self.missing = missing
        self.asked: list[str] = []

    def shows(self, expression: str, *, now: bool = False) -> bool:
        del now
        self.asked.append(expression)
        return not any(word in expression for word in self.missing)


def seen(watch: Any, pause: Callable[[float], None] = lambda _: None) -> panels.Seen:
    return panels.seen(watch, SETTINGS, pause=pause)


def test_every_query_is_sent_without_grafanas_variables() -> None:
    watch = Watch()
    found = seen(watch)
    assert found.faults == []
    assert found.shown == len(watch.asked) > 50
    assert not [expression for expression in watch.asked if re.search(r"\$[_a-z]", expression)]
    assert str(found) == f"All panels have data; they run {found.shown} queries."


def test_panels_of_container_limits_may_be_empty_without_limits() -> None:
    found = seen(Watch("container_memory_limit_bytes"))
    assert found.faults == []
    assert str(found).startswith(
        "All panels have data, except operations/Memory usage: there is no container limit here; they run "
    )


def test_a_panel_without_data_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(panels, "SECONDS", 0.0)
    found = seen(Watch("retries_total", "container_cpu_throttled"))
    assert found.faults == ["The panel operations/Retries has no data."]


def test_a_panel_that_needs_a_moment_is_queried_again() -> None:
    watch = Watch("retries_total", "queue_depth")

    def pause(_: float) -> None:
        watch.missing = watch.missing[1:]

    assert seen(watch, pause).faults == []
