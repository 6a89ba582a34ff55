"""The prose linter finds phrases in prose, on the right line, and ignores code."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from lint import prose
from lint.prose import Rules, find, rules

if TYPE_CHECKING:
    from pathlib import Path

RULES = Rules(
    phrases={re.compile(r"\b(?:is no (?!longer)\w+)(?!\w)"): "is not a ...", re.compile(r"\banew(?!\w)"): "again"},
    proselint=("redundancy", "lexical_illusions"),
    excluded=("*/generated/*",),
    not_yet=("old/*",),
)


def found(path: str, text: str) -> list[str]:
    return [str(each) for each in find(path, text, RULES)]


@pytest.mark.parametrize(
    ("path", "text", "line"),
    [
        ("page.md", "# Title\n\nA file that\nis no\nfile.\n", 4),
        ("page.md", "| a |\n| - |\n| is no file |\n", 3),
        ("module.py", '"""A module.\n\nWhat is no\nfile."""\n', 3),
        ("module.py", "seven = 7  # three\n# this is\n# no file\n", 2),
        ("module.py", 'raise ValueError(f"{seven} is no file")\n', 1),
        ("module.py", "fail(\n    'which is '\n    'no file'\n)\n", 2),
        ("module.py", "fail(r'a \\' quote', \"is no file\")\n", 1),
        ("script.sh", "run  # it is no\n# file\n", 1),
    ],
)
def test_a_phrase_is_found_on_the_line_where_it_starts(path: str, text: str, line: int) -> None:
    (finding,) = find(path, text, RULES)
    assert (finding.path, finding.line, finding.better) == (path, line, "write 'is not a ...'")
    assert finding.phrase.split() == ["is", "no", finding.phrase.split()[-1]]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (
            "page.md",
            "It is no longer there.\n\n```text\nis no file\n```\n\nSee `is no file`, [there](is-no-file.md).\n",
        ),
        ("page.md", "The file is\n\nno file at all.\n"),
        ("module.py", "anew = is_no_file\nresult = 'it is', 'no file'\n"),
        ("module.py", 'text = f"{anew} days"\n'),
    ],
)
def test_code_and_other_sentences_are_not_reported(path: str, text: str) -> None:
    assert found(path, text) == []


def test_a_finding_names_file_line_phrase_and_a_better_form() -> None:
    assert found("page.md", "One.\nTwo, anew.\n") == ["page.md:2: 'anew': write 'again'"]


def test_proselint_checks_pages() -> None:
    assert found("page.md", "Seven.\n\nGo up to the the ATM machine.\n") == [
        "page.md:3: 'ATM machine': RAS syndrome. Use 'ATM' instead of 'ATM machine'.",
        "page.md:3: 'the the': There's a lexical illusion in 'the the' - a phrase is repeated.",
    ]


def test_files_that_are_excluded_or_not_rewritten_yet_are_not_checked() -> None:
    paths = ["docs/page.md", "docs/generated/page.md", "old/page.md"]
    assert [path for path in paths if RULES.apply_to(path)] == ["docs/page.md"]


def test_every_phrase_of_the_repository_s_list_is_lower_case_and_has_a_better_form() -> None:
    assert all(phrase.pattern == phrase.pattern.lower() and better for phrase, better in rules().phrases.items())


def test_every_area_that_is_not_checked_yet_still_has_a_finding() -> None:
    checked = rules()
    rewritten = [pattern for pattern in checked.not_yet if not _has_finding(pattern, checked)]
    assert rewritten == []


def _has_finding(pattern: str, checked: Rules) -> bool:
    only = Rules(phrases={}, proselint=(), excluded=checked.excluded, not_yet=(pattern,))
    everything = Rules(phrases={}, proselint=(), excluded=checked.excluded, not_yet=())
    paths = [path for path in prose.files() if everything.apply_to(path) and not only.apply_to(path)]
    return any(find(path, (prose.ROOT / path).read_text("utf-8"), checked) for path in paths)


def test_the_command_prints_findings_and_what_is_not_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "page.md").write_text("Count anew.\n")
    monkeypatch.setattr(prose, "ROOT", tmp_path)
    monkeypatch.setattr(prose, "rules", lambda: RULES)
    monkeypatch.setattr(prose, "files", lambda: ["page.md", "old/page.md"])
    assert prose.main() == 1
    assert capsys.readouterr().out.splitlines() == [
        "page.md:1: 'anew': write 'again'",
        "prose: files checked: 1, findings: 1",
        "prose: not checked yet: old/*",
    ]
