"""``python -m lint.prose``: checks the English of documentation, docstrings, comments and messages.

Two lists are used: the phrases in ``prose.toml``, each with a better one, and, for Markdown, checks of proselint.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from bisect import bisect_right
from dataclasses import dataclass
from fnmatch import fnmatch
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from proselint import checks as proselint_checks

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).parents[1]
_SUFFIXES = {".md", ".py", ".c", ".h", ".sh", ".toml", ".tpl", ".txt", ".yaml", ".yml", ".jsx", ".mjs", ".ts", ""}
_CODE = "\0"  # takes the place of code, so that no phrase reaches across it
_NO_PROSE = re.compile(r"^ *```.*?^ *```$|`[^`\n]+`|\]\([^)\s]*\)|<[^>\n]+>|\n\s*\n", re.MULTILINE | re.DOTALL)
_PYTHON_PROSE = re.compile(
    r"""\#(?P<comment>[^\n]*)
    | (?<!\w)(?P<prefix>[rbfu]{0,2})(?:
        \"{3}(?P<long>(?:\\.|[^\\])*?)\"{3} | "(?P<double>(?:\\.|[^"\\\n])*)" | '(?P<single>(?:\\.|[^'\\\n])*)'
    )""",
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
_EXPRESSION = re.compile(r"\{[^{}]*\}")  # within an f-string
_WORD = re.compile(r"(?!(?:[#*]+|//)(?:\s|$))\S+")  # not the sign at the start of a comment's line


class Finding(NamedTuple):
    """A phrase that should be replaced.

    Attributes:
        path: The file, relative to the repository.
        line: The line on which the phrase starts, from 1.
        phrase: The text found.
        better: What to write instead, or why not to write it.
    """

    path: str
    line: int
    phrase: str
    better: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: '{self.phrase}': {self.better}"


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What is checked, and where.

    Attributes:
        phrases: Regular expressions, each with a better phrase. A blank in one also matches a line break.
        proselint: Names of the proselint checks that are used.
        excluded: Patterns of files that are not ours, or made from checked sources.
        not_yet: Patterns of files whose prose still has to be rewritten.
    """

    phrases: Mapping[re.Pattern[str], str]
    proselint: tuple[str, ...]
    excluded: tuple[str, ...]
    not_yet: tuple[str, ...]

    def apply_to(self, path: str) -> bool:
        """Whether a file is checked."""
        return not any(fnmatch(path, pattern) for pattern in (*self.excluded, *self.not_yet))


def rules(path: Path = ROOT / "lint" / "prose.toml") -> Rules:
    """The rules in a file."""
    data = tomllib.loads(path.read_text("utf-8"))
    return Rules(
        phrases={re.compile(rf"\b(?:{phrase})(?!\w)"): better for phrase, better in data["phrases"].items()},
        proselint=tuple(data["proselint"]),
        excluded=tuple(data["excluded"]),
        not_yet=tuple(data["not_yet"]),
    )


def find(path: str, text: str, checked: Rules) -> list[Finding]:
    """What should be replaced in the text of a file, in the order of its lines."""
    prose = _prose(path, text)
    words = list(_WORD.finditer(prose))
    joined = " ".join(word[0] for word in words)
    starts = list(accumulate((len(word[0]) + 1 for word in words), initial=0))

    def finding(start: int, end: int, better: str) -> Finding:
        first = words[bisect_right(starts, start) - 1]
        return Finding(path, 1 + prose.count("\n", 0, first.start()), joined[start:end], better)

    lowered = joined.lower()
    found = {
        finding(*match.span(), f"write '{better}'")
        for phrase, better in checked.phrases.items()
        for match in phrase.finditer(lowered)
    }
    if path.endswith(".md"):
        for start, end, message in _proselint(joined, checked.proselint):
            found.add(finding(start, end, message))
    return sorted(found, key=lambda each: (each.line, each.phrase))


def _proselint(text: str, names: tuple[str, ...]) -> Iterator[tuple[int, int, str]]:
    padded = f" {text} "  # its patterns begin and end with what stands around a word
    for check in proselint_checks.__register__:
        if check.path_segments[0] in names:
            for result in check.check_with_flags(padded):
                start, end = result.span
                found = padded[start:end]
                yield start + len(found) - len(found.lstrip()) - 1, start + len(found.rstrip()) - 1, result.message


def _prose(path: str, text: str) -> str:
    """A text with code taken out, and every line break kept."""
    if path.endswith(".md"):
        return _NO_PROSE.sub(lambda code: _blank(code[0]), text)
    if not path.endswith(".py"):
        return text
    prose, end = [], 0
    for match in _PYTHON_PROSE.finditer(text):
        code = text[end : match.start()]
        prose += [_blank(code) if code.strip() else code, _content(match)]
        end = match.end()
    return "".join(prose)


def _content(match: re.Match[str]) -> str:
    """A comment, or a string without its quotes and, in an f-string, without its expressions."""
    content = next(match[name] for name in ("comment", "long", "double", "single") if match[name] is not None)
    is_f_string = "f" in (match["prefix"] or "").lower()
    return f" {_EXPRESSION.sub(_CODE, content) if is_f_string else content} "


def _blank(code: str) -> str:
    return f" {_CODE} " + "\n" * code.count("\n")


def files(root: Path = ROOT) -> Iterator[str]:
    """The files of the repository that may hold prose, relative to its root."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)  # noqa: S603 - git
    yield from (
        path for path in listed.stdout.splitlines() if Path(path).suffix in _SUFFIXES and (root / path).is_file()
    )


def main() -> int:
    """Print every finding; 1 if there is any."""
    checked = rules()
    paths = [path for path in files() if checked.apply_to(path)]
    found = [each for path in paths for each in find(path, (ROOT / path).read_text("utf-8"), checked)]
    for each in found:
        print(each)  # noqa: T201 - a command
    print(f"prose: files checked: {len(paths)}, findings: {len(found)}")  # noqa: T201
    if checked.not_yet:
        print(f"prose: not checked yet: {', '.join(checked.not_yet)}")  # noqa: T201
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
