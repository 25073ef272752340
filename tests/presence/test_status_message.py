"""The rule for status messages."""

import pytest

from lamplighter.presence.status_message import (
    parse_status_msg,
    shorten_status_msg,
    status_msg_fault,
)

LONGEST = "é" * 512


@pytest.mark.parametrize("message", ["brb", "in a café 🛒", "a\nb", LONGEST, "x" * 1024, "", None])
def test_what_may_be(message: str | None) -> None:
    """Up to 1,024 bytes of UTF-8 are accepted unchanged; the empty message is none."""
    assert parse_status_msg(message) == (message or None)
    assert status_msg_fault(message) is None
    assert shorten_status_msg(message) == message


@pytest.mark.parametrize(
    ("message", "fault", "rest"),
    [
        ("x" * 1025, "is longer than 1024 bytes", "x" * 1024),
        ("é" * 600, "is longer than 1024 bytes", LONGEST),
        (f"x{LONGEST}", "is longer than 1024 bytes", f"x{'é' * 511}"),
        ("a\0b", "holds a NUL", "ab"),
        ("\0", "holds a NUL", None),
        ("a\ud800b", "holds half of a surrogate pair", "a?b"),
        ("x" * 10**7, "is longer than 1024 bytes", "x" * 1024),
    ],
    ids=["long", "long in bytes", "in the middle", "NUL", "only NUL", "surrogate", "very long"],
)
def test_what_may_not_be(message: str, fault: str, rest: str | None) -> None:
    """A message that is longer, or cannot be sent or stored, is refused with the reason; a stored
    one is shortened to its valid part.
    """
    with pytest.raises(ValueError, match=f"^{fault}$"):
        parse_status_msg(message)
    assert (status_msg_fault(message), shorten_status_msg(message)) == (fault, rest)
