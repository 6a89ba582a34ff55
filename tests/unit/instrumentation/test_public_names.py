"""The public names can be listed, have resolvable type hints, and are the same everywhere."""

from __future__ import annotations

import pydoc
from typing import get_type_hints

import pytest

import instrumentation

NAMES = [name for name in instrumentation.__all__ if name != "__version__"]


def test_dir_lists_the_public_names_and_no_others() -> None:
    assert dir(instrumentation) == sorted(instrumentation.__all__)
    assert set(NAMES) == instrumentation._HOME.keys()


def test_help_shows_the_public_names() -> None:
    text = pydoc.plain(pydoc.render_doc(instrumentation))
    assert [name for name in NAMES if f"{name}(" not in text] == []


@pytest.mark.parametrize("name", NAMES)
def test_frameworks_can_resolve_the_annotations_of_a_public_name(name: str) -> None:
    value = getattr(instrumentation, name)
    hints = get_type_hints(value.__init__ if isinstance(value, type) else value)
    assert "return" in hints or isinstance(value, type)


def test_a_misspelt_name_is_named() -> None:
    with pytest.raises(AttributeError, match="module 'instrumentation' has no attribute 'instrumnet'"):
        instrumentation.instrumnet  # noqa: B018
