"""Everything that can go wrong, and whose fault it is.

    LamplighterError
    ├── ConfigError                 the operator's: key, value, and what is allowed
    │   └── NotOfPresence           a module of another kind, which stays in Synapse
    ├── AdminUnavailable        the operator's: no running server answers a command's question
    ├── ModuleError                 a module's: it cannot be loaded or misuses its API
    ├── RecordUnreadable            the operator's: that file is no record of decisions
    ├── StorageUnavailable          the machine's: the disk is full or read-only
    ├── ShuttingDown                nobody's: ask again in a moment
    ├── FederationError             another server's
    │   ├── RemoteUnreachable       it cannot be found, or gives no answer that can be used
    │   ├── RemoteRefused           it answers, and says no
    │   └── UnknownKey              it has no such key, or none that is valid
    │       └── KeysUnavailable     it cannot be asked for its keys now
    └── RequestError                the client's
        ├── Malformed, HeadTooLarge, TargetTooLong
        │                           it is no HTTP, or too much before the body
        ├── NotJson, BadJson, InvalidParam, MissingParam, TooLarge
        │   └── InvalidId           a malformed identifier (an InvalidParam)
        ├── MissingToken, UnknownToken, UserDeactivated
        ├── Unauthorized            another server does not prove who it is
        ├── InteractiveAuthNeeded   the request wants a password, or another stage, beside it
        ├── Forbidden, NotFound, Unrecognized, MethodNotAllowed
        ├── UserInUse, InvalidUsername, RoomInUse, RegistrationClosed
        ├── TooSlow                 the body does not come to its end
        └── LimitExceeded           too fast: come back after `retry_after`

How each becomes an HTTP status and a Matrix `errcode` is one table, in `web/errors.py`.
"""

from datetime import timedelta

__all__ = [
    "AdminUnavailable",
    "BadJson",
    "ConfigError",
    "FederationError",
    "Forbidden",
    "HeadTooLarge",
    "InteractiveAuthNeeded",
    "InvalidId",
    "InvalidParam",
    "InvalidUsername",
    "KeysUnavailable",
    "LamplighterError",
    "LimitExceeded",
    "Malformed",
    "MethodNotAllowed",
    "MissingParam",
    "MissingToken",
    "ModuleError",
    "NotFound",
    "NotJson",
    "NotOfPresence",
    "RecordUnreadable",
    "RegistrationClosed",
    "RemoteRefused",
    "RemoteUnreachable",
    "RequestError",
    "RoomInUse",
    "ShuttingDown",
    "StorageUnavailable",
    "TargetTooLong",
    "TooLarge",
    "TooSlow",
    "Unauthorized",
    "UnknownKey",
    "UnknownToken",
    "Unrecognized",
    "UserDeactivated",
    "UserInUse",
]


class LamplighterError(Exception):
    """Something this server knows how to speak about; the message is for people."""


class ConfigError(LamplighterError):
    """The configuration cannot be used; the message names key, value and what is allowed."""


class NotOfPresence(ConfigError):
    """A module of the configuration is not of presence: it stays in Synapse."""


class AdminUnavailable(LamplighterError):
    """The admin API of a running server cannot be used; the message says why."""


class ModuleError(LamplighterError):
    """A module cannot be loaded, or asks for something that is not there."""


class RecordUnreadable(LamplighterError):
    """A file is not, or not wholly, a record of decisions."""


class StorageUnavailable(LamplighterError):
    """The database cannot be written (disk full, read-only file system); reads still work."""


class ShuttingDown(LamplighterError):
    """The server is about to stop and takes no new work."""


class FederationError(LamplighterError):
    """Another server, or the way to it, does not do what was asked for."""


class RemoteUnreachable(FederationError):
    """The server cannot be found, may not be contacted, or gives no answer that can be used."""


class RemoteRefused(FederationError):
    """The server answered with another status than 2xx; `errcode` is None where it gave none."""

    def __init__(self, server: str, status: int, errcode: str | None) -> None:
        super().__init__(f"{server} answered {status} {errcode or '(no errcode)'}")
        self.status = status
        self.errcode = errcode


class UnknownKey(FederationError):
    """The server publishes no such key, or none that is valid now."""


class KeysUnavailable(UnknownKey):
    """The server's keys cannot be had at the moment; later perhaps they can."""


class RequestError(LamplighterError):
    """A request that cannot be granted; nothing was stored."""


class Malformed(RequestError):
    """What was sent is not an HTTP request."""


class HeadTooLarge(RequestError):
    """The header fields are longer, or more, than this server takes."""


class TargetTooLong(RequestError):
    """The URL is longer than this server takes."""


class NotJson(RequestError):
    """The body is not JSON."""


class BadJson(RequestError):
    """The body is JSON, but not of the shape the endpoint takes; the message names the field."""


class InvalidParam(RequestError):
    """A parameter has a value that is not allowed; the message names the parameter."""


class InvalidId(InvalidParam):
    """A malformed Matrix identifier."""

    def __init__(self, kind: str, text: str, example: str) -> None:
        shown = text if len(text) <= 60 else f"{text[:57]}..."
        super().__init__(f"{shown!r} is not a {kind} ({example})")


class MissingParam(RequestError):
    """A parameter that the endpoint needs is absent; the message names it."""


class TooLarge(RequestError):
    """The body, or a field of it, is longer than this server takes."""


class TooSlow(RequestError):
    """The body has not come in time; what came of it was dropped."""


class MissingToken(RequestError):
    """The request carries no access token."""


class UnknownToken(RequestError):
    """The access token was never given out, or has been revoked."""


class Unauthorized(RequestError):
    """Another server's request is not signed, or not by the key it should be."""


class UserDeactivated(RequestError):
    """The account was deactivated."""


class InteractiveAuthNeeded(RequestError):
    """The endpoint wants a stage of user-interactive authentication beside the request."""

    def __init__(
        self,
        message: str,
        *,
        session: str,
        stage: str = "m.login.password",
        wrong_password: bool = False,
    ) -> None:
        super().__init__(message)
        self.session = session
        self.stage = stage
        self.wrong_password = wrong_password


class Forbidden(RequestError):
    """The requester may not do or see this."""


class NotFound(RequestError):
    """There is no such thing."""


class Unrecognized(RequestError):
    """There is no such endpoint."""


class MethodNotAllowed(RequestError):
    """The endpoint exists, but not for this HTTP method."""


class UserInUse(RequestError):
    """The wanted user ID is taken."""


class InvalidUsername(RequestError):
    """The wanted user ID is not one this server can give."""


class RoomInUse(RequestError):
    """The wanted room alias is taken."""


class RegistrationClosed(RequestError):
    """This server registers nobody over the network."""


class LimitExceeded(RequestError):
    """The requester is too fast."""

    def __init__(self, retry_after: timedelta) -> None:
        super().__init__("Too many requests")
        self.retry_after = retry_after
