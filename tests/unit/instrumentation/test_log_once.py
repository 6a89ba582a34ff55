"""A message is logged once, also if it repeats with other arguments, until what it reports is over."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from instrumentation.log_once import LogOnce

if TYPE_CHECKING:
    import pytest


def test_a_message_is_logged_once_for_each_of_its_arguments(caplog: pytest.LogCaptureFixture) -> None:
    log_once = LogOnce()
    for _ in range(3):
        log_once("%s is missing", "a")
        log_once("%s is missing", "b", level=logging.ERROR)
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "a is missing"),
        ("ERROR", "b is missing"),
    ]
    assert {record.filename for record in caplog.records} == {"test_log_once.py"}


def test_messages_about_the_same_are_logged_again_only_once_it_is_over(caplog: pytest.LogCaptureFixture) -> None:
    log_once = LogOnce()
    log_once("failed: %s", 1, about="reading", error=ValueError("seven"))
    log_once("failed: %s", 2, about="reading")
    log_once.clear()
    log_once("failed: %s", 3, about="reading")
    assert [record.getMessage() for record in caplog.records] == ["failed: 1", "failed: 3"]
    assert caplog.text.count("ValueError: seven") == 1


def test_no_more_messages_are_remembered_than_allowed(caplog: pytest.LogCaptureFixture) -> None:
    log_once = LogOnce(2)
    for name in ("a", "b", "c", "a"):
        log_once("%s is missing", name)
    assert caplog.messages == ["a is missing", "b is missing"]
