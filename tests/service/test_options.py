from dataclasses import dataclass, field
from enum import StrEnum

import pytest

from service.errors import Problem
from service.options import Options


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Paint:
    colour: Colour = field(default=Colour.RED, metadata={"description": "What to paint with"})


@dataclass(frozen=True)
class Brush:
    width: int | None = field(default=None, metadata={"ge": 1})
    dry: bool = False


OPTIONS = Options("PaintingOptions", Paint, Brush)


def test_every_reader_gets_its_own_options() -> None:
    parsed = OPTIONS.parse({"colour": "blue", "dry": "true"})
    assert parsed.of(Paint) == Paint(Colour.BLUE)
    assert parsed.of(Brush) == Brush(width=None, dry=True)


def test_absent_options_have_their_defaults() -> None:
    assert OPTIONS.parse({}).of(Paint) == Paint()


@pytest.mark.parametrize(
    "given", [{"colour": "green"}, {"width": 0}, {"width": "wide"}, {"dry": "perhaps"}, {"wet": 1}]
)
def test_a_wrong_option_is_named_beside_those_there_are(given: dict[str, object]) -> None:
    with pytest.raises(Problem) as caught:
        OPTIONS.parse(given)
    (name,) = given
    assert (caught.value.status, caught.value.code) == (422, "invalid_parameter")
    assert caught.value.detail.startswith(f"{name}: ")
    assert "(options: colour, width, dry)" in caught.value.detail


def test_every_option_is_documented_as_a_query_parameter() -> None:
    parameters = {parameter["name"]: parameter for parameter in OPTIONS.openapi_parameters()}
    assert list(parameters) == ["colour", "width", "dry"]
    assert parameters["colour"]["description"] == "What to paint with"
    assert parameters["colour"]["schema"]["enum"] == ["red", "blue"]
    assert parameters["width"]["schema"]["anyOf"][0] == {"minimum": 1, "type": "integer"}
