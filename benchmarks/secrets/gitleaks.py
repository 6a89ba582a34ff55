"""Gitleaks' own test vectors: texts with a secret, made by its rule generator."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sidelight.toolchain import Toolbox
from tests.support.errors import MeasurementError

if TYPE_CHECKING:
    from pathlib import Path

MODULE, VERSION = "github.com/zricethezav/gitleaks/v8", "v8.30.1"
GENERATOR = "cmd/generate/config"
_SECONDS = 900.0
_LOOP = "\tfor _, tp := range truePositives {\n\t\tif len(d.DetectString(tp)) < 1 {"
_PRINTING = """\tfor _, tp := range truePositives {
\t\tfor _, found := range d.DetectString(tp) {
\t\t\tline, _ := json.Marshal(map[string]string{"rule": r.RuleID, "text": tp, "secret": found.Secret})
\t\t\tos.Stdout.Write(append(line, 10))
\t\t}
\t\tif len(d.DetectString(tp)) < 1 {"""


@dataclass(frozen=True)
class Vector:
    """A text, and the secret in it that the rule finds."""

    rule: str
    text: str
    secret: str


def vectors(folder: Path) -> list[Vector]:
    """Build gitleaks' generator in a folder, made to print its vectors, and run it.

    Raises:
        MeasurementError: This version's code is not as expected.
        ToolError: Go or the module is not available.
    """
    toolbox = Toolbox()
    go = str(toolbox.tool("go"))
    environ = {"GOPATH": str(folder / "go"), "GOFLAGS": "-modcacherw -mod=mod", "GOTOOLCHAIN": "local"}
    said = toolbox.network(
        go, "mod", "download", "-json", f"{MODULE}@{VERSION}", timeout=_SECONDS, cwd=folder, environ=environ
    )
    copy = folder / "gitleaks"
    shutil.copytree(json.loads(said)["Dir"], copy)
    for path in (copy, *copy.rglob("*")):
        path.chmod(0o755)
    _print_vectors(copy / GENERATOR / "utils" / "validate.go")
    printed = toolbox.network(
        go, "run", ".", str(folder / "rules.toml"), timeout=_SECONDS, cwd=copy / GENERATOR, environ=environ
    )
    return [Vector(**json.loads(line)) for line in printed.splitlines() if line.startswith('{"rule"')]


def _print_vectors(file: Path) -> None:
    code = file.read_text()
    if _LOOP not in code:
        raise MeasurementError(f"{file.name} of gitleaks {VERSION} is not as expected.", code="gitleaks_changed")
    code = code.replace(_LOOP, _PRINTING, 1).replace("import (\n", 'import (\n\t"encoding/json"\n\t"os"\n', 1)
    file.write_text(code)
