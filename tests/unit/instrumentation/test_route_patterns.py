"""Settings that name routes: what a pattern matches, and which patterns are refused because they never match."""

from __future__ import annotations

import re
import time

import pytest

from instrumentation.errors import SettingsError
from instrumentation.settings import parse_settings
from instrumentation.settings.route_patterns import RoutePatterns
from instrumentation.tracing.excluded import url_pattern

MATCHED = [
    ("/internal/*", "/internal/a"),
    ("/internal/*", "/internal/a/b"),
    ("/internal/*", "/internal/{item}"),
    ("/internal/*", "/internal/"),
    ("/internal/**", "/internal/a/b"),
    ("/*/debug", "/v1/shop/debug"),
    ("/items/{item}/*", "/items/{item}/tags"),
    ("/a*b*c", "/abbcbc"),
    ("/*.json", "/openapi.json"),
    ("/a(1)+b", "/a(1)+b"),
    ("/x/*", "/x/line\nbreak"),
]
NOT_MATCHED = [
    ("/internal/*", "/internal"),
    ("/internal/*", "/v1/internal/a"),
    ("/internal*", "/inter"),
    ("/*.json", "/openapixjson"),
    ("/a*b*c", "/acb"),
    ("/items/{item}", "/items/7"),
    ("/items/{item}/*", "/items/7/tags"),
]
REFUSED = {
    "/items/.*": 'got the regular expression "/items/.*"; ',
    "/items/(.+)": 'got the regular expression "/items/(.+)"; ',
    "^/items/*": 'got "^/items/*"; ',
    "/items$": 'got the regular expression "/items$"; ',
    r"/items/\d": r'got the regular expression "/items/\\d"; ',
    "/items/[0-9]": 'got the regular expression "/items/[0-9]"; ',
    "/(a|b)": 'got the regular expression "/(a|b)"; ',
    "internal/*": 'got "internal/*"; ',
    "*": 'got "*"; ',
    "/search?q=*": 'got "/search?q=*"; ',
    "https://shop/items": 'got "https://shop/items"; ',
    "/items /7": 'got "/items /7"; ',
    "/items/{item:int}": 'got "/items/{item:int}"; give the template as it is counted, /items/{item}.',
    "/caf%C3%A9/*": 'got "/caf%C3%A9/*"; give the path decoded, /café/*.',
}


@pytest.mark.parametrize(("pattern", "path"), MATCHED)
def test_what_a_pattern_matches(pattern: str, path: str) -> None:
    assert path in RoutePatterns(["/other", pattern, "/others/*"])


@pytest.mark.parametrize(("pattern", "path"), NOT_MATCHED)
def test_what_a_pattern_does_not_match(pattern: str, path: str) -> None:
    assert path not in RoutePatterns(["/other", pattern, "/others/*"])


@pytest.mark.parametrize(("pattern", "sentence"), REFUSED.items())
def test_a_pattern_that_no_route_can_match_is_refused(pattern: str, sentence: str) -> None:
    with pytest.raises(SettingsError) as error:
        parse_settings({"http": {"excluded_routes": ["/health", pattern]}})
    assert f"http.excluded_routes.1: {sentence}" in error.value.message


def test_a_long_path_that_nearly_matches_costs_little() -> None:
    patterns = RoutePatterns(["/a/*/b/*/b/*/c"])
    began = time.perf_counter()
    assert "/a" + "/b" * 100_000 not in patterns
    assert time.perf_counter() - began < 1  # tried again and again it would take hours


@pytest.mark.parametrize(("pattern", "path"), [("/internal/*", "/internal/a"), ("/a.b", "/a.b")])
def test_requests_that_are_not_counted_have_no_spans(pattern: str, path: str) -> None:
    excluded = re.compile(url_pattern([pattern]))
    assert excluded.search(f"http://shop:8000{path}")
    assert not excluded.search(f"http://shop:8000/v1{path}")
    assert not excluded.search("http://shop:8000/axb")
