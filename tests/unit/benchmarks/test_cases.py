"""The benchmarks measure what their tables claim."""

from __future__ import annotations

import asyncio

import pytest

from benchmarks.asgi import body_of
from benchmarks.cases import CASES, CHUNKS, LEVELS, ROUTES, Case
from benchmarks.measures import route_labels, series_lines
from benchmarks.pool import Subject, workers
from benchmarks.variants import BARE, SIDELIGHT
from tests.support.errors import MeasurementError

BY_NAME = {case.name: case for case in CASES}


async def fails(subject: Subject) -> None:
    raise ValueError(subject.case.name)


def test_a_stream_has_all_its_chunks() -> None:
    case = BY_NAME["stream"]
    assert asyncio.run(body_of(case.build(), case.path)).count(b"\n") == CHUNKS == case.units


def test_the_nested_service_has_51_routes_in_five_routers() -> None:
    paths = BY_NAME["nested"].build().openapi()["paths"]
    assert len(paths) == ROUTES + 1
    assert max(path.count("level") for path in paths) == LEVELS
    assert BY_NAME["nested"].template in paths


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_bare_service_answers(case: Case) -> None:
    assert isinstance(asyncio.run(body_of(case.build(), case.path)), bytes)


def test_our_label_of_the_nested_route_is_right() -> None:
    case = BY_NAME["nested"]
    asked = Subject(SIDELIGHT, case, SIDELIGHT.install(case.build), case.build())

    async def once() -> list[str]:
        await body_of(asked.installed.app, case.path)
        return await route_labels(asked)

    assert asyncio.run(once()) == [case.template]


def test_comments_and_empty_lines_are_not_series() -> None:
    assert series_lines(b'# HELP a A.\na 1\n\nb{c="d"} 2\n') == 2


def test_an_exception_in_a_process_reaches_its_caller() -> None:
    with (
        workers([BARE], CASES[0]) as (worker,),
        pytest.raises(MeasurementError, match=r"(?s)bare app: .*ValueError: response"),
    ):
        worker.ask(fails)
