"""An audit entry is complete, or lists what was masked in it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as tried
from hypothesis import strategies as st

from instrumentation.auditing.chain import Key
from instrumentation.auditing.masking import Masked, Masking, digest
from instrumentation.settings import parse_settings

KEY = Key(b"the key of the shop, 32 bytes long")
ORDER = "4539578763621486"  # its last digit is right for a card number
MASKING = Masking(parse_settings({}), KEY)


def masked(**fields: Any) -> Masked:
    return MASKING(fields)


def listed(**fields: Any) -> list[tuple[Any, Any]]:
    return [(value["at"], value["length"]) for value in masked(**fields).values]


def test_a_number_that_looks_like_a_card_is_listed_with_its_length_and_digest() -> None:
    assert masked(order=ORDER) == (
        {"order": "***"},
        [{"at": "order", "length": 16, "digest": digest(KEY, ORDER)}],
    )
    assert masked(order=int(ORDER)).values == masked(order=ORDER).values


def test_another_key_gives_another_digest() -> None:
    other = Masking(parse_settings({}), Key(b"another key, which is 32 bytes long too"))
    assert other({"order": ORDER}).values != masked(order=ORDER).values


@pytest.mark.parametrize(
    "fields",
    [
        {"password": "hunter2"},
        {"password": {"old": "hunter2"}},
        {"password": ORDER},
        {"headers": [["authorization", "Bearer hunter2"], ["accept", "*/*"]]},
        {"form": [{"name": "password", "value": "hunter2"}]},
        {"paid": True, "method": "password", "email": "joe@example.com", "nothing": None, "numbers": [1, 2.5]},
    ],
)
def test_a_value_whose_name_says_that_it_is_secret_has_no_digest(fields: dict[str, Any]) -> None:
    result = masked(**fields)
    assert result.values == []
    assert "hunter2" not in str(result.fields)


def test_places_are_those_of_the_entry() -> None:
    fields = {"items": [{"ref": "a"}, {"ref": ORDER}], "note": "login with password=hunter2", f"of {ORDER}": 7}
    assert listed(**fields) == [("items[1].ref", 16), ("note", 27), ("of *** (key)", 19)]


def test_nothing_that_fits_into_an_entry_is_cut() -> None:
    fields = {"text": "a word or two " * 4500, "list": list(range(9_000)), "unbroken": "x" * 63_000}
    for name, value in fields.items():
        assert masked(**{name: value}) == ({name: value}, [])


def test_what_is_too_deep_is_listed() -> None:
    deep: Any = "x"
    for _ in range(30):
        deep = [deep]
    assert listed(deep=deep) == [("deep" + "[0]" * 19, 3 + 2 * 11)]


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.just(ORDER),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["a", "b", "c"]), inner, max_size=3),
    max_leaves=12,
)


@given(fields=st.dictionaries(st.sampled_from(["order", "note", "items"]), JSON))
@tried(deadline=None, max_examples=150)
def test_a_difference_between_given_and_written_is_always_listed(fields: dict[str, Any]) -> None:
    result = MASKING(fields)
    assert bool(result.values) == (result.fields != fields)
    assert str(result.fields).count("***") >= len(result.values)
