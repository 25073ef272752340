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


def test_reasons_are_values() -> None:
    """Equal reasons are one element of a set; different ones are not."""
    reasons = {Self(), Self(), Module("A"), Module("A"), Module("B"), AllUsers("A")}
    assert reasons == {Self(), Module("A"), Module("B"), AllUsers("A")}
