"""The command reports faults in sentences and by its exit code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import instrumentation
from tests.unit.dashboards.grafana_stand_in import StandIn, running

ROOT = Path(__file__).parents[3]

BROKEN: dict[str, bytes] = {
    "unknown key": b"thresholds: {eror_ratio: {}}",
    "wrong type": b"metrics: {series_limit: many}",
    "warning above critical": b"thresholds: {error_ratio: {warning: 0.2}}",
    "negative": b"thresholds: {latency_p95_seconds: {critical: -1}}",
    "string duration": b"thresholds: {latency_p95_seconds: {critical: '1s'}}",
    "not YAML": b"a: [1\nb: }",
    "a list": b"- service",
    "empty": b"",
    "huge": b"#" * (2 << 20),
    "not UTF-8": b"service: {name: \xff}",
}


def sidelight(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sidelight.cli", *arguments],
        cwd=cwd,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("command", ["check", "build"])
@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_one_line_and_exit_2(text: bytes, command: str, tmp_path: Path) -> None:
    (tmp_path / "sidelight.yaml").write_bytes(text)
    ended = sidelight(command, cwd=tmp_path)
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert len(ended.stderr.splitlines()) == 1
    assert ended.stderr.startswith("sidelight.yaml: ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sidelight.yaml"]


def test_valid_settings_have_no_findings(tmp_path: Path) -> None:
    (tmp_path / "sidelight.yaml").write_text("service: {name: shop}")
    ended = sidelight("check", cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (0, "sidelight.yaml: no findings\n")


def test_receivers_without_links_are_noted_and_a_team_that_is_never_called_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "sidelight.yaml"
    file.write_text('alerting: {receivers: {default: {webhook: {url: "http://hooks.example"}}}}')
    noted = sidelight("check", cwd=tmp_path)
    assert (noted.returncode, noted.stdout) == (0, "sidelight.yaml: no findings\n")
    assert [line.partition("note: ")[2].partition(" ")[0] for line in noted.stderr.splitlines()] == [
        "alerting.runbook_url",
        "dashboards.base_url",
    ]
    file.write_text("alerting: {teams: [{name: payments, match: {team: payments}}]}")
    refused = sidelight("check", cwd=tmp_path)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "alerting.teams.0.match: got the label 'team', which no alert has" in refused.stderr


def test_a_check_of_nothing_is_not_a_success(tmp_path: Path) -> None:
    (tmp_path / "sidelight.yml").touch()
    ended = sidelight("check", cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == (
        f"There is nothing to check: the settings are the defaults, because {tmp_path}/sidelight.yaml does not exist "
        f"({tmp_path}/sidelight.yml has another name and is not read) and SIDELIGHT_CONFIG is not set. "
        "Give --config, files or folders.\n"
    )


def test_the_version_is_printed(tmp_path: Path) -> None:
    ended = sidelight("--version", cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (0, f"sidelight {instrumentation.__version__}\n")


def test_build_says_what_it_wrote(tmp_path: Path) -> None:
    ended = sidelight("build", "collector", "--output", "out", cwd=tmp_path)
    assert ended.returncode == 0
    written = [f"written collector/generated/{name}.yaml\n" for name in ("builder", "gateway", "sidecar")]
    assert ended.stdout == f"{''.join(written)}3 files, 3 changed\n"


def test_an_unknown_part_is_a_sentence_and_exit_1(tmp_path: Path) -> None:
    ended = sidelight("build", "alarms", cwd=tmp_path)
    assert ended.returncode == 1
    assert ended.stderr.startswith("build: got 'alarms'; give one of alerts,")


def test_publishing_without_a_grafana_says_how(tmp_path: Path) -> None:
    ended = sidelight("publish", cwd=tmp_path)
    assert "GRAFANA_URL" in ended.stdout + ended.stderr


def test_publishing_to_an_unreachable_server_is_a_sentence_and_exit_1(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "sidelight.cli", "publish"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "GRAFANA_URL": "http://127.0.0.1:9", "GRAFANA_TOKEN": "planted"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert "planted" not in ended.stdout + ended.stderr


def test_a_check_exits_with_1_until_the_dashboards_are_published(tmp_path: Path) -> None:
    (tmp_path / "sidelight.yaml").write_text("service: {name: shop}")
    with running(StandIn()) as grafana:
        grafana.admit("planted")
        environ = {"PYTHONPATH": str(ROOT), "GRAFANA_URL": grafana.url, "GRAFANA_TOKEN": "planted"}

        def ended(*arguments: str) -> tuple[int, str]:
            command = [sys.executable, "-m", "sidelight.cli", "publish", *arguments]
            done = subprocess.run(
                command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=120, check=False
            )
            return done.returncode, done.stdout + done.stderr

        code, said = ended("--check")
        assert (code, said.splitlines()[-1]) == (1, "differences: 3")
        assert ended("--dry-run", "--diff", "--prune")[0] == 0
        assert grafana.dashboards == {}
        assert ended()[0] == 0
        assert set(grafana.dashboards) == {f"sidelight-shop-{page}" for page in ("business", "fleet", "operations")}
        assert ended("--check", "--prune")[0] == 0
        grafana.dashboards["sidelight-shop-fleet"].data["tags"] = ["somebody's"]
        code, said = ended()
        assert code == 1
        assert "--take-over" in said
        assert ended("--take-over")[0] == 0
