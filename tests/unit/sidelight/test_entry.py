"""The program says what is wrong in one sentence, also where the fault is not the user's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from sidelight.entry import main

ROOT = Path(__file__).parents[3]


def test_an_output_that_is_full_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "sidelight.yaml").write_text("{}")
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "sidelight.cli", "check"],
            cwd=tmp_path,
            env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    sentence = "sidelight: the output cannot be written (No space left on device).\n"
    assert (ended.returncode, ended.stderr) == (1, sentence)


def test_ctrl_c_while_the_command_line_is_loaded_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted(ModuleType):
        @property
        def main(self) -> object:
            raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "sidelight.cli", Interrupted("sidelight.cli"))
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 130
