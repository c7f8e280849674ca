"""The exceptions: one class per stage, every code listed, picklable."""

from __future__ import annotations

import pickle

import pytest
from efa_sdk import errors

pytestmark = pytest.mark.unit

CODES = errors.codes()


def test_codes_are_unique_and_cover_every_stage() -> None:
    assert len(CODES) == len(set(CODES)) > 40
    assert {code.split(".")[0] for code in CODES} == {
        *("catalog", "layout", "plan", "provision", "verify", "handoff", "ec2", "fabric"),
        *("argument", "python", "soft_efa", "stand_in"),
    }


@pytest.mark.parametrize("code", CODES)
def test_each_code_has_its_class_and_survives_pickling(code: str) -> None:
    error = errors.from_parts(code, "message", "cure", {"field": "x"}, True, True, [("a", "b")])
    kind = type(error)
    assert kind is not errors.EfaError
    assert issubclass(kind, errors.EfaError)
    stage = code.split(".")[0].replace("python", "binding").replace("_", "")
    # A class of its own is one of its stage's as well.
    assert any(base.__name__.lower().startswith(stage) for base in kind.__mro__)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert vars(again) == vars(error)
    assert str(again) == "message; cure"


def test_a_survey_has_one_exception_for_findings_and_one_for_the_set_up() -> None:
    parts = ("message", None, {}, False, False, [])
    found = errors.from_parts("fabric.unhealthy", *parts)
    not_made = errors.from_parts("fabric.not_surveyed", *parts)
    assert (type(found), type(not_made)) == (errors.UnhealthyError, errors.NotSurveyedError)


def test_an_unknown_code_is_still_an_error_of_ours() -> None:
    error = errors.from_parts("quantum.flux", "message", None, {}, False, False, [])
    assert type(error) is errors.EfaError
    assert str(error) == "message"
