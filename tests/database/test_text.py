"""Text that takes the same values in both databases."""

import pytest

from lamplighter.database.text import fault_of_text


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", None),
        ("Zoë 🦊", None),
        ("\\u0000", None),
        ("a\0", "text that holds a NUL"),
        ("\udc00a", "text that is not valid Unicode"),
    ],
)
def test_faults(text: str, fault: str | None) -> None:
    """A NUL and half of a surrogate pair are all that a database cannot take."""
    assert fault_of_text(text) == fault
