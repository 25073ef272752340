"""What a status message may be."""

import pytest

from lamplighter.presence.status_message import MAX_STATUS_MSG, cut, fault_of, parse

LONGEST = "é" * 512


@pytest.mark.parametrize("message", ["brb", "in a café 🛒", "a\nb", LONGEST, "x" * 1024])
def test_what_may_be(message: str) -> None:
    """Up to 1,024 bytes of UTF-8 may be told as they are."""
    assert (parse(message), fault_of(message), cut(message)) == (message, None, message)


@pytest.mark.parametrize("message", [None, ""])
def test_nothing(message: str | None) -> None:
    """The empty message is none."""
    assert (parse(message), fault_of(message), cut(message)) == (None, None, message)


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
    """What is longer, or cannot be sent or stored, is refused with the reason; of what is stored
    already as much is taken as may be told.
    """
    with pytest.raises(ValueError, match=f"^{fault}$"):
        parse(message)
    assert (fault_of(message), cut(message)) == (fault, rest)


def test_the_limit() -> None:
    """The limit is one number for all."""
    assert MAX_STATUS_MSG == 1024
