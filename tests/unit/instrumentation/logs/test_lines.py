"""Every log record, from any logger and of any type, becomes one JSON object on one line."""

from __future__ import annotations

import datetime as dt
import json
import logging
import threading
import uuid
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from instrumentation import catalog
from instrumentation.correlation import _current
from instrumentation.errors import InstrumentationError
from instrumentation.logs import set_level
from instrumentation.logs.rendering import LARGEST_LINE

if TYPE_CHECKING:
    from tests.unit.instrumentation.logs.conftest import Log

shop = logging.getLogger("shop")


def fail(hidden: str) -> None:
    nothing: dict[str, str] = {}
    try:
        nothing[f"password={hidden}"]
    except KeyError as cause:
        raise ValueError("no such order") from cause


class Unprintable:
    def __str__(self) -> str:
        raise ValueError

    __repr__ = __str__


def test_a_record_of_structlog_has_our_keys_and_its_own(log: Log) -> None:
    _current.set("abc-7")
    structlog.get_logger("shop.orders").warning("order shipped", order=7)
    line = log.last
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "level": "warning", "event": "order shipped", "logger": "shop.orders", "correlation_id": "abc-7",
        "service": "shop", "version": "7.3.0", "environment": "development", "order": 7,
    }  # fmt: skip
    _current.set("")


def test_a_record_of_the_standard_library_keeps_its_arguments_and_extra(log: Log) -> None:
    shop.info("%d boxes of %s", 3, "tea", extra={"sku": "t-3"})
    assert (log.last["event"], log.last["sku"], log.last["logger"]) == ("3 boxes of tea", "t-3", "shop")


def test_structlog_takes_arguments_in_their_places_too(log: Log) -> None:
    structlog.get_logger().info("%d boxes", 3)
    assert log.last["event"] == "3 boxes"


def test_what_is_bound_to_the_context_is_in_every_record(log: Log) -> None:
    structlog.contextvars.bind_contextvars(tenant="acme")
    structlog.get_logger().info("one")
    shop.info("two")
    assert [line["tenant"] for line in log.lines] == ["acme", "acme"]


def test_a_field_with_a_reserved_name_gets_an_underscore(log: Log) -> None:
    structlog.get_logger("shop").info("e", level="high", timestamp=7, service="other")
    assert (log.last["level"], log.last["level_"], log.last["timestamp_"], log.last["service_"]) == (
        "info", "high", 7, "other",
    )  # fmt: skip


@pytest.mark.parametrize("logger", [shop, structlog.get_logger("shop")], ids=["stdlib", "structlog"])
def test_an_exception_is_data_without_the_values_of_variables(log: Log, logger: Any) -> None:
    try:
        fail("of-a-variable")
    except ValueError:
        logger.exception("failed")
    outer, inner = log.last["exception"]
    assert (outer["exc_type"], outer["exc_value"], inner["exc_type"]) == ("ValueError", "no such order", "KeyError")
    assert outer["frames"][-1]["name"] == "fail"
    assert "of-a-variable" not in log.text


def test_secrets_are_masked_in_events_arguments_fields_and_exceptions(log: Log) -> None:
    structlog.get_logger().info("password=hunter2", user={"password": "hunter2"})
    shop.info("password %s", "hunter2", extra={"token": "hunter2"})
    shop.error("failed", exc_info=ValueError("login with password=hunter2"))
    assert len(log.lines) == 3
    assert "hunter2" not in log.text


def test_keys_of_the_settings_are_masked_too(log: Log) -> None:
    log.configure(redaction={"keys": ["diagnosis"], "patterns": ["EMP-[0-9]{6}"]})
    shop.info("of EMP-123456", extra={"diagnosis": "flu"})
    assert (log.last["event"], log.last["diagnosis"]) == ("of ***", "***")


NASTY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.binary(max_size=9)
    | st.builds(Unprintable)
    | st.builds(object)
    | st.builds(threading.Lock)
    | st.builds(pow, st.just(10), st.just(5000))
    | st.just(dt.datetime.now(dt.UTC))
    | st.just(uuid.UUID(int=7))
    | st.just("\ud800\n\u2028\x85\x1b[2J"),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(st.text() | st.integers(), inner, max_size=5)
        | st.sets(st.integers())
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(event=st.text(st.characters()), value=NASTY)
def test_every_record_is_one_line_of_valid_json(log: Log, event: str, value: object) -> None:
    before = len(log.lines)
    structlog.get_logger("shop").info(event, value=value)
    shop.info(event, extra={"value": value})
    shop.info("%s", value)
    text = log.text
    assert len(log.lines) == before + 3
    assert len(text.splitlines()) == before + 3
    json.loads(text.splitlines()[-1], parse_constant=pytest.fail)
    assert "a log record could not be read" not in text


