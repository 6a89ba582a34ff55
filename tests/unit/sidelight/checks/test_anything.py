"""The checks never crash, whatever a file contains.

`SIDELIGHT_FUZZ_EXAMPLES=5000` tries many more examples, also on the public files in the folder that SIDELIGHT_CORPUS names.
"""

from __future__ import annotations

import copy
import json
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from instrumentation.errors import SettingsError
from instrumentation.settings import Settings, load_settings
from sidelight.build import PARTS
from sidelight.checks import find

if TYPE_CHECKING:
    from collections.abc import Callable

EXAMPLES = int(os.environ.get("SIDELIGHT_FUZZ_EXAMPLES", "0"))  # 0: the short run of `make test`
CORPUS = Path(os.environ.get("SIDELIGHT_CORPUS", "corpus-is-not-set"))
FILES = {
    name: text
    for part in ("alerts", "dashboards", "collector")
    for name, text in PARTS[part].files(Settings()).items()
    if name.endswith(("rules.yaml", "fleet.json", "sidecar.yaml", "gateway.yaml"))
}
DATA = {name: json.loads(json.dumps(yaml.safe_load(text))) for name, text in FILES.items()}
OTHERS = st.sampled_from(
    [None, True, 7, -1.5, "", "text", "sum(", "{{", "$x", [], [None], ["a"], {}, {"a": None}, {"expr": 3}]
)


def places(data: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [(*place, key) for key, _ in inner] + [
        found for key, value in inner for found in places(value, (*place, key))
    ]


def put(data: Any, place: tuple[Any, ...], value: object) -> None:
    """Put a value at a place, unless an earlier change has removed the place."""
    with suppress(IndexError, KeyError, TypeError):
        for key in place[:-1]:
            data = data[key]
        data[place[-1]] = value


PLACES = {name: places(data) for name, data in DATA.items()}


@pytest.mark.parametrize("name", FILES)
@settings(max_examples=EXAMPLES or 60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_value_anywhere_makes_a_check_fall(name: str, tmp_path: Path, data: st.DataObject) -> None:
    changed = copy.deepcopy(DATA[name])
    for place in data.draw(st.lists(st.sampled_from(PLACES[name]), min_size=1, max_size=3)):
        put(changed, place, copy.deepcopy(data.draw(OTHERS)))
    path = tmp_path / "changed.json"
    path.write_text(json.dumps(changed))
    assert_checked(path)


def assert_checked(path: Path) -> None:
    begin = time.process_time()
    report = find([path], Settings())
    assert report.findings or report.files
    for finding in report.findings:
        assert finding.line >= 1
        assert "a fault in sidelight check" not in str(finding)
    assert time.process_time() - begin < 25


TEXTS = [text.encode() for text in FILES.values()] + [
    path.read_bytes() for path in sorted(CORPUS.rglob("*")) if path.suffix in {".yaml", ".yml", ".json"}
]
PIECES = st.sampled_from(
    [b"\x00", b"\xff", b"\xef\xbb\xbf", b"{{", b"}}", b"$x", b"[[", b"(", b"[", b"{", b"- ", b": ", b"&a ", b"*a", b"<<: *a", b"|\n",
     b"'", b'"', b"\\", b"\n", b"\t", b"#", b"= ", b"1e999", b"!!python/object:os.system ", b"kind: List\nitems:\n- ", b"groups: ",
     b"panels: ", b"elements: {}\nlayout: {}\n", b"\xed\xa0\x80"]
)  # fmt: skip


@settings(max_examples=EXAMPLES or 60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_bytes_make_a_check_fall(tmp_path: Path, data: st.DataObject) -> None:
    text = bytearray(data.draw(st.sampled_from(TEXTS))[:20_000])
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(text)))
        text[place : place + data.draw(st.sampled_from([0, 0, 1, 7, 200]))] = data.draw(PIECES)
    path = tmp_path / data.draw(st.sampled_from(["changed.json", "changed.yaml"]))
    path.write_bytes(text)
    assert_checked(path)


@pytest.mark.parametrize("loads", [lambda path: find([path], Settings()), load_settings], ids=["check", "settings"])
def test_a_file_that_names_code_runs_none(loads: Callable[[Path], object], tmp_path: Path) -> None:
    path, made = tmp_path / "rules.yaml", tmp_path / "made"
    path.write_text(f"groups: !!python/object/apply:os.mkdir ['{made}']\n")
    with suppress(SettingsError):
        loads(path)
    assert not made.exists()
    yaml.unsafe_load(path.read_text())
    assert made.exists()  # the file would run code, if it were loaded so
