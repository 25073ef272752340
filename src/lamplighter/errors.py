"""Every error that this server raises on purpose, grouped by whose fault it is.

    LamplighterError
    ├── ConfigError                 the operator's: key, value, and what is allowed
    │   └── NotOfPresence           a module of another kind, which stays in Synapse
    ├── AdminUnavailable            the operator's: no running server answers a command
    ├── ModuleError                 a module's: it cannot be loaded, or misuses its API
    ├── RecordUnreadable            the operator's: the file is no record of decisions
    ├── StorageUnavailable          the machine's: the disk is full or read-only
    │   ├── DatabaseInUse           another server uses the database
    │   └── DatabaseRefused         the operator's: it is not there, or is not for this user
    ├── ClusterUnavailable          the cluster's: this node cannot answer now, another may
    │   ├── LogUnreachable          the log of the cluster does not answer
    │   ├── LeaseLost               this node may not write any more
    │   ├── LogLost                 the log has lost its data, or those that this node needs
    │   └── Untold                  a write is stored, and the nodes will hear of it later
    ├── ClusterRefused              the operator's: this node cannot be one of the cluster
    │   ├── NodeNameInUse           another living node has its name
    │   └── NodesDiffer             it differs from the other nodes
    ├── HomeserverUnreachable       the homeserver's: it gives no answer, or half of one
    ├── HomeserverTooSlow           the homeserver's: its answer does not come in time
    ├── PassedOn                    the homeserver's own error, which goes to the client as it is
    ├── QuestionFailed              this server's: a defect, which is in the log already
    ├── ShuttingDown                nobody's: ask again in a moment
    ├── FederationError             another server's
    │   ├── RemoteUnreachable       it cannot be found, or gives no usable answer
    │   ├── RemoteRefused           it answered with an error
    │   └── UnknownKey              it has no such key, or the key is not valid
    │       └── KeysUnavailable     it cannot be asked for its keys now
    └── RequestError                the client's
        ├── Malformed, HeadTooLarge, TargetTooLong
        │                           no HTTP, or too long a head
        ├── NotJson, BadJson, InvalidParam, MissingParam, TooLarge
        │   └── InvalidId           a malformed identifier (an InvalidParam)
        ├── MissingToken, UnknownToken, UserDeactivated
        ├── Unauthorized            another server does not prove its identity
        ├── InteractiveAuthNeeded   the request needs a password, or another stage, as well
        ├── Forbidden, GuestForbidden, NotFound, Unrecognized, MethodNotAllowed
        ├── UserInUse, InvalidUsername, RoomInUse, RegistrationClosed
        ├── TooSlow                 the body did not arrive in time
        └── LimitExceeded           too many requests: come back after `retry_after`

One table, in `web/errors.py`, gives each error its HTTP status and its Matrix `errcode`.
"""

from collections.abc import Sequence
from datetime import timedelta

__all__ = [
    "AdminUnavailable",
    "BadJson",
    "ClusterRefused",
    "ClusterUnavailable",
    "ConfigError",
    "DatabaseInUse",
    "DatabaseRefused",
    "FederationError",
    "Forbidden",
    "GuestForbidden",
    "HeadTooLarge",
    "HomeserverTooSlow",
    "HomeserverUnreachable",
    "InteractiveAuthNeeded",
    "InvalidId",
    "InvalidParam",
    "InvalidUsername",
    "KeysUnavailable",
    "LamplighterError",
    "LeaseLost",
    "LimitExceeded",
    "LogLost",
    "LogUnreachable",
    "Malformed",
    "MethodNotAllowed",
    "MissingParam",
    "MissingToken",
    "ModuleError",
    "NodeNameInUse",
    "NodesDiffer",
    "NotFound",
    "NotJson",
    "NotOfPresence",
    "PassedOn",
    "QuestionFailed",
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
    "Untold",
    "UserDeactivated",
    "UserInUse",
]


class LamplighterError(Exception):
    """The base of all errors here. Its message is written for people."""


class ConfigError(LamplighterError):
    """The configuration cannot be used. The message names key, value and what is allowed."""


class NotOfPresence(ConfigError):
    """A configured module has nothing to do with presence. It must stay in Synapse."""


class AdminUnavailable(LamplighterError):
    """A command cannot use the admin API of the running server. The message says why."""


class ModuleError(LamplighterError):
    """A module cannot be loaded, or uses something that the module API does not have."""


class RecordUnreadable(LamplighterError):
    """A file is not a record of decisions, or a damaged one."""


class StorageUnavailable(LamplighterError):
    """The database cannot be written (disk full, read-only file system). Reads still work."""


class DatabaseInUse(StorageUnavailable):
    """Another process uses the PostgreSQL database, where only one may."""


class DatabaseRefused(StorageUnavailable):
    """PostgreSQL has no such database, or refuses the user: another `database` is needed."""


