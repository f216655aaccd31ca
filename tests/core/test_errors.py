"""What is refused says with which status."""

import pytest

from gateway.core import errors
from gateway.core.errors import Rejected


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.Unparseable, 400),
        (errors.Unverified, 401),
        (errors.Forbidden, 403),
        (errors.NotFound, 404),
        (errors.Conflict, 409),
        (errors.TooLarge, 413),
        (errors.UnsupportedEncoding, 415),
        (errors.Unmappable, 422),
        (errors.TooMany, 429),
        (errors.Unavailable, 503),
    ],
)
def test_each_refusal_has_its_status(error: type[Rejected], status: int) -> None:
    refused = error("so", retry_after=2.5, errors={"a.b": "no"})

    assert (refused.status, refused.detail, str(refused)) == (status, "so", "so")
    assert (refused.retry_after, refused.errors) == (2.5, {"a.b": "no"})


def test_no_two_refusals_share_a_title() -> None:
    titles = [Rejected.title, *(kind.title for kind in Rejected.__subclasses__())]

    assert len(set(titles)) == len(titles)
