"""What a service loads when it starts: no validator, pattern or library that it does not use."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from instrumentation.lazy_patterns import lazy_pattern
from instrumentation.settings import Settings, parse_settings

ROOT = Path(__file__).parents[3]
PROGRAM = """
import json, re, sys
import fastapi
before, compiled = set(sys.modules), []
real = re.compile
re.compile = lambda *given, **more: (compiled.append(given), real(*given, **more))[1]
import instrumentation
instrumentation.instrument(fastapi.FastAPI())
from instrumentation.redaction import assignments, sensitive_keys
from instrumentation.settings import Settings
from instrumentation.settings.alerting import Alerting
lazy = [value for module in (assignments, sensitive_keys) for value in vars(module).values() if "LazyPattern" in type(value).__name__]
print(json.dumps({
    "modules": sorted(set(sys.modules) - before),
    "complete": [kind.__name__ for kind in (Settings, Alerting) if kind.__pydantic_complete__],
    "lazy": len(lazy),
    "compiled": sum(vars(value)["_compiled"] is not None for value in lazy),
}))
"""


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=tmp_path_factory.mktemp("service"), env={"PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    found: dict[str, object] = json.loads(ended.stdout.splitlines()[-1])
    return found


def test_without_a_settings_file_no_section_is_prepared_and_no_parser_is_loaded(started: dict[str, object]) -> None:
    assert started["complete"] == []
    modules = started["modules"]
    assert isinstance(modules, list)
    assert not {"yaml", "instrumentation.settings.files", "instrumentation.settings.included"} & {*modules}


def test_patterns_of_the_redaction_are_compiled_when_they_are_used(started: dict[str, object]) -> None:
    assert isinstance(started["lazy"], int)
    assert started["lazy"] > 20
    assert started["compiled"] == 0


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"service": {"name": "shop"}},
        {"thresholds": {"error_ratio": {"warning": 0.02}}, "alerting": {"window": "10m", "for": {"warning": "7m"}}},
        {"signals": [{"name": "orders_placed", "kind": "counter", "help": "Orders."}], "enabled": False},
    ],
)
def test_validating_only_what_is_given_gives_the_same_settings(document: dict[str, object]) -> None:
    ours, whole = parse_settings(document), Settings.model_validate(document)
    assert (type(ours), ours) == (Settings, whole)
    assert ours.model_fields_set == whole.model_fields_set
    assert ours.model_dump() == whole.model_dump()


def test_a_default_that_was_not_validated_is_valid() -> None:
    assert Settings.model_validate(Settings().model_dump(by_alias=True)) == Settings()


def test_a_lazy_pattern_is_the_pattern() -> None:
    pattern = lazy_pattern(r"(k)ettle")
    assert pattern.sub("pot", "a kettle") == "a pot"
    assert (pattern.groups, pattern.pattern) == (1, r"(k)ettle")
    with pytest.raises(AttributeError):
        pattern.nothing  # type: ignore[attr-defined]  # noqa: B018 - it does not exist
