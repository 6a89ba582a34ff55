"""Missing or invalid environment variables stop the start with one message that contains no value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import pytest
from pydantic import BaseModel, Field, SecretStr, ValidationError, model_validator

from instrumentation.environment import read_environment
from instrumentation.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "hunter2"  # noqa: S105 - no real one


class Environment(BaseModel):
    database_url: SecretStr
    payments_key: Annotated[SecretStr, Field(min_length=16)]
    workers: int = 4
    region: Annotated[str, Field(alias="where")] = "here"


GIVEN = {"DATABASE_URL": f"postgresql://shop:{SECRET}@db/shop", "PAYMENTS_KEY": "k" * 16}


def faults(environ: dict[str, str], model: type[BaseModel] = Environment) -> list[str]:
    with pytest.raises(SettingsError) as raised:
        read_environment(model, environ)
    assert SECRET not in str(raised.value)
    return str(raised.value).splitlines()


def test_variables_become_values_and_what_is_left_out_its_default() -> None:
    found = read_environment(Environment, {**GIVEN, "WORKERS": "7", "REGION": "there", "OTHER": "3"})
    assert found.database_url.get_secret_value() == GIVEN["DATABASE_URL"]
    assert (found.workers, found.region) == (7, "there")
    assert SECRET not in repr(found)


def test_a_file_that_a_variable_names_holds_the_value_without_its_last_line_end(tmp_path: Path) -> None:
    (tmp_path / "url").write_text(f"{GIVEN['DATABASE_URL']}\n")
    environ = {"DATABASE_URL_FILE": str(tmp_path / "url"), "PAYMENTS_KEY": "k" * 16}
    assert read_environment(Environment, environ).database_url.get_secret_value() == GIVEN["DATABASE_URL"]


def test_the_environment_is_the_process_s_own_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in GIVEN.items():
        monkeypatch.setenv(name, value)
    assert read_environment(Environment).workers == 4


def test_every_fault_is_named_at_once(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    assert faults({"DATABASE_URL_FILE": str(tmp_path / "empty"), "PAYMENTS_KEY": SECRET, "WORKERS": "many"}) == [
        f"DATABASE_URL_FILE: {tmp_path / 'empty'} is empty; give a file that contains it.",
        "PAYMENTS_KEY: cannot be used; value should have at least 16 items after validation, not 7.",
        "WORKERS: cannot be used; input should be a valid integer, unable to parse string as an integer.",
    ]


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({}, "DATABASE_URL: is not set; set it, or DATABASE_URL_FILE to a file that contains it."),
        ({"DATABASE_URL": " "}, "DATABASE_URL: is set and empty; give a value, or remove the variable."),
        (
            {"DATABASE_URL_FILE": "gone"},
            "DATABASE_URL_FILE: gone cannot be read (No such file or directory); give a file that contains it.",
        ),
        (
            {"DATABASE_URL_FILE": "gone", "DATABASE_URL": SECRET},
            "DATABASE_URL_FILE: is set, and so is DATABASE_URL; set one of the two.",
        ),
    ],
)
def test_a_fault_is_a_sentence(environ: dict[str, str], said: str) -> None:
    assert faults({"PAYMENTS_KEY": "k" * 16, **environ}) == [said]


def test_a_file_that_is_not_text_or_far_too_large_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\xff")
    (tmp_path / "large").write_text("k" * (1 << 21))
    for name, said in (("bytes", "is not UTF-8"), ("large", "is too large")):
        environ = {"DATABASE_URL_FILE": str(tmp_path / name), "PAYMENTS_KEY": "k" * 16}
        assert said in faults(environ)[0]


def test_a_rule_of_the_whole_model_is_a_fault_too() -> None:
    class Pair(BaseModel):
        user: str = ""
        password: SecretStr | None = None

        @model_validator(mode="after")
        def _both(self) -> Any:
            if bool(self.user) != bool(self.password):
                raise ValueError("give USER and PASSWORD together")
            return self

    assert faults({"USER": "shop"}, Pair) == [
        "environment: cannot be used; value error, give USER and PASSWORD together."
    ]
    with pytest.raises(ValidationError):
        Pair(user="shop")
