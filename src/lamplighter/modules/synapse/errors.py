"""The exceptions that modules raise and catch (`synapse.api.errors`, `synapse.module_api.errors`).

ConfigError                          raised by a module's `parse_config`
CodeMessageException                 an HTTP status and a message
├── HttpResponseException            `http_client` got a status other than 2xx
├── RedirectException                a web resource redirects the client
└── SynapseError                     a web resource refuses a request, with a Matrix `errcode`
    ├── AuthError, NotFoundError
    └── InvalidClientCredentialsError
        ├── InvalidClientTokenError
        └── MissingClientTokenError
"""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final

__all__ = [
    "AuthError",
    "CodeMessageException",
    "Codes",
    "ConfigError",
    "HttpResponseException",
    "InvalidClientCredentialsError",
    "InvalidClientTokenError",
    "MissingClientTokenError",
    "NotFoundError",
    "RedirectException",
    "SynapseError",
]


class Codes:
    """The specification's error codes that a module may use."""

    UNKNOWN: Final = "M_UNKNOWN"
    FORBIDDEN: Final = "M_FORBIDDEN"
    UNRECOGNIZED: Final = "M_UNRECOGNIZED"
    BAD_JSON: Final = "M_BAD_JSON"
    NOT_JSON: Final = "M_NOT_JSON"
    NOT_FOUND: Final = "M_NOT_FOUND"
    MISSING_PARAM: Final = "M_MISSING_PARAM"
    INVALID_PARAM: Final = "M_INVALID_PARAM"
    MISSING_TOKEN: Final = "M_MISSING_TOKEN"
    UNKNOWN_TOKEN: Final = "M_UNKNOWN_TOKEN"
    GUEST_ACCESS_FORBIDDEN: Final = "M_GUEST_ACCESS_FORBIDDEN"
    LIMIT_EXCEEDED: Final = "M_LIMIT_EXCEEDED"


class ConfigError(Exception):
    """A module's configuration is wrong.

    *path* leads from the module's `config` to the wrong value.
    """

    def __init__(self, msg: str, path: Iterable[str] | None = None) -> None:
        super().__init__(msg)
        self.msg = msg
        self.path = path


class CodeMessageException(RuntimeError):
    """An HTTP status and a message."""

    def __init__(self, code: int, msg: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{int(code)}: {msg}")
        self.code = int(code)
        self.msg = msg
        self.headers = dict(headers or {})


class HttpResponseException(CodeMessageException):
    """Another server has answered with a status other than 2xx; *response* is the body."""

    def __init__(self, code: int, msg: str, response: bytes) -> None:
        super().__init__(code, msg)
        self.response = response


class RedirectException(CodeMessageException):
    """The client is redirected to *location*."""

    def __init__(self, location: bytes, http_code: int = HTTPStatus.FOUND) -> None:
        super().__init__(http_code, f"Redirect to {location.decode(errors='replace')}")
        self.location = location


class SynapseError(CodeMessageException):
    """A request is refused with this `errcode`."""

    def __init__(
        self,
        code: int,
        msg: str,
        errcode: str = Codes.UNKNOWN,
        additional_fields: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(code, msg, headers)
        self.errcode = errcode
        self.additional_fields = dict(additional_fields or {})

    def as_json(self) -> dict[str, Any]:
        """Return the body of the response."""
        return {"errcode": self.errcode, "error": self.msg, **self.additional_fields}


class AuthError(SynapseError):
    """The requester may not do this."""

    def __init__(self, code: int, msg: str, errcode: str = Codes.FORBIDDEN) -> None:
        super().__init__(code, msg, errcode)


class NotFoundError(SynapseError):
    """The requested object does not exist."""

    def __init__(self, msg: str = "Not found", errcode: str = Codes.NOT_FOUND) -> None:
        super().__init__(HTTPStatus.NOT_FOUND, msg, errcode)


class InvalidClientCredentialsError(SynapseError):
    """The request has no valid access token."""

    def __init__(self, msg: str, errcode: str) -> None:
        super().__init__(HTTPStatus.UNAUTHORIZED, msg, errcode)


class InvalidClientTokenError(InvalidClientCredentialsError):
    """The access token was never issued, or has been revoked."""

    def __init__(self, msg: str = "Unrecognised access token", soft_logout: bool = False) -> None:
        super().__init__(msg, Codes.UNKNOWN_TOKEN)
        self.additional_fields["soft_logout"] = soft_logout


class MissingClientTokenError(InvalidClientCredentialsError):
    """The request has no access token."""

    def __init__(self, msg: str = "Missing access token") -> None:
        super().__init__(msg, Codes.MISSING_TOKEN)