def test_nan_is_null_and_a_circle_ends(log: Log) -> None:
    circle: list[Any] = [float("nan")]
    circle.append(circle)
    structlog.get_logger("shop").info("e", x=float("inf"), circle=circle)
    assert log.last["x"] is None
    assert log.last["circle"][0] is None


@pytest.mark.parametrize(
    "fields", [{"text": "x" * 10**6}, {"many": list(range(10**5))}, {f"key{n}": "x" * 99 for n in range(2000)}]
)
def test_a_line_has_a_largest_size_and_keeps_what_matters(log: Log, fields: dict[str, Any]) -> None:
    shop.error("e" * 7 + "y" * 10**6, extra=fields)
    assert len(log.text) <= LARGEST_LINE + 1
    assert log.last["event"].startswith(("eeeeeee", "***"))
    assert log.last["level"] == "error"


def test_an_unreadable_record_is_logged_as_such_and_raises_nothing(log: Log) -> None:
    def broken(_logger: object, _name: str, _event: object) -> Any:
        raise KeyError("password=hunter2")

    log.configure(processors=(broken,))
    shop.error("lost")
    assert (log.last["event"], log.last["fault"]) == ("a log record could not be read", "KeyError")
    assert "hunter2" not in log.text


def test_processors_of_the_service_see_every_record_and_may_drop_it(log: Log) -> None:
    def own(_logger: object, _name: str, event: Any) -> Any:
        if event["event"] == "noise":
            raise structlog.DropEvent
        return {**event, "team": "seven"}

    log.configure(processors=(own,))
    shop.info("noise")
    structlog.get_logger("shop").info("kept")
    assert [(line["event"], line["team"]) for line in log.lines] == [("kept", "seven")]


def test_records_are_counted_by_level_and_those_of_levels_between_by_the_lower(log: Log) -> None:
    shop.warning("w")
    shop.log(35, "between")
    structlog.get_logger("shop").critical("c")
    shop.debug("not written")
    assert log.counted() == {("warning",): 2, ("critical",): 1}


def test_the_level_changes_while_it_runs_for_loggers_that_are_there_already(log: Log) -> None:
    bound = structlog.get_logger("shop").bind(order=7)
    bound.debug("one")
    set_level("debug")
    bound.debug("two")
    set_level("error", "shop")
    bound.warning("three")
    shop.warning("four")
    assert [line["event"] for line in log.lines] == ["two"]


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(InstrumentationError, match="set_level: got 'loud'; give one of debug, info"):
        set_level("loud")


def test_levels_of_single_loggers_are_settings(log: Log) -> None:
    log.configure(levels={"shop": "error"})
    shop.warning("no")
    assert log.lines == []


@pytest.mark.parametrize("outcome", ["[accepted]", "403", "%d"])
def test_a_websocket_is_logged_without_client_path_and_query(log: Log, outcome: str) -> None:
    more = (418,) if "%" in outcome else ()
    template = f'%s - "WebSocket %s" {outcome}'
    logging.getLogger("uvicorn.error").info(template, "10.0.0.7:51", "/ws/4711?ticket=x", *more)
    assert log.last["event"] == f"WebSocket {outcome % more}"


def test_trace_and_span_of_the_current_span_are_there(log: Log) -> None:
    from opentelemetry import trace  # noqa: PLC0415 - not before the test asks

    context = trace.SpanContext(0xABC, 0x7, is_remote=False)
    with trace.use_span(trace.NonRecordingSpan(context)):
        shop.info("e")
    assert (log.last["trace_id"], log.last["span_id"]) == (f"{0xABC:032x}", f"{7:016x}")


def test_a_terminal_gets_readable_lines_that_cannot_move_its_cursor(log: Log) -> None:
    log.configure(format="console")
    shop.warning("two\nlines\x1b[2J", extra={"sku": "t-3\x9b"})
    (line,) = log.text.splitlines()
    assert "two\\nlines\\x1b[2J" in line
    assert "warning" in line
    assert "\x1b" not in line
    assert "\x9b" not in line


def test_a_terminal_gets_tracebacks_without_secrets(log: Log) -> None:
    log.configure(format="console")
    try:
        fail("hunter" + "13")
    except ValueError:
        shop.exception("failed")
    assert "Traceback (most recent call last)" in log.text
    assert "hunter13" not in log.text


def test_nothing_was_lost(log: Log) -> None:
    shop.info("e")
    assert log.lines
    assert log.counted(catalog.LOG_LINES_LOST) == {}
