"""What is wrong, in words."""

import time
from typing import Annotated

import pytest
from pydantic import BaseModel, Field, TypeAdapter, ValidationError, model_validator

from gateway.core.name import Name, is_name
from gateway.core.wording import MANY, did_you_mean, wrong_fields


class Item(BaseModel):
    count: int = Field(1, ge=1)


class Thing(BaseModel):
    name: Name = "a"
    items: Annotated[tuple[Item, ...], Field(min_length=1, max_length=2)] = (Item(),)
    end: int = 0

    @model_validator(mode="after")
    def _agrees(self) -> "Thing":
        if self.end < 0:
            raise ValueError("end: expected a time after start")
        if self.end > 9:
            raise ValueError("nobody: knows that field")
        return self


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({"items": [{"count": 0}]}, {"items.0.count": "should be at least 1"}),
        ({"items": []}, {"items": "should have at least 1 in it"}),
        ({"items": [{}, {}, {}]}, {"items": "should have at most 2 in it"}),
        ({"end": -1}, {"end": "expected a time after start"}),
        ({"end": 10}, {"": "nobody: knows that field"}),
        ({"name": "A b", "end": "x"}, {"name": "a name is made of a-z, 0-9 and -", "end": "should be a whole number"}),
        ([], {"": "should be a mapping, of keys to values"}),
    ],
    ids=str,
)
def test_what_is_wrong_is_said_of_the_field_it_is_about(value: object, found: dict[str, str]) -> None:
    with pytest.raises(ValidationError) as caught:
        Thing.model_validate(value)

    assert wrong_fields(caught.value) == found


def test_p9_a_value_that_is_wrong_in_very_many_places_takes_little_time() -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(tuple[Item, ...]).validate_python([{"count": 0}] * 20_000)
    began = time.perf_counter()

    assert len(wrong_fields(caught.value)) == 20_000
    assert time.perf_counter() - began < 5


def test_the_nearest_word_is_looked_for_among_as_many_as_that_takes_no_time() -> None:
    words = [f"word-{number}" for number in range(MANY)]

    assert did_you_mean("wrod-7", words) == "; did you mean 'word-7'?"
    assert did_you_mean("nothing of the kind", words) == ""
    assert did_you_mean("wrod-7", [*words, "one-more"]) == ""


def test_names_are_made_of_few_characters() -> None:
    assert [text for text in ("a-1", "", "a\n", "A", "x" * 101) if is_name(text)] == ["a-1"]
