"""A service that configures logging itself, at any time, has it as without Sidelight; otherwise Sidelight writes."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import structlog

import instrumentation
from instrumentation.logs import takeover
from instrumentation.logs.configuration import begin, configured
from instrumentation.settings import parse_settings
from tests.unit.instrumentation.test_http import shop

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.unit.instrumentation.logs.conftest import Log

ROOT = Path(__file__).parents[4]
JSON = parse_settings({"logging": {"format": "json"}})


# --- As without Sidelight ---------------------------------------------------------------------------------------------

LOGGED = """
import structlog
log = logging.getLogger("shop.orders")
log.debug("one %d", 1)
log.info("two")
log.warning("three")
structlog.get_logger().warning("four", sku="kettle-7")
"""
INSTRUMENT = """
import instrumentation
from starlette.applications import Starlette
from instrumentation.settings import parse_settings
instrumentation.instrument(Starlette(), settings=parse_settings({"service": {"name": "shop"}}))
"""
DICT = {
    "version": 1,
    "formatters": {"short": {"format": "%(levelname)s %(name)s %(message)s"}},
    "handlers": {"file": {"class": "logging.FileHandler", "filename": "service.log", "formatter": "short"}},
    "root": {"level": "INFO", "handlers": ["file"]},
}
FILE = """
[loggers]
keys=root
[handlers]
keys=console
[formatters]
keys=short
[logger_root]
level=NOTSET
handlers=console
[handler_console]
class=StreamHandler
args=(sys.stdout,)
formatter=short
[formatter_short]
format=%(levelname)s %(message)s
"""
OWN_HANDLER = """
class Own(logging.Handler):
    def emit(self, record):
        print("own:", record.getMessage(), file=sys.stderr)
"""
SETUPS = {
    "basicConfig with a file": 'logging.basicConfig(filename="service.log", level=logging.DEBUG, format="%(message)s")',
    "basicConfig with a file and no level": 'logging.basicConfig(filename="service.log")',
    "basicConfig": "logging.basicConfig(level=logging.INFO)",
    "basicConfig by force": "logging.basicConfig(stream=sys.stdout, level=logging.INFO, force=True)",
    "basicConfig with handlers": 'logging.basicConfig(handlers=[logging.FileHandler("service.log")], level="DEBUG")',
    "a handler that is not a stream": f"{OWN_HANDLER}\nlogging.basicConfig(handlers=[Own()], level=0)",
    "dictConfig": f"import logging.config; logging.config.dictConfig({DICT})",
    "fileConfig": f"import io, logging.config; logging.config.fileConfig(io.StringIO({FILE!r}))",
    "a handler that is added": 'logging.getLogger().addHandler(logging.FileHandler("service.log"))',
    "structlog": "import structlog; structlog.configure(processors=[structlog.processors.KeyValueRenderer()])",
}
TIMES = re.compile(r"\d{4}-\d\d-\d\d.\d\d:\d\d:\d\d(\.\d+)?")


def written(folder: Path, program: str) -> tuple[str, str, str]:
    """What a program writes to stdout, stderr and ``service.log``."""
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", f"import logging, sys\n{program}"],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, check=True, text=True, timeout=60,
    )  # fmt: skip
    file = folder / "service.log"
    texts = (done.stdout, done.stderr, file.read_text() if file.exists() else "")
    return tuple(TIMES.sub("<time>", text) for text in texts)  # type: ignore[return-value]


@pytest.mark.parametrize("setup", SETUPS)
def test_a_service_that_sets_up_logging_has_it_as_without_us_before_and_after(setup: str, tmp_path: Path) -> None:
    code = f"{SETUPS[setup]}\n"
    plain = written(tmp_path / "plain", f"{code}{LOGGED}")
    assert "three" in "".join(plain)
    assert written(tmp_path / "before", f"{code}{INSTRUMENT}{LOGGED}") == plain
    assert written(tmp_path / "after", f"{INSTRUMENT}{code}{LOGGED}") == plain


def test_a_service_that_sets_up_nothing_has_lines_to_its_end_also_after_a_dictconfig_of_others(tmp_path: Path) -> None:
    others = "import logging.config; logging.config.dictConfig({'version': 1})\n"
    stdout, stderr, _ = written(tmp_path / "ours", f"{INSTRUMENT}{others}{LOGGED}")
    assert [json.loads(line)["event"] for line in stdout.splitlines()] == ["two", "three", "four"]
    assert stderr == ""


# --- Who writes, within one process -----------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def unsaid() -> Iterator[None]:
    takeover.say_who_writes.cache_clear()
    yield
    takeover.say_who_writes.cache_clear()


class Heard(logging.Handler):
    """A handler of a service."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


def instrumented() -> None:
    instrumentation.instrument(shop(), settings=JSON)


def test_instrument_configures_logging_if_the_service_has_not(capfd: pytest.CaptureFixture[str]) -> None:
    instrumented()
    handler = configured()
    assert handler is not None
    assert logging.root.handlers == []
    assert not logging.root.hasHandlers()
    logging.getLogger("shop").info("seven")
    handler.flush()
    assert '"event":"seven"' in capfd.readouterr().out


