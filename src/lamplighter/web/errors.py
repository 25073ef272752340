"""The one table from exceptions to responses.

Implements the standard error response
(<https://spec.matrix.org/latest/client-server-api/#standard-error-response>).
"""

from datetime import timedelta
from typing import Any, Final

import msgspec

from lamplighter import errors
from lamplighter.clock import milliseconds
from lamplighter.web.http.settings import ErrorResponse

__all__ = ["ERROR_TABLE", "error_response", "is_expected"]

# fmt: off
#: The entry of an exception is that of its class, or of the nearest base class that has one.
ERROR_TABLE: Final[dict[type[BaseException], tuple[int, str]]] = {
    errors.Malformed:             (400, "M_UNRECOGNIZED"),
    errors.HeadTooLarge:          (431, "M_TOO_LARGE"),
    errors.TargetTooLong:         (414, "M_TOO_LARGE"),
    errors.NotJson:               (400, "M_NOT_JSON"),
    errors.BadJson:               (400, "M_BAD_JSON"),
    errors.InvalidParam:          (400, "M_INVALID_PARAM"),
    errors.MissingParam:          (400, "M_MISSING_PARAM"),
    errors.TooLarge:              (413, "M_TOO_LARGE"),
    errors.TooSlow:               (408, "M_UNKNOWN"),
    errors.MissingToken:          (401, "M_MISSING_TOKEN"),
    errors.UnknownToken:          (401, "M_UNKNOWN_TOKEN"),
    errors.Unauthorized:          (401, "M_UNAUTHORIZED"),
    errors.UserDeactivated:       (403, "M_USER_DEACTIVATED"),
    errors.InteractiveAuthNeeded: (401, "M_FORBIDDEN"),
    errors.Forbidden:             (403, "M_FORBIDDEN"),
    errors.GuestForbidden:        (403, "M_GUEST_ACCESS_FORBIDDEN"),
    errors.NotFound:              (404, "M_NOT_FOUND"),
    errors.Unrecognized:          (404, "M_UNRECOGNIZED"),
    errors.MethodNotAllowed:      (405, "M_UNRECOGNIZED"),
    errors.UserInUse:             (400, "M_USER_IN_USE"),
    errors.InvalidUsername:       (400, "M_INVALID_USERNAME"),
    errors.RoomInUse:             (400, "M_ROOM_IN_USE"),
    errors.RegistrationClosed:    (403, "M_FORBIDDEN"),
    errors.LimitExceeded:         (429, "M_LIMIT_EXCEEDED"),
    errors.StorageUnavailable:    (503, "M_UNKNOWN"),
    errors.ClusterUnavailable:    (503, "M_UNKNOWN"),
    errors.QuestionFailed:        (500, "M_UNKNOWN"),
    errors.ShuttingDown:          (503, "M_UNKNOWN"),
    errors.KeysUnavailable:       (503, "M_UNKNOWN"),
    errors.HomeserverUnreachable: (502, "M_UNKNOWN"),
    errors.HomeserverTooSlow:     (504, "M_UNKNOWN"),
}
# fmt: on

#: The text where the exception's own message is for the operator.
_TEXTS: Final[dict[type[BaseException], str]] = {
    errors.StorageUnavailable: "This server cannot store anything at the moment; try again later",
    errors.ClusterUnavailable: "This node cannot answer now; ask again in a moment",
    errors.ShuttingDown: "This server is shutting down; ask again in a moment",
    errors.HomeserverUnreachable: "The homeserver cannot be reached; try again later",
    errors.HomeserverTooSlow: "The homeserver does not answer in time; try again later",
}


def is_expected(error: BaseException) -> bool:
    """Tell whether *error* has a response of its own; other exceptions are defects."""
    return isinstance(error, errors.PassedOn) or _entry(error) is not None


def error_response(error: BaseException) -> ErrorResponse:
    """Return the response to a request that failed with *error*.

    Nothing of the server's inside shows in it.
    """
    if isinstance(error, errors.PassedOn):
        return ErrorResponse(error.status, error.body, tuple(error.headers))
    status, errcode = _entry(error) or (500, "M_UNKNOWN")
    content = {"errcode": errcode, "error": _text(error)} | _details(error)
    if isinstance(error, errors.InteractiveAuthNeeded) and not error.wrong_password:
        del content["errcode"], content["error"]  # nothing has failed yet
    headers: tuple[tuple[bytes, bytes], ...] = ()
    if isinstance(error, errors.LimitExceeded):
        # In whole seconds, rounded up.
        headers = ((b"retry-after", b"%d" % -(-error.retry_after // timedelta(seconds=1))),)
    if isinstance(error, errors.ClusterUnavailable):
        headers = ((b"retry-after", b"1"),)
    return ErrorResponse(status, msgspec.json.encode(content), headers)


def _entry(error: BaseException) -> tuple[int, str] | None:
    for kind in type(error).__mro__:
        if kind in ERROR_TABLE:
            return ERROR_TABLE[kind]
    return None


def _text(error: BaseException) -> str:
    if isinstance(error, errors.RequestError | errors.KeysUnavailable):
        return str(error) or type(error).__name__
    texts = (text for kind, text in _TEXTS.items() if isinstance(error, kind))
    return next(texts, "Internal server error")


def _details(error: BaseException) -> dict[str, Any]:
    if isinstance(error, errors.LimitExceeded):
        return {"retry_after_ms": milliseconds(error.retry_after)}
    if isinstance(error, errors.UnknownToken):
        return {"soft_logout": False}
    if isinstance(error, errors.InteractiveAuthNeeded):
        return {
            "flows": [{"stages": [error.stage]}],
            "params": {},
            "session": error.session,
            "completed": [],
        }
    return {}
