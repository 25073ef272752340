"""The errors of the server."""

import inspect
from datetime import timedelta

import pytest

from lamplighter import errors
from lamplighter.errors import (
    InteractiveAuthNeeded,
    InvalidId,
    InvalidParam,
    LamplighterError,
    LimitExceeded,
    RemoteRefused,
    RequestError,
)

CLIENTS = {
    "BadJson",
    "Forbidden",
    "HeadTooLarge",
    "InteractiveAuthNeeded",
    "InvalidId",
    "InvalidParam",
    "InvalidUsername",
    "LimitExceeded",
    "Malformed",
    "MethodNotAllowed",
    "MissingParam",
    "MissingToken",
    "NotFound",
    "NotJson",
    "RegistrationClosed",
    "RequestError",
    "RoomInUse",
    "TargetTooLong",
    "TooLarge",
    "TooSlow",
    "Unauthorized",
    "UnknownToken",
    "Unrecognized",
    "UserDeactivated",
    "UserInUse",
}
OTHERS = {
    "AdminUnavailable",
    "ConfigError",
    "DatabaseInUse",
    "FederationError",
    "KeysUnavailable",
    "LamplighterError",
    "ModuleError",
    "NotOfPresence",
    "RecordUnreadable",
    "RemoteRefused",
    "RemoteUnreachable",
    "ShuttingDown",
    "StorageUnavailable",
    "UnknownKey",
}


def test_whose_fault_it_is() -> None:
    """The base class of each error says whether the error is the client's."""
    kinds = dict(inspect.getmembers(errors, inspect.isclass))
    del kinds["timedelta"]
    assert all(issubclass(kind, LamplighterError) for kind in kinds.values())
    assert {name for name, kind in kinds.items() if issubclass(kind, RequestError)} == CLIENTS
    assert kinds.keys() == CLIENTS | OTHERS == set(errors.__all__)


def test_an_error_has_a_place_in_the_picture() -> None:
    """The tree in the module's docstring names every error."""
    assert [name for name in errors.__all__ if name not in str(errors.__doc__)] == []


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
    assert (str(plain), plain.session, plain.stage, plain.wrong_password) == (
        "Give the password",
        "S",
        "m.login.password",
        False,
    )
    assert (str(wrong), wrong.session, wrong.stage, wrong.wrong_password) == (
        "No",
        "S",
        "m.login.dummy",
        True,
    )
