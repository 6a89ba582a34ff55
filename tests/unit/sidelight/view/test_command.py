"""``sidelight view``: what it refuses, and the snapshot that it writes."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from sidelight.cli import app
from sidelight.view import snapshot
from sidelight.view.errors import RequestError, ViewError
from sidelight.view.prometheus import Prometheus
from tests.unit.sidelight.view.conftest import ANSWERS

if TYPE_CHECKING:
    from pathlib import Path

RUNNER = CliRunner(env={"TERMINAL_WIDTH": "300", "COLUMNS": "300"})


def refused(*arguments: str) -> str:
    result = RUNNER.invoke(app, ["view", *arguments])
    assert result.exit_code == 2, result.output
    return " ".join(re.sub(r"[^\x20-\x7e]+", " ", result.output).split())


def test_a_misspelt_variable_would_show_everything_so_it_is_refused() -> None:
    known = r"got 'jbo'; give one of [a-z, ]*job, instance\."
    assert re.search(known, refused("--snapshot", "a.html", "--var", "jbo=shop"))


@pytest.mark.parametrize("text", ["job", "=shop"])
def test_a_variable_without_name_or_value_is_named(text: str) -> None:
    assert f"got '{text}'; give a name and a value, such as job=shop." in refused("--snapshot", "a.html", "--var", text)


@pytest.mark.parametrize("option", [("--from", "now-1h"), ("--var", "job=shop"), ("--dashboard", "sidelight-fleet")])
def test_the_page_itself_chooses_range_and_variables(option: tuple[str, str]) -> None:
    assert "belong to --snapshot; choose on the page." in refused(*option)


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> None:
    async def get(_: object, path: str, parameters: object) -> Any:
        del parameters
        return ANSWERS.get(path, [])

    monkeypatch.setattr(Prometheus, "_get", get)


@pytest.mark.usefixtures("answering")
def test_a_snapshot_contains_every_answer_and_names_no_file_of_a_server(tmp_path: Path) -> None:
    file = tmp_path / "snapshot.html"
    result = RUNNER.invoke(app, ["view", "--snapshot", str(file), "--dashboard", "sidelight-fleet"])
    assert (result.exit_code, result.output) == (0, f"{file}: written\n")
    text = file.read_text()
    assert "/assets/" not in text
    assert "connect-src" not in text
    assert "default-src 'none'" in text
    (data,) = re.findall(r'<script type="application/json" id="snapshot">(.*?)</script>', text)
    answers = json.loads(data)["answers"]
    assert {
        "dashboards",
        "alerts",
        "services",
        "dashboards/sidelight-fleet",
        "dashboards/sidelight-fleet/variables",
    } < set(answers)
    assert not [path for path in answers if "operations" in path]


@pytest.mark.usefixtures("answering")
@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        (("--dashboard", "fleet"), RequestError, "There is no dashboard 'fleet'; there are sidelight-fleet"),
        (("--from", "soon"), RequestError, "from: got 'soon'"),
        (("--timezone", "Atlantis"), RequestError, "timezone: got 'Atlantis'"),
        (("--prometheus", "localhost:9090"), ViewError, "--prometheus: got 'localhost:9090'"),
    ],
)
def test_a_snapshot_that_cannot_be_made_leaves_the_file_alone(
    tmp_path: Path, arguments: tuple[str, ...], error: type[Exception], sentence: str
) -> None:
    file = tmp_path / "snapshot.html"
    file.write_text("of yesterday")
    result = RUNNER.invoke(app, ["view", "--snapshot", str(file), *arguments])
    assert isinstance(result.exception, error)
    assert sentence in str(result.exception)
    assert [path.name for path in tmp_path.iterdir()] == ["snapshot.html"]
    assert file.read_text() == "of yesterday"


@pytest.mark.usefixtures("answering")
def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    result = RUNNER.invoke(app, ["view", "--snapshot", str(tmp_path / "missing" / "a.html")])
    assert isinstance(result.exception, ViewError)
    assert "a.html: cannot be written (No such file or directory)" in str(result.exception)


def test_the_policy_of_a_snapshot_names_its_script_and_style_by_their_hashes() -> None:
    text = snapshot.page({"taken": 0, "answers": {}})
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', text)
    assert policy.count("'sha256-") == 2
    assert "unsafe" not in policy
