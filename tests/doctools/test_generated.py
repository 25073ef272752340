"""The generated files in docs/ follow from the code of today."""

import pytest

from doctools.generated import DOCS, GENERATED, generated_text


@pytest.mark.parametrize("name", GENERATED)
def test_nothing_is_stale(name: str) -> None:
    """The file is what `make generated` would write."""
    assert (DOCS / name).read_text(encoding="utf-8") == generated_text(name)
