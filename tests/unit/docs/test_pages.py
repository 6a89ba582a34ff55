"""Checks of the documentation: expressions, links, settings, code, keys and commands."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
import tomllib
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args
from urllib.parse import unquote

import pytest
import typer.main
import yaml
from markdown_it import MarkdownIt

from alerts import groups
from alerts.checking.promql import faults
from alerts.checking.series import series
from instrumentation.errors import SettingsError
from instrumentation.settings import Section, Settings, parse_settings
from sidelight import cli
from tests.support import other_libraries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from markdown_it.token import Token

    from alerts.checking.promql import Labels

ROOT = Path(__file__).parents[3]
MARKDOWN = MarkdownIt("commonmark").enable("table")
SIDELIGHT = {"sidelight", ".venv/bin/sidelight"}

RUNNER = """
import socket
import sys

def refuse(*_args, **_kwargs):
    raise OSError("documentation runs without a network")

socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
exec(compile(sys.stdin.read(), sys.argv[1], "exec"), {"__name__": "page"})
"""


# --- Reading ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fence:
    """A fenced block: its words behind the backticks, its text, and the line it begins on."""

    words: tuple[str, ...]
    text: str
    line: int


@dataclass(frozen=True)
class Page:
    root: Path
    path: Path

    @property
    def name(self) -> str:
        return self.path.relative_to(self.root).as_posix()

    @cached_property
    def tokens(self) -> list[Token]:
        return MARKDOWN.parse(self.path.read_text("utf-8"))

    @property
    def inline(self) -> Iterator[Token]:
        return (child for token in self.tokens for child in token.children or ())

    @cached_property
    def blocks(self) -> list[Fence]:
        return [
            Fence(tuple(token.info.split()), token.content, token.map[0] + 2)
            for token in self.tokens
            if token.type == "fence" and token.map
        ]

    def fences(self, *words: str) -> list[Fence]:
        """The blocks whose info string is exactly these words."""
        return [fence for fence in self.blocks if fence.words == words]

    @property
    def targets(self) -> list[str]:
        """Where links and pictures lead to."""
        found = [token.attrs.get("href") or token.attrs.get("src") for token in self.inline]
        return [str(target) for target in found if target]

    @property
    def codes(self) -> list[str]:
        return [token.content for token in self.inline if token.type == "code_inline"]

    @property
    def anchors(self) -> set[str]:
        """The anchors that GitHub gives to the headings."""
        seen: Counter[str] = Counter()
        found = set()
        for heading, title in zip(self.tokens, self.tokens[1:], strict=False):
            if heading.type == "heading_open":
                text = "".join(child.content for child in title.children or ())
                slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
                found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
                seen[slug] += 1
        return found


def pages(root: Path) -> list[Page]:
    paths = [root / "README.md", root / "CONTRIBUTING.md", *sorted((root / "docs").rglob("*.md"))]
    return [Page(root, path) for path in paths if path.is_file()]


# --- Checking: the repository to sentences ---------------------------------------------------------------------------


def expressions(root: Path) -> list[str]:
    settings = parse_settings({"budget": {"daily_usd": 7.3}})  # with it there is every rule
    ours = series(groups(settings), settings.alerting.group_by)
    return [
        f"{page.name}:{fence.line}: {fault}"
        for page in pages(root)
        for fence in page.blocks
        if fence.words[:1] == ("promql",)
        for fault in _promql_faults(fence, ours)
    ]


def _promql_faults(fence: Fence, ours: Mapping[str, Labels]) -> list[str]:
    library = " ".join(fence.words[1:])
    if not library:
        return faults(fence.text, ours)
    if library not in other_libraries.LIBRARIES:
        return [f"{library} is not a library of tests/support/other_libraries.py"]
    return faults(fence.text, other_libraries.series(library))


def links(root: Path) -> list[str]:
    return [f"{page.name}: {target}: {fault}" for page in pages(root) for target, fault in _dead(page)]


def _dead(page: Page) -> Iterator[tuple[str, str]]:
    for target in page.targets:
        if re.match(r"[a-z]+:", target):  # another site's
            continue
        place, _, anchor = unquote(target).partition("#")
        file = (page.path.parent / place).resolve() if place else page.path
        if not file.is_relative_to(page.root):
            yield target, "leads out of the repository"
        elif not file.exists():
            yield target, "leads nowhere"
        elif anchor and anchor not in Page(page.root, file).anchors:
            yield target, "there is no such heading"


def settings_blocks(root: Path) -> list[str]:
    return [
        f"{page.name}:{fence.line}: {fault}"
        for page in pages(root)
        for fence in page.fences("yaml", "sidelight")
        for fault in _refused(fence.text)
    ]


def _refused(text: str) -> tuple[str, ...]:
    try:
        parse_settings(yaml.safe_load(text))
    except SettingsError as error:
        return tuple(map(str, error.faults))
    return ()


def unmarked_settings(root: Path) -> list[str]:
    owned = Settings.model_fields.keys() - _chart_values().keys()  # a key in both may be the chart's
    return [
        f"{page.name}:{fence.line}: holds settings; mark the block as `yaml sidelight`, so that it is checked"
        for page in pages(root)
        for fence in page.fences("yaml")
        for data in [yaml.safe_load(fence.text)]
        if isinstance(data, dict) and data.keys() <= owned
    ]


def programs(root: Path) -> list[str]:
    return [f"{page.name}: {fault}" for page in pages(root) for fault in _failure(page)]


def _failure(page: Page) -> Iterator[str]:
    fences = page.fences("python")
    if not fences:
        return
    source = ""
    for fence in fences:  # each at its own line, so that a traceback names the line of the page
        source += "\n" * (fence.line - 1 - source.count("\n")) + fence.text
    declared = [fence.text for fence in page.fences("yaml", "sidelight") if "signals:" in fence.text]
    done = _run(source, page.path, declared[0] if declared else "")
    if done.returncode:
        yield done.stderr.strip()


def _run(source: str, path: Path, settings: str) -> subprocess.CompletedProcess[str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "SIDELIGHT_", "PYTHON"))}
    with tempfile.TemporaryDirectory() as folder:
        if settings:  # what the page declares is there, as for its reader
            (Path(folder) / "sidelight.yaml").write_text(settings)
        return subprocess.run(
            [sys.executable, "-W", "error", "-c", RUNNER, str(path)],
            input=source,
            cwd=folder,
            env={**kept, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


def keys(root: Path) -> list[str]:
    known = {*_settings_keys(Settings), *_mapping_keys(_chart_values())}
    sections = "|".join(Settings.model_fields)
    named = re.compile(rf"(?:{sections})(?:\.\w+)+")
    return [
        f"{page.name}: `{code}` is a key of neither sidelight.yaml nor the chart's values"
        for page in pages(root)
        for code in page.codes
        if named.fullmatch(code) and code not in known and not (root / code).exists()
    ]


def _settings_keys(section: type[Section], prefix: str = "") -> Iterator[str]:
    for name, field in section.model_fields.items():
        key = f"{prefix}{field.alias or name}"
        yield key
        for inner in _sections(field.annotation):
            yield from _settings_keys(inner, f"{key}.")


def _sections(annotation: Any) -> Iterator[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
    for inner in get_args(annotation):
        yield from _sections(inner)


def _chart_values() -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load((ROOT / "helm" / "sidelight" / "values.yaml").read_text("utf-8"))
    return values


def _mapping_keys(data: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in data.items():
        yield f"{prefix}{key}"
        if isinstance(value, dict):
            yield from _mapping_keys(value, f"{prefix}{key}.")


def paths(root: Path) -> list[str]:
    folders = "|".join(path.name for path in ROOT.iterdir() if path.is_dir() and path.name[0] != ".")
    named = re.compile(rf"(?:{folders})/(?:[\w./-]*(?:/|\.\w+))?")
    return [
        f"{page.name}: `{code}` does not exist in this repository"
        for page in pages(root)
        for code in page.codes
        if named.fullmatch(code) and "/generated/" not in code and not (ROOT / code).exists()
    ]


def commands(root: Path) -> list[str]:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    group: Any = typer.main.get_command(cli.app)
    options = {
        name: {
            option
            for each in (command, *getattr(command, "commands", {}).values())  # a group has commands of its own
            for parameter in each.params
            for option in parameter.opts
        }
        for name, command in group.commands.items()
    }
    return [
        f"{page.name}: `{' '.join(words)}`: {fault}"
        for page in pages(root)
        for words in _typed(page)
        for fault in [*_make_faults(words, targets), *_sidelight_faults(words, options)]
    ]


def _typed(page: Page) -> Iterator[list[str]]:
    """What a reader is told to type: lines behind a prompt, and inline code that begins with a program's name."""
    lines = [line[2:] for fence in page.fences("console") for line in fence.text.splitlines() if line[:2] == "$ "]
    lines += [line for fence in page.fences("sh") for line in fence.text.splitlines()]
    for line in [*lines, *page.codes]:
        for command in re.split(r"&&|\|", line):
            if re.match(r"\s*(\S*/)?(make|sidelight)\b", command):
                yield shlex.split(command, comments=True)


