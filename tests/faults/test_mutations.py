"""The defects that tests look for."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.faults.mutations import MUTATIONS


@pytest.mark.parametrize("name", MUTATIONS)
def test_c08_a_defect_fits_the_code(name: str) -> None:
    """One that does not would be found out only by the test that it belongs to, after minutes."""
    mutation = MUTATIONS[name]
    spec = find_spec(mutation.module)
    assert spec is not None
    assert Path(spec.origin or "").read_text().count(mutation.right) == 1
