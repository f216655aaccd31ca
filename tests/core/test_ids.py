"""Ids sort by the time they were made, and what is none is told apart before anybody looks it up."""

from uuid import UUID

import pytest

from gateway.core.ids import is_id, new_id


def test_ids_are_uuid7_and_sort_in_the_order_they_were_made() -> None:
    ids = [new_id() for _ in range(10_000)]

    assert ids == sorted(set(ids))
    assert {UUID(text).version for text in ids} == {7}


def test_a_new_id_is_an_id() -> None:
    assert is_id(new_id())
    assert is_id(new_id().upper())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "../../x",
        "01935b2e00007000800000000000000a",
        "{01935b2e-0000-7000-8000-000000000001}",
        "urn:uuid:01935b2e-0000-7000-8000-000000000001",
        "01935b2e-0000-7000-8000-00000000000g",
        "01935b2e-0000-7000-8000-0000000000\u0660\u0661",
        "01935b2e-0000-7000-8000-000000000001\n",
        "01935b2e-0000-7000-8000-00000000000\0",
        "1" * 100_000,
    ],
)
def test_s14_what_is_no_id_is_not_looked_up(text: str) -> None:
    assert not is_id(text)