def _make_faults(words: list[str], targets: set[str]) -> Iterator[str]:
    if words[0] == "make":
        yield from (f"there is no target {word!r}" for word in words[1:] if "=" not in word and word not in targets)


def _sidelight_faults(words: list[str], options: Mapping[str, set[str]]) -> Iterator[str]:
    program, command, *rest = [*words, "--help"]
    if program not in SIDELIGHT or command == "--help":
        return
    if command not in options:
        yield f"there is no command {command!r}"
        return
    known = {*options[command], "--help"}
    yield from (f"{command} has no option {word!r}" for word in rest if word[0] == "-" and word not in known)


# --- The pages are sound ---------------------------------------------------------------------------------------------


def test_every_expression_reads_only_series_that_are_emitted_and_labels_that_they_have() -> None:
    assert expressions(ROOT) == []


def test_every_link_leads_to_a_file_and_every_anchor_to_a_heading() -> None:
    assert links(ROOT) == []


def test_every_settings_block_is_accepted() -> None:
    assert settings_blocks(ROOT) == []


def test_no_settings_block_escapes_the_check() -> None:
    assert unmarked_settings(ROOT) == []


def test_python_blocks_of_a_library_are_those_that_its_own_tests_run() -> None:
    libraries = tomllib.loads((ROOT / "requirements/frameworks.toml").read_text())["task_queues"]
    marked = {block.words for page in pages(ROOT) for block in page.blocks if block.words[:1] == ("python",)}
    assert marked == {("python",), *(("python", row["library"].lower()) for row in libraries)}


