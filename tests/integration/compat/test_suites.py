"""Some of other projects' own tests pass with Sidelight in every app; `make compat` runs all of them."""

from __future__ import annotations

import pytest

from tests.compat.suites import LAYERS, PLAIN, Expected, Outcomes, Suite, Workshop, differences, suites

FAST = [suite for suite in suites() if suite.fast]


@pytest.mark.timeout(600)  # the first time it makes the environment
@pytest.mark.parametrize("suite", FAST, ids=lambda suite: suite.package)
def test_every_difference_has_a_reason(suite: Suite) -> None:
    workshop = Workshop(suite)
    runs = workshop.compare(suite.fast)
    assert runs[PLAIN].counts()["passed"] > 100
    assert [each for each in workshop.checked(differences(suite, runs)) if not each.reason] == []


def test_a_test_that_fails_or_does_not_run_with_a_layer_is_a_difference() -> None:
    expected = Expected(tests="::two$", reason="It reads a header.")
    suite = Suite(name="Shop", package="shop", version="1", needs=(), tests=("tests",), expected=(expected,))
    plain = Outcomes(
        outcomes={"a::one": "passed", "a::two": "passed", "a::three": "passed", "a::four": "failed"}, failures={}
    )
    python = Outcomes(
        outcomes={"a::one": "passed", "a::two": "failed", "a::four": "failed"}, failures={"a::two": "E  no"}
    )
    compiled = Outcomes(outcomes={**plain.outcomes, "a::four": "passed"}, failures={})
    found = differences(suite, dict(zip((PLAIN, *LAYERS), (plain, python, compiled), strict=True)))
    assert [(each.test, each.layers, each.failure, each.reason) for each in found] == [
        ("a::two", ("python",), "E  no", "It reads a header."),
        ("a::three", ("python",), "is not run", ""),
    ]
