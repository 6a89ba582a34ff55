"""The checks never crash, whatever a file contains."""

from __future__ import annotations

import copy
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from instrumentation.settings import Settings
from sidelight.build import PARTS
from sidelight.checks import find

if TYPE_CHECKING:
    from pathlib import Path

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
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_value_anywhere_makes_a_check_fall(name: str, tmp_path: Path, data: st.DataObject) -> None:
    changed = copy.deepcopy(DATA[name])
    for place in data.draw(st.lists(st.sampled_from(PLACES[name]), min_size=1, max_size=3)):
        put(changed, place, copy.deepcopy(data.draw(OTHERS)))
    path = tmp_path / "changed.json"
    path.write_text(json.dumps(changed))
    for finding in find([path], Settings()).findings:
        assert finding.line >= 1
        assert str(finding)
