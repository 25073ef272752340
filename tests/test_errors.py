"""The errors of the server."""

import inspect
import re
from datetime import timedelta

import pytest

from lamplighter import errors
from lamplighter.errors import (
    InteractiveAuthNeeded,
    InvalidId,
    InvalidParam,
    LimitExceeded,
    RemoteRefused,
)


def test_the_picture() -> None:
    """The tree in the module's docstring has every error, below its base class."""
    drawn: dict[str, list[str]] = {}
    above: dict[int, list[str]] = {}
    for line in str(errors.__doc__).splitlines():
        found = re.match(r"    ([ │├└─]*)([A-Z]\w*(?:, [A-Z]\w*)*)", line)
        if found:
            depth, names = len(found[1]), found[2].split(", ")
            above[depth] = names
            drawn |= dict.fromkeys(names, above.get(depth - 4, ["Exception"]))
    bases = {name: getattr(errors, name).__base__.__name__ for name in errors.__all__}
    here = [it for it in vars(errors).values() if inspect.isclass(it)]
    defined = {it.__name__ for it in here if it.__module__ == errors.__name__}
    assert drawn.keys() == bases.keys() == defined
    assert {name: base for name, base in bases.items() if base not in drawn[name]} == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bob", "'bob' is not a user ID (@localpart:server.name)"),
        ("b\nob", "'b\\nob' is not a user ID (@localpart:server.name)"),
        ("b" * 60, f"'{'b' * 60}' is not a user ID (@localpart:server.name)"),
        ("b" * 61, f"'{'b' * 57}...' is not a user ID (@localpart:server.name)"),
    ],
)
def test_a_malformed_identifier_is_shown(text: str, message: str) -> None:
    """An `InvalidId` shows the text, on one line and cut, and what is allowed."""
    error = InvalidId("user ID", text, "@localpart:server.name")
    assert (str(error), isinstance(error, InvalidParam)) == (message, True)


def test_how_long_to_wait() -> None:
    """`LimitExceeded` has the time after which to come back."""
    error = LimitExceeded(timedelta(seconds=2))
    assert (str(error), error.retry_after) == ("Too many requests", timedelta(seconds=2))


@pytest.mark.parametrize(
    ("errcode", "message"),
    [
        ("M_FORBIDDEN", "there.example answered 403 M_FORBIDDEN"),
        (None, "there.example answered 403 (no errcode)"),
    ],
)
def test_what_another_server_answered(errcode: str | None, message: str) -> None:
    """`RemoteRefused` names the server, its status and its errcode."""
    error = RemoteRefused("there.example", 403, errcode)
    assert (str(error), error.status, error.errcode) == (message, 403, errcode)


def test_what_authentication_is_needed() -> None:
    """`InteractiveAuthNeeded` has session and stage, and whether the password was wrong."""
    plain = InteractiveAuthNeeded("Give the password", session="S")
    wrong = InteractiveAuthNeeded("No", session="S", stage="m.login.dummy", wrong_password=True)
    told = [(str(it), it.session, it.stage, it.wrong_password) for it in (plain, wrong)]
    assert told == [
        ("Give the password", "S", "m.login.password", False),
        ("No", "S", "m.login.dummy", True),
    ]