def test_the_original_logging_is_restored_when_the_service_configures_its_own() -> None:
    level, server, access = logging.root.level, logging.getLogger("uvicorn"), logging.getLogger("uvicorn.access")
    printing = logging.StreamHandler()
    printing.setFormatter(logging.Formatter("%(levelprefix)s %(message)s", validate=False))
    server.handlers, server.propagate = [printing], False
    access.handlers, access.propagate = [printing], False
    instrumented()
    assert (server.handlers, access.handlers, logging.root.level) == ([], [], logging.INFO)
    own = Heard()
    logging.root.addHandler(own)
    assert (server.handlers, server.propagate, access.handlers, access.propagate) == (
        [printing],
        False,
        [printing],
        False,
    )
    assert (logging.root.handlers, logging.root.level) == ([own], level)
    assert "addHandler" not in vars(logging.root)
    assert not structlog.is_configured()
    assert configured() is None


def test_a_level_that_the_service_sets_stays() -> None:
    logging.root.setLevel(logging.DEBUG)
    instrumented()
    assert logging.root.level == logging.DEBUG
    logging.root.setLevel(logging.INFO)  # as dictConfig does before it adds handlers
    logging.root.addHandler(Heard())
    assert logging.root.level == logging.INFO


def test_handlers_that_are_put_there_directly_are_noticed(capfd: pytest.CaptureFixture[str]) -> None:
    instrumented()
    own = Heard()
    logging.root.handlers = [own]
    logging.getLogger("shop").warning("once")
    assert [record.getMessage() for record in own.records] == ["once"]
    assert configured() is None
    assert capfd.readouterr() == ("", "")


def test_a_record_that_a_logger_prints_itself_is_not_printed_twice(
    log: Log, capsys: pytest.CaptureFixture[str]
) -> None:
    printing = logging.StreamHandler(sys.stdout)
    printing.setLevel(logging.WARNING)
    logging.getLogger("shop").handlers = [printing]
    logging.getLogger("shop.orders").info("ours")
    logging.getLogger("shop.orders").warning("theirs")
    assert [line["event"] for line in log.lines] == ["ours"]
    assert capsys.readouterr().out == "theirs\n"


def test_a_logger_that_writes_elsewhere_is_in_the_lines_too(log: Log) -> None:
    own = Heard()
    logging.getLogger("shop").handlers = [own, logging.NullHandler()]
    logging.getLogger("shop").info("both")
    assert (len(log.lines), len(own.records)) == (1, 1)


def test_a_handler_that_exports_to_opentelemetry_is_not_a_configuration() -> None:
    instrumented()
    exporter = type("LoggingHandler", (Heard,), {"__module__": "opentelemetry.sdk._logs"})()
    logging.root.addHandler(exporter)
    assert configured() is not None


# --- The warning ------------------------------------------------------------------------------------------------------


def test_one_warning_says_that_there_are_no_lines_and_how_to_get_them() -> None:
    own = Heard()
    logging.root.addHandler(own)
    instrumented()
    assert own.records == []
    begin()
    begin()
    (said,) = own.records
    assert said.levelname == "WARNING"
    assert "call instrumentation.configure_logging() to get them" in said.getMessage()


def test_the_warning_appears_also_if_logging_is_configured_while_serving() -> None:
    instrumented()
    begin()
    own = Heard()
    logging.root.addHandler(own)
    assert len(own.records) == 1


def test_there_is_no_warning_if_sidelight_writes(log: Log) -> None:
    begin()
    assert log.text == ""


def test_sidelights_loggers_write_after_a_dictconfig_that_disables_existing_loggers(log: Log) -> None:
    logging.getLogger("instrumentation.access").info("before")
    logging.getLogger("instrumentation.access").disabled = True
    begin()
    logging.getLogger("instrumentation.access").info("after")
    assert [line["event"] for line in log.lines] == ["before", "after"]


# --- configure_logging() ----------------------------------------------------------------------------------------------


def test_configure_logging_replaces_handlers_that_print_and_keeps_others(log: Log) -> None:
    own, printing = Heard(), logging.StreamHandler()
    logging.root.handlers = [own, printing]
    log.configure()
    assert logging.root.handlers == [own]
    logging.getLogger("shop").info("once")
    assert (len(log.lines), len(own.records)) == (1, 1)


def test_after_configure_logging_a_later_printing_handler_is_removed_with_a_warning(log: Log) -> None:
    logging.basicConfig(level=logging.DEBUG, force=True)
    own = Heard()
    logging.root.addHandler(own)
    logging.getLogger("shop").debug("once")
    assert logging.root.handlers == [own]
    said, once = log.lines
    assert "was not added to the root logger" in said["event"]
    assert once["event"] == "once"


def test_structlog_configured_after_instrument_is_the_services(capsys: pytest.CaptureFixture[str]) -> None:
    logger: Any = structlog.get_logger("shop")
    instrumented()
    logger.debug("used before, so that it might have been kept")
    structlog.configure(processors=[structlog.processors.KeyValueRenderer()])
    logger.warning("theirs")
    assert capsys.readouterr().out == "event='theirs'\n"
    begin()
    assert configured() is None