class ClusterUnavailable(LamplighterError):
    """This node of a cluster cannot answer now. Another node may, or this one in a moment."""


class LogUnreachable(ClusterUnavailable):
    """The log of the cluster does not answer in time. What was to be written may be written."""


class LeaseLost(ClusterUnavailable):
    """The lease of this node has ended, or another node owns the partition. Nothing is written."""


class LogLost(ClusterUnavailable):
    """The log has lost its data, or does not have any more what this node has not read yet."""


class Untold(ClusterUnavailable):
    """A write is stored, but the nodes have not heard of it in time. They will hear of it later."""


class ClusterRefused(LamplighterError):
    """A node cannot join its cluster as it is configured."""


class NodeNameInUse(ClusterRefused):
    """A living node of the cluster has the same name."""


class NodesDiffer(ClusterRefused):
    """The node differs from the living nodes in what all must have alike. The message says what."""


class HomeserverUnreachable(LamplighterError):
    """The homeserver behind this server cannot be asked, breaks off, or answers no HTTP."""


class HomeserverTooSlow(LamplighterError):
    """The homeserver behind this server does not answer, or read, in time."""


class PassedOn(LamplighterError):
    """The homeserver behind this server has refused what the client asked; its words are passed on.

    *body* is JSON. *headers* are those of the answer that the client needs.
    """

    def __init__(self, status: int, body: bytes, headers: Sequence[tuple[bytes, bytes]]) -> None:
        super().__init__(f"the homeserver answered {status}")
        self.status = status
        self.body = body
        self.headers = headers


class QuestionFailed(LamplighterError):
    """The question to modules that a request shares with others has failed by a defect.

    The log has the defect. So it is not logged again for each of those who share the question.
    """


class ShuttingDown(LamplighterError):
    """The server is stopping and takes no new work."""


class FederationError(LamplighterError):
    """A request to another server failed, or a request from another server cannot be trusted."""


class RemoteUnreachable(FederationError):
    """The server cannot be found, may not be contacted, or gives no usable answer."""


class RemoteRefused(FederationError):
    """The server answered with a status other than 2xx. `errcode` is None if it gave none."""

    def __init__(self, server: str, status: int, errcode: str | None) -> None:
        super().__init__(f"{server} answered {status} {errcode or '(no errcode)'}")
        self.status = status
        self.errcode = errcode


class UnknownKey(FederationError):
    """The server publishes no key with this ID, or the key is no longer valid."""


class KeysUnavailable(UnknownKey):
    """The server cannot be asked for its keys now. A later attempt may succeed."""


class RequestError(LamplighterError):
    """A request was refused. Nothing was stored."""


class Malformed(RequestError):
    """The client sent something that is not an HTTP request."""


class HeadTooLarge(RequestError):
    """The header fields are longer or more numerous than this server accepts."""


class TargetTooLong(RequestError):
    """The URL is longer than this server accepts."""


class NotJson(RequestError):
    """The body is not JSON."""


class BadJson(RequestError):
    """The body is JSON of the wrong shape. The message names the field."""


class InvalidParam(RequestError):
    """A parameter has a value that is not allowed. The message names the parameter."""


class InvalidId(InvalidParam):
    """A malformed Matrix identifier."""

    def __init__(self, kind: str, text: str, example: str) -> None:
        shown = text if len(text) <= 60 else f"{text[:57]}..."
        super().__init__(f"{shown!r} is not a {kind} ({example})")


class MissingParam(RequestError):
    """A required parameter is absent. The message names it."""


class TooLarge(RequestError):
    """The body, or a field of it, is longer than this server accepts."""


class TooSlow(RequestError):
    """The body did not arrive in time. The part that did was dropped."""


class MissingToken(RequestError):
    """The request carries no access token."""


class UnknownToken(RequestError):
    """The access token was never issued, or has been revoked."""


class Unauthorized(RequestError):
    """Another server's request has no signature that proves its origin."""


class UserDeactivated(RequestError):
    """The account was deactivated."""


class InteractiveAuthNeeded(RequestError):
    """The endpoint needs a stage of user-interactive authentication as well."""

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


class GuestForbidden(RequestError):
    """A guest has no access to what the request is about."""


class NotFound(RequestError):
    """The object that the request names does not exist."""


class Unrecognized(RequestError):
    """The endpoint does not exist."""


class MethodNotAllowed(RequestError):
    """The endpoint exists, but not for this HTTP method."""


class UserInUse(RequestError):
    """The requested user ID is taken."""


class InvalidUsername(RequestError):
    """This server cannot give the requested user ID to anybody."""


class RoomInUse(RequestError):
    """The requested room alias is taken."""


class RegistrationClosed(RequestError):
    """This server does not register users over the network."""


class LimitExceeded(RequestError):
    """The requester sends too many requests."""

    def __init__(self, retry_after: timedelta) -> None:
        super().__init__("Too many requests")
        self.retry_after = retry_after
