"""Reasons as phrases and as values."""

import pytest

from lamplighter.routing.reasons import AllUsers, Module, Reason, Self, SharedRoom
from tests.routing.people import HALL


@pytest.mark.parametrize(
    ("reason", "phrase"),
    [
        (Self(), "their own presence"),
        (SharedRoom(HALL), "shared room !hall:demo"),
        (Module("MyRouter"), "module MyRouter"),
        (AllUsers("MyRouter"), "module MyRouter: sees all users"),
    ],
)
def test_phrases(reason: Reason, phrase: str) -> None:
    """A reason reads as a phrase for people."""
    assert str(reason) == phrase