def test_every_python_block_runs_without_a_network_and_without_a_warning() -> None:
    assert programs(ROOT) == []


def test_every_settings_key_that_is_named_exists() -> None:
    assert keys(ROOT) == []


def test_every_path_into_the_repository_that_is_named_exists() -> None:
    assert paths(ROOT) == []


def test_every_command_in_the_documentation_exists() -> None:
    assert commands(ROOT) == []


def test_every_page_is_in_the_index() -> None:
    index = Page(ROOT, ROOT / "docs" / "README.md")
    listed = {(index.path.parent / target.partition("#")[0]).resolve() for target in index.targets}
    # The folder's own index lists its pages.
    folders = ("runbooks", "decisions")
    pages_of_docs = [
        page for page in pages(ROOT) if page.path.is_relative_to(ROOT / "docs") and page.path != index.path
    ]
    left_out = [
        page.name
        for page in pages_of_docs
        if page.path not in listed and not (page.path.parent.name in folders and page.path.name != "README.md")
    ]
    assert left_out == []


def test_the_checks_have_something_to_check() -> None:
    found = pages(ROOT)
    assert {"docs/tutorial.md", "docs/how-to/change-a-threshold.md", "CONTRIBUTING.md"} <= {page.name for page in found}
    for words in (("promql",), ("yaml", "sidelight"), ("python",), ("console",)):
        assert any(page.fences(*words) for page in found), words


