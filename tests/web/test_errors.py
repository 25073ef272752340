"""The one table from exceptions to answers."""

import inspect
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from lamplighter import errors
from lamplighter.web.errors import ERROR_TABLE, error_response, is_expected
from lamplighter.web.http.settings import ErrorResponse


def answer(error: BaseException) -> tuple[int, dict[str, Any]]:
    """Return the status and the content of the answer to *error*."""
    response = error_response(error)
    return response.status, msgspec.json.decode(response.body)


@pytest.mark.parametrize(
    ("error", "status", "errcode"),
    [
        (errors.NotJson("x"), 400, "M_NOT_JSON"),
        (errors.BadJson("x"), 400, "M_BAD_JSON"),
        (errors.InvalidParam("x"), 400, "M_INVALID_PARAM"),
        (errors.MissingParam("x"), 400, "M_MISSING_PARAM"),
        (errors.TooLarge("x"), 413, "M_TOO_LARGE"),
        (errors.TooSlow("x"), 408, "M_UNKNOWN"),
        (errors.MissingToken("x"), 401, "M_MISSING_TOKEN"),
        (errors.UserDeactivated("x"), 403, "M_USER_DEACTIVATED"),
        (errors.Forbidden("x"), 403, "M_FORBIDDEN"),
        (errors.GuestForbidden("x"), 403, "M_GUEST_ACCESS_FORBIDDEN"),
        (errors.NotFound("x"), 404, "M_NOT_FOUND"),
        (errors.Unrecognized("x"), 404, "M_UNRECOGNIZED"),
        (errors.MethodNotAllowed("x"), 405, "M_UNRECOGNIZED"),
        (errors.UserInUse("x"), 400, "M_USER_IN_USE"),
        (errors.InvalidUsername("x"), 400, "M_INVALID_USERNAME"),
        (errors.RoomInUse("x"), 400, "M_ROOM_IN_USE"),
        (errors.RegistrationClosed("x"), 403, "M_FORBIDDEN"),
    ],
)
def test_a_request_error_tells_its_message(
    error: errors.RequestError, status: int, errcode: str
) -> None:
    """The client's errors become their status and errcode, with the message as it is."""
    assert answer(error) == (status, {"errcode": errcode, "error": "x"})


def test_every_error_of_a_client_is_in_the_table() -> None:
    """No RequestError, nothing that passes by itself, and nothing that was logged before, is
    answered as a defect.
    """
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]
    passing = (
        errors.RequestError,
        errors.StorageUnavailable,
        errors.ClusterUnavailable,
        errors.ShuttingDown,
        errors.KeysUnavailable,
        errors.HomeserverUnreachable,
        errors.HomeserverTooSlow,
        errors.QuestionFailed,
    )
    wanted = {kind for kind in kinds if issubclass(kind, passing)}
    # The base says nothing by itself; each of these is answered as its own base.
    as_their_base = {errors.InvalidId, errors.DatabaseInUse, errors.DatabaseRefused}
    as_their_base |= set(errors.ClusterUnavailable.__subclasses__())
    assert wanted - {errors.RequestError, *as_their_base} == set(ERROR_TABLE)


def test_a_malformed_id_is_an_invalid_parameter() -> None:
    """An exception without an entry is answered as its base."""
    error = errors.InvalidId("user ID", "bob", "@localpart:server.name")
    assert answer(error) == (
        400,
        {
            "errcode": "M_INVALID_PARAM",
            "error": "'bob' is not a user ID (@localpart:server.name)",
        },
    )


def test_an_unknown_token_is_no_soft_logout() -> None:
    """The answer to an unknown token says that the login is over for good."""
    assert answer(errors.UnknownToken("x")) == (
        401,
        {"errcode": "M_UNKNOWN_TOKEN", "error": "x", "soft_logout": False},
    )


def test_who_is_too_fast_is_told_when_to_come_back() -> None:
    """A LimitExceeded says it in milliseconds in the body, in whole seconds in the header."""
    response = error_response(errors.LimitExceeded(timedelta(milliseconds=1200)))
    assert response == ErrorResponse(
        429,
        b'{"errcode":"M_LIMIT_EXCEEDED","error":"Too many requests","retry_after_ms":1200}',
        ((b"retry-after", b"2"),),
    )


@pytest.mark.parametrize("stage", ["m.login.password", "m.login.dummy"])
def test_a_wanted_stage_is_described(stage: str) -> None:
    """The answer that asks for a stage holds the flows, the session, and no errcode."""
    error = errors.InteractiveAuthNeeded("x", session="s", stage=stage)
    assert answer(error) == (
        401,
        {"flows": [{"stages": [stage]}], "params": {}, "session": "s", "completed": []},
    )


def test_a_wrong_password_is_named_beside_the_flows() -> None:
    """A stage that was tried and failed has an errcode beside the flows."""
    error = errors.InteractiveAuthNeeded("x", session="s", wrong_password=True)
    assert answer(error) == (
        401,
        {
            "errcode": "M_FORBIDDEN",
            "error": "x",
            "flows": [{"stages": ["m.login.password"]}],
            "params": {},
            "session": "s",
            "completed": [],
        },
    )


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (
            errors.StorageUnavailable("/srv/secret.db: disk I/O error"),
            503,
            "This server cannot store anything at the moment; try again later",
        ),
        (errors.LeaseLost("a/7"), 503, "This node cannot answer now; ask again in a moment"),
        (errors.ShuttingDown("x"), 503, "This server is shutting down; ask again in a moment"),
        (errors.QuestionFailed("secret"), 500, "Internal server error"),
        (ValueError("secret"), 500, "Internal server error"),
        (errors.ConfigError("secret"), 500, "Internal server error"),
    ],
)
def test_nothing_inside_the_server_shows(error: Exception, status: int, text: str) -> None:
    """The answer to a fault of the server has general words, never the exception's own."""
    assert answer(error) == (status, {"errcode": "M_UNKNOWN", "error": text})


def test_what_the_table_does_not_know_is_a_defect() -> None:
    """`is_expected` tells the errors in the table from defects of the server."""
    assert is_expected(errors.InvalidId("user ID", "", ""))
    assert is_expected(errors.StorageUnavailable("x"))
    assert not is_expected(ValueError("x"))
