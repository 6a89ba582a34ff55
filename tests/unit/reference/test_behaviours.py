"""The table of behaviours follows the tests."""

from __future__ import annotations

from collections import Counter

from reference.behaviours import GROUPS, Behaviour, behaviours, read_behaviours

SOURCE = '''
def test_before_any_section():
    """not a row"""

CASES: dict[str, Case] = {
    # --- Routes -----------------------------------------------------------------
    "a plain route": Case("GET /x", ("GET", "/x", "200", "")),
    "a mount": Case("GET /m/x", ("GET", "/m/{x}", "503", "503"), mounted),
    # --- Requests that are not counted ------------------------------------------
    "health": Case("GET /health", (), added),
}
OTHER = {"x": 7, **CASES}

# --- Streams --------------------------------------------------------------------

@pytest.mark.parametrize("times", [3, 7])
def test_a_stream_of_fastapi(times):
    """the whole of it"""
    assert observed.counted() == {("GET", "/never", "200", ""): times}

def test_two_of_them():
    assert observed.counted() == {("GET", "/a", "200", ""): 1, ("GET", "", "404", ""): 2}

def test_none():
    assert observed.counted() == {}

def helper():
    """not a row"""

# --- Helpers --------------------------------------------------------------------

def test_in_another_section():
    """not a row"""
'''


def test_cases_and_functions_are_rows_of_their_section() -> None:
    assert read_behaviours("test_x.py", SOURCE) == [
        Behaviour("Routes", "A plain route", "`GET /x 200`", "test_x.py", everywhere=True),
        Behaviour("Routes", "A mount", "`GET /m/{x} 503`, error `503`", "test_x.py"),
        Behaviour("Requests that are not counted", "Health", "nothing", "test_x.py"),
        Behaviour("Streams", "A stream of FastAPI", "the whole of it", "test_x.py"),
        Behaviour("Streams", "Two of them", '`GET /a 200`, `GET "" 404`', "test_x.py"),
        Behaviour("Streams", "None", "nothing", "test_x.py"),
    ]


def test_every_group_has_rows_and_every_row_says_what_is_recorded() -> None:
    rows = behaviours()
    assert {row.group for row in rows} == set(GROUPS)
    assert [row.case for row in rows if not row.recorded] == []


def test_no_case_is_in_a_group_twice() -> None:
    assert max(Counter((row.group, row.case) for row in behaviours()).values()) == 1
