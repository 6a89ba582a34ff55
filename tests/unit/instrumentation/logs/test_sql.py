"""SQLAlchemy's log lines about statements have no parameters, and it prints nothing besides."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, exc, text

import instrumentation
from instrumentation.logs.configuration import begin, leave
from instrumentation.settings import parse_settings
from tests.unit.instrumentation.test_http import shop

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

    from tests.unit.instrumentation.logs.conftest import Log

CREATE = "CREATE TABLE users (name TEXT UNIQUE, password TEXT)"
INSERT = text("INSERT INTO users VALUES (:name, :password)")
ROWS = [{"name": f"user {number}", "password": f"hunter2-{number}"} for number in range(3)]


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    yield
    for name, logger in logging.root.manager.loggerDict.items():
        if name.startswith("sqlalchemy.") and isinstance(logger, logging.Logger):
            logger.handlers = []


def use(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text(CREATE))
        connection.execute(INSERT, ROWS)
        connection.execute(INSERT, {"name": "one", "password": "hunter2"})
        assert connection.execute(text("SELECT * FROM users WHERE password = :p"), {"p": "hunter2"}).all()
        connection.exec_driver_sql("SELECT ?", ("hunter2",))
    with pytest.raises(exc.IntegrityError) as raised, engine.begin() as connection:
        connection.execute(INSERT, {"name": "one", "password": "hunter2"})
    logging.getLogger("shop").error("failed", exc_info=raised.value)
    engine.dispose()


@pytest.mark.parametrize("level", ["info", "debug"])
def test_a_level_that_shows_statements_shows_no_parameter_and_no_row(level: str, log: Log) -> None:
    log.configure(levels={"sqlalchemy.engine": level})
    use(create_engine("sqlite://"))
    said = [line["event"] for line in log.lines]
    assert "INSERT INTO users VALUES (?, ?)" in said
    assert any(event.startswith("[generated in ") and event.endswith("] ***") for event in said)
    assert ("Row ***" in said) == (level == "debug")
    assert "hunter2" not in log.text


@pytest.mark.parametrize("echo", [True, "debug"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_echo_goes_through_the_lines_and_prints_nothing_beside_them(
    echo: Any, when: str, log: Log, capsys: pytest.CaptureFixture[str]
) -> None:
    leave()
    engine = create_engine("sqlite://", echo=echo) if when == "before" else None
    log.configure()
    use(engine or create_engine("sqlite://", echo=echo, logging_name="shop"))
    assert capsys.readouterr().out == ""
    assert "INSERT INTO users VALUES (?, ?)" in [line["event"] for line in log.lines]
    assert "hunter2" not in log.text


def test_an_engine_that_printed_before_the_start_stops_printing_when_the_service_starts(
    log: Log, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    leave()
    monkeypatch.setitem(sys.modules, "sqlalchemy.log", None)  # as if it were imported later
    log.configure()
    monkeypatch.undo()
    engine = create_engine("sqlite://", echo=True)
    begin()
    use(engine)
    assert capsys.readouterr().out == ""
    assert "hunter2" not in log.text


def test_a_service_that_sets_up_logging_has_echo_as_it_comes(capsys: pytest.CaptureFixture[str]) -> None:
    instrumentation.instrument(shop(), settings=parse_settings({}))
    logging.root.addHandler(logging.NullHandler())
    with create_engine("sqlite://", echo=True).connect() as connection:
        connection.execute(text("SELECT 7"))
    assert "INFO sqlalchemy.engine.Engine SELECT 7" in capsys.readouterr().out
