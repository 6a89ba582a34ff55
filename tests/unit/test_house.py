"""The imports allowed between packages, and how much `import instrumentation` loads."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Container

ROOT = Path(__file__).parents[2]
MAY_IMPORT = {
    "instrumentation": set[str](),
    "alerts": {"instrumentation"},
    "dashboards": {"instrumentation", "alerts"},
    "collector": {"instrumentation"},
    "sidelight": {"instrumentation", "alerts", "dashboards", "collector"},
    "examples": {"instrumentation"},
    "benchmarks": {"instrumentation", "alerts", "dashboards", "collector", "sidelight"},
    "lint": set(),
    "reference": {"instrumentation", "alerts", "dashboards", "collector", "sidelight"},
}


def ours(source: str) -> set[str]:
    """Our packages that a module imports, also within functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add((node.module or "").partition(".")[0])
    return names & set(MAY_IMPORT)


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_a_package_imports_only_what_its_arrows_allow(package: str) -> None:
    modules = sorted((ROOT / package).rglob("*.py"))
    assert modules
    strangers = {
        f"{module.relative_to(ROOT)} imports {name}"
        for module in modules
        for name in ours(module.read_text()) - MAY_IMPORT[package] - {package}
    }
    assert strangers == set()


def test_only_the_tests_of_the_benchmarks_import_them() -> None:
    tests, about_them = ROOT / "tests", {ROOT / "tests" / "bench", ROOT / "tests" / "unit" / "benchmarks"}
    modules = [file for file in sorted(tests.rglob("*.py")) if about_them.isdisjoint(file.parents)]
    assert modules
    assert [str(file.relative_to(ROOT)) for file in modules if "benchmarks" in ours(file.read_text())] == []


def test_a_forbidden_import_would_be_seen() -> None:
    assert ours("def late():\n    from alerts.model import number\n") == {"alerts"}


def all_modules() -> dict[str, Path]:
    """Module name to file, of everything that ships."""
    shipped = ("instrumentation", "alerts", "dashboards", "collector", "sidelight")
    files = [file for package in shipped for file in sorted((ROOT / package).rglob("*.py"))]
    return {".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file for file in files}


def imported(source: str, known: Container[str]) -> set[str]:
    """Our own modules that a module imports: at the top, within functions and for types."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            within = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in known else node.module for name in within}
    return {name for name in found if name in known}


def test_no_files_import_each_other_in_a_circle() -> None:
    modules = all_modules()
    arrows = {name: imported(file.read_text(), modules) - {name} for name, file in modules.items()}
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' -> '.join(error.args[1])}")


def room(module: str) -> str:
    """The package and the file or folder in it: ``instrumentation.store`` for all that is in it."""
    return ".".join(module.split(".")[:2])


@pytest.mark.parametrize("package", ["instrumentation", "alerts", "dashboards", "collector", "sidelight"])
def test_no_subpackages_of_a_package_import_each_other_in_a_circle(package: str) -> None:
    modules = {name: file for name, file in all_modules().items() if name.startswith(f"{package}.")}
    arrows: dict[str, set[str]] = {room(name): set() for name in modules}
    for name, file in modules.items():
        arrows[room(name)] |= {room(other) for other in imported(file.read_text(), modules)} - {room(name)}
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        pytest.fail(f"a circle of rooms: {' -> '.join(error.args[1])}")


def test_a_circle_would_be_seen() -> None:
    source = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from alerts import model\n"
    assert imported(source, {"alerts", "alerts.model"}) == {"alerts.model"}


def modules_loaded_by(code: str) -> set[str]:
    program = f"import sys\n{code}\nprint(*sys.modules)"
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    return set(ended.stdout.split())


def test_import_instrumentation_loads_no_large_library() -> None:
    heavy = {"pydantic", "yaml", "prometheus_client", "opentelemetry", "structlog", "fastapi", "asyncio"}
    assert modules_loaded_by("import instrumentation") & heavy == set()


def test_the_public_names_load_on_first_use() -> None:
    assert "instrumentation.http" in modules_loaded_by("import instrumentation\ninstrumentation.instrument")


def test_every_public_name_exists() -> None:
    loaded = modules_loaded_by(
        "import instrumentation\nfor name in instrumentation.__all__: getattr(instrumentation, name)"
    )
    assert "instrumentation.workflows" in loaded


def test_an_unknown_name_is_an_attribute_error() -> None:
    import instrumentation  # noqa: PLC0415

    with pytest.raises(AttributeError, match="has no attribute 'instrumnet'"):
        _ = instrumentation.instrumnet  # type: ignore[attr-defined]


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_every_module_opens_with_one_sentence(package: str) -> None:
    silent = [
        str(module.relative_to(ROOT))
        for module in (ROOT / package).rglob("*.py")
        if not ast.get_docstring(ast.parse(module.read_text()))
    ]
    assert silent == []
