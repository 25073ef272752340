"""User-interactive authentication, with flows of one stage, and no memory.

Implements <https://spec.matrix.org/latest/client-server-api/#user-interactive-authentication-api>.
Every flow has one stage, so a request either completes the flow or does not. The server gives out
a session ID because clients expect one, and stores nothing under it.
"""

import secrets
from dataclasses import dataclass

import msgspec
from starlette.requests import Request

from lamplighter.errors import Forbidden, InteractiveAuthNeeded, InvalidParam, MissingParam
from lamplighter.homeserver.sql import SqlDirectory
from lamplighter.ids import ServerName, UserId, parse_user_id
from lamplighter.ports import Requester
from lamplighter.web.access_log import AccessLog
from lamplighter.web.limits import Limiter

__all__ = ["AuthData", "Identifier", "PasswordStage", "named_user", "require_dummy"]


class Identifier(msgspec.Struct):
    """The user whom a client names; this server knows `m.id.user` only."""

    type: str
    user: str | None = None


class AuthData(msgspec.Struct):
    """The `auth` of a request."""

    type: str | None = None
    session: str | None = None
    identifier: Identifier | None = None
    #: The identifier, as older clients write it.
    user: str | None = None
    password: str | None = None


@dataclass(frozen=True, slots=True)
class PasswordStage:
    """`m.login.password`: a requester proves to be the user, not only the holder of a token."""

    directory: SqlDirectory
    limiter: Limiter
    log: AccessLog

    async def confirm(self, requester: Requester, auth: AuthData | None, request: Request) -> None:
        """Return if *auth* holds the requester's password; raise `InteractiveAuthNeeded` if not.

        A wrong password is logged, with the address that *request* comes from.
        """
        if auth is None or auth.type != "m.login.password":
            raise _needed(auth, "m.login.password")
        if auth.password is None:
            raise MissingParam("auth.password: missing")
        user_id = named_user(auth.identifier, auth.user, self.directory.server_name, "auth.")
        self.limiter.take(("password stage", requester.user_id))
        try:
            if user_id != requester.user_id:
                raise Forbidden("The user of auth is another one than the access token's")
            await self.directory.check_password(user_id, auth.password)
        except Forbidden as error:
            self.log.password_refused(requester.user_id, request)
            raise InteractiveAuthNeeded(
                str(error), session=_session(auth), wrong_password=True
            ) from None


def require_dummy(auth: AuthData | None) -> None:
    """Return if *auth* names `m.login.dummy`; raise `InteractiveAuthNeeded` if not."""
    if auth is None or auth.type != "m.login.dummy":
        raise _needed(auth, "m.login.dummy")


def named_user(
    identifier: Identifier | None, user: str | None, server_name: ServerName, where: str = ""
) -> UserId:
    """Return the user whom an identifier, or the older field, names.

    Errors name the field, which is at *where*.
    """
    if identifier is not None:
        if identifier.type != "m.id.user":
            raise InvalidParam(f"{where}identifier.type: only m.id.user is known here")
        user, where = identifier.user, f"{where}identifier."
    if user is None:
        raise MissingParam(f"{where}user: missing")
    return parse_user_id(user if user.startswith("@") else f"@{user}:{server_name}")


def _needed(auth: AuthData | None, stage: str) -> InteractiveAuthNeeded:
    return InteractiveAuthNeeded(
        f"This needs the stage {stage}", session=_session(auth), stage=stage
    )


def _session(auth: AuthData | None) -> str:
    return (auth.session if auth else None) or secrets.token_urlsafe(18)