# --- Every check can fail --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("check", "text", "sentence"),
    [
        (expressions, "```promql\nsum(rate(shop_sales_total[5m]))\n```", "reads 'shop_sales_total'"),
        (expressions, "```promql\nsum by (nope) (up)\n```", "aggregates by 'nope'"),
        (expressions, "```promql\nsum(up\n```", "is not PromQL"),
        (expressions, "- in a list:\n\n  ```promql\n  max(health_chek_up)\n  ```", "reads 'health_chek_up'"),
        (
            expressions,
            "```promql starlette-exporter\nsum(rate(starlette_request_total[5m]))\n```",
            "reads 'starlette_req",
        ),
        (expressions, "```promql starlette-exporter\nsum by (route) (starlette_requests_total)\n```", "by 'route'"),
        (expressions, "```promql starlet\nsum(up)\n```", "starlet is not a library"),
        (links, "[there](gone.md)", "gone.md: leads nowhere"),
        (links, "![picture](gone.svg)", "gone.svg: leads nowhere"),
        (links, "[there][1]\n\n[1]: gone.md", "gone.md: leads nowhere"),
        (links, "| a |\n| - |\n| [there](gone.md) |", "gone.md: leads nowhere"),
        (links, "[out](../../elsewhere.md)", "leads out of the repository"),
        (links, "# A heading\n\n[up](#another-heading)", "there is no such heading"),
        (settings_blocks, "```yaml sidelight\nalerting: {windw: 5m}\n```", "did you mean window?"),
        (settings_blocks, "```yaml sidelight\nthresholds: {error_ratio: {warning: 7}}\n```", "got 7"),
        (unmarked_settings, "```yaml\nthresholds: {error_ratio: {warning: 0.1}}\n```", "mark the block"),
        (
            programs,
            "```python\nimport instrumentation\n```\n\n```python\ninstrumentation.nope\n```",
            "no attribute 'nope'",
        ),
        (programs, "```python\nimport warnings\nwarnings.warn('old')\n```", "UserWarning: old"),
        (programs, "```python\nimport urllib.request as u\nu.urlopen('http://127.0.0.1:9/')\n```", "without a network"),
        (keys, "The key `alerting.windw` decides.", "`alerting.windw` is a key of neither"),
        (
            keys,
            "The key `thresholds.latency_p99_seconds.critical` decides.",
            "`thresholds.latency_p99_seconds.critical` is",
        ),
        (keys, "The key `dashboards.labelVlaue` decides.", "`dashboards.labelVlaue` is a key of neither"),
        (keys, "The key `service.name.first` decides.", "`service.name.first` is a key of neither"),
        (paths, "See `alerts/no_such_file.py`.", "`alerts/no_such_file.py` does not exist"),
        (commands, "```console\n$ make demonstration\n```", "no target 'demonstration'"),
        (commands, "Type `make tests`.", "no target 'tests'"),
        (commands, "```sh\nsidelight biuld\n```", "no command 'biuld'"),
        (commands, "```console\n$ .venv/bin/sidelight biuld\n```", "no command 'biuld'"),
        (commands, "```console\n$ sidelight build --outptu obs\n```", "build has no option '--outptu'"),
    ],
)
def test_a_planted_fault_is_found(check: Callable[[Path], list[str]], text: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "page.md").write_text(text)
    found = check(tmp_path)
    assert len(found) == 1
    assert sentence in found[0]


@pytest.mark.parametrize(
    "check", [expressions, links, settings_blocks, unmarked_settings, programs, keys, paths, commands]
)
def test_a_sound_page_has_no_fault(check: Callable[[Path], list[str]], tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(SOUND)
    assert check(tmp_path) == []


def test_the_blocks_of_a_page_share_their_names_and_a_traceback_names_the_line(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# Page\n\n```python\nseven = 7\n```\n\n```python\nassert seven == 3\n```\n")
    (found,) = programs(tmp_path)
    assert 'README.md", line 8' in found


SOUND = """
# A `sound` page, with: marks

[here](#a-sound-page-with-marks), [itself](README.md#a-sound-page-with-marks), [web](https://example.org/gone.md)

The keys `alerting.for.critical`, `thresholds.overrides.match` and `dashboards.labelValue`; `make test` and `sidelight check`;
`alerts/model.py`, `docs/reference/` and `/elsewhere/file.py`.

```promql
sum by (job) (job:http_server_requests:rate5m{job="shop"})
```

```yaml sidelight
alerting: {for: {critical: 7m}}
```

```yaml
scrape_configs: []
alerting: {}
```

```python
import instrumentation
```

```console
$ make test ARGS='-k seven' && sidelight build alerts --output obs | tail
```
"""
