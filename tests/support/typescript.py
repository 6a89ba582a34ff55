"""Checks our JSON with the TypeScript compiler and with JavaScript libraries."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

from sidelight.toolchain import node_modules, tool

if TYPE_CHECKING:
    from pathlib import Path

OPTIONS = {
    "strict": True,
    "noEmit": True,
    "skipLibCheck": True,
    "module": "nodenext",
    "moduleResolution": "nodenext",
    "target": "es2022",
    "types": [],
}
# Enumerations of libraries are strings in JSON.
LITERAL = """\
type Literal<T> =
  T extends string ? T | `${T}` :
  T extends number ? T | (`${T}` extends `${infer N extends number}` ? N : never) :
  T extends (infer U)[] ? Literal<U>[] :
  T extends object ? { [K in keyof T]: Literal<T[K]> } : T;
"""


def faults(folder: Path, source: str) -> list[str]:
    """The compiler's messages about a source, one per line."""
    _modules(folder)
    (folder / "source.ts").write_text(source)
    (folder / "tsconfig.json").write_text(json.dumps({"compilerOptions": OPTIONS, "files": ["source.ts"]}))
    done = subprocess.run(
        [tool("tsc"), "--pretty", "false", "-p", "."],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    lines = done.stdout.splitlines()
    assert (done.returncode == 0) == (lines == []), done.stdout + done.stderr
    return lines


def answer(folder: Path, program: str, given: object) -> Any:
    """The JSON printed by a program, which reads its input from ``given.json``."""
    _modules(folder)
    (folder / "given.json").write_text(json.dumps(given))
    (folder / "program.cjs").write_text(program)
    done = subprocess.run(
        [tool("node"), "program.cjs"], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def _modules(folder: Path) -> None:
    link = folder / "node_modules"
    if not link.exists():
        link.symlink_to(node_modules())
